"""How a holder answers a deletion command: P7, P8 and promise 6 as sentences."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.decision import Task
from shared.events.event import Event
from shared.events.notice import ContractTerminated
from shared.events.platform import (
    ContractRegistered,
    DeletionAcknowledged,
    Erased,
    ErasedInPart,
    LegalHoldPlaced,
    LegalHoldReleased,
    NotErased,
    OfTables,
)
from shared.events.retention import DeletionRequested, Keep
from shared.events.vocabulary import TableCount, TableFingerprint
from shared.holder.domain import HolderPolicy, domain
from shared.holder.tasks import Erase, EraseEnded
from tests.casework import Casework, at
from tests.scenarios.phrases import contract

NOW = at("2027-04-05T02:00")
ERASED = Erased(
    deleted=(TableCount(table="users", rows=3),),
    remaining=(TableCount(table="users", rows=0),),
    bystanders=(TableFingerprint(table="users", rows_before=5, rows_after=5, before="ab", after="ab"),),
)


def casework() -> Casework:
    return Casework(domain(HolderPolicy(frozenset({"platform-database", "platform-media"}))), NOW)


def command(holder: str = "platform-database", *, days: int = 1, closed: str = "2027-04-01T00:00") -> DeletionRequested:
    return DeletionRequested(
        customer_id="acme",
        deletion_id="acme:1",
        holder=holder,
        window_closed_at=at(closed),
        policy_version="1",
        respond_by=NOW + timedelta(days=days),
    )


def hold() -> LegalHoldPlaced:
    return LegalHoldPlaced(customer_id="acme", hold_id="h", basis="BFL 7:2", placed_by="s:1", placed_at=NOW)


def release() -> LegalHoldReleased:
    return LegalHoldReleased(customer_id="acme", hold_id="h", released_by="s:1", released_at=NOW + timedelta(hours=1))


def ended(task: Task, answer: Erased | ErasedInPart | NotErased = ERASED) -> EraseEnded:
    assert isinstance(task, Erase)
    return EraseEnded(
        customer_id=task.customer_id,
        deletion_id=task.deletion_id,
        holder=task.holder,
        respond_by=task.respond_by,
        answer=answer,
    )


def test_a_command_is_carried_out_and_answered() -> None:
    """One task, and after it one acknowledgement with the counts."""
    work = casework()
    work.tell(command())
    work.perform(ended)

    answer = work.one(DeletionAcknowledged)
    assert (answer.deletion_id, answer.holder, answer.outcome) == ("acme:1", "platform-database", ERASED)


def terminated(at_: str, contract_id: str = "c2") -> ContractTerminated:
    moment = at(at_)
    return ContractTerminated(
        customer_id="acme",
        contract_id=contract_id,
        basis="breach",
        period_end=moment.date(),
        terminated_at=moment,
        time_zone="UTC",
    )


def back() -> ContractRegistered:
    return contract("acme").model_copy(update={"contract_id": "c2", "time_zone": "UTC"})


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        ((back(),), "contract_active"),
        ((back(), terminated("2027-04-02T00:00")), "window_open"),
        ((terminated("2027-04-02T00:00"), back()), "window_open"),
        ((terminated("2026-12-31T00:00", "c1"), back()), "contract_active"),
    ],
)
def test_a_command_of_before_another_contract_is_refused(heard: tuple[Event, ...], reason: str) -> None:
    """However soon it came and ended: its end has a window of its own, which the command isn't of."""
    work = casework()
    work.tell(*heard, command())

    assert work.one(DeletionAcknowledged).outcome == NotErased(reason=reason)


def test_the_end_that_the_command_is_of_stands_in_no_way() -> None:
    """Nor do ends before it, nor that nothing is known of any contract."""
    work = casework()
    work.tell(terminated("2026-12-31T00:00", "c1"), terminated("2027-01-01T00:00"), command())
    work.perform(ended)

    assert work.one(DeletionAcknowledged).outcome == ERASED


def test_another_holders_command_is_not_ours() -> None:
    """The exporter answers for its archives itself."""
    work = casework()
    work.tell(command("export-archives"))

    assert work.published == []
    assert work.ordered == []


def test_two_holders_in_one_process_answer_each_for_itself() -> None:
    """The same deletion is two commands."""
    work = casework()
    work.tell(command("platform-database"), command("platform-media"))
    work.perform(ended)

    assert [one.holder for one in work.all(DeletionAcknowledged)] == ["platform-database", "platform-media"]


