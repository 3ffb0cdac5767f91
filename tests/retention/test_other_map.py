"""A holder that runs another data map than the customer was counted by: never silently, and never a dead end (P7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.retention.certificate import certificate_of
from services.retention.states import Stalled
from services.retention.tasks import Certify, Check, Checked, HolderReading, Survey, SurveyFailed
from shared.decision import Outcome, Task
from shared.events.platform import DeletionApproved, HolderMap, NotErased
from shared.events.retention import AccountClosed, DeletionCompleted, DeletionRequested, DeletionStalled
from shared.events.vocabulary import TableCount
from tests.casework import Casework
from tests.retention.language import (
    CLOSES,
    DAY,
    DELETION,
    HOLDERS,
    casework,
    contract,
    erased,
    not_erased,
    performed,
    readings,
    surveyed,
    terminated,
)

OLD, NEW, NEWER = "1" * 64, "2" * 64, "3" * 64
CHANGED = HOLDERS[0]


def by(sha256: str, own: int = 10) -> Callable[[Task], Outcome | None]:
    """Perform a task, where the first holder is read by the map *sha256* and has so many rows by it."""

    def perform(task: Task) -> Outcome | None:
        if isinstance(task, Check):
            return Checked(
                customer_id="acme",
                deletion_id=task.deletion_id,
                attempt=task.attempt,
                readings=_first_by(sha256, readings(task.holders)),
            )
        if not isinstance(task, Survey):
            return performed(task)
        return surveyed(
            task,
            readings=_first_by(sha256, (*readings(task.holders[:1], own=own), *readings(task.holders[1:], own=10))),
        )

    return perform


def _first_by(sha256: str, read: tuple[HolderReading, ...]) -> tuple[HolderReading, ...]:
    return (read[0].model_copy(update={"map_sha256": sha256}), *read[1:])


def refuses(sha256: str, rows: int = 0) -> Any:
    """Answer that nothing more was deleted, since another map is run."""
    gone = (TableCount(table="users", rows=rows),) if rows else ()
    outcome = NotErased(reason="not_declared", map_sha256=sha256, deleted=gone)
    return not_erased(CHANGED).model_copy(update={"outcome": outcome})


def commanded() -> Casework:
    """Carry a customer to where every holder is commanded, the first one by the old map."""
    work = casework()
    work.tell(contract(), terminated())
    work.until(CLOSES)
    work.perform(by(OLD))
    return work


def proposed(rows: int = 0, own: int = 12) -> Casework:
    """Carry a customer to where the others are done, and the first holder was counted by its new map."""
    work = commanded()
    work.tell(refuses(NEW, rows), *[erased(name) for name in HOLDERS[1:]])
    work.until(work.now)
    work.perform(by(NEW, own))
    return work


def approval(work: Casework, sha256: str = NEW, **changes: Any) -> DeletionApproved:
    """Let it go on by the map *sha256*."""
    values: dict[str, Any] = {"rows": 32, "requested_by": "staff-1", "approved_by": "staff-2", "in_spite_of": ()}
    values |= {"maps": (HolderMap(holder=CHANGED, map_sha256=sha256),), **changes}
    return DeletionApproved(customer_id="acme", deletion_id=DELETION, approved_at=work.now, **values)


def to_the_changed(work: Casework) -> list[DeletionRequested]:
    """Give the commands to the holder whose map changed."""
    return [event for event in work.all(DeletionRequested) if event.holder == CHANGED]


def test_it_is_counted_anew_and_an_operator_is_told() -> None:
    """At once, with the map and what there is by it; the command isn't given again, however long it takes."""
    work = proposed()
    told = work.all(DeletionStalled)[-1]
    assert work.now == CLOSES
    assert (told.reason, told.holders) == ("refused", (CHANGED,))
    assert told.maps == (HolderMap(holder=CHANGED, map_sha256=NEW),)
    assert [count.rows for one in told.counts for count in one.deleted] == [12, 10, 10]

    for _ in range(20):
        work.until(work.now + 10 * DAY)
        work.perform(by(NEW, 12))
    assert [one.map_sha256 for one in to_the_changed(work)] == [OLD]
    assert not work.all(AccountClosed)
    assert 3 < len([one for one in work.all(DeletionStalled) if one.maps]) <= 21


