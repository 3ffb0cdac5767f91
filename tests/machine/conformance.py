"""What every ``Process`` does, whatever it keeps its rows in: one suite for the real database and the simulated one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

import pytest

from shared.advance import MOST_WAITING
from shared.caserows import CaseRows, unpack_headers
from shared.decision import Fact
from shared.events.envelope import Record, read
from shared.events.event import Event
from shared.identity import derived
from shared.lease import LeaseLostError
from shared.postgres import OutcomeFailedError, PostgresProcess
from shared.settlement import Arrival, Buried, Done
from tests.machine.toy import (
    HOUR,
    NOON,
    PURSE,
    SECRET,
    Alarmed,
    Balanced,
    Broken,
    Earned,
    Endless,
    Irrelevant,
    Job,
    JobDone,
    JobFinished,
    JobWanted,
    Misdirected,
    Rang,
    Refused,
    Spent,
    Unstorable,
    arrival,
    fact,
    record_of,
)

PARTITIONS = 4


class Rows(Protocol):
    """How the suite looks behind a process."""

    async def table(self, name: str) -> list[dict[str, Any]]:
        """Give a table's rows, the outbox's in order of its numbers."""

    async def claim(self, lease: UUID, seconds: float) -> list[dict[str, Any]]:
        """Claim what tasks there are."""

    async def spoil(self, customer_id: str) -> None:
        """Write a state that no release ever wrote."""


@dataclass
class Shop:
    """A process under test, and what is behind it."""

    process: PostgresProcess[Any]
    rows: Rows

    async def take(self, *given: Event | Fact | Arrival, now: datetime = NOON) -> int:
        """Let a batch arrive."""
        arrivals = [one if isinstance(one, Arrival) else arrival(one) for one in given]
        return await self.process.arrivals(arrivals, (), now)

    async def owed(self) -> list[Event]:
        """Read what is owed, in order, dead letters apart."""
        return [one.event for one in await self.owed_facts()]

    async def owed_facts(self) -> list[Fact]:
        """Read the facts that are owed, in order."""
        rows = await self.rows.table("outbox")
        return [
            read(
                Record(
                    row["aggregatetype"],
                    0,
                    0,
                    0,
                    None,
                    row["payload"],
                    tuple(unpack_headers(row["headers"], row["payload"])),
                )
            )
            for row in rows
            if not row["aggregatetype"].startswith("dlq.")
        ]

    async def dead_letters(self) -> list[dict[str, Any]]:
        """Give the dead letters, each with its headers as a mapping."""
        rows = [row for row in await self.rows.table("outbox") if row["aggregatetype"].startswith("dlq.")]
        return [{**row, "headers": dict(unpack_headers(row["headers"], row["payload"]))} for row in rows]

    async def case(self, customer_id: str) -> Any:
        """Read one customer's case."""
        rows = {row["customer_id"]: row for row in await self.rows.table("cases")}
        row = rows[customer_id]
        return CaseRows(PURSE).case(row["state"], row["waiting"], row["revision"])

    async def row(self, customer_id: str) -> dict[str, Any]:
        """Give one customer's row as it is."""
        return next(row for row in await self.rows.table("cases") if row["customer_id"] == customer_id)

    async def amount(self, customer_id: str) -> int:
        """Tell what is in a customer's purse."""
        return (await self.case(customer_id)).state.amount

    async def everything(self) -> list[Any]:
        """Give all tables, to compare before with after."""
        return [await self.rows.table(name) for name in ("cases", "inbox", "outbox", "tasks", "dead_letters")]


def _reasons(letters: Sequence[dict[str, Any]]) -> list[str]:
    return [letter["headers"]["__dlq.errors.message"].decode() for letter in letters]


