"""What is read when a date has passed already and nobody was woken yet, as after an outage: it puts nothing off."""

from __future__ import annotations

from datetime import date

import pytest

from shared.events.event import Event
from shared.events.notice import ContractTerminated, NoticeAccepted, NoticeRejected
from tests.casework import Casework, at
from tests.notice.language import breach, casework, contract, notice, withdrawal

END = at("2027-01-01T00:00")


def after_an_outage(*heard: Event) -> Casework:
    """Give a contract of 2026 that ends with its period, and the days after it, of which the service saw nothing."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(), *heard)
    work.now = at("2027-01-05T00:00")
    return work


@pytest.mark.parametrize(
    "event",
    [
        notice("2026-10-20T12:00"),
        notice("2026-12-20T12:00"),
        breach("2025-12-01T00:00", date(2025, 11, 30)),
    ],
    ids=["notice", "late notice", "an end of an earlier time"],
)
def test_what_is_read_after_an_outage_puts_no_end_off(event: Event) -> None:
    """The contract was over when its period was, whatever is read first when the service is back."""
    work = after_an_outage()
    work.tell(event)
    work.until(work.now)

    assert work.one(ContractTerminated).terminated_at == END


def test_a_withdrawal_read_after_an_outage() -> None:
    """A notice taken back in time is undone, and the contract is over with its period all the same."""
    work = after_an_outage(notice("2026-10-01T12:00"))
    work.tell(withdrawal("2026-12-20T12:00"))
    work.until(work.now)

    assert (work.one(ContractTerminated).terminated_at, work.one(ContractTerminated).basis) == (END, "expiry")


def test_a_notice_on_another_ground_read_after_an_outage() -> None:
    """A switch that nobody had heard of ends no service in the past."""
    work = after_an_outage()
    work.tell(notice("2026-10-20T12:00", ground="switch"))
    work.until(work.now)

    assert work.one(NoticeAccepted).terminates_at == work.one(ContractTerminated).terminated_at
    assert work.one(ContractTerminated).terminated_at == work.now


def test_the_answer_to_what_was_read_late_tells_the_true_end() -> None:
    """A contract that had gone on meanwhile ends when the notice is read, and the answer says so."""
    work = casework(at("2026-06-01T12:00"))
    work.tell(contract(months=12))
    work.until(at("2027-02-01T09:00"))
    work.tell(notice("2026-10-01T12:00"))

    assert work.one(NoticeAccepted).terminates_at == at("2027-02-01T09:00")


def test_an_end_decided_for_a_moment_after_the_period() -> None:
    """Another service's end that has come by now counts, though the period had run out before it."""
    work = after_an_outage()
    work.tell(breach("2027-01-05T00:00", date(2027, 1, 4)))
    work.until(work.now)

    assert not work.all(ContractTerminated)
    assert work.state.contracts[0].basis == "breach"


def test_an_earlier_receipt_of_a_contract_registered_anew() -> None:
    """A notice that turns out to be from a time that is over ends nothing of the new one."""
    work = casework(at("2026-10-10T00:00"))
    work.tell(contract(months=12), notice())
    work.until(END)
    work.tell(work.one(ContractTerminated))
    work.tell(contract(revision=2, months=12, period_start=date(2027, 1, 1), period_end=date(2027, 12, 31)))
    work.until(at("2027-03-01T00:00"))
    work.tell(notice("2027-02-01T12:00", "n2"), notice("2026-12-20T12:00", "n2", channel="letter"))

    assert work.all(NoticeAccepted)[-1].notice_id == "n2"
    assert not work.all(NoticeRejected)
    assert type(work.state.contracts[0]).__name__ == "Running"
