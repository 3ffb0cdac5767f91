"""Every state times every event: no deletion without the right, no end with anything open, nobody left in between."""

from __future__ import annotations

import re
from pathlib import Path

from services.retention.domain import wakes_at
from services.retention.states import (
    Awaiting,
    Certifying,
    Checking,
    Closed,
    Deleting,
    InWindow,
    Keeping,
    Retaining,
    Serving,
    Stalled,
    State,
    Surveying,
    Unknown,
)
from services.retention.tasks import Certified, Checked
from shared import holds
from shared.decision import Decided, Woke
from shared.events.event import Event
from shared.events.retention import (
    AccountClosed,
    CertificateAmended,
    DeletionCompleted,
    DeletionRequested,
    DeletionStalled,
)
from shared.window import window_of
from shared.windowchanges import applied
from tests.retention.exploration import SMALL, Step, explored, held_at, said
from tests.retention.language import (
    DAY,
    casework,
    release,
    terminated,
)

# What a world does in which everything goes well in the end.
AS_TOLD = ("erased", "surveyed", "checked", "certified", "delivered", "approved")
DOCUMENT = Path(__file__).parents[2] / "docs" / "states.md"


def steps_with(kind: type[Event]) -> list[Step]:
    """Give the steps in which something of *kind* is published."""
    return [step for step in explored().steps if any(isinstance(one, kind) for one in step.decided.events)]


def test_everything_is_reached() -> None:
    """The exploration gets into every kind of state, so that what follows is said of all of them."""
    kinds = {type(state) for state, _ in explored().states.values()}

    assert kinds == set(State.__args__)
    assert explored().tried > 10_000


def test_no_command_without_the_right() -> None:
    """A command goes out only on waking, after the close, with nothing held, told or decided on, few or approved."""
    assert len(steps_with(DeletionRequested)) > 100
    for step in steps_with(DeletionRequested):
        known = step.before.known
        window = applied(window_of(known.contracts, known.window_days), known.changes)
        assert isinstance(step.given, Woke), step.label
        assert window is not None
        assert step.now >= window.closes_at
        assert not holds.all_held(known.holds, step.now)
        if isinstance(step.before, Surveying | Awaiting):
            lacks = {lack for one in known.approvals for lack in one.in_spite_of}
            warned = any(one.outcome == "delivered" and ":deletion:" in one.announcement_id for one in known.informed)
            assert warned or "not_informed" in lacks
            assert step.before.load is not None
            assert step.before.load.due < 1000 or "blast_radius" in lacks


def test_no_end_with_anything_open() -> None:
    """An account is closed only by its certificate, when all is erased and was checked, and nothing is held."""
    assert steps_with(AccountClosed)
    for step in steps_with(AccountClosed):
        assert isinstance(step.before, Certifying)
        assert isinstance(step.given, Certified)
        holders = step.before.deletion.holders
        assert {holder.status for holder in holders} <= {"erased", "retained"}
        lawful = {(one.holder, one.table): one.rows for holder in holders for one in holder.retained}
        assert not any(row.own for row in step.before.after)
        assert {(row.holder, row.table): row.kept for row in step.before.after if row.kept} == lawful
        assert not held_at(step.before, step.now)
        assert isinstance(step.decided.state, Retaining if lawful else Closed)
    for step in steps_with(DeletionCompleted):
        assert isinstance(step.given, Checked)
        assert isinstance(step.decided.state, Certifying)
        lawful_rows = sum(one.rows for reading in step.given.readings for one in reading.retained)
        tables = [table for reading in step.given.readings for table in reading.tables]
        assert not any(table.own for table in tables)
        assert sum(table.kept for table in tables) == lawful_rows


def test_nothing_is_proven_by_an_answer_that_was_disputed() -> None:
    """Who was asked again since the check found otherwise has answered since, before anything is called complete."""
    asked = [step for step in explored().steps if isinstance(step.before, Stalled) and step.before.disputed]
    assert asked
    for step in asked:
        assert not any(isinstance(one, DeletionCompleted | AccountClosed) for one in step.decided.events)
    proven = [step.decided.state for step in explored().steps if isinstance(step.decided.state, Checking | Certifying)]
    again = [one for state in proven for one in state.deletion.holders if one.disputed is not None]
    assert again
    for holder in again:
        assert holder.disputed is not None
        assert holder.answered_at is not None
        assert holder.answered_at > holder.disputed


def test_an_addendum_only_when_it_is_gone() -> None:
    """What laws kept is said to be gone only after its day, once all was asked, deleted and checked again."""
    assert steps_with(CertificateAmended)
    for step in steps_with(CertificateAmended):
        retained = step.before.known.retained
        assert isinstance(step.before, Certifying)
        assert retained is not None
        assert not retained.came_back
        assert step.now >= retained.due_at
        assert not any(row.own for row in step.before.after)
        assert not held_at(step.before, step.now)


def test_what_laws_keep_is_never_forgotten() -> None:
    """Its day is lost by nothing but a certificate that names it, or an addendum that says it is gone."""
    lost = [step for step in explored().steps if step.before.known.retained and not step.decided.state.known.retained]
    assert lost
    for step in lost:
        assert any(isinstance(one, CertificateAmended | AccountClosed) for one in step.decided.events), step.label


