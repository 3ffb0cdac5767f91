"""Deletion before the window is over: confirmed by the customer, and asked for; never without (P10)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from services.retention.domain import decide
from services.retention.right import NoRightToDeleteError, insist
from services.retention.states import InWindow
from shared.decision import Ignored
from shared.events.notice import DeadlineApproaching
from shared.events.retention import (
    AccountClosed,
    DeletionRequested,
    DeletionStalled,
    EarlyDeletionAccepted,
    EarlyDeletionRefused,
    EarlyDeletionWithdrawn,
    RetentionExpired,
)
from tests.casework import Casework, at
from tests.retention.early import SUM, asked, confirmed, found, ready, void
from tests.retention.language import (
    CLOSES,
    DAY,
    OVER,
    POLICY,
    answers_of,
    casework,
    contract,
    hold,
    performed,
    release,
    terminated,
    unreached,
)

# Seven days of warning after the day on which it was asked for.
EARLY = at("2027-02-18T00:00")


def in_the_window(work: Casework) -> Casework:
    work.tell(contract(), terminated())
    work.until(at("2027-02-10T12:00"))
    return work


def test_confirmed_and_asked_for() -> None:
    """Who confirmed the transfer and asks for it is deleted as soon as it can be warned, and is told of the change."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), found(), asked())
    accepted = work.one(EarlyDeletionAccepted)
    assert (accepted.sha256, accepted.closes_at, accepted.terminated_at) == (SUM, EARLY, OVER)
    work.until(EARLY - timedelta(seconds=1))
    moved = [event for event in work.all(DeadlineApproaching) if event.change == "moved"]
    assert {(event.before, event.due_at) for event in moved} == {(CLOSES, EARLY)}
    assert not work.all(RetentionExpired)
    work.until(EARLY)
    work.tell(found(EARLY))
    work.until(EARLY)
    work.perform(performed)
    assert work.when(DeletionRequested) == [EARLY] * 3
    assert {event.window_closed_at for event in work.all(DeletionRequested)} == {EARLY}
    work.tell(*answers_of(work))
    work.perform(performed)

    assert work.one(AccountClosed)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ((asked(),), "not_confirmed"),
        ((ready(), asked()), "not_confirmed"),
        ((confirmed(), asked()), "not_confirmed"),
        ((ready(), confirmed("9" * 64), asked()), "not_confirmed"),
        ((ready(), confirmed(), found(), asked("e-2")), "not_confirmed"),
        ((ready(), confirmed(), asked()), "not_confirmed"),
        ((ready(), confirmed(), found(sha256="9" * 64), asked()), "not_confirmed"),
        ((ready(), confirmed(), void(), asked()), "not_confirmed"),
        ((ready(), confirmed(), found(), void(OVER + 3 * DAY), asked()), "not_confirmed"),
        ((ready(), confirmed(), void(), found(OVER + DAY), asked()), "not_confirmed"),
        ((ready(), confirmed(), found(), hold(OVER), asked()), "held"),
    ],
)
def test_never_without(said: Any, reason: str) -> None:
    """Without the export, its confirmation with its checksum, or under a hold, everything stays, and why is said."""
    work = in_the_window(casework())
    work.tell(*said)
    work.until(CLOSES - timedelta(seconds=1))

    assert work.one(EarlyDeletionRefused).reason == reason
    assert not work.all(DeletionRequested)
    assert isinstance(work.state, InWindow)
    assert work.state.window.closes_at == CLOSES


def test_answered_once() -> None:
    """The same request read twice is answered once; another one later is answered anew."""
    work = in_the_window(casework())
    work.tell(asked(), asked(), ready(), confirmed(), found(), asked(), asked(request_id="q-2"))

    assert len(work.all(EarlyDeletionRefused)) == 1
    assert work.one(EarlyDeletionAccepted).request_id == "q-2"
    for request_id in ("q-1", "q-2"):
        known = decide(work.state, asked(request_id=request_id), work.now, POLICY)
        assert known == Ignored("answered already")


