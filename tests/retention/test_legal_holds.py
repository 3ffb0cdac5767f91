"""Legal holds with a scope, an end and a review (P8): what they keep, and what they come too late for."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from services.retention.states import Checking, Closed, Deleting, Held, Stalled, Surveying
from services.retention.tasks import Survey
from shared.decision import Outcome, Task
from shared.events.platform import HoldScope, NotErased, OfCategories, OfPersons, OfTables
from shared.events.retention import (
    AccountClosed,
    DeletionRequested,
    DeletionStalled,
    LegalHoldAnswered,
    RetentionExpired,
)
from shared.events.vocabulary import TableCount
from tests.casework import Casework
from tests.retention.language import (
    CLOSES,
    DAY,
    HOLDERS,
    OVER,
    SOON_TO_THE_LEAD,
    answers_of,
    casework,
    contract,
    deleting,
    erased,
    hold,
    not_erased,
    performed,
    readings,
    release,
    surveyed,
    terminated,
)

DATABASE = HOLDERS[0]


def one_has_invoices(task: Task) -> Outcome:
    """Read invoices, which are reports, at the first holder, and what is known of nobody's kind at the others."""
    if not isinstance(task, Survey):
        return performed(task)
    (first,) = readings((DATABASE,), own=10, table="invoices")
    tables = tuple(table.model_copy(update={"category": "report"}) for table in first.tables)
    others = readings(HOLDERS[1:], own=10)
    media = others[0].model_copy(
        update={"tables": tuple(table.model_copy(update={"category": "course"}) for table in others[0].tables)}
    )
    return surveyed(task, readings=(first.model_copy(update={"tables": tables}), media, *others[1:]))


def kept_at(work: Casework) -> dict[str, tuple[str, ...]]:
    """Tell, of each command, which holds it has to spare."""
    return {event.holder: tuple(one.hold_id for one in event.keep) for event in work.all(DeletionRequested)}


@pytest.mark.parametrize(
    ("scope", "concerned"),
    [
        (OfTables(tables=("invoices",)), HOLDERS[:1]),
        # Of what the third holder has nobody knows the category, so it has to look itself.
        (OfCategories(categories=("report",)), (HOLDERS[0], HOLDERS[2])),
        (OfPersons(refs=("person-7",)), HOLDERS),
    ],
)
def test_a_partial_hold(scope: HoldScope, concerned: tuple[str, ...]) -> None:
    """A hold of a part goes along with the commands to those whom it concerns; everything else goes on time."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER, scope=scope))
    work.until(CLOSES)
    work.perform(one_has_invoices)

    assert work.when(DeletionRequested) == [CLOSES] * 3
    assert kept_at(work) == {name: ("h1",) if name in concerned else () for name in HOLDERS}


@pytest.mark.parametrize("scope", [OfTables(tables=()), OfCategories(categories=()), OfPersons(refs=())])
def test_a_scope_that_names_nothing(scope: HoldScope) -> None:
    """A hold whose scope names nothing holds everything."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER, scope=scope))
    work.until(CLOSES + 100 * DAY)

    assert isinstance(work.state, Held)


