"""How many customers are due within a day is counted over all of them, exactly, before the first of them goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

import services.retention.dues as module
from services.retention.app import MIGRATIONS
from services.retention.dues import Due, Dues
from services.retention.states import InWindow, State
from services.retention.tasks import Survey
from shared.migrate import migrate
from shared.statecodec import StateCodec
from tests.retention.exploration import explored

NOW = datetime(2027, 4, 2, tzinfo=UTC)
CODEC: StateCodec[object] = StateCodec(State)


@pytest.fixture
async def service(postgres: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(postgres)
    await migrate(connection, MIGRATIONS)
    yield connection
    await connection.close()


def survey(customer: str, attempt: int = 1) -> Survey:
    return Survey(customer_id=customer, deletion_id=f"{customer}:2027-01-01", attempt=attempt, holders=("database",))


async def test_counted_once_each(service: asyncpg.Connection[asyncpg.Record], postgres: str) -> None:
    """Each customer counts once within a day, however often it is surveyed, and not the day after."""
    dues = Dues(postgres, most=25)
    for customer in ("a", "b", "a", "c"):
        await dues.count(survey(customer), 10, NOW)

    assert (await dues.count(survey("a"), 10, NOW)).due == 3
    assert (await dues.count(survey("z"), 10, NOW + timedelta(days=2))).due == 1
    # What is surveyed anew is due anew.
    await dues.count(survey("b"), 10, NOW + timedelta(days=2))
    assert (await dues.count(survey("z"), 10, NOW + timedelta(days=2))).due == 2


async def test_those_that_come_count_already(service: asyncpg.Connection[asyncpg.Record], postgres: str) -> None:
    """The first of many counts those whose survey is still ordered, and those whose window closed unnoticed."""
    for number in range(4):
        await service.execute(
            "insert into tasks (id, customer_id, kind, body) values ($1, $2, 'Survey', '{}')", uuid4(), f"o-{number}"
        )
    state = next(state for state, _ in explored().states.values() if isinstance(state, InWindow))
    insert = "insert into cases (customer_id, key_hash, state, wakes_at) values ($1, 1, $2::jsonb, $3)"
    for number in range(3):
        await service.execute(insert, f"w-{number}", CODEC.dump(state), state.window.closes_at)
    await service.execute(insert, "announces", CODEC.dump(state), state.window.closes_at - timedelta(days=7))
    before = await Dues(postgres, most=25).count(survey("o-1"), 10, state.window.closes_at - timedelta(days=1))
    after = await Dues(postgres, most=25).count(survey("o-1"), 10, state.window.closes_at)

    assert before == Due(due=4, customers=4, usual_rows=None)
    assert after.due == 8


async def test_who_waits_shares_a_count(service: asyncpg.Connection[asyncpg.Record], postgres: str) -> None:
    """Those whose surveys were ordered by then are in the count that they share, once and for a minute."""
    ordered = [uuid4() for _ in range(9)]
    insert = "insert into tasks (id, customer_id, kind, body) values ($1, $2, 'Survey', '{}')"
    dues = Dues(postgres, most=25)

    async def counted(number: int, seconds: int) -> int:
        return (await dues.count(survey(f"o-{number}"), 1, NOW + timedelta(seconds=seconds), ordered[number])).due

    for number in range(4):
        await service.execute(insert, ordered[number], f"o-{number}")
    assert await counted(0, 0) == 4
    await service.execute(insert, ordered[4], "o-4")
    assert await counted(1, 59) == 4
    # Asked for again.
    assert await counted(1, 59) == 5
    await service.execute(insert, ordered[5], "o-5")
    # Ordered since then; and asked for again.
    assert await counted(5, 59) == 6
    await service.execute(insert, ordered[6], "o-6")
    assert await counted(5, 59) == 7
    await service.execute(insert, ordered[7], "o-7")
    # A minute after the last count, and before it, by a clock that went back.
    assert await counted(2, 119) == 8
    await service.execute(insert, ordered[8], "o-8")
    assert await counted(3, 118) == 9


@pytest.mark.parametrize("most", [1, 5, 11, 30])
async def test_no_more_go_by_shared_counts_than_may(
    service: asyncpg.Connection[asyncpg.Record], postgres: str, most: int
) -> None:
    """However many share counts, on two workers, as orders come in: not more than the most see a count that small."""
    workers, went = [Dues(postgres, most), Dues(postgres, most)], 0
    insert = "insert into tasks (id, customer_id, kind, body) values ($1, $2, 'Survey', '{}')"
    orders = {f"c-{number}": uuid4() for number in range(20)}
    waiting: list[str] = []
    for number, customer in enumerate(orders):
        await service.execute(insert, orders[customer], customer)
        waiting.append(customer)
        for worker in workers[: number % 3]:
            one = waiting.pop(0) if waiting else None
            if one is not None:
                went += (await worker.count(survey(one), 1, NOW, orders[one])).due <= most
                await service.execute("delete from tasks where id = $1", orders[one])
    for one in waiting:
        went += (await workers[0].count(survey(one), 1, NOW, orders[one])).due <= most

    assert went <= most
    assert most < len(orders) or went == len(orders)


async def test_the_usual_size(service: asyncpg.Connection[asyncpg.Record], postgres: str) -> None:
    """The usual size is the median of former deletions, and unknown while there were fewer than ten."""
    dues = Dues(postgres, most=25)
    for number in range(1, 10):
        assert (await dues.count(survey(f"c-{number}"), number * 100, NOW)).usual_rows is None
    await dues.count(survey("c-10"), 1_000_000, NOW)

    # It isn't its own measure.
    assert (await dues.count(survey("c-1"), 100, NOW)).usual_rows is None
    assert (await dues.count(survey("big"), 5_000_000, NOW)).usual_rows == 500


async def test_those_that_ask_together_are_counted_in_turn(
    service: asyncpg.Connection[asyncpg.Record], postgres: str
) -> None:
    """Each has the usual size of those before it, so that many large ones are not their own measure; all are due."""
    async with Dues(postgres, most=2_000) as dues:
        asked = [dues.count(survey(f"c-{number}"), 100, NOW) for number in range(12)]
        first = await asyncio.gather(*asked, dues.count(survey("big"), 5_000_000, NOW))
        more = await asyncio.gather(*(dues.count(survey(f"b-{number}"), 5_000_000, NOW) for number in range(40)))
        again = await asyncio.gather(*(dues.count(survey(one), 7, NOW) for one in ("c-1", "c-1", "c-2")))

    assert [one.usual_rows for one in first] == [None] * 10 + [100] * 3
    # 12 small ones and one large before them: the 13th of these is the first that isn't measured by small ones.
    assert [one.usual_rows for one in more] == [100] * 12 + [5_000_000] * 28
    # Whoever is first counts at once, and the others wait for that.
    assert {one.due for one in more[1:]} == {12 + 1 + 40}
    assert {(one.due, one.usual_rows) for one in again} == {(12 + 1 + 40, 5_000_000)}
    assert await service.fetchval("select count(*) from due_deletions where rows = 7") == 2


async def test_who_is_stopped_while_it_counts_for_others_stops_none_of_them(
    service: asyncpg.Connection[asyncpg.Record], postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next of them counts."""
    stuck: list[asyncio.Task[Due]] = []
    noted = module._noted

    async def once(connection: asyncpg.Connection[asyncpg.Record], asked: list[module._Asked]) -> list[int | None]:
        if len(asked) > 1 and not stuck:
            stuck.append(asyncio.current_task())  # type: ignore[arg-type]
            stuck[0].cancel()
        return await noted(connection, asked)

    monkeypatch.setattr(module, "_noted", once)
    async with Dues(postgres, most=25) as dues:
        asked = [dues.count(survey(f"c-{number}"), 1, NOW) for number in range(4)]
        found = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(one) for one in found].count(asyncio.CancelledError) == 1
    # It may have been noted before it was stopped.
    assert [one.due in (3, 4) for one in found[1:] if isinstance(one, Due)] == [True, True]


