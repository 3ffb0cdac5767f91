"""The schema as it is: the declared tables' columns and keys, read from Postgres' own catalogue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from . import drift
from .columns import ForeignKey, Index, LiveColumn, Schema
from .declared import BySchema
from .finding import Finding
from .names import parts
from .owners import has_condition, passes
from .ownership import about, owned_by, relation
from .rules import Choice, Lookup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from asyncpg.pool import PoolConnectionProxy

    from .declared import DataMap, Table
    from .owners import Owner

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]


async def tables(connection: Connection) -> frozenset[str]:
    """Name every table, foreign table and materialised view, in every schema but the system's and our own ledger's."""
    return frozenset(row["name"] for row in await connection.fetch(TABLES))


async def schemas(connection: Connection) -> tuple[str, ...]:
    """Name every schema in which there is a table."""
    return tuple(sorted({parts(name)[0] for name in await tables(connection)}))


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


async def indexes(connection: Connection, names: Collection[str]) -> Mapping[str, tuple[Index, ...]]:
    """Give the indexes of each table of *names*, those that are valid and of the whole table."""
    found: dict[str, list[Index]] = {}
    for row in await connection.fetch(INDEXES, list(names)):
        one = Index(row["table"], tuple(row["columns"]), row["unique"], row["method"], row["expressions"] or "")
        found.setdefault(one.table, []).append(one)
    return {name: tuple(some) for name, some in found.items()}


async def schema(connection: Connection, names: Collection[str] | None = None) -> Schema:
    """Read the schema: all tables and foreign keys, and columns and indexes of the tables *names* (all by default)."""
    there = await tables(connection)
    wanted = sorted(there if names is None else names)
    return Schema(
        tables=there,
        columns=await columns_of(connection, wanted),
        keys=await foreign_keys(connection),
        indexes=await indexes(connection, wanted),
        partitioned=await _of_kind(connection, "p"),
        derived=await _of_kind(connection, "m"),
    )


async def _of_kind(connection: Connection, kind: str) -> frozenset[str]:
    return frozenset(row["name"] for row in await connection.fetch(OF_KIND, kind))


async def check(connection: Connection, map: DataMap) -> tuple[Finding, ...]:  # noqa: A002
    """Compare *map* with the live schema; nothing found means that the map may be used.

    A map by schema has to be read for one customer (``DataMap.of``); other customers' schemas are then no part of it.
    """
    live = await schema(connection, _named(map))
    live = replace(live, tables=[name for name in live.tables if not _of_another(map, name)])
    return (*drift.findings(map, live), *[found async for found in _refused(connection, map, live)])


def _named(map: DataMap) -> set[str]:  # noqa: A002
    ways = {table for one in map.tables for way in (one.owner, one.person) for table in passes(way)}
    meanings = {c.table for one in map.tables for c in one.coded.values() if isinstance(c, Lookup | Choice)}
    listed = {map.registry.table} if map.registry else set()
    tables = {table.name for table in map.tables} | set(map.shared_media)
    return tables | ways | meanings | listed | {one.table for one in map.ids.values()}


def _of_another(map: DataMap, name: str) -> bool:  # noqa: A002
    if not isinstance(map.tenancy, BySchema):
        return False
    customer = map.tenancy.customer_of(parts(name)[0])
    return customer is not None and customer != map.tenancy.bound_to


async def _refused(connection: Connection, map: DataMap, live: Schema) -> AsyncIterator[Finding]:  # noqa: A002
    """Let the server read every condition that the map has in its own words."""
    for table in map.tables:
        for way in (table.owner, table.person):
            if table.name in live.tables and has_condition(way):
                query = f"select from {relation(table.name)} as t where {_predicate(map, table, way)}"
                says = await _prepared(connection, query)
                if says:
                    yield Finding("owner_refused", table.name, f"the server refuses the condition: {says}", "Mend it.")
        if table.name in live.tables and table.retain:
            says = await _prepared(
                connection, f"select from {relation(table.name)} as t where {table.retain.strange('t')}"
            )
            if says:
                yield Finding(
                    "retained_date", table.name, f"the server refuses what is kept by law: {says}", "Mend it."
                )


def _predicate(map: DataMap, table: Table, way: Owner | None) -> str:  # noqa: A002
    return owned_by(map, table) if way is table.owner else about(map, table)


async def _prepared(connection: Connection, query: str) -> str | None:
    try:
        async with connection.transaction():
            await connection.prepare(query)
    except asyncpg.PostgresError as error:
        return str(error)
    return None


def _foreign_key(row: asyncpg.Record) -> ForeignKey:
    columns, to_columns = tuple(row["columns"]), tuple(row["to_columns"])
    named = row["name"], row["table"], columns, row["to_table"], to_columns
    return ForeignKey(*named, indexed=row["indexed"], deferrable=row["deferrable"])


# A name as the map writes it (names.py): without the schema where that is "public", in quotes where it has a dot.
NAME = """
    case n.nspname when 'public' then ''
         else case when n.nspname ~ '[."]' then '"' || replace(n.nspname, '"', '""') || '"' else n.nspname end || '.'
    end || case when c.relname ~ '[."]' then '"' || replace(c.relname, '"', '""') || '"' else c.relname end