class Batches:
    """A batch is all or nothing, and a repeat changes nothing."""

    async def test_mixed_batch(self, shop: Shop) -> None:
        """A batch of any mix of customers and types is carried out in order, each customer's apart."""
        news = await shop.take(
            Earned(customer_id="a", amount=5),
            Earned(customer_id="b", amount=7),
            Spent(customer_id="a", amount=2),
            Irrelevant(customer_id="b"),
        )

        assert news == 4
        assert await shop.owed() == [
            Balanced(customer_id="a", amount=5, turn=1),
            Balanced(customer_id="b", amount=7, turn=1),
            Balanced(customer_id="a", amount=3, turn=2),
        ]

    async def test_repeat_in_batch(self, shop: Shop) -> None:
        """An event that comes twice in one batch takes effect once."""
        once = fact(Earned(customer_id="a", amount=5))

        assert await shop.take(once, once) == 1
        assert await shop.amount("a") == 5

    async def test_same_arrival_twice(self, shop: Shop) -> None:
        """Even the very same arrival, handed over twice, takes effect once."""
        once = arrival(Earned(customer_id="a", amount=5))

        await shop.take(once, once)

        assert await shop.amount("a") == 5

    async def test_repeat_over_batches(self, shop: Shop) -> None:
        """An event that comes again later, at whatever offset, changes no row of any table."""
        once = fact(Earned(customer_id="a", amount=5))
        await shop.take(once)
        before = await shop.everything()

        assert await shop.take(once) == 0
        assert await shop.everything() == before

    async def test_repeat_at_once(self, shop: Shop) -> None:
        """Two workers that are given the same events at once carry them out once."""
        facts = [fact(Earned(customer_id=name, amount=1)) for name in "abcdef" for _ in range(5)]

        news = await asyncio.gather(shop.take(*facts), shop.take(*reversed(facts)))

        assert sum(news) == 30
        assert [await shop.amount(name) for name in "abcdef"] == [5] * 6
        assert len(await shop.owed()) == 30

    async def test_two_workers(self, shop: Shop) -> None:
        """Two workers that carry out different events of the same customers at once lose none of them."""
        await shop.take(*[Earned(customer_id=name, amount=0) for name in "abc"])

        await asyncio.gather(
            *[shop.take(*[Earned(customer_id=name, amount=1) for name in order]) for order in ("abc", "cba", "bac") * 5]
        )

        assert [await shop.amount(name) for name in "abc"] == [15, 15, 15]

    async def test_other_source(self, shop: Shop) -> None:
        """The same id from another source is another event, and so is what follows from it."""
        await shop.take(
            fact(Earned(customer_id="a", amount=5), "same", "/one"),
            fact(Earned(customer_id="a", amount=5), "same", "/other"),
        )

        assert await shop.amount("a") == 10
        assert len({one.id for one in await shop.owed_facts()}) == 2

    async def test_other_source_tasks(self, shop: Shop) -> None:
        """Two tasks ordered by events of one id from two sources are two tasks."""
        await shop.take(fact(JobWanted(customer_id="a", name="x"), "same", "/one"))
        await shop.take(fact(JobWanted(customer_id="a", name="y"), "same", "/other"))

        assert len(await shop.rows.table("tasks")) == 2

    async def test_derived_ids(self, shop: Shop) -> None:
        """What follows has an id that follows from its cause, so a repeat after a lost answer is known downstream."""
        once = fact(Earned(customer_id="a", amount=5), "fixed")

        await shop.take(once)

        (owed,) = await shop.owed_facts()
        assert owed.id == derived("purse", "/test\x1ffixed", "Balanced", 0)

    async def test_order_in_lane(self, shop: Shop) -> None:
        """One customer's events are owed in one lane, in the order in which they were decided."""
        for turn in range(5):
            await shop.take(*[Earned(customer_id=name, amount=turn) for name in "abc"])

        rows = [row for row in await shop.rows.table("outbox") if row["aggregateid"] == "b"]
        assert len({row["lane"] for row in rows}) == 1
        assert [one.turn for one in await shop.owed() if one.customer_id == "b"] == [1, 2, 3, 4, 5]


