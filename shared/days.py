"""Calendar days and the moments at which they begin, in a time zone with all its oddities."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=65536)
def first_moment(day: date, zone: str) -> datetime:
    """Give the moment (UTC) from which it is *day* or later in *zone*, for good.

    Where clocks jump over midnight it is the first moment that exists; where they go back over midnight
    it is the second midnight, since until then the day before still has a piece to come.
    """
    local = datetime.combine(day, time.min, ZoneInfo(zone))
    earlier, later = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
    if later < earlier:
        return _end_of_gap(later, earlier, zone)
    return later if local_day(later - _SECOND, zone) < day else earlier


@lru_cache(maxsize=65536)
def first_moment_after(day: date, zone: str) -> datetime:
    """Give the moment (UTC) at which *day* is over in *zone*."""
    return first_moment(day + _DAY, zone)


def local_day(moment: datetime, zone: str) -> date:
    """Tell what day *moment* falls on in *zone*."""
    return moment.astimezone(ZoneInfo(zone)).date()


def _end_of_gap(before: datetime, after: datetime, zone: str) -> datetime:
    """Find, between two moments, the second at which the clocks of *zone* jump ahead."""
    tz = ZoneInfo(zone)
    jumped = after.astimezone(tz).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2 // _SECOND * _SECOND
        if middle.astimezone(tz).utcoffset() == jumped:
            after = middle
        else:
            before = middle
    return after
