"""What a law keeps: certified as kept, left alone until its time has come, deleted then, and named in an addendum."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.retention.policy import RetentionPolicy
from services.retention.right import NoRightToDeleteError, insist
from services.retention.states import Closed, Deleting, Held, Keeping, Retaining, Serving, Stalled, Surveying
from services.retention.tasks import Amend, Certify, Check, Survey
from shared.decision import Outcome, Task
from shared.events.platform import DeletionApproved, OfTables, RetainedRows, WindowChanged
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
    OVER,
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
    surveyed,
    terminated,
    with_laws,
)

DATABASE, OTHER = HOLDERS[:2]
# The day is over wherever the books are kept.
DUE = datetime(2034, 1, 1, 12, tzinfo=UTC)
SECOND = f"{DELETION}:2"
LATER = date(2035, 12, 31)
LATER_DUE = datetime(2036, 1, 1, 12, tzinfo=UTC)


def finds(**laws: tuple[RetainedRows, ...]) -> Callable[[Task], Outcome]:
    """Perform every step as it should go, and find what laws keep, at the database or *other*."""
    by_holder = {{"database": DATABASE, "other": OTHER}[name]: rows for name, rows in laws.items()}

    def perform(task: Task) -> Outcome:
        done = performed(task)
        if not isinstance(task, Check):
            return done
        return done.model_copy(update={"readings": with_laws(readings(HOLDERS), by_holder)})

    return perform


def tasks_of(work: Casework, perform: Callable[[Task], Outcome]) -> list[Task]:
    """Perform all, and give what was ordered."""
    seen: list[Task] = []

    def noting(task: Task) -> Outcome:
        seen.append(task)
        return perform(task)

    work.perform(noting)
    return seen


def retaining(policy: RetentionPolicy = POLICY) -> Casework:
    """Carry a customer to where nothing is left but what a law keeps at the database."""
    work = deleting(policy)
    work.tell(retains(DATABASE), *[erased(name) for name in HOLDERS[1:]])
    work.perform(finds(database=(by_law(),)))
    assert isinstance(work.state, Retaining)
    return work


def commanded_again(work: Casework) -> list[DeletionRequested]:
    """Give the commands after the first one to each holder."""
    return work.all(DeletionRequested)[len(HOLDERS) :]


def test_it_is_certified_save_what_the_law_keeps() -> None:
    """The account closes, and the certificate is told table by table what stays, why, until when, and what is empty."""
    work = deleting()
    work.tell(retains(DATABASE), *[erased(name) for name in HOLDERS[1:]])
    ordered = tasks_of(work, finds(database=(by_law(),)))
    (certify,) = [one for one in ordered if isinstance(one, Certify)]

    assert isinstance(work.state, Retaining)
    assert [(one.holder, one.table, one.basis, one.until, one.rows, one.minimised) for one in certify.retained] == [
        (DATABASE, "users", "BFL 7 kap. 2 §", date(2033, 12, 31), 3, ("email",))
    ]
    for event in (work.one(AccountClosed), work.one(DeletionCompleted)):
        assert [(one.holder, one.retained) for one in event.retained] == [(DATABASE, (by_law(),))]
    assert not work.all(DeletionStalled)


UNLIKE = {
    "it says that it retains more than there is": (retains(DATABASE, by_law(rows=4), rows=6), (by_law(rows=3),)),
    "there are rows that nobody named": (retains(DATABASE, by_law(rows=3)), (by_law(rows=4),)),
    "they are kept to another day": (retains(DATABASE, by_law()), (by_law(until=LATER),)),
    "all is gone that it says it keeps": (retains(DATABASE), ()),
}


@pytest.mark.parametrize("how", UNLIKE)
def test_what_is_found_has_to_be_what_was_said(how: str) -> None:
    """Else the case stops, by the holder's name: nothing is complete, certified or closed."""
    answer, found = UNLIKE[how]
    work = deleting()
    work.tell(answer, *[erased(name) for name in HOLDERS[1:]])
    work.perform(finds(database=found))

    assert isinstance(work.state, Stalled)
    assert [(one.reason, one.holders) for one in work.all(DeletionStalled)] == [("counts", (DATABASE,))]
    assert not work.all(DeletionCompleted)
    assert not work.all(AccountClosed)