class Poison:
    """Whatever makes the code fail is buried alone, with its bytes and a reason."""

    async def test_buried_alone(self, shop: Shop) -> None:
        """A poisonous event is buried; what comes behind it for the same customer goes on, others don't notice."""
        await shop.take(
            Earned(customer_id="a", amount=1),
            Broken(customer_id="a"),
            Earned(customer_id="a", amount=2),
            Earned(customer_id="b", amount=3),
        )

        assert (await shop.amount("a"), await shop.amount("b")) == (3, 3)
        assert [letter["aggregatetype"] for letter in await shop.dead_letters()] == ["dlq.Broken"]

    async def test_letter(self, shop: Shop) -> None:
        """A dead letter carries the original's bytes, headers, key and time, and whence it came and why."""
        known = fact(Broken(customer_id="a"))
        record = record_of(known, 17)

        await shop.take(Arrival(known, record))

        (letter,) = await shop.dead_letters()
        assert (letter["payload"], letter["aggregateid"], letter["timestamp_ms"]) == (
            record.value,
            "a",
            1_700_000_000_000,
        )
        assert set(record.headers) <= set(letter["headers"].items())
        assert letter["headers"]["__dlq.errors.topic"] == b"Broken"
        assert letter["headers"]["__dlq.errors.partition"] == b"0"
        assert letter["headers"]["__dlq.errors.offset"] == b"17"
        assert letter["headers"]["__dlq.errors.message"].startswith(b"ValueError in _broken")

    async def test_no_personal_data(self, shop: Shop) -> None:
        """The reason names the error's type and place, never its message, which may quote a person."""
        await shop.take(Broken(customer_id="a"))

        assert SECRET not in "".join(_reasons(await shop.dead_letters()))

    async def test_letter_once(self, shop: Shop) -> None:
        """A redelivery of the same offset makes no second dead letter."""
        poison = arrival(Broken(customer_id="a"), 5)

        await shop.take(poison)
        await shop.take(poison)

        assert len(await shop.dead_letters()) == 1
        assert await shop.rows.table("dead_letters") == [{"topic": "dlq.Broken", "buried": 1}]

    async def test_replay(self, shop: Shop) -> None:
        """The same event put back, at a new offset, is news again: here it fails again, and is buried again."""
        poison = fact(Broken(customer_id="a"))
        await shop.take(arrival(poison, 5))

        await shop.take(arrival(poison, 9))

        assert [letter["headers"]["__dlq.errors.offset"] for letter in await shop.dead_letters()] == [b"5", b"9"]

    async def test_unreadable(self, shop: Shop) -> None:
        """A record that can't be read is buried beside a batch that goes on, once."""
        unreadable = Buried("value: not JSON", Record("Earned", 1, 3, 0, b"a", b"{", ()), None)

        for _ in range(2):
            await shop.process.arrivals([arrival(Earned(customer_id="a", amount=1))], [unreadable], NOON)

        assert _reasons(await shop.dead_letters()) == ["value: not JSON"]
        assert await shop.amount("a") == 2

    @pytest.mark.parametrize("key", [None, b"", b"\x00\x00\x00\x2a", b"\xff\xfe", "ключ".encode()])
    async def test_any_key(self, shop: Shop, key: bytes | None) -> None:
        """No key that a foreign producer may choose keeps a record from being buried, or is lost on the way."""
        unreadable = Buried("key: no", Record("Earned", 1, 3, 0, key, None, ()), None)

        await shop.process.arrivals((), [unreadable], NOON)

        (letter,) = await shop.dead_letters()
        kept = letter["headers"].get("__dlq.errors.key")
        found = letter["aggregateid"].encode("latin-1") if letter["aggregateid"] is not None else None
        assert (bytes.fromhex(kept.decode()) if kept else found) == key

    async def test_any_header(self, shop: Shop) -> None:
        """A header without a value, which Kafka allows, stays one."""
        headers = (("a", None), ("b", b""), ("c", b"\x00\xff"))
        unreadable = Buried("no", Record("Earned", 1, 3, 0, b"a", None, headers), None)  # type: ignore[arg-type]

        await shop.process.arrivals((), [unreadable], NOON)

        (letter,) = await shop.dead_letters()
        assert set(headers) <= set(letter["headers"].items())

    async def test_database_fails(self, shop: Shop) -> None:
        """An event that the database rejects is found by halving, whatever place it has in the batch."""
        batch = [Earned(customer_id=f"c{place}", amount=1) for place in range(9)]

        await shop.take(*batch[:6], Unstorable(customer_id="c3"), *batch[6:])

        assert [await shop.amount(f"c{place}") for place in range(9)] == [1] * 9
        assert _reasons(await shop.dead_letters()) == ["the database rejected it: UntranslatableCharacterError"]

    async def test_row_unreadable(self, shop: Shop) -> None:
        """A case that can't be read is that customer's trouble: its events are buried, and the others' go on."""
        await shop.take(Alarmed(customer_id="a", at=NOON), Earned(customer_id="b", amount=7))
        await shop.rows.spoil("a")
        before = await shop.row("a")
        await shop.take(Earned(customer_id="a", amount=1), Earned(customer_id="b", amount=1))
        woken = await shop.process.wakes(NOON, 10)

        assert await shop.amount("b") == 8
        assert _reasons(await shop.dead_letters()) == ["the customer's case can't be read: ValidationError"]
        assert (woken, (await shop.row("a"))["stuck"]) == (1, "the customer's case can't be read: ValidationError")
        assert (await shop.row("a"))["state"] == before["state"]

    async def test_endless(self, shop: Shop) -> None:
        """An event after which nobody can tell when to wake is poisonous too, and delays nothing."""
        await shop.take(Endless(customer_id="a"), Earned(customer_id="a", amount=1))

        assert _reasons(await shop.dead_letters())[0].startswith("OverflowError in wakes_at")
        assert await shop.amount("a") == 1

    async def test_misdirected(self, shop: Shop) -> None:
        """A decision about one customer has no say about another one."""
        await shop.take(Misdirected(customer_id="a"), Earned(customer_id="a", amount=1))

        assert _reasons(await shop.dead_letters()) == ["decided something about another customer"]
        assert await shop.amount("a") == 1


