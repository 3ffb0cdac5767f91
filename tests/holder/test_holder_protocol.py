"""A holder in another language, with nothing but Kafka and JSON, is understood and understands."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.stack.jars import class_path
from shared.clock import system_clock
from shared.events.event import Event
from shared.events.notice import ContractTerminated
from shared.events.platform import (
    CalendarDays,
    ContractRegistered,
    Erased,
    LegalHoldPlaced,
    LegalHoldReleased,
    NoRenewal,
    NotErased,
    OfTables,
    OpenEnded,
    Vouched,
)
from shared.events.retention import Keep
from shared.settings import read_settings
from tests.holder.command_topics import DAY, Topics, command, command_topics

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "holder" / "Holder.java"
NOW = system_clock()

pytestmark = pytest.mark.skipif(
    shutil.which("javac") is None, reason="the example needs a JDK (a JRE can't compile it)"
)


@pytest.fixture
async def topics(tmp_path: Path) -> AsyncIterator[Topics]:
    """Start the example with two customers' files in its folder."""
    for name in ("acme/a.txt", "acme/b/c.txt", "acme-east/a.txt"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text("x")
    settings = read_settings()
    jars = ":".join(map(str, class_path(settings.cache)))
    async with command_topics() as topics:
        arguments = (str(EXAMPLE), settings.kafka, topics.prefix, "billing", str(tmp_path))
        java = await asyncio.create_subprocess_exec("java", "-cp", jars, *arguments)
        yield topics
        java.terminate()
        await java.wait()


async def known(folder: Path, kind: str) -> None:
    """Wait until the example has read a hold or its release: a command is another topic's, and may come first."""
    async with asyncio.timeout(60):
        while not list(folder.glob(f"holds/acme/*.{kind}")):
            await asyncio.sleep(0.05)


def hold() -> LegalHoldPlaced:
    return LegalHoldPlaced(customer_id="acme", hold_id="h/1", basis="BFL 7:2", placed_by="s:1", placed_at=NOW)


def release() -> LegalHoldReleased:
    return LegalHoldReleased(customer_id="acme", hold_id="h/1", released_by="s:1", released_at=NOW)


async def test_the_example_spares_a_part_by_sparing_all(topics: Topics, tmp_path: Path) -> None:
    """What a command says has to stay keeps everything there; a hold that is known to concern others keeps nothing."""
    keep = (Keep(hold_id="h/1", scope=OfTables(tables=("files",))),)
    await topics.tell(hold().model_copy(update={"scope": OfTables(tables=("files",))}))
    await known(tmp_path, "placed")
    await topics.tell(command("billing", keep=keep, holds=("h/1",)))
    kept = await topics.answer()
    await topics.tell(command("billing", 2, holds=("h/2",)))
    unknown = await topics.answer()
    await topics.tell(command("billing", 3, holds=("h/1", "h/2")))
    elsewhere = await topics.answer()

    assert [kept.outcome, unknown.outcome] == [NotErased(reason="held")] * 2
    assert isinstance(elsewhere.outcome, Erased)


async def test_the_example_follows_the_protocol(topics: Topics, tmp_path: Path) -> None:
    """Held, then erased, then the same answer again; another's command, or one out of date, is none of its business."""
    await topics.tell(hold())
    await known(tmp_path, "placed")
    await topics.tell(command("billing", -1))
    await topics.tell(command("billing"))
    held = await topics.answer()
    files = sorted(str(file.relative_to(tmp_path / "data")) for file in tmp_path.glob("data/**/*.txt"))
    await topics.tell(release())
    await known(tmp_path, "released")
    await topics.tell(command("crm"))
    await topics.tell(command("billing", 2))
    erased = await topics.answer()
    await topics.tell(command("billing", 2))
    again = await topics.answer()

    assert held.outcome == NotErased(reason="held")
    assert files == ["acme-east/a.txt", "acme/a.txt", "acme/b/c.txt"]
    assert isinstance(erased.outcome, Erased)
    assert [(one.table, one.rows) for one in erased.outcome.deleted] == [("files", 2)]
    assert [one.rows for one in erased.outcome.remaining] == [0]
    assert [(one.rows_before, one.before == one.after) for one in erased.outcome.bystanders] == [(1, True)]
    assert again == erased
    assert [str(file.relative_to(tmp_path / "data")) for file in tmp_path.glob("data/**/*.txt")] == ["acme-east/a.txt"]


def contract(revision: int = 1, **terms: Any) -> ContractRegistered:
    """Register a contract for a year that is over by far, but for what is in *terms*."""
    last = {"period_start": date(2020, 1, 1), "period_end": date(2020, 12, 31), **terms}
    return ContractRegistered(
        customer_id="acme",
        contract_id="c-1",
        revision=revision,
        time_zone="Europe/Stockholm",
        renewal=NoRenewal() if last["period_end"] else OpenEnded(),
        notice=CalendarDays(days=30),
        notice_channels=("email",),
        authority=Vouched(),
        **last,
    )


def ended(after: timedelta, basis: str = "expiry", last_day: date = date(2020, 12, 31)) -> ContractTerminated:
    """End it, so long after the window of the commands has closed."""
    moment = command("billing").window_closed_at + after
    terms = {"basis": basis, "period_end": last_day, "terminated_at": moment, "time_zone": "Europe/Stockholm"}
    return ContractTerminated(customer_id="acme", contract_id="c-1", revision=1, **terms)


BACK: dict[str, tuple[Sequence[Event], str | None]] = {
    "it goes on": ((contract(),), "contract_active"),
    "it ended before": ((contract(), ended(-DAY)), None),
    "the end is read first": ((ended(-DAY), contract()), None),
    "the end alone is known": ((ended(-DAY),), None),
    "it ended since": ((contract(), ended(timedelta(hours=1))), "window_open"),
    "an earlier end is read later": ((contract(), ended(timedelta(hours=1)), ended(-DAY)), "window_open"),
    "prolonged": ((ended(-DAY), contract(2, period_end=date(2021, 12, 31)), contract()), "contract_active"),
    "prolonged, and ended by a breach": ((contract(2, period_end=date(2199, 12, 31)), ended(-DAY, "breach")), None),
    "begun after a breach": (
        (contract(2, period_start=date(2199, 1, 1), period_end=date(2199, 12, 31)), ended(-DAY, "breach")),
        "contract_active",
    ),
    "open, and ended": ((contract(period_end=None), ended(-DAY)), None),
    "open, and registered anew": ((ended(-DAY), contract(2, period_end=None)), "contract_active"),
    "somebody else's": ((contract().model_copy(update={"customer_id": "acme-east"}),), None),
}


async def test_the_example_deletes_nothing_of_who_came_back(topics: Topics, tmp_path: Path) -> None:
    """By the contracts as they were published, in whatever order: the command may be of before another one."""
    outcomes: dict[str, Any] = {}
    for number, (how, (told, _)) in enumerate(BACK.items()):
        customer, folder = {"customer_id": f"c{number}"}, tmp_path / "data" / f"c{number}"
        folder.mkdir()
        (folder / "a.txt").touch()
        for event in told:
            await topics.tell(event.model_copy(update=customer if event.customer_id == "acme" else {}))
        # Another deletion each: one that was commanded before is answered as it was.
        await topics.tell(command("billing").model_copy(update={**customer, "deletion_id": f"d-{number}"}))
        outcomes[how] = (await topics.answer()).outcome
        assert (folder / "a.txt").exists() is (outcomes[how].kind == "not_erased")

    assert {how: getattr(one, "reason", None) for how, one in outcomes.items()} == {
        how: reason for how, (_, reason) in BACK.items()
    }


@pytest.mark.parametrize(("last", "reason"), [(hold(), "held"), (contract(), "contract_active")])
async def test_the_example_hears_what_lies_behind_others_records(
    topics: Topics, tmp_path: Path, last: Event, reason: str
) -> None:
    """Megabytes of others' lie before it, while the command is the first of its topic: it is read to the end first."""
    much = {"customer_id": "acme-east", "filler": "x" * 100_000}
    value = json.dumps({**last.model_copy(update={"customer_id": "acme-east"}).model_dump(mode="json"), **much})
    for _ in range(100):
        await topics.producer.send(topics.prefix + last.type(), value.encode(), b"acme-east")
    await topics.tell(last)
    await topics.tell(command("billing"))
    outcome = (await topics.answer()).outcome

    assert outcome == NotErased(reason=reason)
    assert len(list(tmp_path.glob("data/acme/**/*.txt"))) == 2
