"""The window in which an export can be had (P3) and after which everything is deleted (P7): its arithmetic, once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from .contracts import Contracts, Ending
from .days import first_moment_after, local_day


@dataclass(frozen=True, slots=True)
class Window:
    """Open from *opens_at* to *closes_at* (UTC, exclusive): to the end of *last_day* in *zone*."""

    opens_at: datetime
    closes_at: datetime
    opened_on: date
    last_day: date
    zone: str


def window_of(contracts: Contracts, days: int) -> Window | None:
    """Tell the window of a customer with *contracts*; None while one of them goes on, or none is known.

    *days* are full local days: the day of the termination isn't counted, the last one is open to its end.
    With several contracts it opens with the last termination, and closes when the last of their windows would.
    """
    endings = [known.ending for known in contracts if known.ending is not None and not known.active]
    if not endings or len(endings) < len(contracts):
        return None
    return max((_window(ending, days) for ending in endings), key=lambda window: (window.closes_at, window.opens_at))


@lru_cache(maxsize=4096)
def _window(ending: Ending, days: int) -> Window:
    opened_on = local_day(ending.terminated_at, ending.zone)
    last_day = opened_on + timedelta(days=days)
    closes_at = first_moment_after(last_day, ending.zone)
    return Window(ending.terminated_at, closes_at, opened_on, last_day, ending.zone)
