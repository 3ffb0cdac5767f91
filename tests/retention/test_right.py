"""Before a command goes out: told, allowed by the policy, not too many, not too much; or a second person says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.retention.states import Awaiting, Closed, Deleting, InWindow
from services.retention.tasks import Survey
from shared.decision import Outcome, Task
from shared.events.notice import DeadlineApproaching
from shared.events.platform import DeletionApproved, WindowChanged
from shared.events.retention import AccountClosed, DeletionRequested, DeletionStalled, RetentionExpired
from tests.casework import Casework, at
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
    hold,
    informed,
    performed,
    readings,
    release,
    surveyed,
    terminated,
    unreached,
)

LAST_WARNING = "acme:deletion:2027-04-01:1"


def at_the_close(work: Casework, **survey: Any) -> Casework:
    """Carry a customer to the end of its window, and survey what there is."""
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.perform(lambda task: _surveyed(task, **survey))
    return work


def _surveyed(task: Task, **survey: Any) -> Outcome:
    return surveyed(task, **survey) if isinstance(task, Survey) else performed(task)


def one_has(rows: int) -> Any:
    """Read so many rows at the first holder, and none at the others."""
    return (*readings(HOLDERS[:1], own=rows), *readings(HOLDERS[1:]))


def approved(work: Casework, *in_spite_of: Any, rows: int = 30, by: str = "staff-2") -> None:
    """Let a second person decide, and what follows happen."""
    work.tell(approval(work, *in_spite_of, rows=rows, by=by))
    work.until(work.now)


def approval(work: Casework, *in_spite_of: Any, rows: int = 30, by: str = "staff-2") -> DeletionApproved:
    """Give a second person's decision."""
    return DeletionApproved(
        customer_id="acme",
        deletion_id=DELETION,
        in_spite_of=in_spite_of,
        rows=rows,
        requested_by="staff-1",
        approved_by=by,
        approved_at=work.now,
    )


@pytest.mark.parametrize("outcome", [None, "bounced"])
def test_nobody_told_the_customer(outcome: str | None) -> None:
    """A last warning that came back, or of which nobody heard, stops the deletion until an operator decides."""
    work = unreached()
    work.tell(contract(), terminated())
    work.until(CLOSES - DAY)
    if outcome:
        work.tell(informed(LAST_WARNING, work.now, outcome))
    work.until(CLOSES)
    work.perform(performed)

    assert isinstance(work.state, Awaiting)
    assert not work.all(DeletionRequested)
    assert work.one(DeletionStalled).missing == ("not_informed",)
    approved(work, "not_informed")
    assert len(work.all(DeletionRequested)) == 3


def test_told_in_the_end() -> None:
    """A last warning whose delivery is heard of late lets the deletion go on by itself."""
    work = at_the_close(unreached())
    assert isinstance(work.state, Awaiting)
    work.tell(informed("acme:deletion:2027-04-01:7", work.now))
    work.until(work.now)
    assert isinstance(work.state, Awaiting)
    work.tell(informed(LAST_WARNING, work.now))
    work.until(work.now)

    assert isinstance(work.state, Deleting)


def test_told_in_the_future() -> None:
    """A delivery that lies in the future is none."""
    work = at_the_close(unreached())
    work.tell(informed(LAST_WARNING, work.now + DAY))
    work.until(work.now)

    assert not work.all(DeletionRequested)


def test_no_time_to_warn() -> None:
    """A customer whose end was heard of after its window would have closed is warned first, and then has a day."""
    work = casework(now=CLOSES + 10 * DAY)
    work.tell(contract(), terminated())
    work.until(work.now)
    work.perform(performed)
    assert not work.all(DeletionRequested)
    assert not work.all(DeletionStalled)
    (warning,) = work.all(DeadlineApproaching)
    assert (warning.deadline, warning.change, warning.due_at) == ("deletion", "moved", at("2027-04-14T00:00"))
    work.until(warning.due_at - timedelta(seconds=1))
    assert not work.all(DeletionRequested)
    work.until(warning.due_at)

    assert work.when(DeletionRequested) == [warning.due_at] * 3


