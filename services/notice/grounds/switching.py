"""Leaving by the EU Data Act (Regulation (EU) 2023/2854, art. 25): a switch, a move on premises, erasure alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from ..calendar import Terms, end_of, later, period_on
from ..rules import RuleSet, Switching
from ..states import Prolongation
from ..workdays import Rule, after
from .dates import Dates, counted_back, counted_on, months_on, not_before

Refusal: TypeAlias = Literal["too_late", "too_long", "no_longer", "already_prolonged"]


class Clock(Struct, frozen=True):
    """The clocks of art. 25 in plain values: *deadline_rule* counts the provider's working days (25(4))."""

    notice_months: int
    transition: Rule
    prolonged_months: int
    deadline_rule: Rule


class Weighed(NamedTuple):
    """A prolongation, and why it doesn't count; None if it does."""

    prolongation: Prolongation
    refusal: Refusal | None


def clock_of(rules: RuleSet) -> Clock:
    """Take the clocks from the rules."""
    switching: Switching = rules.switching
    within = Rule(switching.prolonged_within_working_days, rules.country, rules.categories(rules.country))
    return Clock(switching.notice_months, Rule(switching.transition_days), switching.prolonged_months, within)


class Done(NamedTuple):
    """The days *on* which a switch was complete, and on which that was heard."""

    on: date
    heard: date


@lru_cache(maxsize=16384)
def switch(
    terms: Terms, received: date, prolongations: tuple[Prolongation, ...], done: tuple[Done, ...], clock: Clock
) -> Dates:
    """Reckon the days of a switch or a move on premises: notice, then a transition in which service goes on.

    The transition ends before its time with the day on which the switch is complete (art. 25(2)(c)(i)).
    """
    noticed = _noticed(terms, received, clock)
    begins = noticed.last_day
    ends = after(clock.transition, begins)
    steps = [*noticed.steps, counted_on("transition_ends", "art_25_2_a", begins, clock.transition, ends)]
    for one in counting(weighed(terms, received, prolongations, clock)):
        law = "art_25_4" if one.by == "provider" else "art_25_5"
        steps.append(counted_on("transition_ends", law, ends, Rule((one.until - ends).days), one.until))
        ends = one.until
    completed = _completed(done, begins, ends)
    if completed is not None:
        early = Rule((ends - completed).days)
        steps.append(counted_back("last_day", "art_25_2_c_i", ends, early, completed))
    return Dates(completed or ends, noticed.last_day_for_notice, steps=tuple(steps), completed=completed)


def _completed(done: tuple[Done, ...], begins: date, ends: date) -> date | None:
    """Give the day that counts: in the transition, which comes after the notice, and heard of before its end.

    Of several the latest, in favour of whoever still works on that day.
    """
    return max((one.on for one in done if begins < one.on and one.heard <= ends), default=None)


def transition_of(
    terms: Terms, received: date, prolongations: tuple[Prolongation, ...], clock: Clock
) -> tuple[date, date]:
    """Give the last day of the notice, after which the transition begins, and the last that the transition may have."""
    reckoned = switch(terms, received, prolongations, (), clock)
    return _noticed(terms, received, clock).last_day, reckoned.last_day


@lru_cache(maxsize=16384)
def erasure(terms: Terms, received: date, clock: Clock) -> Dates:
    """Reckon the days of erasure alone, which ends the contract with the notice (art. 25(2)(c)(ii)).

    A contract that ends by itself before that still does.
    """
    noticed = _noticed(terms, received, clock)
    fixed = None if terms.months else end_of(terms, period_on(terms, received))
    if terms.open_notice is not None or fixed is None or noticed.last_day <= fixed:
        step = counted_on("last_day", "art_25_2_c", noticed.last_day, Rule(0), noticed.last_day)
        return Dates(noticed.last_day, received, steps=(*noticed.steps, step))
    return Dates(fixed, received, steps=(*noticed.steps, months_on("last_day", "contract", fixed, 0, fixed)))


def _noticed(terms: Terms, received: date, clock: Clock) -> Dates:
    """Reckon the end of the notice: the contract's own days, and two months at most (art. 25(2)(d))."""
    period = period_on(terms, received)
    rule = terms.open_notice if terms.open_notice is not None and end_of(terms, period) is None else terms.notice
    own, most = after(rule, received), later(received, clock.notice_months)
    if own <= most:
        step = counted_on("notice_ends", "contract", received, rule, own)
    else:
        step = months_on("notice_ends", "art_25_2_d", received, clock.notice_months, most)
    return not_before(terms.period_start, Dates(min(own, most), received, steps=(step,)))


def weighed(terms: Terms, received: date, prolongations: tuple[Prolongation, ...], clock: Clock) -> tuple[Weighed, ...]:
    """Tell of each of *prolongations* why it doesn't count, in the order in which they were made, not read."""
    begins = _noticed(terms, received, clock).last_day
    ends, told = after(clock.transition, begins), after(clock.deadline_rule, received)
    known: list[Weighed] = []
    for one in sorted(prolongations, key=lambda one: (one.made_on, one.by, one.until, one.prolongation_id)):
        again = any(other.by == one.by for other in counting(known))
        refusal = _refusal(one, ends, told, later(begins, clock.prolonged_months), again=again)
        known.append(Weighed(one, refusal))
        ends = one.until if refusal is None else ends
    return tuple(known)


def counting(known: Iterable[Weighed]) -> tuple[Prolongation, ...]:
    """Give those that count."""
    return tuple(one.prolongation for one in known if one.refusal is None)


def _refusal(one: Prolongation, ends: date, told: date, at_most: date, *, again: bool) -> Refusal | None:
    """Tell why *one* doesn't count, of a transition that so far *ends* with that day.

    The provider has to have said so by the day *told*, and may go on to *at_most* (art. 25(4)).
    """
    if one.made_on > ends or (one.by == "provider" and one.made_on > told):
        return "too_late"
    if again:
        return "already_prolonged"
    if one.by == "provider" and one.until > at_most:
        return "too_long"
    return "no_longer" if one.until <= ends else None


def last_day_by_provider(terms: Terms, received: date, clock: Clock) -> date:
    """Give the last day to which the provider may prolong the transition of a notice (art. 25(4))."""
    return later(_noticed(terms, received, clock).last_day, clock.prolonged_months)
