"""Rows whose column takes two ids for the same which are not: another customer's, perhaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .names import quoted, relation
from .owners import ByAny, ByColumn
from .ownership import owned_by
from .predicate import rendered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .declared import DataMap
    from .live import Connection
    from .owners import Key, Owner


async def alike(connection: Connection, map: DataMap, customer: str) -> tuple[str, ...]:  # noqa: A002
    """Name the columns in which an id stands that is *customer*'s but for small and large letters (``citext``).

    Nobody can tell whether that is another customer.
    """
    found = [
        f"{table.name}.{one.column}"
        for table in map.tables
        for one in _columns(table.owner)
        if await connection.fetchval(_query(map, table.name, one), customer)
    ]
    return tuple(found)


def _columns(way: Owner) -> Iterator[ByColumn]:
    match way:
        case ByAny(owners):
            for one in owners:
                yield from _columns(one)
        case ByColumn(key=key) if key.type == "citext":
            yield way


def _query(map: DataMap, table: str, way: ByColumn) -> str:  # noqa: A002
    ids = " union ".join(_ids(map, way.key))
    called = rendered(way.key, "c.id")
    return ALIKE.format(relation=relation(table), column=quoted(way.column), ids=ids, called=called)


def _ids(map: DataMap, key: Key) -> Iterator[str]:  # noqa: A002
    """Give the queries for all by which the customer goes in a column that is compared by *key*."""
    for name in key.ids or (ITSELF,):
        if name == ITSELF:
            yield "select $1::text"
            continue
        one = map.ids[name]
        which = owned_by(map, map.table(one.table))
        yield f"select t.{quoted(one.column)}::text from {relation(one.table)} as t where $1::text <> '' and ({which})"


ITSELF = "id"

# What is called just so by one id may be written otherwise than another of the same customer's.
ALIKE = """
    with called as (select ({called})::text as called from ({ids}) as c (id))
    select exists (select from {relation} as t join called on t.{column} = called.called::citext
                    where not exists (select from called as just where just.called = t.{column}::text))
"""