def test_by_approval_it_goes_on_by_the_other_map() -> None:
    """The holder is commanded by the approved map, the others are not bothered, and the certificate says so."""
    work = proposed()
    work.tell(approval(work))
    work.until(work.now)
    assert [one.map_sha256 for one in to_the_changed(work)] == [OLD, NEW]
    assert len(work.all(DeletionRequested)) == len(HOLDERS) + 1
    work.tell(erased(CHANGED, rows=12))
    tasks: list[Task] = []

    def noted(task: Task) -> Outcome | None:
        tasks.append(task)
        return by(NEW)(task)

    work.perform(noted)
    [certify] = [task for task in tasks if isinstance(task, Certify)]
    assert work.one(AccountClosed).rows_deleted == 32
    assert [one.maps for one in certificate_of(certify).approvals] == [approval(work).maps]


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": NEWER},
        {"maps": ()},
        {"maps": (), "in_spite_of": ("counts",)},
        {"rows": 31},
        {"approved_by": "staff-1"},
        {"maps": (HolderMap(holder=HOLDERS[1], map_sha256=NEW),)},
    ],
)
def test_an_approval_of_something_else_moves_nothing(changes: dict[str, Any]) -> None:
    """Of another map, of fewer rows, by the same person, or that speaks of no map."""
    work = proposed()
    work.tell(approval(work, **changes))
    work.until(work.now + 100 * DAY)

    assert [one.map_sha256 for one in to_the_changed(work)] == [OLD]
    assert work.all(DeletionStalled)


def test_an_approval_after_the_answer_moves_nothing() -> None:
    """The holder deleted by the map of the case after all, while another one is silent: it is not commanded anew."""
    work = commanded()
    work.tell(refuses(NEW), *[erased(name) for name in HOLDERS[1:-1]])
    work.until(work.now)
    work.perform(by(NEW, 12))
    work.tell(erased(CHANGED))
    work.until(work.now + 30 * DAY)
    assert isinstance(work.state, Stalled)
    work.tell(approval(work))
    work.until(work.now)

    assert [one.map_sha256 for one in to_the_changed(work)] == [OLD]
    assert work.state.deletion is not None
    assert dict(work.state.deletion.maps)[CHANGED] == OLD


def test_a_map_that_changes_once_more_is_approved_once_more() -> None:
    """What was approved is one map, not whatever comes."""
    work = proposed()
    work.tell(approval(work))
    work.until(work.now)
    work.tell(refuses(NEWER))
    work.until(work.now)
    work.perform(by(NEWER, 12))
    work.until(work.now + 30 * DAY)
    assert [one.map_sha256 for one in to_the_changed(work)] == [OLD, NEW]
    work.tell(approval(work, NEWER))
    work.until(work.now)

    assert to_the_changed(work)[-1].map_sha256 == NEWER


def test_a_holder_whose_map_is_put_right_needs_nobody() -> None:
    """Read by the map of the case it is commanded again by itself, and not again and again in vain."""
    work = commanded()
    work.tell(refuses(NEW), *[erased(name) for name in HOLDERS[1:]])
    for _ in range(10):
        work.until(work.now)
        work.perform(by(OLD))
        if work.all(DeletionRequested)[-1].holder == CHANGED:
            work.tell(refuses(NEW))
    assert [one.map_sha256 for one in to_the_changed(work)] == [OLD, OLD]
    work.until(work.now + 2 * DAY)
    work.perform(by(OLD))
    work.until(work.now)
    assert len(to_the_changed(work)) == 3
    work.tell(erased(CHANGED))
    work.perform(by(OLD))

    assert work.all(AccountClosed)


def test_a_survey_that_fails_is_made_again() -> None:
    """An operator is told, and it isn't forgotten."""
    work = commanded()
    work.tell(refuses(NEW), *[erased(name) for name in HOLDERS[1:]])
    work.until(work.now)
    _, task = work.ordered.pop(0)
    assert isinstance(task, Survey)
    step = {"customer_id": "acme", "deletion_id": DELETION, "attempt": task.attempt}
    work.tell(SurveyFailed(**step, reason="unreadable"))
    assert work.all(DeletionStalled)[-1].reason == "check_failed"
    work.until(work.now + 10 * DAY)
    work.perform(by(NEW))

    assert work.all(DeletionStalled)[-1].maps