def test_rows_that_another_holder_keeps_without_a_word_stop_it() -> None:
    """The check finds kept rows at a holder that said it had erased all: it stops by that holder's name."""
    work = deleting()
    work.tell(retains(DATABASE), *[erased(name) for name in HOLDERS[1:]])
    work.perform(finds(database=(by_law(),), other=(by_law(),)))

    assert [(one.reason, one.holders) for one in work.all(DeletionStalled)] == [("counts", (OTHER,))]


WITHOUT_REASON: dict[str, Any] = {
    "nobody says why": (retains(DATABASE, retained=()), "held"),
    "only for some of it": (retains(DATABASE, by_law(), retained=(by_law(rows=2),)), "counts"),
    "for more than there is": (retains(DATABASE, by_law(), retained=(by_law(rows=9),)), "counts"),
    "for a law whose time has come": (retains(DATABASE, by_law(until=date(2027, 3, 30))), "held"),
}


@pytest.mark.parametrize("how", WITHOUT_REASON)
def test_who_keeps_without_a_reason_is_asked_again(how: str) -> None:
    """An answer that keeps rows for which it names no law that is in force is none, and an operator is told."""
    answer, reason = WITHOUT_REASON[how]
    work = deleting()
    work.tell(answer)

    assert isinstance(work.state, Stalled)
    assert [(one.reason, one.holders) for one in work.all(DeletionStalled)] == [(reason, (DATABASE,))]


def test_it_waits_for_the_day_and_asks_again() -> None:
    """Nothing happens until the day is over; then all is surveyed, and only the holder concerned commanded."""
    work = retaining()
    work.until(DUE - timedelta(seconds=1))
    assert isinstance(work.state, Retaining)
    assert not work.ordered
    work.until(DUE)
    ordered = tasks_of(work, performed)

    assert [type(one) for one in ordered] == [Survey]
    assert [(one.holder, one.deletion_id) for one in commanded_again(work)] == [(DATABASE, SECOND)]
    assert isinstance(work.state, Deleting)


def due(policy: RetentionPolicy = POLICY) -> Casework:
    """Carry a customer to where the holder is commanded to delete what had its time."""
    work = retaining(policy)
    work.until(DUE)
    work.perform(performed)
    return work


def test_an_addendum_says_that_it_is_gone() -> None:
    """Once it is gone and that was checked, the addendum names the first certificate; no account is closed twice."""
    work = due()
    work.tell(erased(DATABASE, deletion_id=SECOND))
    ordered = tasks_of(work, performed)
    (amend,) = [one for one in ordered if isinstance(one, Amend)]

    assert isinstance(work.state, Closed)
    assert work.state.known.retained is None
    assert (amend.first.certificate_sha256, amend.number) == ("0" * 64, 1)
    assert [(one.holder, one.rows) for one in amend.gone] == [(DATABASE, 3)]
    assert amend.retained == ()
    said = work.one(CertificateAmended)
    assert (said.first_sha256, said.rows_deleted, said.retained) == ("0" * 64, 10, ())
    assert len(work.all(AccountClosed)) == 1


def test_what_is_left_of_it_stops_it() -> None:
    """While the holder or the check finds something there is no addendum, and the case stops by name."""
    work = due()
    work.tell(erased(DATABASE, deletion_id=SECOND))
    work.perform(lambda task: performed(task).model_copy(update={"readings": readings(HOLDERS, own=1)}))

    assert isinstance(work.state, Stalled)
    assert not work.all(CertificateAmended)


