"""A holder says that it keeps other rows than the check finds: it is asked again once a second person says so."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.retention.certificate import certificate_of
from services.retention.domain import decide
from services.retention.states import Closed, Deleting, Retaining, Stalled
from services.retention.tasks import Certify, Check
from shared.decision import Ignored, Outcome, Task
from shared.events.event import Event
from shared.events.platform import OfTables
from shared.events.retention import (
    AccountClosed,
    CertificateAmended,
    DeletionCompleted,
    DeletionRequested,
    DeletionStalled,
    LegalHoldAnswered,
)
from tests.casework import Casework
from tests.retention.language import (
    DAY,
    DELETION,
    HOLDERS,
    POLICY,
    by_law,
    contract,
    deleting,
    erased,
    erased_in_part,
    hold,
    performed,
    readings,
    release,
    retains,
)
from tests.retention.test_nothing_new import approval
from tests.retention.test_statutory_retention import DATABASE, DUE, SECOND, due, finds, tasks_of

FOUND = finds(database=(by_law(rows=4),))
FIRST = datetime(2027, 4, 2, tzinfo=UTC)
WORD = approval(reason="counts").model_copy(update={"approved_at": datetime.fromisoformat("2027-04-03T00:00:00Z")})


def disputed() -> Casework:
    """Carry a customer to where the database says that a law keeps 3 rows, and the check finds 4."""
    work = deleting()
    work.tell(retains(DATABASE, moment=FIRST), *[erased(name) for name in HOLDERS[1:]])
    work.perform(FOUND)
    assert [(one.reason, one.holders) for one in work.all(DeletionStalled)] == [("counts", (DATABASE,))]
    return work


def asked_again() -> Casework:
    """Carry it to where the database is commanded again."""
    work = disputed()
    work.tell(WORD)
    work.until(work.now)
    return work


def commands(work: Casework) -> list[DeletionRequested]:
    """Give the commands after the first one to each holder."""
    return work.all(DeletionRequested)[len(HOLDERS) :]


def nothing_is_complete(work: Casework) -> bool:
    """Tell whether nothing was called complete, certified or closed."""
    return not work.all(DeletionCompleted) and not work.all(AccountClosed)


def answer(work: Casework, rows: int = 4, deleted: int = 0) -> Event:
    """Let the database answer, now, that a law keeps so many rows."""
    return retains(DATABASE, by_law(rows=rows), rows=deleted, moment=work.now)


def test_by_a_second_persons_word_the_holder_is_asked_again() -> None:
    """It alone, at once, and until another day; what it answers then is checked, and closes the account."""
    work = asked_again()
    first = next(one for one in work.all(DeletionRequested) if one.holder == DATABASE)
    (again,) = commands(work)
    assert (again.holder, again.deletion_id, again.map_sha256) == (DATABASE, DELETION, first.map_sha256)
    assert again.respond_by == work.now + next(one.respond_within for one in POLICY.holders if one.name == DATABASE)
    work.until(work.now + DAY / 4)
    work.tell(answer(work))
    assert nothing_is_complete(work)
    work.perform(FOUND)

    assert isinstance(work.state, Retaining)
    assert [(one.table, one.rows) for one in work.state.known.retained.rows] == [("users", 4)]  # type: ignore[union-attr]


def test_what_a_disputed_answer_said_to_have_deleted_counts_only_as_far_as_the_check_shows_it() -> None:
    """There were 10 rows, and 4 are there: 6 are gone, whatever it said; its own number is named apart."""
    work = asked_again()
    work.until(work.now + DAY / 4)
    work.tell(answer(work))
    certificates = [one for one in tasks_of(work, FOUND) if isinstance(one, Certify)]

    (said,) = [one for one in certificates[-1].answers if one.holder == DATABASE]
    assert [(one.table, one.rows) for one in said.deleted] == [("users", 6)]
    assert [(one.table, one.rows) for one in said.disputed] == [("users", 7)]
    assert certificate_of(certificates[-1]).rows_deleted == 26
    assert work.one(AccountClosed).rows_deleted == 26
    (completed,) = work.all(DeletionCompleted)
    assert [one.deleted[0].rows for one in completed.holders if one.holder == DATABASE] == [6]
    assert all(not one.disputed for one in certificates[-1].answers if one.holder != DATABASE)


@pytest.mark.parametrize(("then", "stands"), [(0, 6), (2, 6), (6, 6), (8, 8)])
def test_what_the_new_answer_says_comes_first(then: int, stands: int) -> None:
    """Of the disputed number no more counts than is left to account for; a new answer may speak of rows since."""
    work = asked_again()
    work.until(work.now + DAY / 4)
    work.tell(answer(work, deleted=then))
    certificates = [one for one in tasks_of(work, FOUND) if isinstance(one, Certify)]

    (said,) = [one for one in certificates[-1].answers if one.holder == DATABASE]
    assert [(one.table, one.rows) for one in said.deleted] == [("users", stands)]


def test_the_word_is_among_the_certificates_approvals() -> None:
    """As one by which holders were only asked anew."""
    work = asked_again()
    work.until(work.now + DAY / 4)
    work.tell(answer(work))
    (made,) = [one for one in tasks_of(work, FOUND) if isinstance(one, Certify)]

    (word,) = certificate_of(made).approvals
    assert (word.asked_anew, word.in_spite_of, word.approved_by) == (True, ("counts",), WORD.approved_by)
    assert word.approved_at == WORD.approved_at


@pytest.mark.parametrize(("deleted", "kept"), [(1, 2), (0, 2), (9, 1)])
def test_kept_rows_that_are_gone_are_told_by_name(deleted: int, kept: int) -> None:
    """It said to keep 3 and fewer are there: whatever its new answer says of them, a second person has to know."""
    found = finds(database=(by_law(rows=kept),))
    work = deleting()
    work.tell(retains(DATABASE), *[erased(name) for name in HOLDERS[1:]])
    work.perform(found)
    work.tell(WORD)
    work.until(work.now + DAY / 4)
    work.tell(answer(work, rows=kept, deleted=deleted))
    work.perform(found)
    told = work.all(DeletionStalled)[-1]
    assert (told.reason, told.holders) == ("kept_gone", (DATABASE,))
    assert nothing_is_complete(work)
    work.tell(WORD.model_copy(update={"approved_at": work.now, "in_spite_of": ("kept_gone",)}))
    work.until(work.now)
    work.perform(found)

    assert isinstance(work.state, Retaining)


def test_rows_that_are_there_again_are_not_gone() -> None:
    """They were restored: what it says to keep is there, as it had said."""
    work = deleting()
    work.tell(retains(DATABASE), *[erased(name) for name in HOLDERS[1:]])
    work.perform(finds(database=(by_law(rows=2),)))
    work.tell(WORD)
    work.until(work.now + DAY / 4)
    work.tell(answer(work, rows=3))
    work.perform(finds(database=(by_law(),)))

    assert isinstance(work.state, Retaining)


def test_a_hold_that_comes_late_is_told_of_all_that_may_be_gone() -> None:
    """Also by an answer that is disputed."""
    work = asked_again()
    work.tell(hold(work.now))

    (told,) = work.all(LegalHoldAnswered)
    assert [one.deleted[0].rows for one in told.too_late if one.holder == DATABASE] == [7]


def test_without_such_a_word_only_the_check_is_made_again() -> None:
    """For as long as nobody says so no command is given, and nothing is certified."""
    work = disputed()
    for _ in range(5):
        work.until(work.now + 10 * DAY)
        work.perform(FOUND)

    assert isinstance(work.state, Stalled)
    assert not commands(work)
    assert nothing_is_complete(work)


NO_WORD: dict[str, dict[str, Any]] = {
    "by whoever asked for it": {"approved_by": "staff-1"},
    "by who knows of fewer rows": {"rows": 29},
    "on something else": {"in_spite_of": ("other_map", "size")},
    "on another deletion": {"deletion_id": SECOND},
}


@pytest.mark.parametrize("how", NO_WORD)
def test_no_other_word_commands_anything(how: str) -> None:
    """The holder isn't asked again by it."""
    work = disputed()
    work.tell(WORD.model_copy(update=NO_WORD[how]))
    work.until(work.now + 10 * DAY)
    work.perform(FOUND)

    assert not commands(work)
    assert nothing_is_complete(work)


