"""A hold of a part: everything else goes on time, just that stays, and it goes by itself when the hold is over (P8)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest

from services.retention.holders import kept_at
from services.retention.states import Certifying, Checking, Closed, Deleting, Held, Keeping, Seen, Stalled
from services.retention.tasks import Certify, Check, CheckFailed
from shared.decision import Outcome, Task
from shared.events.event import Event
from shared.events.platform import DeletionApproved, Everything, OfCategories, OfTables
from shared.events.retention import (
    AccountClosed,
    DeletionCompleted,
    DeletionRequested,
    DeletionStalled,
    LegalHoldAnswered,
)
from shared.holds import Hold
from tests.casework import Casework
from tests.retention.language import (
    CLOSES,
    DAY,
    DELETION,
    HOLDERS,
    OVER,
    answers_of,
    casework,
    contract,
    erased,
    erased_in_part,
    hold,
    not_erased,
    performed,
    readings,
    release,
    terminated,
)

DATABASE = HOLDERS[0]
USERS = OfTables(tables=("users",))


def found(kept: int = 3, own: int = 0) -> Callable[[Task], Outcome]:
    """Perform every step as it should go, and find so many rows kept at the database, and *own* others."""

    def perform(task: Task) -> Outcome:
        done = performed(task)
        if not isinstance(task, Check):
            return done
        mine = readings((DATABASE,), own=own, kept={DATABASE: kept})
        return done.model_copy(update={"readings": (*mine, *readings(task.holders[1:]))})

    return perform


def commanded(**scope: object) -> Casework:
    """Carry a customer of whom a part is held to where every holder is commanded."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER, **{"scope": USERS, **scope}))
    work.until(CLOSES)
    work.perform(performed)
    return work


def answered(work: Casework, first: Event | None = None) -> Casework:
    """Let the database keep the part, and the others delete everything."""
    work.tell(first or erased_in_part(DATABASE), *[erased(name) for name in HOLDERS[1:]])
    return work


def again(work: Casework) -> list[DeletionRequested]:
    """Give the commands after the first one to each holder."""
    return work.all(DeletionRequested)[len(HOLDERS) :]


def test_the_part_stays_and_is_looked_at() -> None:
    """When all else is gone that is checked, by the holds that were told; nothing is called complete or closed."""
    work = answered(commanded())
    (check,) = [task for _, task in work.ordered if isinstance(task, Check)]
    assert [(one.holder, [keep.hold_id for keep in one.keep]) for one in check.held] == [
        (name, ["h1"]) for name in HOLDERS
    ]
    work.perform(found())
    assert isinstance(work.state, Keeping)
    work.until(CLOSES + 400 * DAY)

    assert not again(work)
    assert not work.all(DeletionCompleted)
    assert not work.all(AccountClosed)


def test_the_rest_goes_by_itself() -> None:
    """When the hold is over whoever kept something is commanded again, nobody else, and the counts are of all."""
    work = answered(commanded())
    work.perform(found())
    work.until(CLOSES + 400 * DAY)
    work.tell(release(work.now))
    work.until(work.now)
    assert [(one.holder, one.keep, one.holds) for one in again(work)] == [(DATABASE, (), ())]
    work.tell(erased(DATABASE, rows=3))
    work.perform(performed)

    assert isinstance(work.state, Closed)
    assert work.one(AccountClosed).rows_deleted == 30


@pytest.mark.parametrize("read_first", [False, True])
def test_its_own_end_lets_the_rest_go(read_first: bool) -> None:  # noqa: FBT001 - both are the same story
    """So it is when the hold comes to its end, even if something else is read at that moment, before anybody wakes."""
    ends_at = CLOSES + 30 * DAY
    work = answered(commanded(ends_at=ends_at))
    work.perform(found())
    work.until(ends_at - DAY)
    assert not again(work)
    if read_first:
        work.now = ends_at
        work.tell(release(OVER, "h9"))
    work.until(ends_at)

    assert [one.holder for one in again(work)] == [DATABASE]


def test_an_event_read_at_the_end_of_a_hold_of_everything() -> None:
    """A hold of everything that comes to its end lets the case go on, whatever is read before anybody wakes."""
    ends_at = CLOSES + 30 * DAY
    work = casework()
    work.tell(contract(), terminated(), hold(OVER, ends_at=ends_at))
    work.until(CLOSES)
    work.now = ends_at
    work.tell(release(OVER, "h9"))
    work.until(ends_at + 3 * DAY)

    assert not isinstance(work.state, Held)


def test_one_of_two_is_over() -> None:
    """With one of two holds over, who kept something is commanded again, and told of the other one only."""
    work = commanded()
    work.tell(hold(CLOSES, "h2", scope=OfTables(tables=("courses",))))
    answered(work)
    work.perform(found())
    work.tell(release(work.now))
    work.until(work.now)

    assert [(one.holder, [keep.hold_id for keep in one.keep]) for one in again(work)] == [(DATABASE, ["h2"])]


