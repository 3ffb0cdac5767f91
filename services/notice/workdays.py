"""Counting days: of the calendar, or working days of a country, whose holidays a library keeps."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from holidays import HolidayBase

_DAY = timedelta(days=1)


class Rule(Struct, frozen=True, omit_defaults=True):
    """So many *days*: of the calendar, or, with a *country*, its working days; *categories*: which holidays aren't."""

    days: int
    country: str | None = None
    categories: tuple[str, ...] = ()


@lru_cache(maxsize=65536)
def after(rule: Rule, day: date) -> date:
    """Give the last of the rule's days that begin with the day after *day*; no days are *day* itself."""
    if rule.country is None or rule.days == 0:
        return day + timedelta(days=rule.days)
    return _holidays(rule.country, rule.categories).get_nth_working_day(day, rule.days)


@lru_cache(maxsize=65536)
def before(rule: Rule, day: date) -> date:
    """Give the last day after which all of the rule's days still come up to *day*, and *day* counts."""
    if rule.country is None or rule.days == 0:
        return day - timedelta(days=rule.days)
    return _holidays(rule.country, rule.categories).get_nth_working_day(day + _DAY, -rule.days) - _DAY


@lru_cache(maxsize=4096)
def skipped(rule: Rule, start: date, end: date) -> tuple[date, ...]:
    """Give the holidays after *start* up to *end* that would have been working days otherwise."""
    if rule.country is None:
        return ()
    known = _holidays(rule.country, rule.categories)
    days = (start + _DAY * number for number in range(1, (end - start).days + 1))
    return tuple(day for day in days if day in known and day.weekday() not in known.weekend)


def holiday_name(country: str, categories: tuple[str, ...], day: date) -> str:
    """Name the holiday that *day* is in *country*, in English if the library has it in English."""
    return str(_holidays(country, categories).get(day))


@cache
def _holidays(country: str, categories: tuple[str, ...]) -> HolidayBase:
    # Imported late: it takes a fifth of a second, and only contracts that count working days need it.
    import holidays  # noqa: PLC0415

    # Named in any case: otherwise the library takes the language of the machine that it runs on.
    return holidays.country_holidays(country, categories=categories, language="en_US")
