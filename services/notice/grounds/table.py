"""Which ground has which clock, and on what basis the contract is over when it has run out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TypeAlias

from shared.events.notice import Basis
from shared.events.platform import Ground

from ..calendar import Terms, counting_day
from ..policy import NoticePolicy
from ..rules import RuleSet
from ..states import Notice
from .dates import Dates
from .non_renewal import non_renewal
from .switching import Done, clock_of, erasure, switch, transition_of

GroundClock: TypeAlias = Callable[[Terms, Notice, date, RuleSet], Dates]


def dates(terms: Terms, notice: Notice, policy: NoticePolicy) -> Dates:
    """Reckon the days that *notice* leads to, by the rules under which it was judged."""
    day = counting_day(notice.received_at, terms.zone)
    return GROUNDS[notice.ground](terms, notice, day, policy.rules_of(notice.rules))


def completed_on(terms: Terms, notice: Notice, policy: NoticePolicy) -> date | None:
    """Tell with which day the switch of *notice* was complete, if it was before its transition's end."""
    return dates(terms, notice, policy).completed


def transition(terms: Terms, notice: Notice, policy: NoticePolicy) -> tuple[date, date]:
    """Give the last day of the notice of a switch, and the last of the transition after it."""
    day = counting_day(notice.received_at, terms.zone)
    return transition_of(terms, day, notice.prolongations, clock_of(policy.rules_of(notice.rules)))


def _by_contract(terms: Terms, notice: Notice, day: date, _: RuleSet) -> Dates:
    return non_renewal(terms, day, kept=notice.in_time)


def _by_switch(terms: Terms, notice: Notice, day: date, rules: RuleSet) -> Dates:
    done = tuple(
        Done(counting_day(one.completed_at, terms.zone), counting_day(one.heard_at, terms.zone))
        for one in notice.completions
    )
    return switch(terms, day, notice.prolongations, done, clock_of(rules))


def _by_erasure(terms: Terms, _: Notice, day: date, rules: RuleSet) -> Dates:
    return erasure(terms, day, clock_of(rules))


GROUNDS: Mapping[Ground, GroundClock] = {
    "non_renewal": _by_contract,
    "switch": _by_switch,
    "on_premises": _by_switch,
    "erasure": _by_erasure,
}
BASES: Mapping[Ground, Basis] = {
    "non_renewal": "notice",
    "switch": "switch",
    "on_premises": "on_premises",
    "erasure": "erasure",
}
WITH_TRANSITION: frozenset[Ground] = frozenset(("switch", "on_premises"))
