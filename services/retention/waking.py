"""What is due and when: announcements, the end of the window, commands, further tries, the ends of holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from shared import holds
from shared.decision import Decided, Decision, Ignored
from shared.window import Window

from . import course
from .confirming import relied_on, uncut_window, unproven, withdrawn
from .expiry import expired, expiry_due
from .holders import Trouble, stalled_event
from .holding import freed
from .policy import RetentionPolicy
from .right import CLOCK_SKEW
from .standing import as_before
from .states import (
    Awaiting,
    Closed,
    Deleting,
    Held,
    InWindow,
    Keeping,
    Known,
    Retained,
    Retaining,
    Serving,
    Stalled,
    State,
    Surveying,
    Unknown,
    window_of_state,
)


def woke(state: State, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Do what is due: announce, say that the window is over, command, go after holders, try again, end a hold."""
    if hold_ended(state.known, now):
        return freed(state, state.known, now, policy)
    due = expiry_due(state.known)
    if due is not None and due <= now:
        return expired(state, now)
    stays = _stays_longer(state)
    if isinstance(state, Serving) and stays is not None and stays.due_at <= now:
        return course.stays_longer(state, stays, now, policy)
    act = _WAKING.get(type(state))
    return Ignored("nothing is due") if act is None else act(state, now, policy)


def _window(state: InWindow, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    if now >= state.window.closes_at:
        return _closed(state, now, policy)
    return course.announced(state, now, policy)


def _closed(state: InWindow, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """End the window; one that a confirmation closes early, only when that was found to hold, else with the whole."""
    whole = uncut_window(state.known)
    if whole is not None and unproven(state.known, now):
        return _not_compared(state, whole, now, policy)
    late = withdrawn(state.known, None, now) if unproven(state.known, state.window.closes_at) else None
    return course.expired(state, now, policy) if late is None else as_before(state, late, now, policy)


def _not_compared(state: InWindow, whole: Window, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Wait for the exporter's second comparison; if it doesn't come tell an operator, once, and wait for the whole."""
    cut, tell_at = relied_on(state.known), state.window.closes_at + policy.confirmation_wait
    if now < tell_at < whole.closes_at:
        return Decided(replace(state, wakes_at=tell_at))
    if cut is None or cut.name in state.known.uncompared:
        return Decided(replace(state, wakes_at=whole.closes_at))
    known = replace(state.known, uncompared=(*state.known.uncompared, cut.name))
    trouble = Trouble("not_compared", (EXPORTER,))
    event = stalled_event(known, course.deletion_id(known, state.window), trouble, 1, policy)
    return Decided(replace(state, known=known, wakes_at=whole.closes_at), (event,))


def _chase(state: Deleting, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    return course.chase(state.known, state.deletion, now, policy)


def _came_due(state: Retaining, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    retained = state.known.retained
    if retained is None or now < retained.due_at:
        return Ignored("nothing is due")
    return course.came_due(state, now, policy)


def _stays_longer(state: State) -> Retained | None:
    """Give what laws kept until a day that an operator is to be told of, since a contract goes on."""
    retained = state.known.retained if isinstance(state, Serving) else None
    return None if retained is None or retained.told else retained


# Who compares what was confirmed; no holder of the policy's, but the one that this waits for.
EXPORTER = "exporter"

# Any: each takes the one type of state that it stands under.
_WAKING: dict[type, Callable[[Any, datetime, RetentionPolicy], Decision[State]]] = {
    InWindow: _window,
    Held: course.reviewed,
    Keeping: course.reviewed,
    Surveying: course.considered,
    Awaiting: course.considered,
    Deleting: _chase,
    Retaining: _came_due,
    Stalled: course.again,
}


def wakes_at(state: State) -> datetime | None:
    """Tell when something is due; while a hold keeps a deletion, its end; never before the time of the last decision.

    The second stops a clock that went back by more than a minute: everything that leads to a command happens on
    waking, so the case stays as it is, without a command, until the clock has caught up.
    """
    due, last = _due(state), state.known.decided_at
    if due is None or last is None:
        return due
    due = max(due, last - CLOCK_SKEW)
    # A clock that differs by less than that still may not wake a deletion before the window has closed.
    return max(due, window_of_state(state).closes_at) if isinstance(state, _COMMANDS_NEXT) else due


# Waking these leads to commands.
_COMMANDS_NEXT = Surveying | Awaiting | Deleting | Stalled


def _due(state: State) -> datetime | None:
    known = state.known
    if known.decided_at is None:
        return None
    if isinstance(state, Unknown | Serving | Closed):
        stays = _stays_longer(state)
        return _first(expiry_due(known), None if stays is None else stays.due_at)
    if isinstance(state, Surveying) and state.wakes_at is None:
        return expiry_due(known)
    ends = [hold.ends_at for hold in holds.in_force(known.holds, known.decided_at)]
    return _first(expiry_due(known), *ends, *_own_dues(state, known.decided_at))


def _first(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _own_dues(state: State, now: datetime) -> list[datetime | None]:
    """Give what a state itself waits for; while everything is held, nothing that leads to a command."""
    if isinstance(state, Held | Keeping):
        return [course.review_due(state)]
    if isinstance(state, InWindow):
        return [state.wakes_at]
    if isinstance(state, Retaining):
        return [] if state.known.retained is None else [state.known.retained.due_at]
    return [] if holds.all_held(state.known.holds, now) else _dues_of_commands(state)


def _dues_of_commands(state: State) -> list[datetime | None]:
    if isinstance(state, Surveying | Awaiting):
        return [state.wakes_at]
    if isinstance(state, Stalled) and state.step != "answers":
        return [state.retry_at]
    if isinstance(state, Deleting | Stalled) and state.deletion is not None:
        return [holder.due for holder in state.deletion.holders]
    return []


def hold_ended(known: Known, now: datetime) -> bool:
    """Tell whether a hold that was in force at the last decision has come to its end since."""
    if known.decided_at is None:
        return False
    before = holds.in_force(known.holds, known.decided_at)
    return any(not hold.active_at(now) for hold in before)