def test_a_survey_of_which_a_holder_is_missing_proposes_nothing() -> None:
    """Nobody can approve of what wasn't read."""
    work = commanded()
    work.tell(refuses(NEW))
    work.until(work.now)
    work.tell(surveyed(work.ordered.pop(0)[1], readings=readings(HOLDERS[1:])))  # type: ignore[arg-type]

    assert work.all(DeletionStalled)[-1].reason == "check_failed"
    assert isinstance(work.state, Stalled)
    assert work.state.deletion is not None
    assert work.state.deletion.proposed is None


def test_what_was_deleted_by_the_former_map_still_has_to_come_up_to_what_there_was() -> None:
    """Of ten rows four went by the old map and five were left by the new one: one is gone that nobody deleted."""
    work = proposed(rows=4, own=5)
    work.tell(approval(work))
    work.until(work.now)
    work.tell(erased(CHANGED, rows=5))
    work.perform(performed)

    assert work.all(DeletionStalled)[-1].reason == "counts"
    assert not work.all(AccountClosed)


def test_a_customer_that_comes_back_meanwhile_is_kept() -> None:
    """An approval that comes after that moves nothing."""
    work = proposed()
    work.tell(contract("c2"), approval(work))
    work.until(work.now + 30 * DAY)

    assert len(to_the_changed(work)) == 1
    assert work.all(DeletionStalled)[-1].reason == "not_approved"


def test_a_survey_from_before_the_map_changed_proposes_nothing() -> None:
    """Only the survey that was ordered last tells what there is."""
    work = commanded()
    work.tell(refuses(NEW))
    work.until(work.now)
    task = work.ordered.pop(0)[1]
    assert isinstance(task, Survey)
    work.tell(surveyed(task.model_copy(update={"attempt": task.attempt - 1})))

    assert [one for one in work.all(DeletionStalled) if one.maps] == []


@pytest.mark.parametrize("read", [NEW, None])
def test_a_check_by_another_map_proves_nothing(read: str | None) -> None:
    """What is left may be nobody's by it; it is checked again, and by the map of the case it counts."""
    work = commanded()
    work.tell(*[erased(name) for name in HOLDERS])
    work.perform(by(read) if read else performed)
    assert (work.state.reason, work.state.holders) == ("other_map", (CHANGED,))  # type: ignore[union-attr]
    assert not work.all(DeletionCompleted)
    work.until(work.now + 2 * DAY)
    work.perform(by(OLD))

    assert work.one(AccountClosed)


def test_a_check_by_another_map_counts_if_a_second_person_says_so() -> None:
    """A schema that has grown meanwhile has no way back to the map of the case."""
    work = commanded()
    work.tell(*[erased(name) for name in HOLDERS])
    work.perform(by(NEW))
    changes = {"maps": (), "in_spite_of": ("other_map",), "rows": 30}
    for other in ({"approved_by": "staff-1", "requested_by": "staff-1"}, {"in_spite_of": ("counts",)}):
        work.tell(approval(work, **{**changes, **other}))
        work.until(work.now + 30 * DAY)
        work.perform(by(NEW))
        assert not work.all(DeletionCompleted)
    work.tell(approval(work, **changes))
    work.until(work.now)
    work.perform(by(NEW))

    assert work.one(AccountClosed)


def test_a_check_by_another_map_is_no_word_on_rows_that_do_not_add_up() -> None:
    """Who said that a check by the new map counts has not said that fewer rows than there were may have gone."""
    work = commanded()
    work.tell(erased(CHANGED, rows=9), *[erased(name) for name in HOLDERS if name != CHANGED])
    work.perform(by(NEW))
    work.tell(approval(work, maps=(), in_spite_of=("other_map",), rows=30))
    work.until(work.now + 2 * DAY)
    work.perform(by(NEW))
    assert work.all(DeletionStalled)[-1].reason == "counts"
    assert not work.all(DeletionCompleted)
    work.tell(approval(work, maps=(), in_spite_of=("counts",), rows=30))
    work.until(work.now + 2 * DAY)
    work.perform(by(NEW))

    assert work.one(AccountClosed)
