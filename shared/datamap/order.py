"""In which order tables are emptied: those that refer to others first."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from ..errors import OperatorError
from .live import foreign_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .live import Connection, ForeignKey
    from .model import DataMap, Table


class OrderError(OperatorError):
    """Foreign keys go in a *ring* of tables, so none of them can be emptied first."""

    def __init__(self, ring: tuple[str, ...]) -> None:
        """Name the ring."""
        says = "foreign keys go in a ring: " + " -> ".join(ring)
        super().__init__(f"{says}. Break it in the schema: one of them has to do without its foreign key.")
        self.ring = ring


async def deletion_order(connection: Connection, map: DataMap) -> tuple[Table, ...]:  # noqa: A002
    """Order *map*'s tables by the live foreign keys, children first; ``OrderError`` names a ring."""
    return ordered(map.tables, await foreign_keys(connection))


def ordered(tables: tuple[Table, ...], keys: Iterable[ForeignKey]) -> tuple[Table, ...]:
    """Order *tables*, children first, so that no delete meets a row that still refers to it.

    A table that refers to itself is no ring: one statement deletes its rows together. The same tables and keys give
    the same order.
    """
    by_name = {table.name: table for table in tables}
    before: dict[str, list[str]] = {name: [] for name in by_name}
    for key in keys:
        if key.table in by_name and key.to_table in by_name and key.table != key.to_table:
            before[key.to_table].append(key.table)
    try:
        return tuple(by_name[name] for name in TopologicalSorter(before).static_order())
    except CycleError as error:
        raise OrderError(tuple(error.args[1])) from error