def test_others_touched_stop_it() -> None:
    """Years later everybody else's rows are compared anew, with how they stood when that was surveyed."""
    work = due(POLICY.model_copy(update={"bystanders": "strict"}))
    work.tell(erased(DATABASE, deletion_id=SECOND))
    work.perform(lambda task: performed(task).model_copy(update={"readings": readings(HOLDERS, fingerprint="bb")}))
    assert [(one.reason, one.holders) for one in work.all(DeletionStalled)] == [("bystanders", (DATABASE,))]

    work = due()
    work.tell(erased(DATABASE, deletion_id=SECOND, touched=1))
    assert [(one.reason, one.holders) for one in work.all(DeletionStalled)] == [("bystanders", (DATABASE,))]


def test_several_dates_and_holders() -> None:
    """Each goes in its own time: what is later waits again, each addendum says both, and only the last one closes."""
    early, late = by_law(rows=1), by_law(until=LATER, rows=2)
    work = deleting()
    rest = [erased(name) for name in HOLDERS[2:]]
    work.tell(retains(DATABASE, early, late), retains(OTHER, late, rows=8), *rest)
    work.perform(finds(database=(early, late), other=(late,)))
    work.until(DUE)
    work.perform(performed)
    assert [one.holder for one in commanded_again(work)] == [DATABASE]
    work.tell(retains(DATABASE, late, rows=8, deletion_id=SECOND, moment=DUE))
    ordered = tasks_of(work, finds(database=(late,), other=(late,)))
    (amend,) = [one for one in ordered if isinstance(one, Amend)]

    assert [(one.holder, one.until, one.rows) for one in amend.gone] == [(DATABASE, early.until, 1)]
    assert {(one.holder, one.until, one.rows) for one in amend.retained} == {(DATABASE, LATER, 2), (OTHER, LATER, 2)}
    assert isinstance(work.state, Retaining)

    work.until(LATER_DUE)
    work.perform(performed)
    assert {one.holder for one in commanded_again(work)[1:]} == {DATABASE, OTHER}
    third = f"{DELETION}:3"
    work.tell(*[erased(name, deletion_id=third) for name in (DATABASE, OTHER)])
    (amend,) = [one for one in tasks_of(work, performed) if isinstance(one, Amend)]
    assert amend.number == 2
    assert isinstance(work.state, Closed)
    assert [len(one.retained) for one in work.all(CertificateAmended)] == [2, 0]


def test_a_hold_of_everything_stops_it_and_its_release_resumes() -> None:
    """What the hold still saves is answered; while it lasts nothing is commanded, and after it the case goes on."""
    work = retaining()
    work.tell(hold(work.now))
    answer = work.one(LegalHoldAnswered)
    assert [(one.holder, one.kept[0].rows) for one in answer.kept] == [(DATABASE, 3)]
    assert {one.holder for one in answer.too_late} == set(HOLDERS)
    work.until(DUE + 30 * DAY)
    assert isinstance(work.state, Held)
    assert not work.ordered
    work.tell(release(work.now))
    work.perform(performed)
    work.until(work.now)

    assert [one.holder for one in commanded_again(work)] == [DATABASE]


def test_a_hold_of_a_part_goes_along() -> None:
    """It goes with the command; what is kept for it waits, and the addendum comes when that is gone as well."""
    work = retaining()
    work.tell(hold(work.now, scope=OfTables(tables=("users",))))
    work.until(DUE)
    work.perform(performed)
    (command,) = commanded_again(work)
    assert [one.hold_id for one in command.keep] == ["h1"]
    work.tell(erased_in_part(DATABASE, deletion_id=SECOND))
    work.perform(
        lambda task: (
            performed(task).model_copy(update={"readings": readings((DATABASE,), kept={DATABASE: 3})})
            if isinstance(task, Check)
            else performed(task)
        )
    )
    assert isinstance(work.state, Keeping)
    work.tell(release(work.now))
    work.until(work.now)
    work.tell(erased(DATABASE, rows=3, deletion_id=SECOND))
    work.perform(performed)

    assert isinstance(work.state, Closed)
    assert len(work.all(CertificateAmended)) == 1


