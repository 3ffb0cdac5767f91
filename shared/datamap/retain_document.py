"""Statutory retention, as a data map's owners write it: what the law keeps, for how long, counted from when."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from .owner_document import Column, Words, Written

_ZONES = frozenset(available_timezones())
_LEAP_YEAR = 2024


def _known_zone(name: str) -> str:
    if name not in _ZONES:
        raise ValueError("not an IANA time zone")
    return name


def _day_of_a_year(written: str) -> str:
    month, day = (int(part) for part in written.split("-"))
    date(_LEAP_YEAR, month, day)
    return written


# What a certificate and an event can carry: a law and where in it, as events cite it.
Basis = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9§][A-Za-z0-9§:.,/() -]{0,79}$")]
# Whoever keeps for longer than a century has written days for years.
Years = Annotated[int, Field(ge=1, le=100)]
DayOfYear = Annotated[str, StringConstraints(pattern=r"^\d\d-\d\d$"), AfterValidator(_day_of_a_year)]


class WrittenCounting(Written):
    """Counted from the *day* in that column; or from the *end_of_year* in which it lies, or of the fiscal year's end.

    *ending* is the last day of a fiscal year, as month-day.
    """

    day: Column | None = None
    end_of_year: Column | None = None
    end_of_fiscal_year: Column | None = None
    ending: DayOfYear | None = None

    @model_validator(mode="after")
    def _one_form(self) -> WrittenCounting:
        given = [one for one in (self.day, self.end_of_year, self.end_of_fiscal_year) if one is not None]
        if len(given) != 1 or (self.ending is None) != (self.end_of_fiscal_year is None):
            raise ValueError("write day, or end_of_year, or end_of_fiscal_year with ending, each with a column")
        return self


class WrittenRetention(Written):
    """Rows for which *where* is true (all, without it) stay to the end of the last day, in *time_zone*."""

    basis: Basis
    years: Years
    counted_from: WrittenCounting
    time_zone: Annotated[str, AfterValidator(_known_zone)]
    where: Words | None = None


# What a column is emptied to.
Constant = bool | int | str | None