class TooEarly:
    """An event that came too early waits, visibly and boundedly, and is answered."""

    async def test_waits(self, shop: Shop) -> None:
        """It is in the customer's row, with its reason and its end, and the row wakes then."""
        await shop.take(Spent(customer_id="a", amount=3))

        (waiting,) = (await shop.case("a")).waiting
        assert (waiting.fact.event.amount, waiting.reason, waiting.until) == (3, "not enough yet", NOON + HOUR)
        assert (await shop.row("a"))["wakes_at"] == NOON + HOUR

    async def test_offered_again(self, shop: Shop) -> None:
        """It is offered again after a change, as long as each change makes another one possible."""
        await shop.take(Spent(customer_id="a", amount=3), Spent(customer_id="a", amount=5))

        await shop.take(Earned(customer_id="a", amount=6))

        assert await shop.owed() == [
            Balanced(customer_id="a", amount=6, turn=1),
            Balanced(customer_id="a", amount=3, turn=2),
        ]
        assert [one.fact.event.amount for one in (await shop.case("a")).waiting] == [5]

    async def test_repeat_while_waiting(self, shop: Shop) -> None:
        """While it waits a repeat of it is no second one."""
        early = fact(Spent(customer_id="a", amount=3))

        await shop.take(early)
        await shop.take(early)

        assert len((await shop.case("a")).waiting) == 1

    async def test_answered(self, shop: Shop) -> None:
        """When its time is up it is answered with a reason, and waits no longer."""
        await shop.take(Spent(customer_id="a", amount=3))

        assert await shop.process.wakes(NOON + HOUR, 10) == 1
        assert await shop.owed() == [Refused(customer_id="a", amount=3)]
        assert (await shop.row("a"))["waiting"] is None
        assert (await shop.row("a"))["wakes_at"] is None

    async def test_too_many(self, shop: Shop) -> None:
        """As many wait as there is room for; the next one is buried, which is an answer too."""
        await shop.take(*[Spent(customer_id="a", amount=3) for _ in range(MOST_WAITING + 1)])

        assert len((await shop.case("a")).waiting) == MOST_WAITING
        assert len(await shop.dead_letters()) == 1

    async def test_fails_later(self, shop: Shop) -> None:
        """If it makes the code fail once its time has come it is buried, and what brought it about counts."""
        await shop.take(Spent(customer_id="a", amount=3, breaks=True), Spent(customer_id="a", amount=2))

        await shop.take(Earned(customer_id="a", amount=6))

        assert await shop.amount("a") == 4
        assert [letter["aggregatetype"] for letter in await shop.dead_letters()] == ["dlq.Spent"]
        assert (await shop.case("a")).waiting == ()

    async def test_fails_later_namesake(self, shop: Shop) -> None:
        """What is buried takes nothing with it, not even an event with the same id from another source."""
        await shop.take(
            fact(Spent(customer_id="a", amount=3, breaks=True), "same", "/one"),
            fact(Spent(customer_id="a", amount=2), "same", "/other"),
        )

        await shop.take(Earned(customer_id="a", amount=6))

        assert await shop.amount("a") == 4

    async def test_fails_when_overdue(self, shop: Shop) -> None:
        """If even its answer makes the code fail it is buried, and the case goes on."""
        await shop.take(Spent(customer_id="a", amount=3, breaks=True), Alarmed(customer_id="a", at=NOON))

        await shop.process.wakes(NOON + HOUR, 10)

        assert [letter["aggregatetype"] for letter in await shop.dead_letters()] == ["dlq.Spent"]
        assert await shop.owed() == [Rang(customer_id="a", at=NOON)]

    async def test_replay_after_burial(self, shop: Shop) -> None:
        """What waited and was buried is news again when it is put back."""
        early = fact(Spent(customer_id="a", amount=3, breaks=True))
        await shop.take(early, Earned(customer_id="a", amount=6))

        assert await shop.take(arrival(early)) == 1
        assert len(await shop.dead_letters()) == 2


