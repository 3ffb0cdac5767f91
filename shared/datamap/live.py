"""The schema as it is: the declared tables' columns and keys, read from Postgres' own catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from . import drift
from .columns import ForeignKey, LiveColumn

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from .drift import Finding
    from .model import DataMap

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]


async def tables(connection: Connection) -> frozenset[str]:
    """Name every table, foreign table and materialised view, in every schema but the system's and our own ledger's."""
    return frozenset(row["name"] for row in await connection.fetch(TABLES))


async def columns(connection: Connection, map: DataMap) -> Mapping[str, tuple[LiveColumn, ...]]:  # noqa: A002
    """Give the columns of each declared table that exists, in the table's order."""
    return await columns_of(connection, [table.name for table in map.tables])


async def columns_of(connection: Connection, names: list[str]) -> Mapping[str, tuple[LiveColumn, ...]]:
    """Give the columns of each table of *names* that exists, in the table's order."""
    found: dict[str, list[LiveColumn]] = {}
    for row in await connection.fetch(COLUMNS, names):
        named = {key: value for key, value in row.items() if key != "table_name"}
        found.setdefault(row["table_name"], []).append(LiveColumn(**named))
    return {name: tuple(found[name]) for name in names if name in found}


async def foreign_keys(connection: Connection) -> tuple[ForeignKey, ...]:
    """Give every foreign key of the database."""
    return tuple(_foreign_key(row) for row in await connection.fetch(FOREIGN_KEYS))


async def check(connection: Connection, map: DataMap) -> tuple[Finding, ...]:  # noqa: A002
    """Compare *map* with the live schema; nothing found means that the map may be used."""
    reached = {hop.table for table in map.tables for hop in drift.hops(table)}
    named = sorted({table.name for table in map.tables} | reached)
    return drift.findings(
        map,
        await tables(connection),
        await columns_of(connection, named),
        await foreign_keys(connection),
    )


def _foreign_key(row: asyncpg.Record) -> ForeignKey:
    columns, to_columns = tuple(row["columns"]), tuple(row["to_columns"])
    named = row["name"], row["table"], columns, row["to_table"], to_columns
    return ForeignKey(*named, indexed=row["indexed"], deferrable=row["deferrable"])


# Names are those of the map: without the schema where it is "public". Partitions belong to their parent.
# The schema "offramp" is where a holder notes what it deleted: ids and counts, nobody's data (shared/holder/ledger.py).
TABLES = """
    select case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname as name
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'f', 'm')
       and not c.relispartition
       and n.nspname not in ('information_schema', 'offramp')
       and n.nspname !~ '^pg_'
"""

COLUMNS = """
    select named.name as table_name,
           a.attname as name,
           format_type(a.atttypid, a.atttypmod) as type,
           not a.attnotnull as nullable,
           a.attnum::int as position,
           array_position(p.indkey::int2[], a.attnum) + 1 as key_position,
           exists (
               select from pg_index i
                where i.indrelid = c.oid and i.indisunique and i.indisvalid
                  and i.indpred is null and i.indnkeyatts = 1 and i.indkey[0] = a.attnum
           ) as "unique",
           a.attgenerated <> '' as generated
      from unnest($1::text[]) as named (name)
      join pg_class c on c.relname = regexp_replace(named.name, '^.*\\.', '')
      join pg_namespace n on n.oid = c.relnamespace
       and n.nspname = case when strpos(named.name, '.') > 0 then split_part(named.name, '.', 1) else 'public' end
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      left join pg_index p on p.indrelid = c.oid and p.indisprimary
     order by named.name, a.attnum
"""

# A partial index doesn't serve the check that Postgres makes for each deleted row.
FOREIGN_KEYS = """
    with named as (
        select c.oid, case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname as name
          from pg_class c
          join pg_namespace n on n.oid = c.relnamespace
    )
    select k.conname as name,
           child.name as "table",
           array(select a.attname from unnest(k.conkey) with ordinality as u (attnum, at)
                   join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum order by u.at) as columns,
           parent.name as to_table,
           array(select a.attname from unnest(k.confkey) with ordinality as u (attnum, at)
                   join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum order by u.at) as to_columns,
           exists (
               select from pg_index i
                where i.indrelid = k.conrelid and i.indisvalid and i.indpred is null
                  and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
           ) as indexed,
           k.condeferrable as deferrable
      from pg_constraint k
      join named child on child.oid = k.conrelid
      join named parent on parent.oid = k.confrelid
     where k.contype = 'f' and k.conparentid = 0
     order by child.name, k.conname
"""
