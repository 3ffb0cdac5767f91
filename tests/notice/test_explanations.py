"""What support reads of a customer's dates, whole: `explanations.txt` is to be read by a lawyer, and by this test."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from services.notice.commands import _lines
from services.notice.explain import explain
from shared.events.notice import DeadlineApproaching
from shared.events.platform import Appointed, CustomerInformed, WorkingDays
from tests.casework import Casework, at
from tests.notice.language import POLICY, breach, casework, completion, contract, notice, prolongation, withdrawal

BOOK = Path(__file__).parent / "explanations.txt"


def not_renewed() -> Casework:
    """A contract that ends with its period, unless it is registered anew."""
    work = casework()
    work.tell(contract())
    return work


def moved_away() -> Casework:
    """A contract that has ended by a switch, while another of the same customer goes on."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12), notice("2026-06-08T12:00", ground="switch"))
    work.tell(contract(contract_id="c2", open_ended=True))
    work.until(at("2026-08-09T12:00"))
    work.tell(notice("2026-08-08T00:00", "n2"))
    return work


def late() -> Casework:
    """A notice that came two days late for a contract renewed by a year."""
    work = casework(at("2026-12-05T00:00"))
    work.tell(contract(months=12), notice("2026-12-03T09:00"))
    return work


def late_by_a_day() -> Casework:
    """A notice that came a day late for a contract that isn't renewed, and one after it."""
    work = casework(at("2026-12-05T00:00"))
    work.tell(contract(), notice("2026-12-02T00:00"), notice("2026-12-04T12:00", "n2"))
    return work


def renewed() -> Casework:
    """A contract in its second renewal, whose deadline was told, and what became of the telling."""
    work = casework(at("2026-03-01T12:00"))
    work.tell(contract(period_end=date(2026, 3, 31), months=3, notice_days=14))
    work.until(at("2026-09-10T12:00"))
    named = [one.announcement_id for one in work.all(DeadlineApproaching)]
    for name, outcome in ((named[-1], "delivered"), (named[-2], "bounced")):
        work.tell(
            CustomerInformed(
                customer_id="acme", announcement_id=name, channel="email", outcome=outcome, informed_at=work.now
            )
        )
    return work


def open_ended() -> Casework:
    """A contract without an end, with a notice in working days."""
    work = casework()
    work.tell(contract(open_ended=True, notice=WorkingDays(days=10, country="SE")))
    return work


def open_afterwards() -> Casework:
    """A contract that goes on until further notice after its period, before that has ended."""
    work = casework(at("2026-06-01T12:00"))
    work.tell(contract(then=14))
    return work


def open_by_now() -> Casework:
    """The same contract a month after its period."""
    work = open_afterwards()
    work.until(at("2027-02-01T12:00"))
    return work


def switched() -> Casework:
    """A switch whose transition both sides prolonged, with another notice in reserve and one by telephone."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12, language="sv"), notice("2026-06-08T12:00", ground="switch"))
    work.tell(notice("2026-06-08T12:00", "n2"), notice("2026-06-08T12:00", "n3", channel="phone"))
    work.tell(prolongation("provider", date(2026, 10, 31), at("2026-06-08T12:00")))
    work.until(at("2026-06-09T12:00"))
    work.tell(prolongation("customer", date(2026, 12, 15), at("2026-06-09T12:00"), "p2"))
    return work


def completed() -> Casework:
    """A switch that had succeeded before its transition was over, of which was heard two days later; and another."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12), notice("2026-06-08T12:00", ground="switch"))
    work.tell(contract(contract_id="c2", months=12), notice("2026-06-08T12:00", contract_id="c2", ground="switch"))
    work.until(at("2026-07-20T15:00"))
    work.tell(completion("2026-07-18T11:00"), completion("2026-07-20T14:00", contract_id="c2"))
    return work


def erased() -> Casework:
    """Erasure alone, of a contract with a longer notice than the law allows, and moved on premises by another."""
    work = casework(at("2026-12-31T12:00"))
    work.tell(contract(months=12, notice_days=90), notice("2026-12-31T12:00", ground="erasure"))
    work.tell(contract(contract_id="c2", months=12), notice("2026-12-31T12:00", contract_id="c2", ground="on_premises"))
    return work