class Waking:
    """Deadlines are a column."""

    async def test_due_once(self, shop: Shop) -> None:
        """Rows that are due are woken once, however many wakers there are at once."""
        await shop.take(*[Alarmed(customer_id=f"c{place}", at=NOON) for place in range(50)])

        woken = await asyncio.gather(*[shop.process.wakes(NOON, 20) for _ in range(5)])
        woken.append(await shop.process.wakes(NOON, 50))

        assert sum(woken) == 50
        assert len({one.customer_id for one in await shop.owed()}) == len(await shop.owed()) == 50

    async def test_not_before(self, shop: Shop) -> None:
        """Nothing is woken before its moment."""
        await shop.take(Alarmed(customer_id="a", at=NOON + HOUR))

        assert await shop.process.wakes(NOON + HOUR * 0.99, 10) == 0
        assert await shop.process.wakes(NOON + HOUR, 10) == 1

    async def test_moved(self, shop: Shop) -> None:
        """A deadline that moved is a changed column: only the new one rings."""
        await shop.take(Alarmed(customer_id="a", at=NOON), Alarmed(customer_id="a", at=NOON + HOUR))

        await shop.process.wakes(NOON, 10)
        await shop.process.wakes(NOON + HOUR, 10)

        assert await shop.owed() == [Rang(customer_id="a", at=NOON + HOUR)]

    @pytest.mark.parametrize("breaks", ["decide", "silence", "spin", "database"])
    async def test_stuck(self, shop: Shop, breaks: Any) -> None:
        """A case that fails to wake, in whatever way, is marked with the reason and delays no other."""
        await shop.take(
            *[Alarmed(customer_id=name, at=NOON) for name in "abc"],
            Alarmed(customer_id="d", at=NOON - HOUR, breaks=breaks),
        )

        await shop.process.wakes(NOON, 10)

        assert (await shop.row("d"))["stuck"]
        assert SECRET not in (await shop.row("d"))["stuck"]
        assert {one.customer_id for one in await shop.owed()} == {"a", "b", "c"}
        assert await shop.process.wakes(NOON, 10) == 0

    async def test_stuck_again(self, shop: Shop) -> None:
        """A stuck case is tried again later, and is stuck no more once it goes."""
        await shop.take(Alarmed(customer_id="a", at=NOON, breaks="decide"))
        await shop.process.wakes(NOON, 10)

        await shop.take(Alarmed(customer_id="a", at=NOON))
        await shop.process.wakes(NOON + HOUR, 10)

        assert (await shop.row("a"))["stuck"] is None
        assert await shop.owed() == [Rang(customer_id="a", at=NOON)]


