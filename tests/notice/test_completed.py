"""A switch that succeeds before its transition ends (EU Data Act, art. 25(2)(c)(i))."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from services.notice.domain import decide
from services.notice.explain import explain
from shared.decision import Ignored
from shared.events.notice import (
    CompletionAccepted,
    CompletionRejected,
    ContractTerminated,
    DeadlineApproaching,
    NoticeRejected,
    ProlongationRejected,
    WithdrawalAccepted,
)
from shared.events.platform import Appointed
from tests.casework import Casework, at
from tests.notice.language import POLICY, breach, casework, completion, contract, notice, prolongation, withdrawal

INSTANT = timedelta(microseconds=1)
# Thirty days of notice to 8 July, thirty of transition to 7 August.
NOTICED = at("2026-06-08T12:00")
NATURAL = at("2026-08-08T00:00")


def switching(now: str = "2026-07-20T15:00", ground: Any = "switch", **terms: Any) -> Casework:
    """Give a customer that switches by a notice of 8 June, as it stands *now*."""
    work = casework(NOTICED)
    work.tell(contract(months=12, **terms), notice("2026-06-08T12:00", ground=ground))
    work.until(at(now))
    return work


def ended(work: Casework) -> tuple[date, datetime]:
    """Let time pass, and tell the last day of service and when the contract was over."""
    work.until(at("2027-12-01T00:00"))
    over = work.one(ContractTerminated)
    return over.period_end, over.terminated_at


@pytest.mark.parametrize("ground", ["switch", "on_premises"])
def test_it_ends_the_contract_with_its_day(ground: str) -> None:
    """Service goes on to the end of the day in the contract's zone, not an instant less, on the notice's ground."""
    work = switching(ground=ground)
    work.tell(completion("2026-07-20T14:00"))
    accepted = work.one(CompletionAccepted)
    work.until(at("2026-07-21T00:00") - INSTANT)
    assert not work.all(ContractTerminated)

    assert ended(work) == (date(2026, 7, 20), at("2026-07-21T00:00")) == (accepted.ends_on, accepted.terminates_at)
    assert work.one(ContractTerminated).basis == ground


def test_the_change_is_told() -> None:
    """The customer, who was told of 7 August, is told of the other date at once, and not of the old one any more."""
    work = switching()
    work.tell(completion("2026-07-20T14:00"))

    told = work.all(DeadlineApproaching)[-1]
    assert (told.deadline, told.change, told.due_at, told.before) == (
        "transition_end", "moved", at("2026-07-21T00:00"), NATURAL,
    )  # fmt: skip
    work.until(at("2026-09-01T00:00"))
    assert work.all(DeadlineApproaching)[-1] == told


@pytest.mark.parametrize(
    ("completed_at", "counts"),
    [
        ("2026-07-08T23:59:59", False),
        ("2026-07-09T00:00:00", True),
        ("2026-08-07T23:59:59", True),
    ],
)
def test_to_the_second(completed_at: str, counts: bool) -> None:  # noqa: FBT001 - a column of the table
    """It counts from the first moment of the transition to its last; while the notice runs there is no switch yet."""
    work = switching(completed_at)
    work.tell(completion(completed_at))

    if counts:
        assert ended(work)[0] == date.fromisoformat(completed_at[:10])
    else:
        refused = work.one(CompletionRejected)
        assert (refused.reason, refused.possible_from) == ("too_early", date(2026, 7, 9))
        assert ended(work)[1] == NATURAL


def test_reported_again_when_it_is_possible() -> None:
    """Whoever came too early says it again once the transition has begun."""
    work = switching("2026-07-01T12:00")
    work.tell(completion("2026-07-01T11:00"))
    work.until(at("2026-07-09T12:00"))
    work.tell(completion("2026-07-01T11:00"), completion("2026-07-09T11:00"))

    assert work.one(CompletionRejected).reason == "too_early"
    assert ended(work)[0] == date(2026, 7, 9)


def test_a_second_report_is_no_news() -> None:
    """It has one answer, and another report of an earlier day takes nothing away that was told."""
    work = switching()
    work.tell(completion("2026-07-20T14:00"))
    before = len(work.published)
    work.tell(completion("2026-07-20T14:00"), completion("2026-07-15T14:00"), completion("2026-07-20T09:00"))

    assert len(work.published) == before
    assert ended(work) == (date(2026, 7, 20), at("2026-07-21T00:00"))
    again = decide(work.state, completion("2026-07-20T14:00"), work.now, POLICY)
    assert again == Ignored("known to be complete")


def test_heard_of_days_later() -> None:
    """It ends nothing in the past: the contract is over when it was heard of, and the 90 days begin then."""
    work = switching()
    work.tell(completion("2026-07-15T14:00"))

    assert work.one(CompletionAccepted).terminates_at == at("2026-07-20T15:00")
    assert ended(work) == (date(2026, 7, 15), at("2026-07-20T15:00"))


def test_heard_of_after_an_outage() -> None:
    """It puts off no end that has come."""
    work = switching()
    work.now = at("2026-08-20T12:00")
    work.tell(completion("2026-07-15T14:00"))

    assert work.one(CompletionRejected).reason == "contract_ended"
    assert ended(work) == (date(2026, 8, 7), NATURAL)


def test_a_moment_to_come_is_now() -> None:
    """What has been reported has happened, whatever the reporter's clock says."""
    work = switching()
    work.tell(completion("2026-07-28T12:00"))

    assert ended(work)[0] == date(2026, 7, 20)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (completion("2026-07-20T14:00", notice_id="n9"), "unknown_notice"),
        (completion("2026-07-20T14:00", contract_id="c9"), "unknown_notice"),
        (completion("2026-07-20T14:00", notice_id="n2"), "no_switch"),
        (completion("2026-07-20T14:00", notice_id="n3"), "unknown_notice"),
    ],
    ids=["another notice", "another contract", "not a switch", "by telephone"],
)
def test_what_ends_nothing(event: Any, reason: str) -> None:
    """Without a switch that is under way there is nothing to be complete, and the reporter is told why."""
    work = switching()
    work.tell(notice("2026-07-20T12:00", "n2"), notice("2026-07-20T12:00", "n3", channel="phone"), event)
    work.until(at("2026-07-25T00:00"))

    assert work.one(CompletionRejected).reason == reason
    assert ended(work)[1] == NATURAL