def test_the_answer_of_before_counts_no_more() -> None:
    """Repeated, by whoever reads the first command again, it is none; and if no other comes an operator is told."""
    work = asked_again()
    old = retains(DATABASE, moment=FIRST)
    assert decide(work.state, old, work.now, POLICY) == Ignored("an answer that has been counted, or one before it")
    work.tell(old)
    # By now it would be found to be true.
    work.perform(finds(database=(by_law(),)))
    assert isinstance(work.state, Deleting)
    work.until(work.now + 3 * DAY)

    assert work.all(DeletionStalled)[-1].reason == "unanswered"
    assert nothing_is_complete(work)


def test_a_new_answer_that_is_no_better_stops_it_again() -> None:
    """The word was for one time; said again it is known, and another one asks anew."""
    work = asked_again()
    work.until(work.now + DAY / 4)
    work.tell(answer(work, rows=5))
    work.perform(FOUND)
    assert isinstance(work.state, Stalled)
    assert decide(work.state, WORD, work.now, POLICY) == Ignored("known")
    work.until(work.now + 10 * DAY)
    work.perform(FOUND)
    assert len(commands(work)) == 1
    work.tell(WORD.model_copy(update={"approved_at": work.now}))
    work.until(work.now)

    assert [one.holder for one in commands(work)] == [DATABASE, DATABASE]
    assert nothing_is_complete(work)