def test_a_clock_that_jumps_ahead() -> None:
    """A clock that jumps over the whole window makes nothing go: the customer is warned, and there is a day to see."""
    work = casework()
    work.tell(contract(), terminated())
    work.now = CLOSES + DAY
    work.until(work.now)
    work.perform(performed)

    assert not work.all(DeletionRequested)


@pytest.mark.parametrize(
    ("survey", "missing"),
    [
        ({"due": 26}, "blast_radius"),
        ({"due": 6, "customers": 100}, "blast_radius"),
        ({"readings": readings(HOLDERS, own=20_000_000)}, "size"),
        ({"readings": readings(HOLDERS, own=50_000), "usual_rows": 1000}, "size"),
    ],
)
def test_blast_radius(survey: dict[str, Any], missing: str) -> None:
    """Too many customers in a day, or one far larger than usual, wait for a second person; the dry run is shown."""
    work = at_the_close(casework(), **survey)
    assert not work.all(DeletionRequested)
    told = work.one(DeletionStalled)
    assert (told.reason, told.missing, told.escalate_to) == (missing, (missing,), "operators")
    rows = sum(one.rows for holder in told.counts for one in holder.deleted)
    assert [one.holder for one in told.counts] == list(HOLDERS)
    assert told.customers_due == survey.get("due", 1)
    approved(work, missing, rows=rows - 1)
    assert work.all(DeletionStalled)[-1].reason == "not_approved"
    approved(work, missing, rows=rows, by="staff-1")
    assert work.all(DeletionStalled)[-1].reason == "not_approved"
    approved(work, "not_informed", rows=rows)
    assert not work.all(DeletionRequested)
    approved(work, missing, rows=rows)

    assert len(work.all(DeletionRequested)) == 3


@pytest.mark.parametrize(
    "survey",
    [
        {"due": 25},
        {"due": 5, "customers": 5},
        {"due": 6, "customers": 120},
        {"readings": readings(HOLDERS, own=16_000_000)},
        {"readings": readings(HOLDERS, own=16_000), "usual_rows": 1},
        {"readings": readings(HOLDERS, own=30_000), "usual_rows": 200_000},
        # To the last row.
        {"readings": one_has(50_000_000), "usual_rows": None},
        {"readings": one_has(100_000), "usual_rows": 1},
        {"readings": one_has(100_050), "usual_rows": 2001},
    ],
)
def test_within_the_radius(survey: dict[str, Any]) -> None:
    """What one mistake may cost goes on by itself."""
    work = at_the_close(casework(), **survey)

    assert len(work.all(DeletionRequested)) == 3


def test_all_that_is_missing() -> None:
    """Whoever decides hears of everything that is missing at once."""
    work = at_the_close(casework(), due=1000, readings=readings(HOLDERS, own=20_000_000))

    assert work.one(DeletionStalled).missing == ("blast_radius", "size")


def test_a_warning_that_is_not_delivered() -> None:
    """Who was warned late and wasn't reached waits for operators: they are told on the day, and again a day later."""
    work = unreached(now=CLOSES + 10 * DAY)
    work.tell(contract(), terminated())
    work.until(work.now)
    work.perform(performed)
    due = work.all(DeadlineApproaching)[0].due_at
    work.until(due + DAY)

    assert work.when(DeletionStalled) == [due, due + DAY]


def test_nobody_decides() -> None:
    """A deletion that nobody decides on is told of again and again, to whom it has to be by the plan; it never goes."""
    work = at_the_close(casework(), due=1000)
    work.until(CLOSES + 40 * DAY)

    told = work.all(DeletionStalled)
    assert [event.escalate_to for event in told[:5]] == ["operators", "operators", "lead", "lead", "data-protection"]
    assert [(moment - CLOSES).days for moment in work.when(DeletionStalled)[:5]] == [0, 1, 3, 7, 14]
    assert not work.all(DeletionRequested)


def test_grown_since() -> None:
    """A deletion that has grown since it was approved is not the one that was approved."""
    work = at_the_close(casework(), due=1000)
    work.tell(approval(work, "blast_radius"), hold(work.now), release(work.now))
    grown = readings(HOLDERS, own=11)
    work.perform(lambda task: _surveyed(task, due=1000, readings=grown))
    work.until(work.now + 3 * DAY)

    assert not work.all(DeletionRequested)