class Tasks:
    """Work is ordered once, done under a lease, and its outcome counts once."""

    async def _claimed(self, shop: Shop, name: str = "x") -> tuple[UUID, UUID]:
        await shop.take(JobWanted(customer_id="a", name=name))
        (row,) = await shop.rows.claim(uuid4(), 30)
        return row["id"], row["lease"]

    async def test_ordered_once(self, shop: Shop) -> None:
        """A repeat of the event that orders work orders nothing more."""
        wanted = fact(JobWanted(customer_id="a", name="x"))

        await asyncio.gather(shop.take(wanted), shop.take(wanted))

        assert [row["kind"] for row in await shop.rows.table("tasks")] == [Job.kind()]

    async def test_claimed_once(self, shop: Shop) -> None:
        """Of two performers that claim at once one gets the task, with its body as it was ordered."""
        await shop.take(JobWanted(customer_id="a", name="x"))

        claims = await asyncio.gather(shop.rows.claim(uuid4(), 30), shop.rows.claim(uuid4(), 30))

        assert sorted(map(len, claims)) == [0, 1]
        (row,) = [row for claim in claims for row in claim]
        assert Job.model_validate_json(row["body"]) == Job(customer_id="a", name="x")

    async def _all_claimed(self, shop: Shop, **names: str) -> dict[str, Done]:
        """Order one task of each customer, claim all, and give what is to become of them: the task's name says it."""
        await shop.take(*(JobWanted(customer_id=customer, name=name) for customer, name in names.items()))
        return {
            row["customer_id"]: _ended(row["id"], row["lease"], names[row["customer_id"]], row["customer_id"])
            for row in await shop.rows.claim(uuid4(), 30)
        }

    async def test_outcome(self, shop: Shop) -> None:
        """Its outcome comes back as an event, in the transaction that forgets the task."""
        task_id, lease = await self._claimed(shop)

        assert await shop.process.outcomes([_ended(task_id, lease, "x")], NOON) == [None]

        assert await shop.rows.table("tasks") == []
        assert await shop.owed() == [JobFinished(customer_id="a", name="x")]

    async def test_lease_lost(self, shop: Shop) -> None:
        """Under a lease that is lost the outcome does not count; under the new one it does."""
        task_id, lease = await self._claimed(shop, "earn")
        (lost,) = await shop.process.outcomes([_ended(task_id, uuid4(), "earn")], NOON)

        (taken,) = await shop.process.outcomes([_ended(task_id, lease, "earn")], NOON)
        (again,) = await shop.process.outcomes([_ended(task_id, lease, "earn")], NOON)

        assert [type(one) for one in (lost, taken, again)] == [LeaseLostError, type(None), LeaseLostError]
        assert await shop.amount("a") == 10

    @pytest.mark.parametrize("name", ["bad", "early"])
    async def test_outcome_fails(self, shop: Shop, name: str) -> None:
        """If the code can't take the outcome the task stays, and nothing else is written."""
        task_id, lease = await self._claimed(shop, name)
        before = await shop.everything()

        (failed,) = await shop.process.outcomes([_ended(task_id, lease, name)], NOON)

        assert isinstance(failed, OutcomeFailedError)
        assert await shop.everything() == before

    @pytest.mark.parametrize("name", ["bad", "early", "unstorable"])
    async def test_one_outcome_of_many_fails(self, shop: Shop, name: str) -> None:
        """Its task stays, alone; those before and behind it count, each for its own customer, and once."""
        done = await self._all_claimed(shop, a="earn", b=name, c="earn", d=name, e="earn", f="earn")
        lost = _ended(done["f"].task_id, uuid4(), "earn", "f")
        fates = await shop.process.outcomes([*(done[one] for one in "abcde"), lost], NOON)

        assert [one is None for one in fates] == [True, False, True, False, True, False]
        assert isinstance(fates[-1], LeaseLostError)
        assert [row["customer_id"] for row in await shop.rows.table("tasks")] == sorted(
            ["b", "d", "f"], key=lambda one: done[one].task_id
        )
        assert [await shop.amount(one) for one in "ace"] == [10, 10, 10]
        assert [(one.customer_id, one.amount) for one in await shop.owed()] == [("a", 10), ("c", 10), ("e", 10)]  # type: ignore[attr-defined]
        assert await shop.dead_letters() == []

    async def test_two_outcomes_of_one_customer(self, shop: Shop) -> None:
        """The second is decided upon the state that the first has come to."""
        await shop.take(JobWanted(customer_id="a", name="earn"), JobWanted(customer_id="a", name="earn-more"))
        rows = await shop.rows.claim(uuid4(), 30)
        done = [_ended(row["id"], row["lease"], "earn") for row in rows]

        assert await shop.process.outcomes(done, NOON) == [None, None]
        assert await shop.amount("a") == 20

    async def _alarmed(self, shop: Shop, **breaks: str) -> list[Done]:
        """Let an alarm be due for each customer, that breaks as said, and one of its tasks be done."""
        alarms = [
            Alarmed.model_validate({"customer_id": one, "at": NOON, "breaks": how}) for one, how in breaks.items()
        ]
        await shop.take(*alarms)
        return list((await self._all_claimed(shop, **dict.fromkeys(breaks, "earn"))).values())

    async def test_woken_with_its_outcome(self, shop: Shop) -> None:
        """If it may, what is due by an outcome is woken in its transaction, after it; what isn't due yet is not."""
        due, later = await self._alarmed(shop, a="no", b="no")
        await shop.take(Alarmed(customer_id=later.outcome.event.customer_id, at=NOON + HOUR))

        assert await shop.process.outcomes([due, later], NOON, wake=True) == [None, None]

        woken = due.outcome.event.customer_id
        assert [one for one in await shop.owed() if one.customer_id == woken] == [
            Balanced(customer_id=woken, amount=10, turn=1),
            Rang(customer_id=woken, at=NOON),
        ]
        assert [type(one) for one in await shop.owed() if one.customer_id != woken] == [Balanced]
        assert await shop.process.wakes(NOON, 10) == 0

    async def test_not_woken_with_its_outcome(self, shop: Shop) -> None:
        """If it may not, the waker finds it due."""
        (done,) = await self._alarmed(shop, a="no")

        assert await shop.process.outcomes([done], NOON) == [None]

        assert [type(one) for one in await shop.owed()] == [Balanced]
        assert await shop.process.wakes(NOON, 10) == 1

    async def test_woken_once_with_its_outcome(self, shop: Shop) -> None:
        """A waker that looks at the same time wakes nothing of it a second time."""
        (done,) = await self._alarmed(shop, a="no")

        await asyncio.gather(shop.process.outcomes([done], NOON, wake=True), shop.process.wakes(NOON, 10))

        assert [one for one in await shop.owed() if isinstance(one, Rang)] == [Rang(customer_id="a", at=NOON)]

    @pytest.mark.parametrize("breaks", ["decide", "silence", "spin", "database"])
    async def test_outcome_counts_if_waking_fails(self, shop: Shop, breaks: str) -> None:
        """Then its case is stuck, now or when the waker comes to it, and the others' are woken."""
        done = await self._alarmed(shop, a="no", b=breaks, c="no")

        assert await shop.process.outcomes(done, NOON, wake=True) == [None, None, None]
        await shop.process.wakes(NOON, 10)

        assert await shop.rows.table("tasks") == []
        assert [await shop.amount(one) for one in "abc"] == [10, 10, 10]
        rang = [one.customer_id for one in await shop.owed() if isinstance(one, Rang)]
        assert sorted(rang) == ["a", "c"]
        stuck = {row["customer_id"]: row["stuck"] for row in await shop.rows.table("cases")}
        assert {one for one, why in stuck.items() if why} == {"b"}

    async def test_outcome_alone_counts_if_waking_is_rejected(self, shop: Shop) -> None:
        """It isn't the outcome's fault that the database rejects what the waking came to."""
        (done,) = await self._alarmed(shop, b="database")

        assert await shop.process.outcomes([done], NOON, wake=True) == [None]
        assert await shop.amount("b") == 10

    async def test_no_outcomes(self, shop: Shop) -> None:
        """Of none nothing comes."""
        before = await shop.everything()

        assert await shop.process.outcomes([], NOON) == []
        assert await shop.everything() == before

    async def test_outcome_wakes_poison(self, shop: Shop) -> None:
        """An outcome that makes a waiting event possible counts, even if that event then proves poisonous."""
        task_id, lease = await self._claimed(shop, "earn")
        await shop.take(Spent(customer_id="a", amount=3, breaks=True))

        assert await shop.process.outcomes([_ended(task_id, lease, "earn")], NOON) == [None]

        assert await shop.amount("a") == 10
        assert [letter["aggregatetype"] for letter in await shop.dead_letters()] == ["dlq.Spent"]


def _ended(task_id: UUID, lease: UUID, name: str, customer: str = "a") -> Done:
    return Done(task_id, lease, fact(JobDone(customer_id=customer, name=name)))


class Conformance(Batches, Poison, TooEarly, Waking, Tasks):
    """All of it."""
