"""Every state of the retention service times everything that can happen to it, from the beginning on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any

from services.retention.course import deletion_id
from services.retention.domain import decide, wakes_at
from services.retention.policy import HolderPolicy, RetentionPolicy
from services.retention.right import promise_of
from services.retention.states import (
    Awaiting,
    Certifying,
    Checking,
    Deleting,
    InWindow,
    Keeping,
    Serving,
    Stalled,
    State,
    Surveying,
    Unknown,
)
from services.retention.tasks import Certified, CertifyFailed, Checked, CheckFailed, Surveyed, SurveyFailed
from shared import holds
from shared.decision import Decided, Input, Woke
from shared.events.platform import (
    DeletionApproved,
    EarlyDeletionRequested,
    ExportConfirmed,
    HolderMap,
    NotErased,
    OfTables,
    RetainedRows,
    WindowChanged,
)
from tests.retention.language import (
    DAY,
    OVER,
    POLICY,
    contract,
    erased,
    erased_in_part,
    hold,
    informed,
    not_erased,
    readings,
    release,
    retains,
    terminated,
)

NAMES = ("database", "archives")
MAP = "2" * 64
SMALL: RetentionPolicy = POLICY.model_copy(
    update={"holders": tuple(HolderPolicy(name=name, respond_within=DAY) for name in NAMES)}
)


@dataclass(frozen=True)
class Step:
    """One decision: from *before*, *given* what at *now*, to what was *decided*."""

    before: State
    label: str
    given: Input
    now: datetime
    decided: Decided[State]


@dataclass
class Exploration:
    """Every step that leads somewhere, and one state of each kind that can be told apart."""

    steps: list[Step] = field(default_factory=list)
    states: dict[Any, tuple[State, datetime]] = field(default_factory=dict)
    tried: int = 0


@cache
def explored() -> Exploration:
    """Go from the beginning wherever anything leads, once from each state that can be told apart."""
    found = Exploration()
    ahead: list[tuple[State, datetime]] = [(Unknown(), OVER)]
    while ahead:
        state, then = ahead.pop()
        for label, given, now in _happenings(state, then):
            found.tried += 1
            decision = decide(state, given, now, SMALL)
            if not isinstance(decision, Decided):
                continue
            found.steps.append(Step(state, label, given, now, decision))
            key = _apart(decision.state, now)
            if key not in found.states:
                found.states[key] = decision.state, now
                ahead.append((decision.state, now))
    return found


def _happenings(state: State, now: datetime) -> Iterator[tuple[str, Input, datetime]]:
    """Give all that can happen next; waking only when it is due, as the machine does."""
    due = wakes_at(state)
    if due is not None:
        yield "woke", Woke(), max(due, now)
    for label, event in said(state, now):
        yield label, event, now


def said(state: State, now: datetime) -> Iterator[tuple[str, Any]]:
    """Give all that anybody may say in *state*, by a short word each."""
    yield from _around(state, now)
    deletion = _current(state)
    for label, answer in _answers(deletion):
        yield label, answer.model_copy(update={"answered_at": now})
    maps = (HolderMap(holder=NAMES[0], map_sha256=MAP),)
    yield "map approved", _approval(state, now, "staff-2").model_copy(update={"maps": maps})
    yield from _performed(deletion, state.known.attempts, _told_kept(state), _told_laws(state))


def _answers(deletion: str) -> Iterator[tuple[str, Any]]:
    for name in NAMES:
        yield "erased", erased(name, deletion_id=deletion)
        yield "residue", erased(name, left=1, deletion_id=deletion)
        yield "kept", erased_in_part(name, hold_id="h2", deletion_id=deletion)
        if name == NAMES[0]:
            yield "kept by law", retains(name, deletion_id=deletion)
        yield "refused", not_erased(name, "failed", deletion)
        yield "held", not_erased(name, "held", deletion)
    outcome = NotErased(reason="not_declared", map_sha256=MAP)
    other_map: Any = not_erased(NAMES[0], deletion_id=deletion)
    yield "other map", other_map.model_copy(update={"outcome": outcome})
    yield "touched", erased(NAMES[0], touched=1, deletion_id=deletion)
    yield "too few", erased(NAMES[0], rows=1, deletion_id=deletion)


def _around(state: State, now: datetime) -> Iterator[tuple[str, Any]]:
    later = date(2026, 12, 31) if not state.known.contracts else date(now.year + 1, 12, 31)
    yield "registered", contract(revision=len(state.known.told) + state.known.attempts + 2, period_end=later)
    yield "terminated", terminated(moment=now, period_end=later)
    yield "hold", hold(now)
    yield "partial hold", hold(now, "h2", scope=OfTables(tables=("users",)))
    yield "ending hold", hold(now, "h3", ends_at=now + DAY)
    for name in ("h1", "h2", "h3"):
        yield "release", release(now, name)
    promise = promise_of(state.known, "deletion")
    if promise is not None:
        yield "delivered", informed(promise.announcement_id, now)
        yield "bounced", informed(promise.announcement_id, now, "bounced")
    yield "prolonged", _longer(now)
    yield "approved", _approval(state, now, "staff-2")
    yield "approved by the same", _approval(state, now, "staff-1")
    asked = EarlyDeletionRequested(
        customer_id="acme", request_id="r1", export_id="e1", requested_by="staff-1", requested_at=now
    )
    yield "asked to go early", asked
    yield (
        "confirmed",
        ExportConfirmed(customer_id="acme", export_id="e1", sha256="1" * 64, confirmed_by="p-1", confirmed_at=OVER),
    )


def _longer(now: datetime) -> WindowChanged:
    day = (now + 100 * DAY).date()
    return WindowChanged(customer_id="acme", change_id="w1", last_day=day, changed_by="staff-1", changed_at=OVER)


def _approval(state: State, now: datetime, by: str) -> DeletionApproved:
    return DeletionApproved(
        customer_id="acme",
        deletion_id=_current(state),
        in_spite_of=("not_informed", "blast_radius", "counts"),
        rows=1000,
        requested_by="staff-1",
        approved_by=by,
        approved_at=OVER,
    )


def _told_kept(state: State) -> dict[str, int]:
    """Tell how many rows each holder says that it kept."""
    deletion = state.deletion if isinstance(state, Checking) else None
    return {one.name: sum(rows for _, rows in one.kept) for one in deletion.holders} if deletion else {}


def _told_laws(state: State) -> tuple[RetainedRows, ...]:
    """Tell what the first holder says that laws keep."""
    deletion = state.deletion if isinstance(state, Checking) else None
    named = [one for holder in deletion.holders for one in holder.retained] if deletion else []
    return tuple(RetainedRows(table=one.table, basis=one.basis, until=one.until, rows=one.rows) for one in named)


def _performed(
    deletion: str, attempt: int, kept: dict[str, int], laws: tuple[RetainedRows, ...]
) -> Iterator[tuple[str, Any]]:
    for number in {max(attempt, 1), max(attempt - 1, 1)}:
        step: dict[str, Any] = {"customer_id": "acme", "deletion_id": deletion, "attempt": number}
        seen = readings(NAMES, own=10)
        for due in (1, 1000):
            yield "surveyed", Surveyed(**step, readings=seen, due=due, customers=1000, usual_rows=None)
        by_other_map = (seen[0].model_copy(update={"map_sha256": MAP}), *seen[1:])
        yield "other map surveyed", Surveyed(**step, readings=by_other_map, due=1, customers=1000, usual_rows=None)
        yield "half surveyed", Surveyed(**step, readings=seen[:1], due=1, customers=1000, usual_rows=None)
        yield "survey failed", SurveyFailed(**step, reason="unreachable")
        found = readings(NAMES, kept=kept)
        found = (found[0].model_copy(update={"retained": laws}), *found[1:])
        yield "checked", Checked(**step, readings=found)
        if laws:
            yield "another law", Checked(**step, readings=readings(NAMES, kept=kept))
        yield "kept rows gone", Checked(**step, readings=readings(NAMES))
        yield "something left", Checked(**step, readings=readings(NAMES, own=1))
        yield "half checked", Checked(**step, readings=readings(NAMES[:1]))
        yield "check failed", CheckFailed(**step, reason="unreachable")
        place, digest = "s3://proof/acme.json", "0" * 64
        yield "certified", Certified(**step, certificate=place, certificate_sha256=digest)
        yield "not certified", CertifyFailed(**step, reason="no_key")


def _current(state: State) -> str:
    if isinstance(state, Deleting | Checking | Keeping | Certifying):
        return state.deletion.deletion_id
    if isinstance(state, Stalled) and state.deletion is not None:
        return state.deletion.deletion_id
    if isinstance(state, Surveying | Awaiting | Stalled):
        return deletion_id(state.known, state.window)
    return "acme:none"


def _apart(state: State, now: datetime) -> Any:
    """Tell apart what may make a difference to what follows; how often it was tried and when is left out."""
    due = wakes_at(state)
    everything, anything = holds.all_held(state.known.holds, now), held_at(state, now)
    step, reason = getattr(state, "step", None), getattr(state, "reason", None)
    return (
        type(state),
        step,
        reason,
        everything,
        anything,
        due is None,
        due is not None and due <= now,
        _more(state),
        _retained(state),
    )


def _retained(state: State) -> Any:
    """Tell apart what laws keep; of who came back only while a contract goes on, since then all goes as ever."""
    retained = state.known.retained
    if retained is None or (retained.came_back and not isinstance(state, Serving)):
        return None
    return retained.came_back, retained.told


def _more(state: State) -> Any:
    if isinstance(state, InWindow):
        return (state.window.closes_at - state.wakes_at).days, _told(state)
    if isinstance(state, Surveying):
        return state.load is None or state.load.due, _told(state)
    if isinstance(state, Awaiting):
        return state.missing, bool(state.known.approvals), _told(state)
    if isinstance(state, Deleting | Checking | Keeping | Stalled) and state.deletion is not None:
        holders = (
            (one.status, one.reason == "held", bool(one.runs), one.due is None) for one in state.deletion.holders
        )
        return tuple(sorted(holders)), state.deletion.maps, state.deletion.proposed is None, _disputed(state)
    return None


def _disputed(state: Deleting | Checking | Keeping | Stalled) -> Any:
    """Tell apart what the check found otherwise; of who was asked again only how it goes on without more in the way."""
    if isinstance(state, Stalled):
        return bool(state.disputed)
    free = not isinstance(state, Keeping) and not state.known.holds
    return free and any(one.disputed for one in state.deletion.holders)


def _told(state: State) -> bool:
    promise = promise_of(state.known, "deletion")
    return promise is not None and any(
        one.announcement_id == promise.announcement_id and one.outcome == "delivered" for one in state.known.informed
    )


def held_at(state: State, now: datetime) -> bool:
    """Tell whether anything is held."""
    return holds.held(state.known.holds, now)
