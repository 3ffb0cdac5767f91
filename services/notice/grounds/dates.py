"""What every ground's clock tells: the days that a notice leads to, and each step of the reckoning."""

from __future__ import annotations

from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from shared.events.notice import Step

from ..workdays import Rule, skipped


class Dates(Struct, frozen=True):
    """The days that a notice leads to.

    *last_day*: the last of the contract's service. *last_day_for_notice*: the last day on which a notice ends it with
    the period in which this one was received; *late* if it was received after that. *steps*: how they were reckoned.
    *completed*: the day with which a switch was complete, before its transition's end.
    """

    last_day: date
    last_day_for_notice: date
    steps: tuple[Step, ...]
    late: bool = False
    completed: date | None = None


def not_before(first: date, found: Dates) -> Dates:
    """Let a notice that was given ahead of the contract end it with its *first* day, and not before it has begun."""
    if found.last_day >= first:
        return found
    waits = counted_on(found.steps[-1].figure, "contract", found.last_day, Rule((first - found.last_day).days), first)
    return replace(found, last_day=first, steps=(*found.steps, waits))


def counted_on(figure: str, law: str, start: date, rule: Rule, result: date) -> Step:
    """Tell that so many days as *rule* says were counted from *start* on."""
    return _counted(figure, law, start, "on", rule, result, skipped(rule, start, result))


def counted_back(figure: str, law: str, start: date, rule: Rule, result: date) -> Step:
    """Tell that so many days as *rule* says were counted back from *start*."""
    return _counted(figure, law, start, "back", rule, result, skipped(rule, result, start))


def months_on(figure: str, law: str, start: date, months: int, result: date) -> Step:
    """Tell that whole months were counted from *start* on."""
    return Step.model_validate(
        {"figure": figure, "rule": law, "start": start, "direction": "on", "count": months, "unit": "months",
         "result": result}
    )  # fmt: skip


def _counted(
    figure: str, law: str, start: date, direction: str, rule: Rule, result: date, left_out: tuple[date, ...]
) -> Step:
    unit = "calendar_days" if rule.country is None else "working_days"
    return Step.model_validate(
        {"figure": figure, "rule": law, "start": start, "direction": direction, "count": rule.days, "unit": unit,
         "result": result, "country": rule.country, "skipped": left_out}
    )  # fmt: skip
