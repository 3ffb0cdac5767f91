"""Not going on after the period (P1): in time for its end, or late and standing for the next one that is possible."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from msgspec.structs import replace

from shared.events.notice import Step

from ..calendar import Terms, end_of, period_on
from ..workdays import Rule, after, before
from .dates import Dates, counted_back, counted_on, months_on, not_before

_DAY = timedelta(days=1)


def non_renewal(terms: Terms, received: date, *, kept: bool = False) -> Dates:
    """Reckon the days of a notice that counts for the day *received*.

    *kept*: it was found in time once, and stays so, whatever the days for notice are by a later revision.
    """
    # Contracts that differ in nothing that is counted share one reckoning: there are many of them, and few of these.
    return _reckoned(replace(terms, contract_id="", revision=0, channels=(), givers=None), received, kept)


@lru_cache(maxsize=16384)
def _reckoned(terms: Terms, received: date, kept: bool) -> Dates:  # noqa: FBT001 - a part of the cache's key
    end = end_of(terms, period := period_on(terms, received))
    if end is None:
        found = _open(terms.open_notice or terms.notice, received)
        return not_before(terms.period_start, found) if terms.first_end is None else found
    last = before(terms.notice, end)
    steps = (_period_end(terms, period, end), _last_day_for_notice(terms, end, last))
    if received <= last or (kept and received <= end):
        return Dates(end, last, late=False, steps=steps)
    return _late(terms, received, period, Dates(end, last, late=True, steps=steps))


def _late(terms: Terms, received: date, period: int, missed: Dates) -> Dates:
    if terms.open_notice is not None:
        return _later_open(terms.open_notice, received, missed)
    if not terms.months:
        return missed
    while (end := _end(terms, period)) and received > (last := before(terms.notice, end)):
        period += 1
    steps = (*missed.steps, _period_end(terms, period, end), _last_day_for_notice(terms, end, last))
    return Dates(end, missed.last_day_for_notice, late=True, steps=steps)


def _later_open(rule: Rule, received: date, missed: Dates) -> Dates:
    """Let a late notice end the time until further notice, which it doesn't before that has begun."""
    counted = _open(rule, received)
    first = missed.last_day + _DAY
    if counted.last_day >= first:
        return Dates(counted.last_day, missed.last_day_for_notice, late=True, steps=(*missed.steps, *counted.steps))
    begins = counted_on("last_day", "contract", missed.last_day, Rule(1), first)
    return Dates(first, missed.last_day_for_notice, late=True, steps=(*missed.steps, *counted.steps, begins))


def _open(rule: Rule, received: date) -> Dates:
    last_day = after(rule, received)
    return Dates(last_day, received, late=False, steps=(counted_on("last_day", "contract", received, rule, last_day),))


def _end(terms: Terms, period: int) -> date:
    end = end_of(terms, period)
    if end is None:
        raise ValueError("a contract that is prolonged by months has ends")
    return end


def _period_end(terms: Terms, period: int, end: date) -> Step:
    first = _end(terms, 0)
    return months_on("period_end", "contract", first, terms.months * period, end)


def _last_day_for_notice(terms: Terms, end: date, last: date) -> Step:
    return counted_back("last_day_for_notice", "p1", end, terms.notice, last)