def test_a_hold_that_is_placed_again_for_less() -> None:
    """What a hold doesn't name any more goes."""
    work = answered(commanded())
    work.perform(found())
    work.tell(hold(work.now, scope=OfTables(tables=("courses",))))
    work.until(work.now)

    assert [(one.holder, one.keep[0].scope) for one in again(work)] == [(DATABASE, OfTables(tables=("courses",)))]


def test_everything_and_then_a_part() -> None:
    """A hold of everything that is placed again for a part lets the rest go on."""
    work = casework()
    work.tell(contract(), terminated(), hold(OVER))
    work.until(CLOSES)
    assert isinstance(work.state, Held)
    work.tell(hold(work.now, scope=USERS))
    work.perform(performed)
    work.until(CLOSES + 2 * DAY)

    assert [one.keep[0].scope for one in work.all(DeletionRequested)] == [USERS] * len(HOLDERS)


def test_a_hold_of_everything_wins_over_the_part() -> None:
    """While everything is held nobody is commanded again though the part's hold is over."""
    work = answered(commanded())
    work.perform(found())
    work.tell(hold(work.now, "h2", scope=Everything()), release(work.now))
    work.until(work.now + 100 * DAY)
    assert not again(work)
    work.tell(release(work.now, "h2"))
    work.until(work.now)

    assert [one.holder for one in again(work)] == [DATABASE]


def test_less_is_kept_than_was_said() -> None:
    """A row that had to stay and isn't there stops the case; by an approval the holder is asked again, and no more."""
    work = answered(commanded())
    work.perform(found(kept=2))
    told = work.one(DeletionStalled)
    assert (told.reason, told.holders) == ("counts", (DATABASE,))
    approval = DeletionApproved(
        customer_id="acme",
        deletion_id=DELETION,
        in_spite_of=("counts",),
        rows=100,
        requested_by="staff-1",
        approved_by="staff-2",
        approved_at=work.now,
    )
    work.tell(approval)
    work.until(work.now + DAY / 4)
    assert [one.holder for one in again(work)] == [DATABASE]
    work.tell(erased_in_part(DATABASE, rows=0, kept=2).model_copy(update={"answered_at": work.now}))
    work.perform(found(kept=2))

    # One row that it had said to keep is neither said to be gone nor kept.
    assert isinstance(work.state, Stalled)
    assert (work.state.reason, work.state.disputed) == ("kept_gone", ())


def test_more_is_left_than_is_kept() -> None:
    """A row that no hold keeps is a residue, whatever else is kept."""
    work = answered(commanded())
    work.perform(found(own=1))

    assert work.one(DeletionStalled).reason == "residue"


def test_what_was_kept_is_not_missing() -> None:
    """Deleted and kept together have to be what there was."""
    work = answered(commanded(), erased_in_part(DATABASE, rows=6))
    work.perform(found())

    assert work.one(DeletionStalled).reason == "counts"


def test_kept_for_nobody_knows_what() -> None:
    """Who keeps something for a hold that isn't in force is asked again, and an operator is told."""
    work = answered(commanded(), erased_in_part(DATABASE, hold_id="h7"))
    told = work.one(DeletionStalled)
    work.until(CLOSES + 2 * DAY)

    assert (told.reason, told.holders) == ("held", (DATABASE,))
    assert [one.holder for one in again(work)] == [DATABASE]


def test_a_hold_that_its_holder_heard_of_first() -> None:
    """Who refuses because of a hold that its command didn't name is commanded again at once, and told of it."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.perform(performed)
    work.tell(hold(CLOSES, scope=OfTables(tables=("invoices",))), not_erased(DATABASE, "held"))
    work.until(work.now)
    assert [(one.holder, one.holds) for one in again(work)] == [(DATABASE, ("h1",))]
    work.tell(not_erased(DATABASE, "held"))
    work.until(CLOSES + DAY / 2)

    assert len(again(work)) == 1


@pytest.mark.parametrize(
    "scope", [OfTables(tables=("userz",)), OfTables(tables=("users", "userz")), OfCategories(categories=("usr",))]
)
def test_a_name_that_nobody_knows_concerns_everybody(scope: OfTables | OfCategories) -> None:
    """A table or a category that was seen at no holder is perhaps a mistake: all are told, and each has to know it."""

    def all_are_users(task: Task) -> Outcome:
        done = performed(task)
        tables = readings(HOLDERS, own=10)
        users = tuple(one.model_copy(update={"category": "user"}) for one in tables[0].tables)
        return done.model_copy(update={"readings": tuple(one.model_copy(update={"tables": users}) for one in tables)})

    work = casework()
    work.tell(contract(), terminated(), hold(OVER, scope=scope))
    work.until(CLOSES)
    work.perform(all_are_users)

    assert [one.keep[0].scope for one in work.all(DeletionRequested)] == [scope] * len(HOLDERS)


def test_what_another_holder_has() -> None:
    """Of a hold's tables each holder is told those that it has, and of the hold all are."""

    def one_has_courses(task: Task) -> Outcome:
        done = performed(task)
        tables = (*readings((DATABASE,), own=10), *readings(HOLDERS[1:], own=10, table="courses"))
        return done.model_copy(update={"readings": tables})

    work = casework()
    work.tell(contract(), terminated(), hold(OVER, scope=OfTables(tables=("users", "courses"))))
    work.tell(hold(OVER, "h2", scope=USERS))
    work.until(CLOSES)
    work.perform(one_has_courses)

    told = {one.holder: [keep.scope.tables for keep in one.keep] for one in work.all(DeletionRequested)}  # type: ignore[union-attr]
    assert told == {DATABASE: [("users",), ("users",)], **{name: [("courses",)] for name in HOLDERS[1:]}}
    assert {one.holds for one in work.all(DeletionRequested)} == {("h1", "h2")}
    # The check looks for the same there.
    work.tell(erased_in_part(DATABASE), *[erased(name) for name in HOLDERS[1:]])
    (check,) = [task for _, task in work.ordered if isinstance(task, Check)]
    assert {one.holder: [keep.scope.tables for keep in one.keep] for one in check.held} == told  # type: ignore[union-attr]


