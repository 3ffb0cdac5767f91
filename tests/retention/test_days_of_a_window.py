"""The days of a window are those of the policy under which it began, whatever the policy says by now (P3)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from services.retention.domain import decide
from services.retention.states import (
    Awaiting,
    Closed,
    Deleting,
    Held,
    InWindow,
    Serving,
    Stalled,
    Surveying,
    Unknown,
)
from services.retention.tasks import Survey
from shared.decision import Ignored
from shared.events.platform import WindowChanged
from shared.events.retention import AccountClosed, DeletionRequested, DeletionStalled, RetentionExpired
from tests.casework import Casework, at
from tests.retention.language import (
    CLOSES,
    DAY,
    DELETION,
    HOLDERS,
    OVER,
    POLICY,
    SOON_TO_THE_LEAD,
    answers_of,
    casework,
    contract,
    deleting,
    erased,
    hold,
    performed,
    surveyed,
    terminated,
)

SHORTER = POLICY.model_copy(update={"version": "2027-01", "window_days": 30, "former_versions": (POLICY.version,)})


def moved(work: Casework, last_day: date, name: str) -> None:
    """Let support move the end of the window."""
    work.tell(
        WindowChanged(customer_id="acme", change_id=name, last_day=last_day, changed_by="staff-1", changed_at=work.now)
    )


def begun() -> Casework:
    """Let a window begin under ninety days, and the policy say thirty from the next day on."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(OVER + DAY)
    work.domain = casework(SHORTER).domain
    return work


def test_longer_and_no_longer() -> None:
    """What made a window longer is taken back: it closes when it would have, not when a window would that began now."""
    work = begun()
    moved(work, date(2027, 5, 1), "w1")
    work.until(OVER + 2 * DAY)
    moved(work, date(2027, 1, 5), "w2")

    assert isinstance(work.state, InWindow)
    assert (work.state.window.closes_at, work.state.known.window_days) == (CLOSES, 90)
    work.until(CLOSES + DAY)
    assert work.one(RetentionExpired).window_days == 90
    work.perform(performed)
    assert work.state.known.policy_version == POLICY.version


def test_served_again() -> None:
    """Who comes back has no window, hence no days of any; the next one is of the policy of then."""
    work = begun()
    work.tell(contract("c2"))
    assert isinstance(work.state, Serving)
    assert (work.state.known.window_days, work.state.known.policy_version) == (0, "")
    work.tell(terminated("c2", OVER + 2 * DAY))

    assert (work.state.known.window_days, work.state.known.policy_version) == (30, "2027-01")


def test_a_revision_that_ends_it_again() -> None:
    """A contract that was prolonged, and then wasn't, is over since it was; its window is the one that it was."""
    work = casework()
    work.tell(contract(), terminated(), contract(revision=2, period_end=date(2027, 12, 31)))
    assert isinstance(work.state, Serving)
    work.tell(contract(revision=3))

    assert isinstance(work.state, InWindow)
    assert work.state.window.closes_at == CLOSES


def test_moved_before_anything_is_known() -> None:
    """A longer window that is heard of before any contract is remembered."""
    work = casework()
    moved(work, date(2027, 5, 1), "w1")
    assert isinstance(work.state, Unknown)
    work.tell(contract(), terminated())

    assert work.state.window.closes_at == at("2027-05-02T00:00")


@pytest.mark.parametrize("begin", [Surveying, Held, Awaiting])
def test_a_revision_that_changes_nothing(begin: type) -> None:
    """A new revision of a contract that is over leaves a window that has closed as it is."""
    work = casework()
    work.tell(contract(), terminated(), *([hold(OVER)] if begin is Held else []))
    work.until(CLOSES)
    if begin is Awaiting:
        work.perform(lambda task: surveyed(task, due=1000) if isinstance(task, Survey) else performed(task))
    assert isinstance(work.state, begin)
    work.tell(contract(revision=2))

    assert isinstance(work.state, begin)


def test_moved_when_all_is_closed() -> None:
    """What is gone can't be kept for longer: the account stays closed."""
    work = deleting()
    work.tell(*answers_of(work))
    work.perform(performed)
    moved(work, date(2027, 6, 1), "w1")
    work.until(CLOSES + 200 * DAY)

    assert isinstance(work.state, Closed)
    assert [one.name for one in work.state.known.changes] == ["w1"]
    assert len(work.all(RetentionExpired)) == 1


@pytest.mark.parametrize("days", [0, 1, 4])
def test_another_end_while_deleting(days: int) -> None:
    """Another end that is heard of while commands are out, and whose window has closed too, lets the deletion go on."""
    work = deleting()
    work.until(CLOSES + days * DAY / 2)
    ended = OVER + days * DAY / 2 + timedelta(hours=1)
    work.tell(terminated("c2", ended, period_end=date(2027, 1, 1)))
    assert isinstance(work.state, Deleting)
    # The silent holders are told of, and commanded again, by the last end: holders refuse what is of before it.
    work.until(CLOSES + 9 * DAY)
    again = work.all(DeletionRequested)[len(HOLDERS) :]
    assert again[-1].window_closed_at == CLOSES + days // 2 * DAY
    work.tell(*answers_of(work))
    work.perform(performed)

    assert work.one(AccountClosed).deletion_id == DELETION


def test_an_end_whose_window_is_open() -> None:
    """One whose window has not closed stops it: operators are told who was commanded, and a window begins anew."""
    work = deleting(SOON_TO_THE_LEAD)
    work.tell(erased(HOLDERS[0]), terminated("c2", OVER + 10 * DAY, period_end=date(2027, 1, 10)))

    told = work.one(DeletionStalled)
    assert (told.reason, told.holders, told.escalate_to) == ("contract_active", HOLDERS[1:], "operators")
    assert isinstance(work.state, InWindow)


def test_a_contract_while_deleting() -> None:
    """While a contract goes on though commands are out, no change of a window moves anything."""
    work = deleting(SOON_TO_THE_LEAD)
    work.tell(contract("c2", period_end=date(2027, 12, 31)))
    assert isinstance(work.state, Stalled)
    assert work.one(DeletionStalled).escalate_to == "operators"
    longer = WindowChanged(
        customer_id="acme", change_id="w1", last_day=date(2028, 1, 1), changed_by="staff-1", changed_at=OVER
    )

    assert decide(work.state, longer, work.now, POLICY) == Ignored("the deletion is under way")


def test_a_contract_that_was_over_long_ago() -> None:
    """A contract that stopped a deletion and turns out to have ended long ago keeps nobody: all begins anew."""
    work = deleting()
    work.tell(contract("c2", period_end=date(2027, 12, 31)))
    assert isinstance(work.state, Stalled)
    work.tell(terminated("c2", OVER + timedelta(hours=1), period_end=date(2027, 12, 31)))
    work.until(work.now)
    work.perform(performed)
    work.until(work.now + 3 * DAY)
    work.tell(*answers_of(work, f"{DELETION}:2"))
    work.perform(performed)

    assert isinstance(work.state, Closed)
