"""Who refers to whom, as the database has it: every foreign key, partitions counted as their table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..datamap.drift import hops
from ..datamap.model import ByColumn, ByPath
from ..datamap.ownership import owned_by, quoted, relation

if TYPE_CHECKING:
    from collections.abc import Iterator

    import asyncpg

    from ..datamap.live import Connection
    from ..datamap.model import DataMap, Table


@dataclass(frozen=True, slots=True)
class Reference:
    """Rows of *table* refer by *columns* to the *key* of a row of *to*; *name* is the constraint's, or "path"."""

    name: str
    table: str
    columns: tuple[str, ...]
    to: str
    key: tuple[str, ...]
    indexed: bool = True

    def holds(self, child: str, parent: str) -> str:
        """Give the condition under which the row *child* refers to the row *parent*, both aliases."""
        pairs = zip(self.columns, self.key, strict=True)
        return " and ".join(f"{child}.{quoted(column)} = {parent}.{quoted(key)}" for column, key in pairs)

    @property
    def create_index(self) -> str:
        """Give the statement that makes the index which this reference lacks."""
        columns = ", ".join(quoted(column) for column in self.columns)
        return f"create index concurrently on {relation(self.table)} ({columns})"


async def references(connection: Connection, map: DataMap) -> tuple[Reference, ...]:  # noqa: A002
    """Give every foreign key between declared tables, and every step of a path, which binds rows as much."""
    declared = {table.name for table in map.tables}
    keys = [_reference(row) for row in await connection.fetch(FOREIGN_KEYS)]
    steps = [step for table in map.tables for step in _steps(table)]
    return tuple(one for one in (*keys, *steps) if one.table in declared and one.to in declared)


async def entangled(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    known: tuple[Reference, ...],
) -> tuple[tuple[Reference, int], ...]:
    """Count, per reference, the rows that are not *customer*'s and refer to a row that is."""
    counted = [
        (one, await connection.fetchval(entangled_query(map, one), customer))
        for one in known
        if one.name != "path" and not _owned_through(map, one)
    ]
    return tuple((one, rows) for one, rows in counted if rows)


def entangled_query(map: DataMap, one: Reference) -> str:  # noqa: A002
    """Give the query that counts what refers to the rows of the customer ``$1`` by *one*, and isn't the customer's."""
    return ENTANGLED.format(
        child=relation(one.table),
        parent=relation(one.to),
        holds=one.holds("c", "p"),
        parents=owned_by(map, map.table(one.to), "p"),
        childs=owned_by(map, map.table(one.table), "c"),
    )


def _owned_through(map: DataMap, one: Reference) -> bool:  # noqa: A002
    """Tell whether who refers by *one* to a customer's row is the customer's by the map's own words."""
    child, parent = map.table(one.table).owner, map.table(one.to).owner
    if isinstance(child, ByPath):
        hop = child.hops[0]
        return len(child.hops) == 1 and ((hop.column,), hop.table, (hop.key,)) == (one.columns, one.to, one.key)
    return (
        isinstance(child, ByColumn)
        and isinstance(parent, ByColumn)
        and (one.columns, one.key) == ((child.column,), (parent.column,))
    )


def _steps(table: Table) -> Iterator[Reference]:
    at = table.name
    for hop in hops(table):
        yield Reference("path", at, (hop.column,), hop.table, (hop.key,))
        at = hop.table


def _reference(row: asyncpg.Record) -> Reference:
    return Reference(row["name"], row["table"], tuple(row["columns"]), row["to"], tuple(row["key"]), row["indexed"])


ENTANGLED = """
    select count(*) from {child} as c join {parent} as p on {holds} where ({parents}) and ({childs}) is not true
"""

# The last column of a key WITHOUT OVERLAPS (from 18 on) isn't compared with "=": without it, more rows count as bound.
FOREIGN_KEYS = """
    with named as (
        select c.oid, case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname as name
          from pg_class c
          join pg_namespace n on n.oid = c.relnamespace
    ),
    compared as (
        select k.*, cardinality(k.conkey) - coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false)::int as width
          from pg_constraint k
         where k.contype = 'f' and k.conparentid = 0
    )
    select k.conname as name,
           child.name as "table",
           array(select a.attname::text from unnest(k.conkey) with ordinality as u (attnum, at)
                   join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
                  where u.at <= k.width order by u.at) as columns,
           parent.name as "to",
           array(select a.attname::text from unnest(k.confkey) with ordinality as u (attnum, at)
                   join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum
                  where u.at <= k.width order by u.at) as key,
           exists (
               select from pg_index i
                where i.indrelid = k.conrelid and i.indisvalid and i.indpred is null
                  and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
           ) as indexed
      from compared k
      join named child on child.oid = coalesce(pg_partition_root(k.conrelid), k.conrelid)
      join named parent on parent.oid = coalesce(pg_partition_root(k.confrelid), k.confrelid)
     order by child.name, k.conname
"""
