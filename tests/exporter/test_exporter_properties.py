"""What is true of every history of requests, holds and commands."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.exporter.tasks import BuildArchive, DeleteArchives
from shared.decision import Outcome, Task
from shared.events.event import Event
from shared.events.exporter import ExportDeleted, ExportFailed, ExportReady, ExportRefused
from shared.events.platform import DeletionAcknowledged
from tests.casework import Casework
from tests.exporter.language import (
    CLOSES,
    OVER,
    built,
    casework,
    command,
    contract,
    deleted,
    expired,
    hold,
    not_built,
    outcome_of,
    performed,
    release,
    request,
    terminated,
)
from tests.orders import reading_orders

# Some histories begin in the window, others around its end.
steps = st.one_of(
    st.sampled_from(("build", "fail", "delete", "expired", "command", "hold", "release", "contract", "end")),
    st.integers(1, 6).map(lambda number: f"r{number}"),
)
histories = st.lists(st.tuples(steps, st.integers(0, 24 * 40)), max_size=25)


def live(history: list[tuple[str, int]]) -> Casework:
    """Let a history happen; what is still being done at its end is done."""
    work = casework()
    work.tell(contract(), terminated())
    for step, hours in history:
        _happen(work, step)
        work.until(work.now + timedelta(hours=hours))
    work.perform(performed)
    work.until(work.now + timedelta(days=2))
    return work


def _happen(work: Casework, step: str) -> None:
    if step in ("build", "fail", "delete"):
        kind = DeleteArchives if step == "delete" else BuildArchive
        due = next((place for place, (_, task) in enumerate(work.ordered) if isinstance(task, kind)), None)
        if due is not None:
            outcome = _outcome(work, step, work.ordered.pop(due)[1])
            _judge(work, outcome)
            work.tell(outcome)
        return
    events: dict[str, Event] = {
        "expired": expired(),
        "command": command(),
        "hold": hold(work.now),
        "release": release(work.now),
        "contract": contract("c2", date(2027, 12, 31)),
        "end": terminated("c2", work.now).model_copy(update={"period_end": date(2027, 12, 31)}),
    }
    work.tell(events.get(step, request(work.now, step)))


def _outcome(work: Casework, step: str, task: Task) -> Outcome:
    if step == "build":
        return built(task, work.now)
    return not_built(task) if step == "fail" else deleted(task)


def _judge(work: Casework, outcome: Event) -> None:
    """While archives are deleted none is being built."""
    if outcome.type() == "ArchivesDeleted":
        assert not any(isinstance(task, BuildArchive) for _, task in work.ordered)


@given(histories)
def test_one_answer(history: list[tuple[str, int]]) -> None:
    """Every request gets exactly one answer: ready, refused or failed."""
    work = live(history)

    answers = [event.request_id for event in work.all(ExportReady)]
    answers += [event.request_id for event in work.all(ExportRefused)]
    answers += [event.request_id for event in work.all(ExportFailed)]
    assert sorted(answers) == sorted({step for step, _ in history if step.startswith("r") and step != "release"})


@given(histories)
def test_no_copy_is_left(history: list[tuple[str, int]]) -> None:
    """When the service answers that all is erased, every archive that was ever ready is gone."""
    work = live(history)

    ready: set[str] = set()
    for _, event in work.published:
        if isinstance(event, ExportReady):
            ready.add(event.export_id)
        elif isinstance(event, ExportDeleted):
            ready.discard(event.export_id)
        elif isinstance(event, DeletionAcknowledged) and outcome_of(event) == "erased":
            assert not ready


@given(histories)
def test_nothing_goes_early(history: list[tuple[str, int]]) -> None:
    """No archive is said to be deleted before the window has closed."""
    work = live(history)

    assert all(moment >= CLOSES for moment in work.when(ExportDeleted))


@given(histories)
def test_no_deletion_is_ordered_under_a_hold(history: list[tuple[str, int]]) -> None:
    """Whenever a deletion is ordered, no hold is placed (P8)."""
    work, placed = casework(), False
    work.tell(contract(), terminated())
    for step, hours in history:
        before = sum(isinstance(task, DeleteArchives) for _, task in work.ordered)
        placed = step == "hold" or (placed and step != "release")
        _happen(work, step)
        ordered = sum(isinstance(task, DeleteArchives) for _, task in work.ordered) > before
        assert not (ordered and placed)
        work.until(work.now + timedelta(hours=max(hours, 1)))


@given(
    reading_orders(
        [contract(), contract("c2"), terminated(), terminated("c2"), request(OVER), request(OVER, "r2"), hold(OVER)]
    )
)
def test_order_does_not_matter(order: list[Event]) -> None:
    """The same requests are served, in whatever order the topics are read, and read twice."""
    work = casework()
    work.tell(*order, *order)
    work.perform(performed)

    assert {event.request_id for event in work.all(ExportReady)} == {"r1", "r2"}
    assert {event.available_until for event in work.all(ExportReady)} == {CLOSES}