def test_it_waits_for_its_notice() -> None:
    """Read before the notice, or the contract, it counts as if it had been read after."""
    work = casework(at("2026-07-20T15:00"))
    work.tell(completion("2026-07-20T14:00"), notice("2026-06-08T12:00", ground="switch"))
    work.tell(contract(months=12))

    assert work.one(CompletionAccepted)
    assert ended(work)[0] == date(2026, 7, 20)


def test_after_the_end() -> None:
    """A contract that is over doesn't end again."""
    work = switching("2026-08-09T12:00")
    work.tell(completion("2026-08-07T12:00"))

    assert work.one(CompletionRejected).reason == "contract_ended"
    assert ended(work)[1] == NATURAL


@pytest.mark.parametrize(("confirmed_by", "counts"), [("staff:1", True), ("staff:2", False)])
def test_only_whom_the_contract_appoints(confirmed_by: str, counts: bool) -> None:  # noqa: FBT001 - as above
    """Where the contract names who may give notice, nobody else can end its service early."""
    work = casework(NOTICED)
    work.tell(contract(months=12, authority=Appointed(by=("staff:1",))))
    work.tell(notice("2026-06-08T12:00", ground="switch", given_by="staff:1"))
    work.until(at("2026-07-20T15:00"))
    work.tell(completion("2026-07-20T14:00", confirmed_by))

    assert (ended(work)[0] == date(2026, 7, 20)) is counts
    assert [one.reason for one in work.all(CompletionRejected)] == ([] if counts else ["not_confirmed"])


def test_a_prolonged_transition() -> None:
    """It ends a transition that was prolonged too, and one that is complete isn't prolonged any more."""
    work = switching()
    work.tell(prolongation("customer", date(2026, 12, 31), at("2026-07-20T12:00")))
    work.until(at("2026-10-05T12:00"))
    work.tell(completion("2026-10-05T11:00"))
    work.tell(prolongation("provider", date(2026, 11, 30), at("2026-06-20T12:00"), "p2"))

    assert work.one(ProlongationRejected).reason == "too_late"
    assert ended(work) == (date(2026, 10, 5), at("2026-10-06T00:00"))


def test_taken_back_on_the_same_day() -> None:
    """Until that day is over the notice can be taken back, and its completion goes with it."""
    work = switching()
    work.tell(completion("2026-07-20T14:00"), withdrawal("2026-07-20T14:30"))
    work.until(at("2026-08-10T00:00"))

    assert work.one(WithdrawalAccepted).ends_on is None
    assert not work.all(ContractTerminated)