def test_unknown_policy() -> None:
    """A window that was counted under a version that the policy doesn't name stops; named, it goes on as counted."""
    work = casework()
    work.tell(contract(), terminated())
    longer = {"version": "2027-01", "window_days": 120}
    work.domain = casework(POLICY.model_copy(update=longer)).domain
    work.until(CLOSES)
    work.perform(performed)
    assert work.one(DeletionStalled).missing == ("policy_unknown",)
    assert work.one(RetentionExpired).window_days == 90
    work.domain = casework(POLICY.model_copy(update={**longer, "former_versions": (POLICY.version,)})).domain
    work.until(CLOSES + DAY)

    assert {event.policy_version for event in work.all(DeletionRequested)} == {POLICY.version}


def changed(work: Casework, last_day: Any, name: str = "w1") -> None:
    """Let support move the end of the window."""
    work.tell(
        WindowChanged(customer_id="acme", change_id=name, last_day=last_day, changed_by="staff-1", changed_at=work.now)
    )


def test_window_prolonged() -> None:
    """A longer window closes when it says, the customer is told of the change, and nothing goes before."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES - DAY)
    changed(work, at("2027-05-01T12:00").date())
    moved = [event for event in work.all(DeadlineApproaching) if event.change == "moved"]
    assert {event.deadline for event in moved} == {"window_closes", "deletion"}
    assert {(event.before, event.due_at) for event in moved} == {(CLOSES, at("2027-05-02T00:00"))}
    work.until(at("2027-05-02T00:00") - timedelta(seconds=1))
    assert not work.all(RetentionExpired)
    work.until(at("2027-05-02T00:00"))
    work.perform(performed)

    assert work.one(RetentionExpired).window_closed_at == at("2027-05-02T00:00")
    assert len(work.all(DeletionRequested)) == 3


def test_window_never_shorter() -> None:
    """A change takes back what made the window longer, and never makes it shorter than the policy says."""
    work = casework()
    work.tell(contract(), terminated())
    changed(work, at("2027-05-01T12:00").date())
    work.until(OVER + DAY)
    changed(work, at("2027-02-01T12:00").date(), "w2")

    assert isinstance(work.state, InWindow)
    assert work.state.window.closes_at == CLOSES


def test_prolonged_while_it_waits() -> None:
    """As long as nothing is commanded, a window that has closed can be opened again; afterwards nothing is left."""
    work = at_the_close(casework(), due=1000)
    changed(work, at("2027-05-01T12:00").date())
    assert isinstance(work.state, InWindow)
    work.until(at("2027-05-02T00:00"))
    work.perform(performed)
    changed(work, at("2027-07-01T12:00").date(), "w2")
    work.tell(*answers_of(work))
    work.perform(performed)

    assert isinstance(work.state, Closed)


def test_hold_takes_a_promise_back() -> None:
    """A hold that comes after the deletion was announced is told as a date that doesn't come; its release as one."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES - 2 * DAY)
    work.tell(hold(work.now))
    cancelled = work.all(DeadlineApproaching)[-1]
    assert (cancelled.deadline, cancelled.change, cancelled.before) == ("deletion", "cancelled", CLOSES)
    work.tell(release(work.now))
    again = work.all(DeadlineApproaching)[-1]

    assert (again.deadline, again.change, again.due_at) == ("deletion", "moved", CLOSES)


def test_back_again_is_told() -> None:
    """Who comes back is told that what was announced doesn't come; who was deleted is told nothing of the kind."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES - DAY)
    work.tell(contract("c2"))
    told = [(event.deadline, event.change) for event in work.all(DeadlineApproaching)[-2:]]
    assert sorted(told) == [("deletion", "cancelled"), ("window_closes", "cancelled")]
    gone = at_the_close(casework())
    gone.tell(*answers_of(gone))
    gone.perform(performed)
    gone.tell(contract("c9", period_start=at("2028-01-01T00:00").date(), period_end=at("2028-12-31T00:00").date()))

    assert gone.one(AccountClosed)
    assert all(event.change is None for event in gone.all(DeadlineApproaching))
