"""What is heard twice, too late or of another deletion changes nothing, and the log says why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from services.retention.domain import decide, domain
from services.retention.states import Certifying, Checking, Serving, Stalled, Surveying, Unknown
from services.retention.tasks import (
    Amend,
    Certify,
    CertifyFailed,
    Check,
    Checked,
    CheckFailed,
    Survey,
    SurveyFailed,
    Upgrade,
)
from shared.decision import Decided, Ignored, Outcome, Overdue, Woke
from shared.events.event import Event
from shared.events.platform import DeletionApproved, ExportConfirmed, WindowChanged
from tests.casework import Casework
from tests.retention.language import (
    CLOSES,
    DAY,
    DELETION,
    HOLDERS,
    OVER,
    POLICY,
    answers_of,
    casework,
    contract,
    deleting,
    erased,
    hold,
    informed,
    performed,
    readings,
    release,
    surveyed,
    terminated,
)
from tests.retention.test_early_deletion import asked, ready

STEP = {"customer_id": "acme", "deletion_id": DELETION}
CONFIRMED = ExportConfirmed(customer_id="acme", export_id="e1", sha256="1" * 64, confirmed_by="p-1", confirmed_at=OVER)
LONGER = WindowChanged(
    customer_id="acme", change_id="w1", last_day=date(2027, 5, 1), changed_by="staff-1", changed_at=OVER
)


def in_window() -> Casework:
    """Open a customer's window."""
    work = casework()
    work.tell(contract(), terminated())
    return work


def awaiting() -> Casework:
    """Carry a customer to where a second person has to decide."""
    work = in_window()
    work.until(CLOSES)
    work.perform(lambda task: surveyed(task, due=1000) if isinstance(task, Survey) else performed(task))
    return work


def at_step(kind: type) -> Casework:
    """Carry a customer to a step of the proof."""
    if kind is Surveying:
        work = in_window()
        work.until(CLOSES)
        return work
    work = deleting()
    work.tell(*answers_of(work))
    if kind is Certifying:
        work.tell(performed(work.ordered.pop(0)[1]))
    assert isinstance(work.state, kind)
    return work


def approval(deletion_id: str = DELETION, reason: Any = "not_informed", rows: int = 30) -> DeletionApproved:
    """Give a second person's decision."""
    return DeletionApproved(
        customer_id="acme",
        deletion_id=deletion_id,
        in_spite_of=(reason,),
        rows=rows,
        requested_by="staff-1",
        approved_by="staff-2",
        approved_at=OVER,
    )


@pytest.mark.parametrize(
    ("begin", "event", "reason"),
    [
        (in_window, contract(), "an older revision"),
        (in_window, terminated(), "known to be over"),
        (in_window, hold(OVER), "the hold is known"),
        (in_window, release(OVER), "the release is known"),
        (in_window, CONFIRMED, "known"),
        (in_window, ready(), "known"),
        (in_window, asked(), "answered already"),
        (in_window, LONGER, "the change is known"),
        (in_window, informed("acme:window_closes:2027-04-01:60", OVER), "another service's announcement"),
        (awaiting, approval(), "known"),
    ],
)
def test_heard_twice(begin: Callable[[], Casework], event: Event, reason: str) -> None:
    """An event that says what is known, or that concerns another service, is ignored for a reason that it names."""
    work = begin()
    work.tell(event)

    assert decide(work.state, event, work.now, POLICY) == Ignored(reason)


def test_delivered_twice() -> None:
    """So is a delivery that was heard of."""
    work = in_window()
    work.until(CLOSES)
    told = informed(work.state.known.told[0], work.state.known.informed[0].informed_at)

    assert decide(work.state, told, work.now, POLICY) == Ignored("known")


def test_prolonged_too_late() -> None:
    """Once commands are out there is nothing left to prolong."""
    work = deleting()

    assert decide(work.state, LONGER, work.now, POLICY) == Ignored("the deletion is under way")


@pytest.mark.parametrize(
    ("begin", "deletion_id"), [(awaiting, "acme:2020-01-01"), (deleting, DELETION), (in_window, DELETION)]
)
def test_an_approval_of_nothing_that_waits(begin: Callable[[], Casework], deletion_id: str) -> None:
    """An approval of another deletion, or of one that doesn't wait for any, is none."""
    work = begin()

    assert decide(work.state, approval(deletion_id), work.now, POLICY) == Ignored("no such deletion waits for it")