def test_who_cannot_spare_a_part() -> None:
    """A holder that can't spare what is held refuses by name; it isn't asked again before the hold is over."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER, scope=OfTables(tables=("users",))))
    work.until(CLOSES)
    work.perform(performed)
    work.tell(not_erased(DATABASE, "held"), *[erased(name) for name in HOLDERS[1:]])
    told = work.one(DeletionStalled)
    assert (told.reason, told.holders, told.holds) == ("held", (DATABASE,), ("h1",))
    work.until(CLOSES + 300 * DAY)
    assert len(work.all(DeletionRequested)) == 3
    assert not work.all(AccountClosed)
    work.tell(release(work.now))
    work.until(work.now)
    assert [event.holder for event in work.all(DeletionRequested)[3:]] == [DATABASE]
    assert work.all(DeletionRequested)[3].keep == ()
    work.tell(erased(DATABASE))
    work.perform(performed)

    assert isinstance(work.state, Closed)


def test_a_hold_comes_to_its_end() -> None:
    """A hold with an end keeps everything up to it, and then the rest goes on by itself."""
    ends_at = CLOSES + 10 * DAY
    work = casework()
    work.tell(contract(), terminated(), hold(OVER, ends_at=ends_at))
    work.until(ends_at - timedelta(seconds=1))
    assert isinstance(work.state, Held)
    work.until(ends_at)
    assert isinstance(work.state, Surveying)
    work.perform(performed)
    work.until(ends_at + 2 * DAY)

    assert len(work.all(DeletionRequested)) == 3


def test_an_end_while_deleting() -> None:
    """The end of a hold that came while a deletion ran lets it go on too, and the proof is made again."""
    work = deleting()
    work.tell(*answers_of(work))
    assert isinstance(work.state, Checking)
    work.tell(hold(CLOSES, ends_at=CLOSES + DAY))
    work.perform(performed)
    assert not work.all(AccountClosed)
    work.until(CLOSES + DAY)
    work.perform(performed)

    assert work.one(AccountClosed)


def test_one_of_two_ends() -> None:
    """Of two holds the end of one lets nothing go that the other keeps."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER, ends_at=CLOSES + DAY), hold(OVER, "h2"))
    work.until(CLOSES + 100 * DAY)

    assert isinstance(work.state, Held)
    assert work.one(RetentionExpired)


def test_a_full_hold_ends_a_part_stays() -> None:
    """When the hold of everything ends, what a hold of a part doesn't cover goes."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER), hold(OVER, "h2", scope=OfTables(tables=("users",))))
    work.until(CLOSES)
    work.tell(release(CLOSES))
    work.perform(performed)
    work.until(CLOSES + 2 * DAY)

    assert kept_at(work) == dict.fromkeys(HOLDERS, ("h2",))


def test_a_review_is_due() -> None:
    """On the day of its review whoever is responsible for a hold is told, once; the hold goes on."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER, review_on=date(2027, 6, 1), responsible="legal:3"))
    work.until(CLOSES + 200 * DAY)

    told = work.one(DeletionStalled)
    assert (told.reason, told.holds) == ("hold_review", ("h1",))
    assert isinstance(work.state, Held)


def test_of_two_holds_one_is_reviewed() -> None:
    """Only the hold whose day it is is named, to whom it has to be told first."""
    work = casework(SOON_TO_THE_LEAD)
    work.tell(contract(), terminated(), hold(OVER, review_on=date(2027, 6, 1)), hold(OVER, "h2"))
    work.until(CLOSES + 200 * DAY)

    told = work.one(DeletionStalled)
    assert (told.holds, told.escalate_to) == (("h1",), "operators")


def test_a_hold_that_comes_while_a_deletion_runs() -> None:
    """It is told at once what it saved and what was gone, and once more when the silent have spoken."""
    work = deleting()
    partly = NotErased(reason="failed", deleted=(TableCount(table="users", rows=4),))
    answer = not_erased(HOLDERS[1]).model_copy(update={"outcome": partly})
    work.tell(erased(HOLDERS[0]), answer, hold(CLOSES))
    first = work.one(LegalHoldAnswered)
    assert [(one.holder, one.deleted[0].rows) for one in first.too_late] == [(HOLDERS[0], 10), (HOLDERS[1], 4)]
    assert (first.saved, first.unanswered) == ((), (HOLDERS[2],))
    work.tell(not_erased(HOLDERS[2], "held"))

    last = work.all(LegalHoldAnswered)[-1]
    assert (last.saved, last.unanswered) == ((HOLDERS[2],), ())
    assert [one.holder for one in last.too_late] == list(HOLDERS[:2])
    work.tell(release(CLOSES))
    work.until(CLOSES + DAY)
    work.tell(*[erased(name) for name in HOLDERS[1:]])
    assert len(work.all(LegalHoldAnswered)) == 2


