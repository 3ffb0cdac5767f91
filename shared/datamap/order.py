"""In which order tables are emptied: those that refer to others, or lead to a customer through them, first."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from ..errors import OperatorError
from .drift import hops
from .live import foreign_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .columns import ForeignKey
    from .live import Connection
    from .model import DataMap, Table


class OrderError(OperatorError):
    """Foreign keys and paths go in a *ring* of tables, so none of them can be emptied first."""

    def __init__(self, ring: tuple[str, ...]) -> None:
        """Name the ring."""
        says = "foreign keys and paths go in a ring: " + " -> ".join(ring)
        super().__init__(f"{says}. Break it in the schema: one of them has to do without its foreign key.")
        self.ring = ring


async def deletion_order(connection: Connection, map: DataMap) -> tuple[Table, ...]:  # noqa: A002
    """Order *map*'s tables by the live foreign keys, children first; ``OrderError`` names a ring."""
    return ordered(map.tables, await foreign_keys(connection))


def ordered(tables: tuple[Table, ...], keys: Iterable[ForeignKey]) -> tuple[Table, ...]:
    """Order *tables*, children first, so that no delete meets a row that still refers to it.

    A table whose path goes through another one is emptied before it, foreign key or not: afterwards nothing would
    tell whose its rows were. A table that refers to itself is no ring: one statement deletes its rows together.
    The same tables and keys give the same order.
    """
    by_name = {table.name: table for table in tables}
    before: dict[str, list[str]] = {name: [] for name in by_name}
    referring = [(key.table, key.to_table) for key in keys]
    leading = [(table.name, hop.table) for table in tables for hop in hops(table)]
    for child, parent in referring + leading:
        if child in by_name and parent in by_name and child != parent:
            before[parent].append(child)
    try:
        return tuple(by_name[name] for name in TopologicalSorter(before).static_order())
    except CycleError as error:
        raise OrderError(tuple(error.args[1])) from error
