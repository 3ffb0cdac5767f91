"""What the catalogue declares of a table though not every row of it keeps to it: its key, and what is never null."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.datamap.live import NAME

if TYPE_CHECKING:
    from shared.datamap.columns import LiveColumn

    from .witness import Connection

Columns = tuple["LiveColumn", ...]


async def as_kept(connection: Connection, columns: Mapping[str, Columns]) -> Mapping[str, Columns]:
    """Give *columns*, by table, with no more of keys and of nullability than all rows keep to."""
    parents = {row["name"] for row in await connection.fetch(PARENTS)}
    optional = {(row["name"], row["column"]) for row in await connection.fetch(OPTIONAL)}
    return {
        table: tuple(_as_kept(one, table in parents, (table, one.name) in optional) for one in found)
        for table, found in columns.items()
    }


def _as_kept(column: LiveColumn, parent: bool, optional: bool) -> LiveColumn:  # noqa: FBT001
    return replace(
        column,
        key_position=None if parent else column.key_position,
        unique=column.unique and not parent,
        nullable=column.nullable or optional,
    )


# name: tables that hold the rows of others too, which inherit from them and share neither key nor what is unique
PARENTS = f"""
    select {NAME} as name
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'f') and c.oid in (select inhparent from pg_inherits)
"""

# name: columns that are not null by a constraint that wasn't validated, doesn't count for those who inherit, or, of a
# foreign table, is only said
OPTIONAL = f"""
    select {NAME} as name, a.attname as "column"
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and a.attnotnull and not a.attisdropped
     where c.relkind in ('r', 'p', 'f')
       and (c.relkind = 'f'
            or exists (select from pg_constraint k
                        where k.conrelid = c.oid and k.contype = 'n' and k.conkey = array[a.attnum]
                          and (not k.convalidated
                               or k.connoinherit and c.oid in (select inhparent from pg_inherits))))
"""
