"""Which rows are a customer's: the one predicate that export, deletion and checks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .model import ByColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import DataMap, Hop, Table


def quoted(identifier: str) -> str:
    """Quote one identifier of SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def relation(name: str) -> str:
    """Give table *name* quoted and with its schema, ``public`` unless it names another; search paths play no part."""
    schema, _, table = name.rpartition(".")
    return f"{quoted(schema or 'public')}.{quoted(table)}"


def owned_by(map: DataMap, table: Table, alias: str = "t", customer: str = "$1") -> str:  # noqa: A002
    """Give the predicate that is true for *customer*'s rows of *table* in the query's *alias*.

    *customer* is SQL: a placeholder or a quoted literal. Nested ``in`` never doubles a row. For a row that nobody
    owns the predicate is false or null, so "everybody else's" is ``(...) is not true``.
    """
    if isinstance(table.owner, ByColumn):
        # The cast stands on the parameter, so that an index on the column still serves.
        return f"{quoted(alias)}.{quoted(table.owner.column)} = ({customer})::text{_cast(table.owner)}"
    return _along(map, table.owner.hops, alias, customer)


def _along(map: DataMap, hops: Sequence[Hop], alias: str, customer: str) -> str:  # noqa: A002
    hop, beyond = hops[0], hops[1:]
    inner = f"{alias}_"
    rest = _along(map, beyond, inner, customer) if beyond else owned_by(map, map.table(hop.table), inner, customer)
    reached = f"select {quoted(inner)}.{quoted(hop.key)} from {relation(hop.table)} as {quoted(inner)} where {rest}"
    return f"{quoted(alias)}.{quoted(hop.column)} in ({reached})"


def _cast(owner: ByColumn) -> str:
    return "" if owner.type == "text" else f"::{owner.type}"
