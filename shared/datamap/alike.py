"""Rows whose column takes two ids for the same which are not: another customer's, perhaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .names import quoted, relation
from .owners import ByAny, ByColumn
from .predicate import rendered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .declared import DataMap
    from .live import Connection
    from .owners import Owner


async def alike(connection: Connection, map: DataMap, customer: str) -> tuple[str, ...]:  # noqa: A002
    """Name the columns in which an id stands that is *customer*'s but for small and large letters (``citext``).

    Nobody can tell whether that is another customer.
    """
    found = [
        f"{table.name}.{one.column}"
        for table in map.tables
        for one in _columns(table.owner)
        if await connection.fetchval(_query(table.name, one), customer)
    ]
    return tuple(found)


def _columns(way: Owner) -> Iterator[ByColumn]:
    match way:
        case ByAny(owners):
            for one in owners:
                yield from _columns(one)
        case ByColumn(key=key) if key.type == "citext" and not key.ids:
            yield way


def _query(table: str, way: ByColumn) -> str:
    called = rendered(way.key, "$1::text")
    return ALIKE.format(relation=relation(table), column=quoted(way.column), called=called)


ALIKE = """
    select exists (select from {relation} as t where t.{column} = {called} and t.{column}::text <> ({called})::text)
"""