def test_the_blast_radius_is_asked_again() -> None:
    """Many that are due on one day wait for a second person, as ever; that the customer was told years ago counts."""
    work = retaining()
    work.until(DUE)
    work.perform(lambda task: surveyed(task, due=1000) if isinstance(task, Survey) else performed(task))
    assert not commanded_again(work)
    assert [one.missing for one in work.all(DeletionStalled)] == [("blast_radius",)]
    approval = DeletionApproved(
        customer_id="acme",
        deletion_id=SECOND,
        in_spite_of=("blast_radius",),
        rows=100,
        requested_by="staff-1",
        approved_by="staff-2",
        approved_at=work.now,
    )
    work.tell(approval)
    work.until(work.now)

    assert [one.holder for one in commanded_again(work)] == [DATABASE]


def test_no_change_of_the_window_reopens_it() -> None:
    """A window that is over stays so, whatever is said of it years later."""
    work = retaining()
    change = WindowChanged(
        customer_id="acme", change_id="w1", last_day=date(2040, 1, 1), changed_by="staff-1", changed_at=OVER
    )
    for state in (Retaining, Surveying):
        assert isinstance(work.state, state)
        work.tell(change.model_copy(update={"change_id": f"w-{state.__name__}"}))
        assert isinstance(work.state, state)
        work.until(DUE)


def back(work: Casework) -> Casework:
    """Let the customer come back with a contract that goes on until 2034."""
    work.tell(contract("c2", period_start=work.now.date(), period_end=date(2034, 12, 31)))
    return work


def test_who_came_back_loses_no_row() -> None:
    """While the new contract goes on nothing is commanded, and when the day has come an operator is told, once."""
    work = back(retaining())
    assert isinstance(work.state, Serving)
    work.until(DUE - timedelta(seconds=1))
    assert not work.all(DeletionStalled)
    work.until(DUE + 100 * DAY)

    assert not commanded_again(work)
    assert [(one.reason, one.holders) for one in work.all(DeletionStalled)] == [("contract_active", (DATABASE,))]
    assert isinstance(work.state, Serving)


def test_who_came_back_while_the_command_is_out_stops_it() -> None:
    """A contract that comes when the holder is commanded stops the case for an operator; no addendum follows."""
    work = back(due())
    work.tell(erased(DATABASE, deletion_id=SECOND))
    work.perform(performed)

    assert isinstance(work.state, Stalled)
    assert [one.reason for one in work.all(DeletionStalled)] == ["contract_active"]
    assert not work.all(CertificateAmended)


@pytest.mark.parametrize("kept", [True, False])
def test_the_next_certificate_continues_the_first(kept: bool) -> None:  # noqa: FBT001 - both are the same story
    """When the new contract is over too, one deletion takes all; its certificate names the first, and what stays."""
    work = back(retaining())
    over = datetime(2034, 12, 31, 23, tzinfo=UTC)
    work.until(over)
    work.tell(terminated("c2", work.now, period_end=date(2034, 12, 31)))
    work.until(work.now + 100 * DAY)
    work.perform(performed)
    work.until(work.now + DAY)
    (name,) = {one.deletion_id for one in commanded_again(work)}
    assert {one.holder for one in commanded_again(work)} == set(HOLDERS)
    law = by_law(until=date(2041, 12, 31))
    first = retains(DATABASE, law, deletion_id=name, moment=work.now) if kept else erased(DATABASE, deletion_id=name)
    work.tell(first, *[erased(one, deletion_id=name) for one in HOLDERS[1:]])
    found = finds(database=(law,)) if kept else performed
    (certify,) = [one for one in tasks_of(work, found) if isinstance(one, Certify)]

    assert certify.continues is not None
    assert (certify.continues.deletion_id, certify.continues.certificate_sha256) == (DELETION, "0" * 64)
    assert [one.until for one in certify.retained] == ([law.until] if kept else [])
    assert isinstance(work.state, Retaining if kept else Closed)
    assert len(work.all(AccountClosed)) == 2


def test_a_command_has_no_right_before_the_law_s_day_is_over() -> None:
    """Right before each command the day is asked for once more, whatever woke the case."""
    state = retaining().state
    with pytest.raises(NoRightToDeleteError, match="a law"):
        insist(state.known, state.window, DUE - timedelta(seconds=1))

    insist(state.known, state.window, DUE)