def test_a_command_that_is_under_way_is_not_begun_twice() -> None:
    """A repeat while the rows go changes nothing."""
    work = casework()
    work.tell(command(), command())

    assert len(work.ordered) == 1


def test_a_repeat_is_answered_the_same_without_deleting_again() -> None:
    """The same command has the same answer, moment included."""
    work = casework()
    work.tell(command())
    work.perform(ended)
    work.until(NOW + timedelta(hours=5))
    work.tell(command())

    first, again = work.all(DeletionAcknowledged)
    assert first == again
    assert work.ordered == []


def test_a_later_command_of_the_same_deletion_is_carried_out_anew() -> None:
    """What came back after the first answer has to go too."""
    work = casework()
    work.tell(command())
    work.perform(ended)
    work.tell(command(days=8))

    assert len(work.ordered) == 1


def test_a_command_that_is_out_of_date_is_not_carried_out() -> None:
    """It lay in its topic while the customer came back and left again: the window that it speaks of is another one."""
    work = casework()
    work.tell(command(days=0))
    assert (work.published, work.ordered) == ([], [])
    work.tell(command(days=1))

    assert len(work.ordered) == 1


def test_what_was_carried_out_is_told_however_late_it_is_asked() -> None:
    """Nothing is deleted for it any more."""
    work = casework()
    work.tell(command())
    work.perform(ended)
    work.until(NOW + timedelta(days=400))
    work.tell(command())

    first, again = work.all(DeletionAcknowledged)
    assert first == again


def test_under_a_hold_nothing_is_begun() -> None:
    """A hold that this holder knows of stops it, whoever commands (P8)."""
    work = casework()
    work.tell(hold(), command())

    assert work.one(DeletionAcknowledged).outcome == NotErased(reason="held")
    assert work.ordered == []


def test_under_a_hold_of_a_part_the_rest_is_begun() -> None:
    """What the command says has to stay goes along with the order, and with it which holds were known."""
    work = casework()
    keep = (Keep(hold_id="h", scope=OfTables(tables=("users",))),)
    work.tell(hold().model_copy(update={"scope": OfTables(tables=("users",))}))
    work.tell(command().model_copy(update={"keep": keep, "holds": ("h", "g")}))

    [(_, task)] = work.ordered
    assert isinstance(task, Erase)
    assert (task.keep, task.holds) == (keep, ("h", "g"))


def test_what_was_kept_is_looked_at_anew() -> None:
    """The same command that comes again is carried out again: the hold may be over by then."""
    in_part = ErasedInPart(
        deleted=(TableCount(table="users", rows=2),),
        kept=(TableCount(table="users", rows=1),),
        held=(),
        needed=(),
        remaining=(TableCount(table="users", rows=0),),
        bystanders=(),
    )
    work = casework()
    work.tell(command())
    work.perform(lambda task: ended(task, in_part))
    work.tell(command())
    work.perform(ended)

    assert [one.outcome for one in work.all(DeletionAcknowledged)] == [in_part, ERASED]


@pytest.mark.parametrize("order", [(hold, release), (release, hold)])
def test_after_a_release_the_command_is_carried_out(order: tuple[object, ...]) -> None:
    """What was held goes when the hold ends, in whatever order the two were heard, and the same command counts."""
    work = casework()
    work.tell(hold(), command())
    for make in order:
        work.tell(make())  # type: ignore[operator]
    work.tell(command())
    work.perform(ended)

    assert [one.outcome for one in work.all(DeletionAcknowledged)] == [NotErased(reason="held"), ERASED]


def test_while_the_window_is_open_nothing_is_begun() -> None:
    """The right is checked once more at the holder (promise 6)."""
    work = casework()
    work.tell(command(closed="2027-04-05T02:01"))

    assert work.one(DeletionAcknowledged).outcome == NotErased(reason="window_open")
    assert work.ordered == []


def test_a_deletion_that_failed_can_be_commanded_again() -> None:
    """A refusal is an answer, but never the last word."""
    work = casework()
    work.tell(command())
    work.perform(lambda task: ended(task, NotErased(reason="not_declared")))
    work.tell(command())
    work.perform(ended)

    assert [one.outcome.kind for one in work.all(DeletionAcknowledged)] == ["not_erased", "erased"]


def test_an_outcome_that_nobody_waits_for_changes_nothing() -> None:
    """A second performer's outcome of the same task is not news."""
    work = casework()
    work.tell(command())
    task = work.ordered[0][1]
    work.tell(ended(task), ended(task))

    assert len(work.all(DeletionAcknowledged)) == 1
