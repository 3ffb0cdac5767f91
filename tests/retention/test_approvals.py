"""A second person's decision on a deletion that stands still: what it moves, and what it doesn't."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.retention.policy import RetentionPolicy
from services.retention.states import Awaiting, Certifying, Stalled, Surveying
from services.retention.tasks import Survey, SurveyFailed
from shared.decision import Outcome, Task
from shared.events.platform import DeletionApproved, OfTables
from shared.events.retention import AccountClosed, DeletionRequested, DeletionStalled
from tests.casework import Casework
from tests.retention.language import (
    CLOSES,
    DELETION,
    HOLDERS,
    OVER,
    POLICY,
    SOON_TO_THE_LEAD,
    casework,
    contract,
    deleting,
    erased,
    hold,
    performed,
    readings,
    release,
    surveyed,
    terminated,
)
from tests.retention.test_nothing_new import approval


def too_few(policy: RetentionPolicy = POLICY) -> Casework:
    """Carry a customer to where a holder says that it deleted less than there was."""
    work = deleting(policy)
    work.tell(erased(HOLDERS[0], rows=9), *[erased(name) for name in HOLDERS[1:]])
    work.perform(performed)
    assert isinstance(work.state, Stalled)
    return work


def counts(rows: int = 30, by: str = "staff-2") -> DeletionApproved:
    """Let it go on though the counts are too low."""
    return approval(reason="counts", rows=rows).model_copy(update={"approved_by": by})


def test_counts_are_approved() -> None:
    """It goes on at once, not when it would have been tried again."""
    work = too_few()
    work.tell(counts())
    work.until(CLOSES)
    work.perform(performed)

    assert work.one(AccountClosed).rows_deleted == 29


def test_something_else_is_approved() -> None:
    """An approval of what isn't the trouble is kept, and the next try is when it was."""
    work = too_few()
    due = work.state.retry_at
    work.tell(approval())

    assert work.state.retry_at == due
    assert due > work.now


@pytest.mark.parametrize(("rows", "by"), [(29, "staff-2"), (30, "staff-1")])
def test_not_by_who_does_not_know(rows: int, by: str) -> None:
    """Whoever knows of fewer rows than were surveyed, or asked for it, approves nothing; operators are told once."""
    work = too_few(SOON_TO_THE_LEAD)
    before = work.state
    work.tell(counts(rows, by))

    told = work.all(DeletionStalled)[-1]
    assert (told.reason, told.deletion_id, told.escalate_to) == ("not_approved", DELETION, "operators")
    assert (work.state.retry_at, work.state.known.approvals) == (before.retry_at, ())


@pytest.mark.parametrize(("each", "goes"), [(0, True), (1, False)])
def test_approved_while_nothing_is_read(each: int, *, goes: bool) -> None:
    """An approval that comes while the survey can't be made counts when it can, for as many rows as it named."""

    def perform(task: Task) -> Outcome:
        mine = readings(HOLDERS, own=each)
        return surveyed(task, due=1000, readings=mine) if isinstance(task, Survey) else performed(task)

    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.perform(perform)
    work.tell(hold(CLOSES), release(CLOSES))
    assert isinstance(work.state, Surveying)
    attempt = work.state.known.attempts
    work.ordered.clear()
    work.tell(SurveyFailed(customer_id="acme", deletion_id=DELETION, attempt=attempt, reason="unreachable"))
    work.tell(approval(reason="blast_radius", rows=0), approval(reason="not_informed", rows=0))
    work.until(work.state.retry_at)
    work.perform(perform)
    work.until(work.now + timedelta(days=3))

    assert bool(work.all(DeletionRequested)) == goes


def test_approved_without_a_date() -> None:
    """Who was never told of a deletion, and may be deleted all the same, waits for what else is missing."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER))
    work.until(CLOSES)
    work.tell(release(CLOSES))
    attempt = work.state.known.attempts
    work.ordered.clear()
    work.tell(SurveyFailed(customer_id="acme", deletion_id=DELETION, attempt=attempt, reason="unreachable"))
    work.tell(approval())
    work.until(work.state.retry_at)
    work.perform(lambda task: surveyed(task, due=1000) if isinstance(task, Survey) else performed(task))

    assert isinstance(work.state, Awaiting)
    assert work.all(DeletionStalled)[-1].missing == ("blast_radius",)


def test_a_part_that_is_held_keeps_the_end_away() -> None:
    """A hold of a part that comes while the certificate is made keeps the account open too."""
    work = deleting()
    work.tell(*[erased(name) for name in HOLDERS])
    work.tell(performed(work.ordered.pop(0)[1]))
    assert isinstance(work.state, Certifying)
    work.tell(hold(CLOSES, scope=OfTables(tables=("users",))), hold(CLOSES, "h2"), release(CLOSES, "h2"))
    work.perform(performed)
    assert not work.all(AccountClosed)
    work.tell(release(CLOSES))
    work.perform(performed)

    assert work.one(AccountClosed)
