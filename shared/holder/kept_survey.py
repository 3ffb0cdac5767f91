"""How many rows have to stay, found by another way than the one that spares them: one query that only reads."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..datamap.ownership import goes_with, relation
from .references import references
from .scope import covered

if TYPE_CHECKING:
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