@pytest.mark.parametrize(
    ("kind", "failed", "reason"),
    [
        (Surveying, SurveyFailed, "unreachable"),
        (Checking, CheckFailed, "unreachable"),
        (Certifying, CertifyFailed, "no_key"),
    ],
)
def test_a_failure_of_another_step(kind: type, failed: Callable[..., Outcome], reason: str) -> None:
    """A failure of an earlier attempt, or of a step that the case isn't at, stalls nothing."""
    work = at_step(kind)
    attempt = work.state.known.attempts
    none = Ignored("no such step is awaited")
    assert decide(work.state, failed(**STEP, attempt=attempt + 1, reason=reason), work.now, POLICY) == none
    others = {SurveyFailed: "unreachable", CheckFailed: "unreachable", CertifyFailed: "no_key"}
    for other, why in others.items():
        heard = decide(work.state, other(**STEP, attempt=attempt, reason=why), work.now, POLICY)
        assert isinstance(heard, Decided) if other is failed else heard == none


def test_a_check_of_an_earlier_attempt() -> None:
    """What an earlier check found is not what the one that was ordered last finds."""
    work = at_step(Checking)
    found = Checked(**STEP, attempt=work.state.known.attempts - 1, readings=readings())

    assert decide(work.state, found, work.now, POLICY) == Ignored("no check is awaited")


@pytest.mark.parametrize(
    ("kind", "failed", "reason"), [(Checking, CheckFailed, "unreachable"), (Certifying, CertifyFailed, "no_key")]
)
def test_a_failure_under_a_hold(kind: type, failed: Callable[..., Outcome], reason: str) -> None:
    """A step that fails while a hold keeps it is nobody's business: it is made again when the hold is over."""
    work = at_step(kind)
    work.tell(hold(CLOSES, ends_at=CLOSES + DAY))
    outcome = failed(**STEP, attempt=work.state.known.attempts, reason=reason)
    told = decide(work.state, outcome, work.now, POLICY)

    assert told == Ignored("a hold keeps it; the step is made again when that is over")


def test_a_failure_after_the_end_of_a_hold() -> None:
    """When the hold has come to its end, a step that fails is told of."""
    work = at_step(Checking)
    work.tell(hold(CLOSES, ends_at=CLOSES + DAY))
    work.until(CLOSES + DAY)
    work.tell(CheckFailed(**STEP, attempt=work.state.known.attempts, reason="unreachable"))

    assert isinstance(work.state, Stalled)


def test_what_waited_in_vain() -> None:
    """An event that another release let wait until its time was over is taken as any other."""
    work = casework()
    work.tell(contract())
    late = decide(work.state, Overdue(terminated()), work.now, POLICY)

    assert late == decide(work.state, terminated(), work.now, POLICY)
    assert isinstance(late, Decided)


def test_woken_for_nothing() -> None:
    """Who is woken though nothing is due does nothing."""
    work = casework()
    work.tell(contract())
    assert isinstance(work.state, Serving)

    assert decide(work.state, Woke(), work.now, POLICY) == Ignored("nothing is due")


def test_an_answer_is_of_one_holder() -> None:
    """The first answer of each holder counts, whoever else has answered."""
    work = deleting()
    work.tell(*[erased(name) for name in HOLDERS[:2]])

    assert [one.status for one in work.state.deletion.holders] == ["erased", "erased", "asked"]


def test_the_service_as_the_machine_runs_it() -> None:
    """The service is called retention, reads eleven types of events, and orders what its performer can do."""
    service = domain(POLICY)

    assert (service.name, service.tasks) == ("retention", (Survey, Check, Certify, Amend, Upgrade))
    assert {event.type() for event in service.consumes} == {
        "ContractRegistered",
        "ContractTerminated",
        "CustomerInformed",
        "DeletionAcknowledged",
        "DeletionApproved",
        "ConfirmationAccepted",
        "ConfirmationVoided",
        "EarlyDeletionRequested",
        "ExportConfirmed",
        "ExportReady",
        "LegalHoldPlaced",
        "LegalHoldReleased",
        "WindowChanged",
    }


def test_the_first_that_is_heard() -> None:
    """Of a customer never heard of, an announcement of another service says nothing either."""
    assert decide(Unknown(), informed("n-1", OVER), OVER, POLICY) == Ignored("another service's announcement")
