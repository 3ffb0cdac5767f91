"""The table of dates made by hand, `dates.csv`, row by row through the service."""

from __future__ import annotations

import csv
from calendar import monthrange
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.notice.explain import explain
from shared.events.notice import ContractTerminated, NoticeAccepted, NoticeRejected, Step
from shared.events.platform import CalendarDays, SwitchCompleted, TransitionProlonged, WorkingDays
from tests.casework import Casework, at
from tests.notice.language import POLICY, casework, completion, contract, notice, prolongation

Row = dict[str, str]
INSTANT = timedelta(microseconds=1)
NOT_PROLONGED = {"months": 0, "open_ended": False, "then": None}


def _lines() -> dict[str, Row]:
    with (Path(__file__).parent / "dates.csv").open(newline="", encoding="utf-8") as table:
        return {f"line {number}: {row['received_at']}": row for number, row in enumerate(csv.DictReader(table), 2)}


ROWS = _lines()
each_row = pytest.mark.parametrize("row", list(ROWS.values()), ids=list(ROWS))


def received(row: Row) -> datetime:
    """Read the moment of receipt: wall time of the contract's zone, unless it names an offset or UTC."""
    moment = datetime.fromisoformat(row["received_at"])
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(row["zone"]))).astimezone(UTC)


def terms(row: Row, **changes: Any) -> dict[str, Any]:
    days, country = int(row["notice_days"]), row["working_days_in"]
    return {
        "period_start": date.fromisoformat(row["period_start"]),
        "period_end": date.fromisoformat(row["period_end"]) if row["period_end"] else None,
        "time_zone": row["zone"],
        "notice": WorkingDays(days=days, country=country) if country else CalendarDays(days=days),
        **renewal(row["renewal"]),
    } | changes


def renewal(text: str) -> dict[str, Any]:
    if text.startswith("until further notice"):
        return {"then": int(text.split()[3])}
    if text == "open-ended":
        return {"open_ended": True}
    return {} if text == "none" else {"months": int(text.split(maxsplit=1)[0])}


def prolongations(row: Row) -> Iterator[TransitionProlonged]:
    for number, said in enumerate(one for one in row["prolonged"].split("; ") if one):
        by, day, clock, _, until = said.split()
        moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo(row["zone"])).astimezone(UTC)
        yield prolongation(by, date.fromisoformat(until), moment, f"p{number}")


def completions(row: Row) -> Iterator[SwitchCompleted]:
    if row["completed"]:
        moment = datetime.fromisoformat(row["completed"]).replace(tzinfo=ZoneInfo(row["zone"])).astimezone(UTC)
        yield completion("2026-01-01T00:00").model_copy(update={"completed_at": moment})


def noticed(row: Row, known_at: datetime) -> Casework:
    """Give a case that knew its contract at *known_at* and heard the row's notice, and what followed, in its time."""
    work = casework(known_at)
    work.tell(contract(**terms(row)))
    work.until(received(row))
    given = notice(ground=row["ground"].replace("-", "_")).model_copy(update={"received_at": received(row)})
    work.tell(given)
    for prolonged in prolongations(row):
        work.until(prolonged.prolonged_at)
        work.tell(prolonged)
    for completed in completions(row):
        work.until(completed.completed_at)
        work.tell(completed)
    return work


def ends_with(work: Casework, row: Row) -> None:
    """Expect that the contract is over at the row's moment, and not an instant before (P2)."""
    moment = datetime.fromisoformat(row["over_at_utc"])
    work.until(moment - INSTANT)
    assert not work.all(ContractTerminated)
    work.until(moment)

    terminated = work.one(ContractTerminated)
    assert (str(terminated.period_end), terminated.terminated_at) == (row["ends_on"], moment)


def adds_up(step: Step) -> bool:
    """Reckon a step again, from what it says alone, as support would."""
    early, late = sorted((step.start, step.result))
    if step.unit == "months":
        months = (late.year - early.year) * 12 + late.month - early.month
        return months == step.count and late.day in (early.day, monthrange(late.year, late.month)[1])
    days = [early + timedelta(days=number) for number in range(1, (late - early).days + 1)]
    if step.unit == "working_days":
        if any(day not in days or day.weekday() >= 5 for day in step.skipped):
            return False
        days = [day for day in days if day.weekday() < 5 and day not in step.skipped]
    return len(days) == step.count


@each_row
def test_a_row_is_answered_as_the_table_says(row: Row) -> None:
    """The service finds a notice in time or late, with the same days and to the same second as the table."""
    work = noticed(row, at(row["period_start"], row["zone"]) - timedelta(days=60))

    if row["answer"] == "in time":
        accepted = work.one(NoticeAccepted)
        assert all(adds_up(step) for step in accepted.because)
        assert str(accepted.last_day_for_notice) == row["last_day_for_notice"]
        if not row["prolonged"] and not row["completed"]:
            assert str(accepted.period_end) == row["ends_on"]
            assert accepted.terminates_at == datetime.fromisoformat(row["over_at_utc"])
            assert str(accepted.because[-1].result) in (row["ends_on"], row["last_day_for_notice"])
        return ends_with(work, row)
    rejected = work.one(NoticeRejected)
    assert all(adds_up(step) for step in rejected.because)
    assert rejected.reason == row["answer"].replace(" ", "_")
    assert (str(rejected.last_day_for_notice), str(rejected.earliest_end)) == (
        row["last_day_for_notice"],
        row["ends_on"],
    )
    return ends_with(work, row) if rejected.stands_until else None


@each_row
def test_a_contract_for_that_period_is_over_then(row: Row) -> None:
    """A contract that ends with the day that the row tells, and isn't prolonged, is over at the row's moment."""
    work = casework(at(row["period_start"], row["zone"]))
    work.tell(contract(**{**terms(row), "period_end": date.fromisoformat(row["ends_on"]), **NOT_PROLONGED}))

    ends_with(work, row)


@each_row
def test_it_does_not_matter_when_the_contract_was_heard_of(row: Row) -> None:
    """A notice is answered alike if its contract was heard of only when the notice was received."""
    early = noticed(row, at(row["period_start"], row["zone"]) - timedelta(days=60))
    late = noticed(row, received(row))

    assert late.all(NoticeAccepted) == early.all(NoticeAccepted)
    assert [event.reason for event in late.all(NoticeRejected)] == [event.reason for event in early.all(NoticeRejected)]


@each_row
def test_a_row_is_explained_as_the_table_says(row: Row) -> None:
    """The explanation of a contract under notice tells the table's dates, and of another its deadline."""
    work = noticed(row, at(row["period_start"], row["zone"]) - timedelta(days=60))
    (explained,) = explain(work.state, POLICY, work.now).contracts
    # Of a late notice the period that was missed comes before the one it stands for.
    told = {one.name: one.value for one in reversed(explained.dates)}

    if "last_day_for_notice" in told and row["ground"] == "non-renewal":
        assert str(told["last_day_for_notice"]) == row["last_day_for_notice"]
    if row["answer"] != "contract ended":
        assert told["terminates_at"] == datetime.fromisoformat(row["over_at_utc"])
    if row["answer"] == "in time":
        assert str(told["last_day_of_service"]) == row["ends_on"]


def test_the_table_is_large_enough_and_has_no_row_twice() -> None:
    """There are at least 120 rows, each different and each with its reason."""
    table = list(ROWS.values())

    assert len(table) >= 240
    assert all(row["why"] for row in table)
    assert max(Counter(tuple(value for name, value in row.items() if name != "why") for row in table).values()) == 1