def test_of_two_exports() -> None:
    """Each export is confirmed by its own checksum, the second one as well as the first."""
    work = in_the_window(casework())
    second = {"export_id": "e-2", "sha256": "3" * 64}
    work.tell(ready(), ready("3" * 64).model_copy(update={"export_id": "e-2"}), confirmed().model_copy(update=second))
    work.tell(found().model_copy(update=second), asked("e-2"))

    assert work.one(EarlyDeletionAccepted).sha256 == "3" * 64


def test_asked_for_at_the_close() -> None:
    """At the very moment of the close, before anybody woke, there is nothing left to cut short."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), found())
    work.until(CLOSES - timedelta(seconds=1))
    work.now = CLOSES
    work.tell(asked())

    assert work.one(EarlyDeletionRefused).reason == "not_in_window"


@pytest.mark.parametrize("over", [False, True])
def test_a_hold_with_an_end(*, over: bool) -> None:
    """A hold with an end of its own stands against it up to then."""
    work = in_the_window(casework())
    ends_at = work.now + DAY
    work.tell(ready(), confirmed(), found(), hold(OVER, ends_at=ends_at))
    work.until(ends_at if over else ends_at - timedelta(seconds=1))
    work.tell(asked())

    assert bool(work.all(EarlyDeletionAccepted)) == over


@pytest.mark.parametrize("when", ["before", "after"])
def test_not_in_a_window(when: str) -> None:
    """Before the contract is over, and when the window has closed, there is nothing to cut short."""
    work = casework()
    work.tell(contract(), ready(), confirmed(), found())
    if when == "after":
        work.tell(terminated(), hold(OVER))
        work.until(CLOSES)
    work.tell(asked())

    assert work.one(EarlyDeletionRefused).reason == "not_in_window"


def test_never_later_than_without() -> None:
    """Asked for in the last days, it makes the window no longer."""
    work = in_the_window(casework())
    work.until(CLOSES - 2 * DAY)
    work.tell(ready(), confirmed(), found(), asked())

    assert work.one(EarlyDeletionAccepted).closes_at == CLOSES


def test_back_before_it_comes() -> None:
    """Who comes back and leaves again has the whole window anew: what was asked for was for another one."""
    work = in_the_window(casework())
    back = contract("c2", period_start=work.now.date(), period_end=date(2027, 12, 31))
    work.tell(ready(), confirmed(), found(), asked(), back)
    again = at("2027-02-12T00:00")
    work.until(again)
    work.tell(terminated("c2", again, basis="breach", period_end=again.date()))

    assert isinstance(work.state, InWindow)
    assert work.state.window.closes_at == at("2027-05-14T00:00")


def test_still_nobody_told() -> None:
    """Asking for it doesn't replace the warning: it has to be delivered all the same."""
    work = in_the_window(unreached())
    work.tell(ready(), confirmed(), found(), asked())
    work.until(EARLY)
    work.tell(found(EARLY))
    work.until(EARLY)
    work.perform(performed)

    assert work.one(RetentionExpired)
    assert not work.all(DeletionRequested)


def test_somebody_is_told_that_it_was_not_compared() -> None:
    """An operator hears, once, that the exporter owes its second look, a day after the early end; nothing goes."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), found(), asked())
    work.until(EARLY + POLICY.confirmation_wait - timedelta(seconds=1))
    assert not work.all(DeletionStalled)
    work.until(EARLY + POLICY.confirmation_wait)
    stalled = work.one(DeletionStalled)
    assert (stalled.reason, stalled.holders, stalled.escalate_to) == ("not_compared", ("exporter",), "operators")
    work.tell(hold(work.now, ends_at=work.now + DAY))
    work.until(CLOSES - timedelta(seconds=1))

    assert len(work.all(DeletionStalled)) == 1
    assert not work.all(RetentionExpired)


def test_nobody_is_told_when_it_was_compared() -> None:
    """In time, or void: there is nothing to look at."""
    for verdict in (found, void):
        work = in_the_window(casework())
        work.tell(ready(), confirmed(), found(), asked())
        work.until(EARLY + POLICY.confirmation_wait - timedelta(seconds=1))
        work.tell(verdict(EARLY))
        work.until(work.now + 2 * DAY)

        assert not [one for one in work.all(DeletionStalled) if "exporter" in one.holders]


def test_held_meanwhile() -> None:
    """A hold that comes before the early day keeps everything; released in time, the early day stands."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), found(), asked(), hold(work.now), release(work.now))
    work.until(EARLY)
    work.tell(found(EARLY))
    work.until(EARLY)
    work.perform(performed)

    assert work.when(DeletionRequested) == [EARLY] * 3