def test_no_command_before_a_law_lets_go() -> None:
    """While a law keeps what is left, and no contract came since, nothing is commanded."""
    for step in steps_with(DeletionRequested):
        retained = step.before.known.retained
        assert retained is None or retained.came_back or step.now >= retained.due_at


def test_nothing_leads_to_the_end_but_that() -> None:
    """No other step gets into a closed account, and what is certified was checked."""
    for step in explored().steps:
        before, after = type(step.before), type(step.decided.state)
        if after is Closed:
            ended = steps_with(AccountClosed) + steps_with(CertificateAmended)
            assert before is Closed or any(one is step for one in ended)
        if after is Certifying:
            assert before in (Certifying, Checking, Stalled)
            if isinstance(step.before, Stalled):
                assert step.before.step == "certify"


def test_a_hold_always_wins() -> None:
    """Under a hold of everything no state leads to a command, a completion or an end, whatever happens."""
    held = [step for step in explored().steps if holds.all_held(step.decided.state.known.holds, step.now)]
    assert len(held) > 1000

    for step in held:
        ends = [one for one in step.decided.events if isinstance(one, DeletionRequested | AccountClosed)]
        assert not ends, step.label


def test_an_end_or_an_operator() -> None:
    """In every state something is due, somebody works, a hold or a contract keeps it, or an operator was told."""
    for state, now in explored().states.values():
        assert _waits_for(state, now) is not None, state


def _waits_for(state: State, now: object) -> str | None:
    if isinstance(state, Unknown | Serving | Closed):
        return "the end"
    if wakes_at(state) is not None:
        return "time"
    if held_at(state, now):  # type: ignore[arg-type]
        return "a hold"
    if isinstance(state, Surveying | Checking | Certifying):
        return "a task"
    return "an operator" if isinstance(state, Stalled | Awaiting) else None


def test_what_is_kept_is_what_was_told() -> None:
    """While something is kept every holder has answered well, just that was found, and a hold was in force."""
    keeping = [step for step in explored().steps if isinstance(step.decided.state, Keeping)]
    assert any(one.kept for step in keeping for one in step.decided.state.after)  # type: ignore[union-attr]

    for step in keeping:
        after = step.decided.state
        assert isinstance(after, Keeping)
        told = {(one.name, table): rows for one in after.deletion.holders for table, rows in one.kept}
        assert {one.status for one in after.deletion.holders} <= {"erased", "kept", "retained"}
        assert not any(row.own for row in after.after)
        assert {(row.holder, row.table): row.kept for row in after.after if row.kept} == told
        if not isinstance(step.before, Keeping):
            assert held_at(step.before, step.now)


def test_operators_are_told() -> None:
    """Whoever gets stuck, or stuck for another reason, says so in the same step, by name; not who goes on at once."""
    for step in explored().steps:
        after = step.decided.state
        if not isinstance(after, Stalled) or isinstance(step.before, Stalled):
            continue
        told = [one for one in step.decided.events if isinstance(one, DeletionStalled)]
        silent = isinstance(step.before, Deleting) and any(one.status == "late" for one in after.deletion.holders)  # type: ignore[union-attr]
        due = wakes_at(after)
        at_once = due is not None and due <= step.now
        assert told or silent or at_once, (step.label, type(step.before), after.reason)


def test_tasks_in_flight() -> None:
    """Whoever waits for a task has ordered it, and every step of proof has a number of its own."""
    for step in explored().steps:
        after, before = step.decided.state, step.before
        waits = isinstance(after, Surveying) and after.wakes_at is None
        if (waits or isinstance(after, Checking | Certifying)) and type(after) is not type(before):
            assert len(step.decided.tasks) == 1
            assert after.known.attempts == before.known.attempts + 1


def test_it_ends() -> None:
    """From every state, once contracts and holds are over and everybody does as told, the account is closed."""
    for state, now in list(explored().states.values())[::12]:
        work = casework(SMALL, now)
        work.case = type(work.case)(state)
        work.tell(*[release(now + DAY, name) for name in ("h1", "h2", "h3")])
        if not isinstance(state, Closed):
            work.tell(terminated(moment=now, period_end=(now + 1000 * DAY).date()))
        for _ in range(30):
            work.tell(*[event for label, event in said(work.state, work.now) if label in AS_TOLD])
            work.until(work.now + 10 * DAY)

        assert isinstance(work.state, Closed), (state, work.state)


def test_the_document_draws_what_there_is() -> None:
    """The state machine in docs/states.md has exactly the arrows that the exploration found."""
    text = DOCUMENT.read_text().split("## retention")[1]
    drawn = set(re.findall(r"^    (\w+) --> (\w+)", text, re.MULTILINE))
    found = {(_name(step.before), _name(step.decided.state)) for step in explored().steps}

    assert {pair for pair in found if pair[0] != pair[1]} == {pair for pair in drawn if pair[0] != pair[1]}


def _name(state: State) -> str:
    return str(state.__struct_config__.tag)


def test_the_exploration_itself_decides() -> None:
    """What is explored was really decided: in every step the machine changed something."""
    assert all(isinstance(step.decided, Decided) for step in explored().steps)
    assert any(isinstance(step.decided.state, InWindow) for step in explored().steps)
