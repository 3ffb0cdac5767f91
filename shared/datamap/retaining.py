"""Which rows the law keeps, and until when: the expressions that the deletion, the checks and the counts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from .names import literal, quoted

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class FromDay:
    """Counted from the day in *column*."""

    column: str


@dataclass(frozen=True, slots=True)
class FromYear:
    """Counted from the end of the calendar year in which the day in *column* lies."""

    column: str


@dataclass(frozen=True, slots=True)
class FromFiscalYear:
    """Counted from the end of the calendar year in which the fiscal year of the day in *column* ends.

    *ends* is its last day as month * 100 + day.
    """

    column: str
    ends: int


Counting: TypeAlias = FromDay | FromYear | FromFiscalYear


@dataclass(frozen=True, slots=True)
class Retention:
    """Rows for which *where* is true (all, without it) are kept for *years*, by *basis*; days are of *time_zone*."""

    basis: str
    years: int
    counted_from: Counting
    time_zone: str
    where: str | None = None

    def until(self, alias: str) -> str:
        """Give the SQL for the last day on which the row *alias* has to be there; null where its day is strange.

        Strange is a day that is missing or infinite, one on which computers begin to count, or one out of any books.
        """
        value = f"{quoted(alias)}.{quoted(self.counted_from.column)}"
        day = DAY.format(value=value, zone=literal(self.time_zone))
        return UNTIL.format(value=value, day=day, last=self._last(day))

    def kept(self, alias: str, now: datetime) -> str:
        """Give the condition under which the row *alias* has to be there at *now*; what can't be told is kept."""
        return f"(({self._meant(alias)}) is not false and ({self._over(alias)} <= {_moment(now)}) is not true)"

    def strange(self, alias: str) -> str:
        """Give the condition for rows of which it can't be told whether, or until when, the law keeps them."""
        meant = self._meant(alias)
        return f"(({meant}) is not false and (({meant}) is null or {self.until(alias)} is null))"

    def _last(self, day: str) -> str:
        match self.counted_from:
            case FromDay():
                return f"({day} + interval '{self.years} years')::date"
            case FromYear():
                return f"make_date(extract(year from {day})::int + {self.years}, 12, 31)"
            case FromFiscalYear(ends=ends):
                of_year = f"extract(month from {day}) * 100 + extract(day from {day})"
                later = f"case when {of_year} > {ends} then 1 else 0 end"
                return f"make_date(extract(year from {day})::int + {later} + {self.years}, 12, 31)"

    def _over(self, alias: str) -> str:
        return f"(({self.until(alias)} + 1)::timestamp at time zone {literal(self.time_zone)})"

    def _meant(self, alias: str) -> str:
        # The line ends are there for a comment at the condition's end.
        return "true" if self.where is None else "\n" + self.where.replace("{row}", quoted(alias)) + "\n"


def constant(value: bool | int | str | None) -> str:  # noqa: FBT001 - one of several kinds of value
    """Write what a column is emptied to as SQL."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int():
            return str(value)
    return literal(value)


def differs(alias: str, column: str, value: bool | int | str | None) -> str:  # noqa: FBT001 - as above
    """Give the condition under which *column* of the row *alias* isn't emptied to *value* yet."""
    there = f"{quoted(alias)}.{quoted(column)}"
    if isinstance(value, str):
        # A collation may take different texts for one.
        return f'{there}::text collate "C" is distinct from {constant(value)}'
    return f"{there} is distinct from {constant(value)}"


def _moment(now: datetime) -> str:
    return f"timestamptz {literal(now.isoformat())}"


# A moment is first put into the zone; a date already is a day, whatever the zone.
DAY = """(case when pg_typeof({value}) = 'timestamptz'::regtype
    then ({value}::timestamptz at time zone {zone})::date else {value}::date end)"""

UNTIL = """(case when isfinite({value}) and {day} > date '1970-01-01' and {day} < date '2200-01-01' then {last} end)"""