def test_the_word_lets_no_missing_row_pass() -> None:
    """What it said to keep is gone, and it never said that it went: that takes a word of its own, by its own name."""
    work = deleting()
    work.tell(retains(DATABASE), *[erased(name) for name in HOLDERS[1:]])
    work.perform(performed)
    work.tell(WORD)
    work.until(work.now + DAY / 4)
    work.tell(erased(DATABASE, rows=0).model_copy(update={"answered_at": work.now}))
    work.perform(performed)
    assert (work.state.reason, work.state.disputed) == ("kept_gone", ())
    assert work.all(DeletionStalled)[-1].holders == (DATABASE,)
    work.tell(WORD.model_copy(update={"approved_at": work.now}))
    work.until(work.now + 10 * DAY)
    work.perform(performed)
    assert nothing_is_complete(work)
    work.tell(WORD.model_copy(update={"approved_at": work.now, "in_spite_of": ("kept_gone",)}))
    work.until(work.now)
    work.perform(performed)

    assert isinstance(work.state, Closed)
    assert len(commands(work)) == 1


def test_under_a_hold_of_everything_nobody_is_asked() -> None:
    """Once it is over the command is given."""
    work = disputed()
    work.tell(hold(work.now), WORD)
    work.until(work.now + 10 * DAY)
    assert not commands(work)
    work.tell(release(work.now))
    work.until(work.now)

    assert [one.holder for one in commands(work)] == [DATABASE]


def test_so_it_is_with_another_last_day() -> None:
    """The rows are as many as it says, and their law ends on another day."""
    later = by_law(until=date(2035, 12, 31))
    work = deleting()
    work.tell(retains(DATABASE), *[erased(name) for name in HOLDERS[1:]])
    work.perform(finds(database=(later,)))
    work.tell(WORD)
    work.until(work.now + DAY / 4)
    assert [one.holder for one in commands(work)] == [DATABASE]
    work.tell(retains(DATABASE, later, rows=0, moment=work.now))
    work.perform(finds(database=(later,)))

    assert [one.until for one in work.state.known.retained.rows] == [later.until]


@pytest.mark.parametrize("first", ["the word", "the contract"])
def test_who_came_back_is_not_deleted_by_it(first: str) -> None:
    """While a contract goes on the word commands nothing."""
    work = disputed()
    back = contract("c2", period_start=date(2027, 4, 1), period_end=date(2034, 12, 31))
    work.tell(*((WORD, back) if first == "the word" else (back, WORD)))
    work.until(work.now + 30 * DAY)

    assert not commands(work)
    assert nothing_is_complete(work)


def test_so_it_is_with_what_a_hold_keeps() -> None:
    """The check finds 4 rows where the holder says that it keeps 3 for a hold of a part."""

    def found(task: Task) -> Outcome:
        kept = readings(HOLDERS, kept={DATABASE: 4})
        return performed(task).model_copy(update={"readings": kept}) if isinstance(task, Check) else performed(task)

    work = deleting()
    work.tell(hold(work.now, scope=OfTables(tables=("users",))))
    work.tell(erased_in_part(DATABASE), *[erased(name) for name in HOLDERS[1:]])
    work.perform(found)
    assert work.state.disputed == (DATABASE,)
    work.tell(WORD)
    work.until(work.now)

    assert [(one.holder, one.holds) for one in commands(work)] == [(DATABASE, ("h1",))]


def test_so_it_is_years_later() -> None:
    """Of what a law kept one row is left that the holder doesn't name; asked again it does, and the addendum comes."""
    later = by_law(until=date(2035, 12, 31), rows=1)
    work = due()
    work.tell(erased(DATABASE, rows=9, deletion_id=SECOND).model_copy(update={"answered_at": DUE}))
    work.perform(finds(database=(later,)))
    assert work.state.disputed == (DATABASE,)
    work.tell(WORD.model_copy(update={"deletion_id": SECOND}))
    work.until(work.now + DAY / 4)
    assert not work.all(CertificateAmended)
    work.tell(retains(DATABASE, later, rows=0, deletion_id=SECOND, moment=work.now))
    work.perform(finds(database=(later,)))

    assert len(work.all(CertificateAmended)) == 1
    assert isinstance(work.state, Retaining)
