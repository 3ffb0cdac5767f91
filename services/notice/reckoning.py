"""Each step of a reckoning as a sentence, with its inputs as values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from shared.events.notice import Step

from .calendar import Terms, later
from .explained import Explained, Inputs, Rule
from .rules import RuleSet
from .wording import counted, day, times
from .workdays import holiday_name, skipped

_LONGEST = 31
_PROLONGED_BY = {"art_25_4": "the provider", "art_25_5": "the customer"}
CLAUSES: Mapping[str, Rule] = {
    "contract": "contract",
    "p1": "P1",
    "p2": "P2",
    "art_25_2_a": "art. 25(2)(a)",
    "art_25_2_c": "art. 25(2)(c)",
    "art_25_2_c_i": "art. 25(2)(c)(i)",
    "art_25_2_d": "art. 25(2)(d)",
    "art_25_4": "art. 25(4)",
    "art_25_5": "art. 25(5)",
}


def reckoned(step: Step, terms: Terms, rules: RuleSet, *, applies: bool) -> Explained:
    """Explain one step as it was taken."""
    if step.figure == "period_end":
        period = step.count // terms.months if terms.months else 0
        return days_of(terms, period, step.result)
    unit = {"calendar_days": "day", "working_days": f"working day in {step.country}", "months": "month"}[step.unit]
    way = "before" if step.direction == "back" else "after"
    left_out = "" if step.country is None else _left_out(step.skipped, step.country, rules.categories(step.country))
    because = f"{counted(step.count, unit)} {way} {day(step.start)}: {day(step.result)}{left_out}"
    if step.rule in _PROLONGED_BY:
        because = f"{_PROLONGED_BY[step.rule]} prolonged it from {day(step.start)} to {day(step.result)}"
    if step.rule == "art_25_2_c_i":
        early = f"{counted(step.count, 'day')} before the transition's last day, {day(step.start)}"
        because = f"the switch was reported complete on {day(step.result)}, {early}: the contract ends with that day"
    return Explained(step.figure, step.result, CLAUSES[step.rule], because, _inputs(step, terms), applies)


def rule_told(terms: Terms, end: date, last: date, *, applies: bool) -> Explained:
    """Explain the last day for notice of a period that ends with *end*."""
    rule = terms.notice
    unit = "day" if rule.country is None else f"working day in {rule.country}"
    left_out = "" if rule.country is None else _left_out(skipped(rule, last, end), rule.country, rule.categories)
    because = f"{counted(rule.days, unit)} before {day(end)}: {day(last)}{left_out}"
    inputs: Inputs = {"period_end": end.isoformat(), "notice_days": rule.days, "revision": terms.revision}
    if rule.country is not None:
        inputs = {**inputs, "country": rule.country}
    return Explained("last_day_for_notice", last, "P1", because, inputs, applies)


def days_of(terms: Terms, period: int, end: date) -> Explained:
    """Explain the end of a period: as the contract says, or so many months later."""
    first = terms.first_end or end
    because = f"{day(first)}: the contract says so, in revision {terms.revision}"
    if period:
        months = terms.months * period
        shorter = later(first, months).day < first.day
        clamped = f", since that month has no {first.day}{'st' if first.day == _LONGEST else 'th'}" * shorter
        because = (
            f"{day(first)} (contract, revision {terms.revision}), prolonged {times(period)} by"
            f" {counted(terms.months, 'month')}: {counted(months, 'month')} later is {day(end)}{clamped}"
        )
    inputs: Inputs = {
        "first_end": first.isoformat(),
        "revision": terms.revision,
        "months": terms.months,
        "prolonged": period,
    }
    return Explained("period_end", end, "contract", because, inputs)


def _inputs(step: Step, terms: Terms) -> Inputs:
    if step.figure == "last_day_for_notice":
        known: Inputs = {
            "period_end": step.start.isoformat(), "notice_days": step.count, "revision": terms.revision,
        }  # fmt: skip
        return known if step.country is None else {**known, "country": step.country}
    return {"start": step.start.isoformat(), "count": step.count, "unit": step.unit, "country": step.country}


def _left_out(days: tuple[date, ...], country: str, categories: tuple[str, ...]) -> str:
    if not days:
        return ""
    named = (f"{day(one)} ({holiday_name(country, categories, one)})" for one in days)
    return f"; not counted: {', '.join(named)}"
