"""How days, moments and numbers are written for people."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from shared.moments import iso


def day(value: date) -> str:
    """Write a day as ``30 June 2027``."""
    return f"{value.day} {value:%B %Y}"


def wall(moment: datetime, zone: str) -> str:
    """Write a moment as the clocks of *zone* show it, and in UTC."""
    local = moment.astimezone(ZoneInfo(zone))
    seconds = f"{local:%H:%M:%S}" if local.second or local.microsecond else f"{local:%H:%M}"
    return f"{day(local)} {seconds} {zone} = {iso(moment)}"


def counted(number: int, unit: str) -> str:
    """Write a number of things as ``1 day`` or ``30 days``."""
    # "working day in SE": what is counted comes before where.
    what, where = unit.partition(" in ")[0], "".join(unit.partition(" in ")[1:])
    return f"{number} {what}{'' if number == 1 else 's'}{where}"


def times(number: int) -> str:
    """Write how often as ``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
