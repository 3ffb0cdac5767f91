"""Who refers to whom, as the database has it: every foreign key, partitions counted as their table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..datamap.live import NAME
from ..datamap.ownership import quoted, relation
from .going import leaves
from .scope import persons
from .whose import goes, is_way, steps, steps_to_persons

if TYPE_CHECKING:
    import asyncpg

    from ..datamap.live import Connection
    from ..datamap.model import DataMap
    from .scope import Covers

PATH = "path"


@dataclass(frozen=True, slots=True)
class Reference:
    """Rows of *table* refer by *columns* to the *key* of a row of *to*; *name* is the constraint's, or ``PATH``.

    A path may have no *columns*: then it is only known that rows of the one hang on rows of the other.
    One that isn't *enforced* lets the rows that refer to a deleted one stay as they are, and lead nowhere.
    """

    name: str
    table: str
    columns: tuple[str, ...]
    to: str
    key: tuple[str, ...]
    indexed: bool = True
    enforced: bool = True

    def holds(self, child: str, parent: str) -> str:
        """Give the condition under which the row *child* refers to the row *parent*, both aliases."""
        pairs = zip(self.columns, self.key, strict=True)
        return " and ".join(f"{child}.{quoted(column)} = {parent}.{quoted(key)}" for column, key in pairs)

    @property
    def create_index(self) -> str:
        """Give the statement that makes the index which this reference lacks."""
        columns = ", ".join(quoted(column) for column in self.columns)
        return f"create index concurrently on {relation(self.table)} ({columns})"


async def references(
    connection: Connection,
    map: DataMap,  # noqa: A002
    holds: Covers | None = None,
) -> tuple[Reference, ...]:
    """Give every foreign key between declared tables, and every step of a path, which binds rows as much.

    Where *holds* keep what is about somebody, the ways to persons bind too: by them it is found again.
    """
    declared = {table.name for table in map.tables}
    keys = [_reference(row) for row in await connection.fetch(FOREIGN_KEYS)]
    ways = [Reference(PATH, *step) for table in map.tables for step in steps(map, table)]
    if persons(holds or {}):
        ways += [Reference(PATH, *step) for table in map.tables for step in steps_to_persons(map, table)]
    return tuple(one for one in (*keys, *ways) if one.table in declared and one.to in declared)


async def entangled(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    known: tuple[Reference, ...],
    holds: Covers | None = None,
) -> tuple[tuple[Reference, int], ...]:
    """Count, per reference, the rows that are not *customer*'s and refer to a row that is, and goes."""
    counted = [
        (one, await connection.fetchval(entangled_query(map, one, holds or {}), customer))
        for one in known
        if one.name != PATH and not is_way(map, (one.table, one.columns, one.to, one.key))
    ]
    return tuple((one, rows) for one, rows in counted if rows)


def entangled_query(map: DataMap, one: Reference, holds: Covers) -> str:  # noqa: A002
    """Give the query that counts what refers to rows of the customer ``$1`` that go by *one*, and isn't its own."""
    return ENTANGLED.format(
        child=relation(one.table),
        parent=relation(one.to),
        holds=one.holds("c", "p"),
        parents=leaves(map, map.table(one.to), holds, "p"),
        childs=goes(map, map.table(one.table), "c"),
    )


def _reference(row: asyncpg.Record) -> Reference:
    named = row["name"], row["table"], tuple(row["columns"]), row["to"], tuple(row["key"])
    return Reference(*named, row["indexed"], row["enforced"])


ENTANGLED = """
    select count(*) from {child} as c join {parent} as p on {holds} where ({parents}) and ({childs}) is not true
"""

# The last column of a key WITHOUT OVERLAPS (from 18 on) isn't compared with "=": without it, more rows count as bound.
FOREIGN_KEYS = f"""
    with named as (
        select c.oid, {NAME} as name
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
           ) as indexed,
           coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
               and not exists (
                   select from pg_constraint p
                     join pg_trigger g on g.tgconstraint = p.oid and g.tgrelid = p.confrelid
                    where (p.oid = k.oid or p.conparentid = k.oid)
                      and g.tgenabled::text not in ('A', case current_setting('session_replication_role')
                                                        when 'replica' then 'R' else 'O' end)
               ) as enforced
      from compared k
      join named child on child.oid = coalesce(pg_partition_root(k.conrelid), k.conrelid)
      join named parent on parent.oid = coalesce(pg_partition_root(k.confrelid), k.confrelid)
     order by child.name, k.conname
"""
