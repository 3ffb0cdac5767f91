"""Rows that no customer owns: no export would show them and no deletion take them, so they have to be explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .declared import ByRows
from .finding import Finding
from .names import literal, quoted, relation
from .owners import ByAny, ByPair
from .ownership import owned_by_somebody

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from .declared import DataMap, Table
    from .live import Connection
    from .owners import Owner


async def unowned(connection: Connection, map: DataMap) -> AsyncIterator[Finding]:  # noqa: A002
    """Count the rows that belong to nobody, of every table that doesn't say why it has such rows.

    Reads each table once. The map must agree with the schema (``live.check``), or the server's errors are raised.
    """
    if not isinstance(map.tenancy, ByRows):
        return
    for table in map.tables:
        if table.unowned is None:
            async for finding in _of(connection, map, table):
                yield finding


async def _of(connection: Connection, map: DataMap, table: Table) -> AsyncIterator[Finding]:  # noqa: A002
    which = f"({owned_by_somebody(map, table)}) is not true"
    rows = await connection.fetchval(UNOWNED.format(relation=relation(table.name), which=which))
    if not rows:
        return
    remedy = "Give them an owner, or say under unowned why they have none."
    yield Finding("unowned_rows", table.name, f"{rows} rows belong to no customer", remedy)
    for pair in _pairs(table.owner):
        known = ", ".join(literal(value) for value in pair.targets)
        query = UNKNOWN.format(relation=relation(table.name), type=quoted(pair.type_column), known=known)
        unknown = [row["type"] for row in await connection.fetch(query)]
        if unknown:
            says = f"its types {', '.join(unknown)} lead nowhere"
            yield Finding("unknown_type", f"{table.name}.{pair.type_column}", says, "Name them under leads.")


def _pairs(owner: Owner) -> Iterator[ByPair]:
    if isinstance(owner, ByPair):
        yield owner
    elif isinstance(owner, ByAny):
        for one in owner.owners:
            yield from _pairs(one)


UNOWNED = "select count(*) from {relation} as t where {which}"

UNKNOWN = """
    select distinct t.{type}::text as type from {relation} as t
     where t.{type} not in ({known})
     order by 1 limit 10
"""
