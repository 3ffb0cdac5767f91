"""How many rows have to stay, found by another way than the one that spares them: one query that only reads."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..datamap.names import reported
from ..datamap.ownership import goes_with, relation
from ..events.platform import RetainedRows
from .references import references
from .right import RefusedError
from .scope import covered
from .statutory import BY_DAY, not_yet

if TYPE_CHECKING:
    from datetime import datetime

    from ..datamap.live import Connection
    from ..datamap.model import DataMap
    from .references import Reference
    from .scope import Covers


async def kept_rows(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    holds: Covers,
) -> Counter[str]:
    """Count, per table, the rows of *customer* that *holds* cover or that such rows need; reads only."""
    query = kept_query(map, holds, await references(connection, map, holds))
    names = [table.name for table in map.tables]
    return Counter({names[row["place"]]: row["rows"] for row in await connection.fetch(query, customer)})


def kept_query(map: DataMap, holds: Covers, known: tuple[Reference, ...]) -> str:  # noqa: A002
    """Give the query that counts them by each table's *place* in the map."""
    places = {table.name: place for place, table in enumerate(map.tables)}
    seeds = [
        SEED.format(
            place=places[table.name],
            relation=relation(table.name),
            which=f"({goes_with(map, table)}) and ({covered(map, table, holds, 't')})",
        )
        for table in map.tables
        if table.name in holds
    ]
    steps = [
        STEP.format(
            place=places[one.to],
            child_place=places[one.table],
            child=relation(one.table),
            parent=relation(one.to),
            holds=one.holds("c", "p") or "true",
            which=goes_with(map, map.table(one.to), "p"),
        )
        for one in known
    ]
    return KEPT.format(seeds=UNION.join(seeds), steps=UNION.join(steps or [NO_STEP]))


async def lawful_rows(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    now: datetime,
) -> tuple[RetainedRows, ...]:
    """Count the rows of *customer* that laws keep at *now*, by their last day; reads only.

    Raises ``RefusedError`` where that can't be told.
    """
    found = []
    for table in map.tables:
        if table.retain:
            which = f"({goes_with(map, table)}) and {table.retain.kept('t', now)}"
            query = BY_DAY.format(relation=relation(table.name), which=which, until=table.retain.until("t"))
            for row in await connection.fetch(query, customer):
                if row["until"] is None:
                    raise RefusedError(
                        "failed", f"{table.name}: until when {table.retain.basis} keeps it can't be told"
                    )
                named = {"table": reported(table.name), "basis": table.retain.basis}
                found.append(RetainedRows(**named, until=row["until"], rows=row["rows"]))
    return tuple(found)


async def not_emptied(connection: Connection, map: DataMap, customer: str) -> Counter[str]:  # noqa: A002
    """Count the rows of *customer*, per table, in which something stands that *map* says is emptied; reads only."""
    found: Counter[str] = Counter()
    for table in map.tables:
        if table.minimise:
            which = f"({goes_with(map, table)}) and ({not_yet(table)})"
            found[table.name] = await connection.fetchval(
                COUNT.format(relation=relation(table.name), which=which), customer
            )
    return found


COUNT = "select count(*) from {relation} as t where {which}"

UNION = " union all "

SEED = "select {place} as place, t.tableoid as part, t.ctid as at from {relation} as t where {which}"

STEP = """
    select {place}, p.tableoid, p.ctid
      from {child} as c
      join {parent} as p on {holds}
     where k.place = {child_place} and c.tableoid = k.part and c.ctid = k.at and ({which})
"""

NO_STEP = "select 0, 0::oid, '(0,0)'::tid where false"

# From each kept row on to those that it needs; a row is met once, so a ring ends.
KEPT = """
    with recursive kept (place, part, at) as (
        select * from ({seeds}) seeds
        union
        select needed.* from kept k cross join lateral ({steps}) needed (place, part, at)
    )
    select place, count(*) as rows from kept group by place
"""
