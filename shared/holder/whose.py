"""What the holder asks of the data map: which rows go with a customer, and which rows that hangs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..datamap.drift import hops
from ..datamap.model import ByColumn, ByPath
from ..datamap.ownership import owned_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..datamap.model import DataMap, Table

    # A table, its columns, the table that they lead to and its key; without columns nothing is known but the tables.
    Step = tuple[str, tuple[str, ...], str, tuple[str, ...]]


def goes(map: DataMap, table: Table, alias: str = "t") -> str:  # noqa: A002
    """Give the predicate for the rows, called *alias*, that are deleted with the customer ``$1``."""
    return owned_by(map, table, alias)


def steps(table: Table) -> Iterator[Step]:
    """Give the steps by which rows of *table* lead to their customer."""
    at = table.name
    for hop in hops(table):
        yield at, (hop.column,), hop.table, (hop.key,)
        at = hop.table


def is_way(map: DataMap, step: Step) -> bool:  # noqa: A002
    """Tell whether rows belong to a customer just because they lead to its rows by *step*, as the map says."""
    name, columns, to, keys = step
    child, parent = map.table(name).owner, map.table(to).owner
    if isinstance(child, ByPath):
        return len(child.hops) == 1 and next(steps(map.table(name))) == step
    if isinstance(child, ByColumn) and isinstance(parent, ByColumn):
        return (columns, keys) == ((child.column,), (parent.column,))
    return False