def test_another_notice_that_ends_it_sooner() -> None:
    """A completion doesn't put off the end to which another notice leads; its answer tells the true one."""
    work = switching("2026-07-08T12:00")
    work.tell(notice("2026-06-01T12:00", "n2", ground="erasure"))
    work.until(at("2026-07-09T12:00"))
    work.tell(completion("2026-07-09T11:00"))

    assert work.one(ContractTerminated).basis == "erasure"
    assert work.one(CompletionRejected).reason == "contract_ended"


@pytest.mark.parametrize(
    ("breached", "ends"),
    [("2026-07-20T18:00", "2026-07-20T18:00"), ("2026-08-01T00:00", "2026-07-21T00:00")],
)
def test_beside_an_end_to_come(breached: str, ends: str) -> None:
    """Of a completion and another service's end to come the sooner counts, and the answer tells that one."""
    work = switching()
    work.tell(breach(breached, date(2026, 7, 20)), completion("2026-07-20T14:00"))

    assert work.one(CompletionAccepted).terminates_at == at(ends)
    work.until(at("2026-08-02T00:00"))
    assert work.state.contracts[0].ending.terminated_at == at(ends)


def test_in_the_contracts_zone() -> None:
    """The day is that of the contract's zone: 23:30 in New York is the next day in Stockholm."""
    work = switching("2026-07-21T06:00", time_zone="America/New_York")
    work.tell(completion("2026-07-21T05:30"))

    assert ended(work) == (date(2026, 7, 20), at("2026-07-21T06:00"))


def test_a_second_notice_is_told_the_reckoning() -> None:
    """Whoever gives notice after it is answered with the day on which the contract ends now, and why."""
    work = switching()
    work.tell(completion("2026-07-20T14:00"), notice("2026-07-20T14:30", "n2"))
    refused = work.one(NoticeRejected)

    assert (refused.reason, refused.earliest_end) == ("already_given", date(2026, 7, 20))
    last = refused.because[-1]
    assert (last.rule, last.figure, last.count, last.direction) == ("art_25_2_c_i", "last_day", 18, "back")


def test_it_is_explained() -> None:
    """Support reads which date the completion moved, by how much, by which clause, and when it was heard of."""
    work = switching()
    work.tell(completion("2026-07-15T14:00"))
    told = explain(work.state, POLICY, work.now)
    (one,) = told.contracts

    early = next(step for step in one.dates if step.rule == "art. 25(2)(c)(i)")
    assert early.because == (
        "the switch was reported complete on 15 July 2026, 23 days before the transition's last day, 7 August 2026:"
        " the contract ends with that day"
    )
    over = one.find("terminates_at")
    assert over is not None
    assert "but that the switch was complete was heard of only at 2026-07-20T13:00:00Z" in over.because
    assert "completed successfully" in told.laws["art. 25(2)(c)(i)"]


def test_reports_are_kept_within_bounds() -> None:
    """However often it is reported too early, few of the reports are kept, the latest."""
    work = switching("2026-07-01T12:00")
    work.tell(*(completion(f"2026-06-{day:02}T12:00") for day in range(10, 30)))
    work.until(at("2026-07-20T15:00"))
    work.tell(completion("2026-07-20T14:00"))

    assert len(work.state.contracts[0].notice.completions) == 10
    assert ended(work)[0] == date(2026, 7, 20)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (completion("2026-07-20T14:00"), "no_switch"),
        (prolongation("customer", date(2026, 9, 30), NATURAL), "no_transition"),
    ],
)
def test_a_notice_of_a_time_that_is_over(event: Any, reason: str) -> None:
    """Where another service told that an earlier time of the contract ended since, its notice leads to nothing."""
    work = switching("2026-06-09T12:00")
    work.tell(breach("2026-07-01T00:00", date(2025, 12, 31)).model_copy(update={"basis": "expiry"}))
    work.until(at("2026-07-20T15:00"))
    work.tell(event)

    answers = [*work.all(CompletionRejected), *work.all(ProlongationRejected)]
    assert [one.reason for one in answers] == [reason]


def test_a_switch_that_was_taken_back_is_not_completed() -> None:
    """Its notice had an answer and is kept no longer: whoever reports it is told that nobody switches."""
    work = switching()
    work.tell(withdrawal("2026-07-20T14:00"), completion("2026-07-20T14:30"))

    assert work.one(CompletionRejected).reason == "no_switch"


def test_reported_in_the_moment_in_which_the_contract_is_over() -> None:
    """From that moment on there is nothing left to end."""
    work = switching()
    work.tell(breach("2026-07-25T00:00"))
    work.until(at("2026-07-25T00:00"))
    work.tell(completion("2026-07-24T14:00"))

    assert work.one(CompletionRejected).reason == "contract_ended"
