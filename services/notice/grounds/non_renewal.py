"""Not going on after the period (P1): in time for its end, or late and standing for the next one that is possible."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from msgspec.structs import replace

from ..calendar import Terms, end_of, later, period_on
from ..workdays import Rule, after, before
from .dates import Dates, counted_back, counted_on, months_on, not_before

_DAY = timedelta(days=1)


def non_renewal(terms: Terms, received: date, *, kept: bool) -> Dates:
    """Reckon the days of a notice that counts for the day *received*.

    *kept*: it was found in time once, and stays so, whatever the days for notice are by a later revision.
    """
    # Contracts that differ in nothing that is counted share one reckoning: there are many of them, and few of these.
    return _reckoned(replace(terms, contract_id="", revision=0, channels=(), givers=None), received, kept)


@lru_cache(maxsize=16384)
def _reckoned(terms: Terms, received: date, kept: bool) -> Dates:  # noqa: FBT001 - a part of the cache's key
    first, period = terms.first_end, period_on(terms, received)
    end = end_of(terms, period)
    if first is None or end is None:
        return not_before(terms.period_start, _open(terms.open_notice or terms.notice, received))
    found = _with_period(terms, first, period, end)
    if received <= found.last_day_for_notice or (kept and received <= end):
        return found
    missed = replace(found, late=True)
    if terms.open_notice is not None:
        return _later_open(terms.open_notice, received, missed)
    return _later_period(terms, first, received, period, missed) if terms.months else missed


def _later_period(terms: Terms, first: date, received: date, period: int, missed: Dates) -> Dates:
    """Let a late notice end the contract with the first later period that it is in time for."""
    end, last = missed.last_day, missed.last_day_for_notice
    while received > last:
        period += 1
        end = later(first, terms.months * period)
        last = before(terms.notice, end)
    steps = (*missed.steps, *_with_period(terms, first, period, end).steps)
    return replace(missed, last_day=end, steps=steps)


def _with_period(terms: Terms, first: date, period: int, end: date) -> Dates:
    """Reckon what ends with a *period*, so many months after the *first* one."""
    last = before(terms.notice, end)
    ends = months_on("period_end", "contract", first, terms.months * period, end)
    return Dates(end, last, steps=(ends, counted_back("last_day_for_notice", "p1", end, terms.notice, last)))


def _later_open(rule: Rule, received: date, missed: Dates) -> Dates:
    """Let a late notice end the time until further notice, which it doesn't before that has begun."""
    counted = _open(rule, received)
    first = missed.last_day + _DAY
    if counted.last_day >= first:
        return replace(missed, last_day=counted.last_day, steps=(*missed.steps, *counted.steps))
    begins = counted_on("last_day", "contract", missed.last_day, Rule(1), first)
    return replace(missed, last_day=first, steps=(*missed.steps, *counted.steps, begins))


def _open(rule: Rule, received: date) -> Dates:
    last_day = after(rule, received)
    return Dates(last_day, received, steps=(counted_on("last_day", "contract", received, rule, last_day),))
