"""The calendar of one contract: its periods, and the last day on which a notice is in time (P1)."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, timedelta
from functools import lru_cache

from msgspec import Struct

from shared.days import first_moment_after, local_day


class Terms(Struct, frozen=True):
    """A contract as its highest revision has it; *months* to prolong it by, 0 if it isn't prolonged."""

    contract_id: str
    revision: int
    period_start: date
    first_end: date
    zone: str
    months: int
    notice_days: int
    channels: tuple[str, ...]


def end_of(terms: Terms, period: int) -> date:
    """Give the last day of a *period* (0 is the one registered), counted from the original day of the month."""
    return terms.first_end if period == 0 else _later(terms.first_end, terms.months * period)


def over_at(terms: Terms, period: int) -> datetime:
    """Give the first moment after a *period*."""
    return first_moment_after(end_of(terms, period), terms.zone)


def last_day_for_notice(terms: Terms, period: int) -> date:
    """Give the last day on which a notice ends the contract with this *period* (P1)."""
    return end_of(terms, period) - timedelta(days=terms.notice_days)


def in_time(terms: Terms, period: int, moment: datetime) -> bool:
    """Tell whether a notice received at *moment* ends the contract with this *period*; the last day counts in full."""
    return moment < first_moment_after(last_day_for_notice(terms, period), terms.zone)


def period_at(terms: Terms, moment: datetime) -> int:
    """Tell in which period *moment* lies; a contract that isn't prolonged has only one."""
    if not terms.months or moment < over_at(terms, 0):
        return 0
    day = local_day(moment, terms.zone)
    whole_months = (day.year - terms.first_end.year) * 12 + day.month - terms.first_end.month
    period = max(0, whole_months // terms.months - 1)
    while over_at(terms, period) <= moment:
        period += 1
    return period


def first_in_time(terms: Terms, moment: datetime) -> int:
    """Tell with which period a notice received at *moment* can end the contract at the earliest."""
    period = period_at(terms, moment)
    while terms.months and not in_time(terms, period, moment):
        period += 1
    return period


@lru_cache(maxsize=65536)
def _later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