def test_a_late_hold_is_told_what_is_kept() -> None:
    """A hold that came while a deletion ran hears what it came too late for, and what is kept for it."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.perform(performed)
    work.tell(hold(CLOSES, scope=USERS))
    answered(work)

    last = work.all(LegalHoldAnswered)[-1]
    assert [(one.holder, one.kept[0].rows) for one in last.kept] == [(DATABASE, 3)]
    assert [one.holder for one in last.too_late] == list(HOLDERS)


@pytest.mark.parametrize("ends_at", [None, CLOSES + DAY])
def test_nothing_of_it_was_there(ends_at: datetime | None) -> None:
    """A hold of which no holder has anything keeps the account open all the same; then it is checked once more."""
    work = commanded(ends_at=ends_at)
    work.tell(*answers_of(work))
    work.perform(performed)
    assert isinstance(work.state, Keeping)
    if ends_at:
        work.until(ends_at)
    else:
        work.tell(release(work.now))
    assert isinstance(work.state, Checking)
    work.perform(performed)

    assert work.one(AccountClosed)


def test_a_check_that_is_made_again() -> None:
    """A check that failed is made again with what is held then, by holds with an end too."""
    work = answered(commanded(ends_at=CLOSES + 100 * DAY))
    _, task = work.ordered.pop(0)
    assert isinstance(task, Check)
    failed = CheckFailed(customer_id="acme", deletion_id=DELETION, attempt=task.attempt, reason="unreachable")
    work.tell(failed)
    work.until(CLOSES + 8 * DAY)
    again_ordered = work.ordered[0][1]

    assert isinstance(again_ordered, Check)
    assert (again_ordered.held, again_ordered.attempt) == (task.held, task.attempt + 1)


def test_two_holds_of_parts_while_certifying() -> None:
    """While the certificate waits for a hold of a part, the end of another one doesn't have it made."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.perform(performed)
    work.tell(*answers_of(work))
    work.tell(performed(work.ordered.pop(0)[1]))
    work.ordered.clear()
    work.tell(hold(CLOSES, scope=USERS), hold(CLOSES, "h2", scope=USERS, ends_at=CLOSES + timedelta(hours=1)))
    work.until(CLOSES + timedelta(hours=1))
    assert not work.ordered
    assert isinstance(work.state, Certifying)
    assert [one.hold_id for one in work.state.known.holds] == ["h1", "h2"]
    work.tell(release(work.now))

    assert [type(one) for _, one in work.ordered] == [Certify]


def test_its_review() -> None:
    """Whoever answers for the hold is told on its day."""
    work = answered(commanded(review_on=date(2027, 6, 1)))
    work.perform(found())
    work.until(CLOSES + 200 * DAY)

    assert [one.holds for one in work.all(DeletionStalled) if one.reason == "hold_review"] == [("h1",)]
    assert isinstance(work.state, Keeping)


def test_who_comes_back_meanwhile() -> None:
    """A contract that is registered while a part is kept stops everything for an operator."""
    work = answered(commanded())
    work.perform(found())
    work.tell(contract(revision=9, period_end=date(2029, 12, 31)), release(work.now))
    work.until(work.now + 30 * DAY)

    assert work.all(DeletionStalled)[-1].reason == "contract_active"
    assert not again(work)
    assert not isinstance(work.state, Deleting)


@pytest.mark.parametrize("named", ["files", "objects.files"])
def test_a_bucket_in_which_rows_say_whose_objects_are_is_told_to_their_holder(named: str) -> None:
    """By its own name, too, which a holder of a prefix of it has as well; whoever has no such bucket isn't told."""
    rows, bucket = Seen("shop", "objects.files", 3, 0, "0" * 64), Seen("media", "files", 3, 0, "0" * 64, "course")
    hold = Hold("h1", placed_at=OVER, scope="table", names=(named,))

    assert [one.hold_id for one in kept_at("shop", (rows, bucket), (hold,))] == ["h1"]
    assert bool(kept_at("media", (rows, bucket), (hold,))) is (named == "files")
    assert not kept_at("other", (rows, bucket, Seen("other", "users", 3, 0, "0" * 64, "user")), (hold,))
