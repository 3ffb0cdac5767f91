"""What makes a window longer or shorter than the policy says (P3, P10): explicit events, the latest of which counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

from .days import first_moment_after
from .events.platform import WindowChanged
from .events.retention import EarlyDeletionAccepted, EarlyDeletionWithdrawn
from .window import Window


@dataclass(frozen=True, slots=True)
class Change:
    """One change, made at *changed_at*: the window's *last_day*.

    *early_of*: the moment of the termination whose window it cuts short; None if it may not be cut short. That rests on
    the confirmation of *export_id*.
    """

    name: str
    last_day: date
    changed_at: datetime
    early_of: datetime | None = None
    export_id: str = ""


Changes = tuple[Change, ...]


def change_of(event: WindowChanged) -> Change:
    """Keep of *event* what decides about the window."""
    return Change(event.change_id, event.last_day, event.changed_at)


def early_of(event: EarlyDeletionAccepted) -> Change:
    """Keep of *event* what decides about the window."""
    return Change(event.request_id, event.last_day, event.accepted_at, event.terminated_at, event.export_id)


def withdrawn_of(event: EarlyDeletionWithdrawn) -> Change:
    """Keep of *event* what decides about the window: it lasts as long as before again, whatever is read first."""
    return Change(f"{event.request_id}:withdrawn", event.last_day, event.withdrawn_at)


def taken(changes: Changes, news: Change) -> Changes | None:
    """Take *news* into *changes*; None if it is known."""
    if news in changes:
        return None
    return tuple(sorted([*changes, news], key=lambda change: (change.changed_at, change.name, change.last_day)))


def applied(window: Window | None, changes: Changes) -> Window | None:
    """Give *window* as the latest of *changes* leaves it; it is cut short only where the customer asked for that.

    A change of an earlier window has no effect on a later one: its day lies before the policy's.
    """
    latest = _latest(window, changes)
    if window is None or latest is None:
        return window
    last_day = latest.last_day if latest.early_of is not None else max(latest.last_day, window.last_day)
    return replace(window, last_day=last_day, closes_at=first_moment_after(last_day, window.zone))


def cut_short(window: Window | None, changes: Changes) -> Change | None:
    """Give what cuts *window*, as it is without *changes*, short now; None if nothing does."""
    latest = _latest(window, changes)
    return latest if latest is not None and latest.early_of is not None else None


def uncut(window: Window | None, changes: Changes) -> Window | None:
    """Give *window*, as it is without *changes*, as it would be if none of them cut it short."""
    return applied(window, tuple(change for change in changes if change.early_of is None))


def _latest(window: Window | None, changes: Changes) -> Change | None:
    mine = [change for change in changes if window is not None and change.early_of in (None, window.opens_at)]
    return mine[-1] if mine else None