def overtaken() -> Casework:
    """A switch that was prolonged beyond the end to which another notice of the same customer leads."""
    work = casework(at("2026-06-08T12:00"))
    work.tell(contract(months=12), notice("2026-06-08T12:00", ground="switch"), notice("2026-06-08T12:00", "n2"))
    work.tell(prolongation("customer", date(2027, 1, 31), at("2026-06-08T12:00")))
    return work


def broken() -> Casework:
    """A breach that takes effect in the middle of a day; another service's end to come, never registered here."""
    work = casework()
    bankrupt = breach("2026-07-01T00:00", date(2026, 6, 30)).model_copy(
        update={"basis": "bankruptcy", "contract_id": "c2"}
    )
    other = breach("2026-12-01T00:00", date(2026, 11, 30)).model_copy(update={"basis": "other", "contract_id": "c3"})
    work.tell(contract(), breach("2026-06-01T10:00", date(2026, 6, 1)), bankrupt)
    work.tell(contract(contract_id="c3", open_ended=True), other)
    return work


def expired() -> Casework:
    """One contract that expired, and one that was heard of two months after its end."""
    work = casework()
    work.tell(contract())
    work.until(at("2027-03-01T00:00"))
    work.tell(contract(contract_id="c2"))
    work.until(at("2027-03-02T12:00"))
    return work


def read_late() -> Casework:
    """A notice that was in time, and was read when the contract had gone on already."""
    work = casework()
    work.tell(contract(months=12))
    work.until(at("2027-02-01T09:00"))
    work.tell(notice("2026-10-01T12:00"))
    return work


def taken_back() -> Casework:
    """A notice on the last day, withdrawn; one by somebody who isn't appointed; one after the contract's end."""
    work = casework(at("2026-12-01T23:59:59"))
    work.tell(contract(authority=Appointed(by=("staff:1",))), notice("2026-12-01T23:59:59", given_by="staff:1"))
    work.tell(withdrawal("2026-12-01T23:59:59"), notice("2026-12-01T12:00", "n2"))
    work.until(at("2027-01-01T00:00") + timedelta(hours=1))
    work.tell(notice("2027-01-01T00:30", "n3", given_by="staff:1"))
    return work


SITUATIONS: tuple[Callable[[], Casework], ...] = (
    renewed, not_renewed, late, late_by_a_day, read_late, open_ended, open_afterwards, open_by_now, switched,
    overtaken, completed, moved_away, erased, broken, expired, taken_back,
)  # fmt: skip


def told(situation: Callable[[], Casework]) -> str:
    """Write what the command prints, with the inputs of each date beneath it."""
    work = situation()
    dates = explain(work.state, POLICY.model_copy(update={"version": "2026-12"}), work.now)
    machine = msgspec.to_builtins(dates)
    lines = [f"# {situation.__doc__}", *_lines(dates), "", "inputs"]
    for one in machine["contracts"]:
        lines += [f"  {one['contract_id']}: goes on without a notice: {'yes' if one['prolonged'] else 'no'}"]
        for date_ in one["dates"]:
            applies = {True: "", False: " (no longer)"}[date_["applies"]]
            lines += [f"    {date_['name']} {date_['value']}{applies} {json.dumps(date_['inputs'])}"]
    return "\n".join(lines)


def _sections() -> Iterator[str]:
    yield from (part.rstrip() for part in re.split(r"\n(?=# )", BOOK.read_text(encoding="utf-8")))


@pytest.mark.parametrize("number", range(len(SITUATIONS)), ids=[one.__name__ for one in SITUATIONS])
def test_a_situation_is_explained_as_in_the_book(number: int) -> None:
    """Every date with its rule, its arithmetic and its inputs, every refusal and every law, word for word."""
    assert told(SITUATIONS[number]) == list(_sections())[number]


def test_the_book_has_each_situation_once() -> None:
    """Nothing is in the book that no test reads."""
    assert len(list(_sections())) == len(SITUATIONS)
