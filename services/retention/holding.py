"""Legal holds (P8): what they keep, what their end lets go on, and what one that comes late is told."""

from __future__ import annotations

from datetime import datetime
from typing import TypeGuard

from msgspec.structs import replace

from shared import holds
from shared.decision import Decided, Decision, Ignored
from shared.events.platform import LegalHoldPlaced, LegalHoldReleased

from . import course
from .holders import released, waited
from .late import hold_answered, hold_too_late
from .policy import RetentionPolicy
from .standing import awaits_answers, waits, with_known
from .states import (
    Awaiting,
    Certifying,
    Checking,
    Closed,
    Deleting,
    Deletion,
    Held,
    Keeping,
    Known,
    Retaining,
    Stalled,
    State,
    Surveying,
)


def hold_placed(state: State, event: LegalHoldPlaced, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Let nothing that it covers be deleted while it is placed (P8); one that comes late is told what it came for."""
    news = holds.placed(state.known.holds, event)
    if news is state.known.holds:
        return Ignored("the hold is known")
    known = replace(state.known, holds=news)
    if event.hold_id not in {hold.hold_id for hold in holds.in_force(news, now)}:
        return Decided(with_known(state, known, now, policy))
    if isinstance(state, Closed | Retaining):
        return Decided(replace(state, known=known), (hold_too_late(event, state, now),))
    if holds.all_held(news, now) and _uncommanded(state):
        return Decided(Held(known, state.window))
    if any(hold.hold_id == event.hold_id for hold in holds.in_force(state.known.holds, now)):
        # Placed again it may hold less than before.
        return freed(state, known, now, policy)
    return _while_deleting(state, known, event.hold_id, now, policy)


def hold_released(state: State, event: LegalHoldReleased, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Let go on what the hold has kept waiting; a release read before its placing is remembered."""
    news = holds.released(state.known.holds, event)
    if news is state.known.holds:
        return Ignored("the release is known")
    held_before = holds.in_force(state.known.holds, now)
    known = replace(state.known, holds=news)
    if holds.in_force(news, now) == held_before:
        return Decided(with_known(state, known, now, policy))
    return freed(state, known, now, policy)


def _uncommanded(state: State) -> TypeGuard[Surveying | Awaiting | Stalled]:
    """Tell whether the window has closed and no command is out, so that a hold can still keep everything."""
    return isinstance(state, Surveying | Awaiting) or (isinstance(state, Stalled) and state.deletion is None)


def _while_deleting(
    state: State, known: Known, hold_id: str, now: datetime, policy: RetentionPolicy
) -> Decision[State]:
    """Answer a hold that came while a deletion ran; what can't be said yet is said when the holders have spoken."""
    deletion = _deletion(state)
    if deletion is None:
        return Decided(with_known(state, known, now, policy))
    answer = hold_answered(hold_id, known.customer_id, deletion, now)
    if answer.unanswered:
        known = replace(known, unanswered=(*known.unanswered, hold_id))
    return Decided(replace(state, known=known), (answer,))


def freed(state: State, known: Known, now: datetime, policy: RetentionPolicy) -> Decided[State]:
    """Go on with less held: what was in flight when a hold was placed is looked at again."""
    if isinstance(state, Held) and not holds.all_held(known.holds, now):
        return course.survey(known, state.window, policy)
    deletion = _deletion(state)
    if deletion is None or holds.all_held(known.holds, now):
        return Decided(with_known(state, known, now, policy))
    if any(waited(holder) for holder in deletion.holders) or (
        isinstance(state, Deleting | Stalled) and awaits_answers(state)
    ):
        return course.with_answers(known, released(deletion, now), now, policy)
    return _proved_again(state, known, now, policy)


def _proved_again(state: State, known: Known, now: datetime, policy: RetentionPolicy) -> Decided[State]:
    """Make the step of the proof again that a hold kept from counting."""
    if isinstance(state, Checking) or (isinstance(state, Keeping) and not holds.held(known.holds, now)):
        return course.check(known, state.deletion, now, policy)
    if isinstance(state, Certifying) and not holds.held(known.holds, now):
        return course.certificate(known, state.deletion, state.after, state.checked_at, policy=policy)
    return Decided(replace(state, known=known))


def _deletion(state: State) -> Deletion | None:
    """Give the deletion that is under way, if it is."""
    if waits(state) or not isinstance(state, Deleting | Checking | Keeping | Certifying | Stalled):
        return None
    return state.deletion