"""

# Partitions belong to their parent.
# The schema "offramp" is where a holder notes what it deleted: ids and counts, nobody's data (shared/holder/ledger.py).
TABLES = f"""
    select {NAME} as name
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'f', 'm')
       and not c.relispartition
       and n.nspname not in ('information_schema', 'offramp')
       and n.nspname !~ '^pg_'
"""

OF_KIND = f"""
    select {NAME} as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind::text = $1
"""

# A type under its domains and arrays; what only an extension can write, and what lies outside the table (a large
# object behind an oid, a name that only this database resolves), is not carried. An array's type has its brackets.
COLUMNS = f"""
    with recursive named as (
        select c.oid, {NAME} as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'f', 'm')
    ), peeled as (
        select t.oid as top, t.oid, t.typtype, t.typbasetype, t.typelem, t.typcategory, t.typnamespace, t.typname,
               '' as brackets
          from pg_type t
        union all
        select p.top, t.oid, t.typtype, t.typbasetype, t.typelem, t.typcategory, t.typnamespace, t.typname,
               p.brackets || case when p.typtype = 'd' then '' else '[]' end
          from peeled p
          join pg_type t on t.oid = case when p.typtype = 'd' then p.typbasetype
                                         when p.typcategory = 'A' then p.typelem end
    ), base as (
        select distinct on (top) top, oid, typtype, typnamespace, typname, brackets,
               exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = p.oid
                          and d.deptype = 'e') as of_extension
          from peeled p
         where typtype <> 'd' and typcategory <> 'A'
         order by top, length(brackets) desc
    )
    select named.name as table_name,
           a.attname as name,
           format_type(a.atttypid, a.atttypmod) as type,
           not a.attnotnull as nullable,
           a.attnum::int as position,
           array_position(p.indkey::int2[], a.attnum) + 1 as key_position,
           exists (
               select from pg_index i
                where i.indrelid = named.oid and i.indisunique and i.indisvalid
                  and i.indpred is null and i.indnkeyatts = 1 and i.indkey[0] = a.attnum
           ) as "unique",
           a.attgenerated <> '' as generated,
           format_type(base.oid, null) || base.brackets as base,
           coalesce(not base.of_extension or base.typname in ('citext', 'hstore', 'ltree'), true)
               and coalesce(base.typname not in ('oid', 'lo', 'xid', 'cid', 'tid', 'aclitem')
                            and base.typname not like 'reg%' or base.typnamespace <> 'pg_catalog'::regnamespace, true)
               as carried
      from named
      join pg_attribute a on a.attrelid = named.oid and a.attnum > 0 and not a.attisdropped
      left join base on base.top = a.atttypid
      left join pg_index p on p.indrelid = named.oid and p.indisprimary
     where named.name = any($1::text[])
     order by named.name, a.attnum
"""

# A partial index serves neither the check that Postgres makes for each deleted row, nor a search without its condition.
INDEXES = f"""
    select {NAME} as "table",
           array(select coalesce(a.attname, '') from unnest(i.indkey::int2[]) with ordinality as u (attnum, at)
                   left join pg_attribute a on a.attrelid = c.oid and a.attnum = u.attnum
                  where u.at <= i.indnkeyatts order by u.at) as columns,
           i.indisunique as "unique",
           m.amname as method,
           pg_get_expr(i.indexprs, c.oid) as expressions
      from pg_index i
      join pg_class c on c.oid = i.indrelid
      join pg_namespace n on n.oid = c.relnamespace
      join pg_class x on x.oid = i.indexrelid
      join pg_am m on m.oid = x.relam
     where i.indisvalid and i.indpred is null and {NAME} = any($1::text[])
"""

# A partial index doesn't serve the check that Postgres makes for each deleted row.
# A partition's own key is told of its table.
FOREIGN_KEYS = f"""
    with named as (
        select c.oid, {NAME} as name
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
      join named child on child.oid = coalesce(pg_partition_root(k.conrelid), k.conrelid)
      join named parent on parent.oid = coalesce(pg_partition_root(k.confrelid), k.confrelid)
     where k.contype = 'f' and k.conparentid = 0
     order by child.name, k.conname
"""
