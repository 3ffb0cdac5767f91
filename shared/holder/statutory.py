"""Statutory retention: which of a customer's rows a law keeps at the deletion's instant, until when, how emptied."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from ..datamap.names import quoted, reported
from ..datamap.ownership import relation
from ..datamap.retaining import constant, differs
from ..events.platform import RetainedRows
from ..events.vocabulary import TableCount
from .right import RefusedError
from .whose import goes

if TYPE_CHECKING:
    from datetime import datetime

    from ..datamap.model import DataMap, Table
    from ..datamap.retaining import Retention
    from .scope import Covers
    from .work import Work


@dataclass(frozen=True, slots=True)
class ByLaw:
    """What *retention* keeps of one table's rows at *now*, the instant of the whole deletion."""

    retention: Retention
    now: datetime

    def of(self, _: DataMap, __: Table, alias: str) -> str:
        """Give the condition for the kept rows among the customer's own, called *alias*."""
        return self.retention.kept(alias, self.now)


def with_law(map: DataMap, holds: Covers, now: datetime) -> Covers:  # noqa: A002
    """Add to what *holds* keep what the map says that laws keep at *now*."""
    lawful = {table.name: (ByLaw(table.retain, now),) for table in map.tables if table.retain}
    return {name: (*holds.get(name, ()), *lawful.get(name, ())) for name in {**holds, **lawful}}


def instant(holds: Covers) -> datetime | None:
    """Give the one instant for which laws are asked; None where none keeps rows of any table."""
    return next((one.now for some in holds.values() for one in some if isinstance(one, ByLaw)), None)


async def check_dates(work: Work) -> None:
    """Refuse where it can't be told whether, or until when, a law keeps a row of the customer's."""
    for table in work.map.tables:
        if table.retain:
            which = f"({goes(work.map, table)}) and {table.retain.strange('t')}"
            query = COUNT.format(relation=relation(table.name), which=which)
            rows = await work.connection.fetchval(query, work.customer)
            if rows:
                why = f"until when {table.retain.basis} keeps them can't be told by {table.retain.counted_from.column}"
                raise RefusedError("failed", f"{table.name}: {rows} rows, and {why}, so nothing goes. {MEND}")


async def retained_rows(work: Work) -> tuple[RetainedRows, ...]:
    """Count the customer's rows that laws keep, by the last day on which they have to be there."""
    found = []
    for table in work.map.tables:
        for law in (one for one in work.holds.get(table.name, ()) if isinstance(one, ByLaw)):
            which = f"({goes(work.map, table)}) and {law.of(work.map, table, 't')}"
            query = BY_DAY.format(relation=relation(table.name), which=which, until=law.retention.until("t"))
            for row in await work.connection.fetch(query, work.customer):
                named = {"table": reported(table.name), "basis": law.retention.basis}
                found.append(RetainedRows(**named, until=row["until"], rows=row["rows"]))
    return tuple(found)


def minimises(map: DataMap) -> bool:  # noqa: A002
    """Tell whether *map* empties columns of kept rows."""
    return any(table.minimise for table in map.tables)


async def minimise(work: Work) -> None:
    """Empty the columns that nobody needs, of the listed rows that stay only for a law; those done are left alone."""
    for table in work.map.tables:
        if table.minimise:
            values = ", ".join(f"{quoted(name)} = {constant(value)}" for name, value in table.minimise.items())
            query = MINIMISE.format(relation=relation(table.name), values=values, which=not_yet(table))
            try:
                await work.connection.execute(query)
            except asyncpg.DataError as error:
                raise RefusedError("failed", f"{table.name}: minimise gives a value that its column refuses") from error
    await work.connection.execute("set constraints all immediate")


async def minimised_rows(work: Work) -> tuple[TableCount, ...]:
    """Count the listed rows with emptied columns; raises ``RefusedError`` where one of them wasn't emptied."""
    found: Counter[str] = Counter()
    for table in work.map.tables:
        if table.minimise:
            query = MINIMISED.format(relation=relation(table.name), which=not_yet(table))
            row = await work.connection.fetchrow(query)
            if row is not None and row["not_yet"]:
                details = f"{table.name}: {row['not_yet']} rows that a law keeps were not emptied as the map says"
                raise RefusedError("failed", details)
            found[table.name] = row["rows"] if row is not None else 0
    return tuple(TableCount(table=reported(name), rows=rows) for name, rows in sorted(found.items()) if rows)


def not_yet(table: Table) -> str:
    """Give the condition under which a row ``t`` isn't emptied as the map says."""
    return " or ".join(differs("t", name, value) for name, value in table.minimise.items())


MEND = "Mend those rows, or the map's condition"

COUNT = "select count(*) from {relation} as t where {which}"

BY_DAY = "select {until} as until, count(*) as rows from {relation} as t where {which} group by 1 order by 1"

# Who has listed the row is asked too: what a hold keeps has to stay as it is.
BY_LAW = "exists (select from pg_temp.offramp_kept k where k.part = t.tableoid and k.at = t.ctid and k.by_law)"

MINIMISE = f"update {{relation}} as t set {{values}} where ({{which}}) and {BY_LAW}"

MINIMISED = f"""
    select count(*) as rows, count(*) filter (where {{which}}) as not_yet from {{relation}} as t where {BY_LAW}
"""
