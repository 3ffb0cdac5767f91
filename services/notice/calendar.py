"""The calendar of one contract: its periods, and the last day on which a notice is in time (P1)."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, timedelta
from functools import lru_cache

from msgspec import Struct

from shared.days import first_moment, first_moment_after, local_day

from .workdays import Rule, before

_DAY = timedelta(days=1)
# Of a contract that goes on until further notice: the time after its fixed period, if it had one.
OPEN = 1


class Terms(Struct, frozen=True, omit_defaults=True):
    """A contract as its highest revision has it, read by the rule set *rules*.

    *first_end*: the last day of the period registered; None if it never had one. *months* to prolong it by, 0 if it
    isn't prolonged. *open_notice*: the notice by which it ends once it goes on until further notice, if it does so.
    *givers*: who may give notice; None if whoever publishes it vouches for that.
    """

    contract_id: str
    revision: int
    period_start: date
    first_end: date | None
    zone: str
    months: int
    notice: Rule
    channels: tuple[str, ...]
    rules: str
    open_notice: Rule | None = None
    givers: tuple[str, ...] | None = None
    language: str | None = None
    transfer_help: str | None = None
    service_class: str | None = None


def end_of(terms: Terms, period: int) -> date | None:
    """Give the last day of a *period* (0 is the one registered), counted from the original day of the month.

    None for the time until further notice, which has no last day before somebody gives notice.
    """
    if terms.first_end is None or (terms.open_notice is not None and period >= OPEN):
        return None
    return later(terms.first_end, terms.months * period)


def over_at(terms: Terms, period: int) -> datetime | None:
    """Give the first moment after a *period*; None if it has no end."""
    end = end_of(terms, period)
    return None if end is None else first_moment_after(end, terms.zone)


def last_day_for_notice(terms: Terms, period: int) -> date | None:
    """Give the last day on which a notice ends the contract with this *period* (P1)."""
    end = end_of(terms, period)
    return None if end is None else before(terms.notice, end)


def counting_day(moment: datetime, zone: str) -> date:
    """Tell which day of the contract's calendar *moment* counts for.

    Where clocks go back over midnight the first minutes of the next day come before the last ones of the old: they
    count for the old.
    """
    day = local_day(moment, zone)
    return day if moment >= first_moment(day, zone) else day - _DAY


def period_at(terms: Terms, moment: datetime) -> int:
    """Tell in which period *moment* lies; a contract that ends with its period has only one."""
    return period_on(terms, counting_day(moment, terms.zone))


def period_on(terms: Terms, day: date) -> int:
    """Tell in which period *day* lies."""
    if terms.first_end is None:
        return OPEN
    if day <= terms.first_end:
        return 0
    if terms.open_notice is not None:
        return OPEN
    return _prolonged(terms, day, terms.first_end) if terms.months else 0


def _prolonged(terms: Terms, day: date, first_end: date) -> int:
    """Count the periods after the first one until one ends on *day* or after it."""
    months = (day.year - first_end.year) * 12 + day.month - first_end.month
    if later(first_end, months) < day:
        months += 1
    return -(-months // terms.months)


@lru_cache(maxsize=65536)
def later(day: date, months: int) -> date:
    """Give the same day so many *months* later, or that month's last day if it has none of that number."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