async def test_an_outage_is_told_to_all_who_ask_together(
    service: asyncpg.Connection[asyncpg.Record], postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one after the other waits for a database that is away."""
    tries: list[int] = []

    async def away(connection: asyncpg.Connection[asyncpg.Record], asked: list[module._Asked]) -> list[int | None]:
        tries.append(len(asked))
        raise ConnectionResetError

    monkeypatch.setattr(module, "_noted", away)
    async with Dues(postgres, most=25) as dues:
        failed = await asyncio.gather(*(dues.count(survey(one), 1, NOW) for one in "abcd"), return_exceptions=True)

    assert [type(one) for one in failed] == [ConnectionResetError] * 4
    assert tries == [1, 3]


async def test_bounded(service: asyncpg.Connection[asyncpg.Record], postgres: str) -> None:
    """However many are due, no more are counted than it takes to know that they are too many."""
    await service.execute(
        "insert into due_deletions select 'd-' || n, 'c-' || n, $1, 1 from generate_series(1, 1000) as n", NOW
    )

    assert (await Dues(postgres, most=25).count(survey("x"), 1, NOW)).due == 26


async def test_customers_are_counted_now_and_then(service: asyncpg.Connection[asyncpg.Record], postgres: str) -> None:
    """How many customers there are is counted once a minute, and again when the clock went back."""
    dues = Dues(postgres, most=25)
    counted = []
    for seconds in (0, 0, 59, 60, 119, 30):
        counted.append((await dues.count(survey("a"), 1, NOW + timedelta(seconds=seconds))).customers)
        await service.execute(
            'insert into cases (customer_id, key_hash, state) values ($1, 1, \'{"kind": "serving"}\')', uuid4().hex
        )

    assert counted == [0, 0, 0, 3, 3, 5]


async def test_kept_connections_count_alike(service: asyncpg.Connection[asyncpg.Record], postgres: str) -> None:
    """A worker keeps its connections from one count to the next; one that was cut off is made anew."""
    async with Dues(postgres, most=25) as dues:
        assert (await dues.count(survey("a"), 10, NOW)).due == 1
        kept = await service.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'offramp retention dues' and datname = current_database()"
        )
        assert len(kept) == 1
        try:
            await dues.count(survey("b"), 10, NOW)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            # An outage, as which it is raised: the task is tried again.
            await dues.count(survey("b"), 10, NOW)
        assert (await dues.count(survey("c"), 10, NOW)).due == 3


async def test_who_waits_for_a_survey(service: asyncpg.Connection[asyncpg.Record], postgres: str) -> None:
    """Those under way come first, so that whoever asks is among them; then as they will be begun."""
    insert = "insert into tasks (id, customer_id, kind, body, due_at, lease) values ($1, $2, $3, '{}', $4, $5)"
    ordered = {name: uuid4() for name in ("later", "next", "ours", "check")}
    for name, days, lease in (("later", 2, None), ("next", 1, None), ("ours", 3, uuid4()), ("check", 0, None)):
        kind = "Check" if name == "check" else "Survey"
        await service.execute(insert, ordered[name], name, kind, NOW + timedelta(days=days), lease)

    assert list((await Dues(postgres, most=25).waiting(2)).items()) == [
        (ordered["ours"], "ours"),
        (ordered["next"], "next"),
    ]