def test_who_is_late_has_not_said() -> None:
    """Of a holder that is late with its answer nobody can say yet what a hold came too late for."""
    work = deleting()
    work.tell(*[erased(name, rows=0) for name in HOLDERS[:2]])
    work.until(work.all(DeletionRequested)[2].respond_by)
    work.tell(hold(work.now))

    told = work.one(LegalHoldAnswered)
    # Nothing of it was there is an answer too: nothing is left that could be saved.
    assert (told.saved, told.unanswered) == ((), HOLDERS[2:])
    assert [(one.holder, one.deleted[0].rows) for one in told.too_late] == [(name, 0) for name in HOLDERS[:2]]


def test_a_hold_that_comes_and_goes() -> None:
    """A hold that is over before anybody refused because of it leaves the deletion as it was, and it goes on."""
    work = deleting()
    work.tell(hold(CLOSES), release(CLOSES))
    assert isinstance(work.state, Deleting)
    work.tell(*answers_of(work))
    work.perform(performed)

    assert isinstance(work.state, Closed)


def test_a_release_of_nothing() -> None:
    """The release of a hold that held nothing has no step made again."""
    work = deleting()
    work.tell(*answers_of(work))
    ordered = len(work.ordered)
    work.tell(release(CLOSES, "h9"))

    assert len(work.ordered) == ordered


@pytest.mark.parametrize("released", [False, True])
def test_a_hold_does_not_make_a_failed_check_good(*, released: bool) -> None:
    """When a check found something left, a hold that comes and goes makes no certificate: it is checked again."""
    work = deleting()
    work.tell(*answers_of(work))
    _, task = work.ordered.pop(0)
    work.tell(performed(task).model_copy(update={"readings": readings(own=1)}))
    due = work.state.retry_at
    ends_at = None if released else CLOSES + timedelta(hours=1)
    work.tell(hold(CLOSES, ends_at=ends_at))
    if released:
        work.tell(release(CLOSES))
    else:
        work.until(CLOSES + timedelta(hours=1))

    assert isinstance(work.state, Stalled)
    assert (work.state.reason, work.state.retry_at) == ("residue", due)
    assert [one.hold_id for one in work.state.known.holds] == ["h1"]
    assert not work.ordered
    work.until(due)
    # Nobody says whose rows are left, so everybody deletes again.
    assert [event.holder for event in work.all(DeletionRequested)[3:]] == list(HOLDERS)


def test_an_end_while_certifying() -> None:
    """The certificate too is made again when a hold that kept it has come to its end."""
    work = deleting()
    work.tell(*answers_of(work))
    work.tell(performed(work.ordered.pop(0)[1]))
    work.tell(hold(CLOSES, ends_at=CLOSES + DAY))
    work.perform(performed)
    assert not work.all(AccountClosed)
    work.until(CLOSES + DAY)
    work.perform(performed)

    assert work.one(AccountClosed)


def test_a_hold_that_comes_after_the_end() -> None:
    """A hold on an account that is closed is told that all is gone, and what that was."""
    work = deleting()
    work.tell(*answers_of(work))
    work.perform(performed)
    work.tell(hold(CLOSES))

    told = work.one(LegalHoldAnswered)
    assert (told.saved, [one.holder for one in told.too_late]) == ((), list(HOLDERS))
    assert isinstance(work.state, Closed)
    work.tell(hold(CLOSES))
    assert work.one(LegalHoldAnswered)


def test_a_hold_read_after_its_end() -> None:
    """A hold that is over when it is heard of keeps nothing and stops nothing."""
    work = deleting()
    work.tell(hold(OVER, ends_at=CLOSES - DAY))

    assert isinstance(work.state, Deleting)
    assert not work.all(LegalHoldAnswered)


def test_held_is_never_closed() -> None:
    """As long as a hold of whatever part is in force, no account is closed."""
    work = deleting()
    work.tell(hold(CLOSES, scope=OfPersons(refs=("person-7",))), *answers_of(work))
    work.perform(performed)
    work.until(CLOSES + 300 * DAY)
    assert not work.all(AccountClosed)
    work.tell(release(work.now))
    work.perform(performed)

    assert work.one(AccountClosed)
    assert not isinstance(work.state, Stalled)