def test_asked_for_while_it_is_compared() -> None:
    """A request that is read before the exporter has compared the export waits for it, and is answered then."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), asked())
    assert not work.all(EarlyDeletionRefused)
    work.tell(found())

    assert work.one(EarlyDeletionAccepted).closes_at == EARLY


def test_void_when_the_early_day_has_come() -> None:
    """If the data changed before the early day, nothing is deleted on it; the window is as long as before, and told."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), found(), asked())
    work.until(EARLY)
    work.tell(void(EARLY))
    work.until(CLOSES - timedelta(seconds=1))
    work.perform(performed)

    withdrawn = work.one(EarlyDeletionWithdrawn)
    assert (withdrawn.reason, withdrawn.closes_at, withdrawn.request_id) == ("confirmation_void", CLOSES, "q-1")
    assert not work.all(RetentionExpired)
    assert not work.all(DeletionRequested)
    moved = [event for event in work.all(DeadlineApproaching) if event.change == "moved"]
    assert (EARLY, CLOSES) in {(event.before, event.due_at) for event in moved}
    work.until(CLOSES)
    work.perform(performed)
    assert work.when(DeletionRequested) == [CLOSES] * 3


def test_void_before_the_early_day() -> None:
    """A confirmation that is void by then cuts nothing short either; one of another export changes nothing."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), found(), asked(), void(work.now).model_copy(update={"export_id": "e-9"}))
    assert work.state.window.closes_at == EARLY
    work.tell(void(work.now))

    assert work.one(EarlyDeletionWithdrawn).last_day == work.state.window.last_day
    assert work.state.window.closes_at == CLOSES


@pytest.mark.parametrize("said", [(), (found(EARLY - timedelta(seconds=1)),), (found(EARLY, export_id="e-9"),)])
def test_nobody_says_that_it_still_holds(said: tuple[Any, ...]) -> None:
    """What was compared before the early day proves nothing for it: all stays, and goes with the whole window."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), found(), asked())
    work.until(EARLY - timedelta(seconds=1))
    work.tell(*said)
    work.until(CLOSES - timedelta(seconds=1))
    work.perform(performed)
    assert not work.all(RetentionExpired)
    assert not work.all(DeletionRequested)
    work.until(CLOSES)
    work.until(CLOSES)
    work.perform(performed)

    assert work.one(EarlyDeletionWithdrawn).reason == "not_upheld"
    assert work.one(RetentionExpired).window_closed_at == CLOSES
    assert work.when(DeletionRequested) == [CLOSES] * 3


def test_no_command_rests_on_a_confirmation_that_was_not_upheld() -> None:
    """The right to delete is looked at again before each command, whatever was decided before."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), found(), asked())
    window = work.state.window
    with pytest.raises(NoRightToDeleteError, match="confirmation"):
        insist(work.state.known, window, EARLY)
    work.until(EARLY)
    work.tell(found(EARLY))

    insist(work.state.known, window, EARLY)


def test_at_the_end_of_the_whole_window_no_confirmation_is_needed() -> None:
    """What a confirmation alone allowed, the end of the whole window allows without one."""
    work = in_the_window(casework())
    work.tell(ready(), confirmed(), found(), asked())

    insist(work.state.known, work.state.window, CLOSES)
