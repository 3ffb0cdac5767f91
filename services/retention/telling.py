"""What the customer is told: each date before it comes, and each change of one that it was told of (P12)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal

from msgspec.structs import replace

from shared.announcing import Deadline, announcement, next_call
from shared.days import first_moment_after, local_day
from shared.events.notice import DeadlineApproaching
from shared.holds import all_held, in_force
from shared.window import Window

from .policy import RetentionPolicy
from .right import promise_of
from .states import Held, InWindow, Known, Promise, Serving, Stalled, State, Unknown

Date = Literal["window_closes", "deletion"]


def in_window(known: Known, window: Window, now: datetime, policy: RetentionPolicy) -> InWindow:
    """Wait for the next announcement, the end of a hold, or the end of the window."""
    calls = [next_call(deadline, known.told, now) for deadline in _deadlines(known, window, now, policy)]
    ends = [hold.ends_at for hold in in_force(known.holds, now)]
    moments = [moment for moment in (*calls, *ends) if moment is not None]
    return InWindow(known, window, min([*moments, window.closes_at]))


def announced(
    state: InWindow, now: datetime, policy: RetentionPolicy
) -> tuple[InWindow, tuple[DeadlineApproaching, ...]]:
    """Tell the customer what is owed now."""
    known, window, events = state.known, state.window, []
    for deadline in _deadlines(known, window, now, policy):
        event = announcement(known.customer_id, deadline, known.told, now)
        if event is not None:
            events.append(event)
            known = _told(known, event, window.last_day, window, now)
    return in_window(known, window, now, policy), tuple(events)


def warned_late(
    known: Known, window: Window, now: datetime, policy: RetentionPolicy
) -> tuple[Known, DeadlineApproaching]:
    """Warn of a deletion that couldn't be announced before the window closed: a hold kept it, or the end came late."""
    last_day = local_day(now, window.zone) + timedelta(days=min(policy.announce_before.deletion))
    event = _changed(known, "deletion", last_day, first_moment_after(last_day, window.zone), "moved")
    return _told(known, event, last_day, window, now), event


def restated(state: State, now: datetime) -> tuple[State, tuple[DeadlineApproaching, ...]]:
    """Tell the customer of each date that it was told of and that is another one now, or doesn't come any more."""
    dates = _dates(state, now)
    if dates is None:
        return state, ()
    known, events = state.known, []
    for promise in state.known.promised:
        day = dates.get(promise.name)
        due_at = None if day is None else day[1]
        # A window that has closed has closed: there is nothing to take back.
        if due_at == promise.due_at or (day is None and promise.name == "window_closes" and promise.past(now)):
            continue
        last_day = promise.last_day if day is None else day[0]
        event = _changed(known, promise.name, last_day, due_at, "cancelled" if due_at is None else "moved")
        known = _told(known, event, last_day, state.window if isinstance(state, InWindow) else None, now)
        events.append(event)
    return (replace(state, known=known) if events else state), tuple(events)


def _dates(state: State, now: datetime) -> dict[str, tuple[date, datetime]] | None:
    """Give the dates as they are now; None where what was said stands, since it has come."""
    if isinstance(state, InWindow):
        window = state.window
        day = window.last_day, window.closes_at
        return {"window_closes": day} if all_held(state.known.holds, now) else {"window_closes": day, "deletion": day}
    nothing = isinstance(state, Unknown | Serving | Held) or (isinstance(state, Stalled) and state.step == "contract")
    return {} if nothing else None


def _deadlines(known: Known, window: Window, now: datetime, policy: RetentionPolicy) -> tuple[Deadline, ...]:
    """Give the dates to announce; while everything is held nothing is going to be deleted."""
    before = policy.announce_before
    closes = _deadline(known, window, "window_closes", before.window_closes)
    if all_held(known.holds, now):
        return (closes,)
    return closes, _deadline(known, window, "deletion", before.deletion)


def _deadline(known: Known, window: Window, name: Date, days: tuple[int, ...]) -> Deadline:
    promise = promise_of(known, name)
    told_at = promise.told_at if promise is not None and promise.due_at == window.closes_at else None
    return Deadline(known.customer_id, name, window.last_day, window.zone, days, told_at)


def _changed(
    known: Known, name: Date, last_day: date, due_at: datetime | None, change: Literal["moved", "cancelled"]
) -> DeadlineApproaching:
    promise = promise_of(known, name)
    before = None if promise is None else promise.due_at
    return DeadlineApproaching(
        customer_id=known.customer_id,
        announcement_id=f"{known.customer_id}:{name}:{last_day.isoformat()}:{change}-{len(known.told)}",
        deadline=name,
        due_at=due_at or before or first_moment_after(last_day, "UTC"),
        change=change,
        before=before,
    )


def _told(known: Known, event: DeadlineApproaching, last_day: date, window: Window | None, now: datetime) -> Known:
    name: Date = "deletion" if event.deadline == "deletion" else "window_closes"
    due_at = None if event.change == "cancelled" else event.due_at
    of = None if window is None else window.opens_at
    promise = Promise(name, last_day, due_at, event.announcement_id, now, of)
    others = tuple(one for one in known.promised if one.name != name)
    return replace(known, told=(*known.told, event.announcement_id), promised=(*others, promise))
