"""The course of a case: from which state to which it goes, with the events and tasks that go along."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

from msgspec.structs import replace

from shared.announcing import Deadline, announcement, next_call
from shared.decision import Decided
from shared.events.event import Event
from shared.events.retention import RetentionExpired
from shared.holds import held
from shared.window import Window, window_of

from .holders import Reason, again_at, all_again, chased, in_trouble, not_commanded, stalled_event, told
from .policy import RetentionPolicy
from .proof import certify, readings
from .states import (
    Certifying,
    Checking,
    Deleting,
    Deletion,
    Held,
    InWindow,
    Known,
    Seen,
    Serving,
    Stalled,
    State,
    Surveying,
    Unknown,
)
from .tasks import Check, Survey

Decision: TypeAlias = Decided[State]


class NoRightToDeleteError(Exception):
    """A command was about to be given without the right to; nothing was done, and the case stays as it was."""


def from_contracts(known: Known, now: datetime, policy: RetentionPolicy, events: tuple[Event, ...] = ()) -> Decision:
    """Begin where the contracts say: unknown, serving, or in the window."""
    window = window_of(known.contracts, policy.window_days)
    if window is not None:
        return Decided(in_window(known, window, now, policy), events)
    return Decided(Serving(known) if known.contracts else Unknown(known), events)


def in_window(known: Known, window: Window, now: datetime, policy: RetentionPolicy) -> InWindow:
    """Wait for the next announcement or the end of the window."""
    calls = [next_call(deadline, known.told, now) for deadline in _deadlines(known, window, policy)]
    return InWindow(known, window, min([call for call in calls if call is not None], default=window.closes_at))


def announced(state: InWindow, now: datetime, policy: RetentionPolicy) -> Decision:
    """Tell the customer what is owed now (P12)."""
    known = state.known
    owed = [
        announcement(known.customer_id, deadline, known.told, now)
        for deadline in _deadlines(known, state.window, policy)
    ]
    events = tuple(event for event in owed if event is not None)
    known = replace(known, told=(*known.told, *(event.announcement_id for event in events)))
    return Decided(in_window(known, state.window, now, policy), events)


def expired(state: InWindow, policy: RetentionPolicy) -> Decision:
    """Say once that the window is over; a hold keeps everything, otherwise the deletion begins with a survey."""
    over = RetentionExpired(
        customer_id=state.known.customer_id,
        terminated_at=state.window.opens_at,
        window_days=policy.window_days,
        window_closed_at=state.window.closes_at,
    )
    if held(state.known.holds):
        return Decided(Held(state.known, state.window), (over,))
    return survey(state.known, state.window, policy, (over,))


def survey(known: Known, window: Window, policy: RetentionPolicy, events: tuple[Event, ...] = ()) -> Decision:
    """Have everything read before anything is deleted."""
    known = replace(known, attempts=known.attempts + 1)
    task = Survey(
        customer_id=known.customer_id,
        deletion_id=deletion_id(known, window),
        attempt=known.attempts,
        holders=tuple(holder.name for holder in policy.holders),
    )
    return Decided(Surveying(known, window), events, (task,))


def command_all(state: Surveying, now: datetime, policy: RetentionPolicy) -> Decision:
    """Command every holder that the policy names (P7)."""
    holders = tuple(not_commanded(holder.name, now) for holder in policy.holders)
    deletion = Deletion(deletion_id(state.known, state.window), state.window, state.seen, holders)
    return chase(state.known, deletion, now, policy)


def chase(known: Known, deletion: Deletion, now: datetime, policy: RetentionPolicy) -> Decision:
    """Go after the holders; the only place where a command is given, so the right to is looked at again here."""
    window = window_of(known.contracts, policy.window_days)
    if window is None or now < window.closes_at or held(known.holds):
        raise NoRightToDeleteError
    deletion, events = chased(known.customer_id, deletion, now, policy)
    return with_answers(known, deletion, now, policy, events)


def with_answers(
    known: Known, deletion: Deletion, now: datetime, policy: RetentionPolicy, events: tuple[Event, ...] = ()
) -> Decision:
    """Say where a deletion stands by its holders: under way, stalled, or to be checked."""
    trouble = in_trouble(deletion)
    if trouble:
        names = tuple(holder.name for holder in trouble)
        return Decided(Stalled(known, deletion.window, "answers", told(trouble[0]), names, deletion), events)
    commanded = {holder.name for holder in deletion.holders}
    missing = tuple(not_commanded(one.name, now) for one in policy.holders if one.name not in commanded)
    deletion = replace(deletion, holders=(*deletion.holders, *missing))
    if any(holder.status != "erased" for holder in deletion.holders):
        return Decided(Deleting(known, deletion), events)
    return check(known, deletion, events)


def check(known: Known, deletion: Deletion, events: tuple[Event, ...] = ()) -> Decision:
    """Have it looked at, by another way, whether all is gone."""
    known = replace(known, attempts=known.attempts + 1)
    task = Check(
        customer_id=known.customer_id,
        deletion_id=deletion.deletion_id,
        attempt=known.attempts,
        holders=tuple(holder.name for holder in deletion.holders),
        before=readings(deletion.before),
    )
    return Decided(Checking(known, deletion), events, (task,))


def certificate(
    known: Known,
    deletion: Deletion,
    after: tuple[Seen, ...],
    checked_at: datetime,
    *,
    policy: RetentionPolicy,
    events: tuple[Event, ...] = (),
) -> Decision:
    """Have the certificate made."""
    known = replace(known, attempts=known.attempts + 1)
    task = certify(known, deletion, after, checked_at, policy)
    return Decided(Certifying(known, deletion, after, checked_at), events, (task,))


def stall(
    state: Surveying | Checking | Certifying,
    reason: Reason,
    holders: tuple[str, ...],
    now: datetime,
    policy: RetentionPolicy,
) -> Decision:
    """Wait at the step that failed, and tell an operator why."""
    known, step = state.known, _STEPS[type(state)]
    deletion = None if isinstance(state, Surveying) else state.deletion
    window = state.window if isinstance(state, Surveying) else state.deletion.window
    stalled = Stalled(known, window, step, reason, holders, deletion, again_at(known.attempts, now, policy))
    if isinstance(state, Certifying):
        stalled = replace(stalled, after=state.after, checked_at=state.checked_at)
    return Decided(stalled, (stalled_event(known.customer_id, deletion_id(known, window), reason, holders),))


def again(state: Stalled, now: datetime, policy: RetentionPolicy) -> Decision:
    """Try again what failed."""
    if state.deletion is None:
        return survey(state.known, state.window, policy)
    if state.step == "answers":
        return chase(state.known, state.deletion, now, policy)
    if state.step == "certify" and state.checked_at is not None:
        return certificate(state.known, state.deletion, state.after, state.checked_at, policy=policy)
    if state.reason == "residue":
        return chase(state.known, all_again(state.deletion, now), now, policy)
    return check(state.known, state.deletion)


def deletion_id(known: Known, window: Window) -> str:
    """Name the deletion readably: whose, and after which termination."""
    return f"{known.customer_id}:{window.opened_on.isoformat()}"


_STEPS: dict[type, Any] = {Surveying: "survey", Checking: "check", Certifying: "certify"}


def _deadlines(known: Known, window: Window, policy: RetentionPolicy) -> tuple[Deadline, ...]:
    """Give the dates to announce; while a hold is placed nothing is going to be deleted."""
    before, subject, zone = policy.announce_before, known.customer_id, window.zone
    closes = Deadline(subject, "window_closes", window.last_day, zone, before.window_closes)
    if held(known.holds):
        return (closes,)
    return (closes, Deadline(subject, "deletion", window.last_day, zone, before.deletion))
