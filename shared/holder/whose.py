"""What the holder asks of the data map: which rows go with a customer, and which rows that hangs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..datamap.drift import hops
from ..datamap.owners import ByColumn, ByPath, has_condition, ids_of, passes
from ..datamap.ownership import goes_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..datamap.model import DataMap, Table
    from ..datamap.owners import Owner

    # A table, its columns, the table that they lead to and its key; without columns nothing is known but the tables.
    Step = tuple[str, tuple[str, ...], str, tuple[str, ...]]


def goes(map: DataMap, table: Table, alias: str = "t") -> str:  # noqa: A002
    """Give the predicate for the rows, called *alias*, that are deleted with the customer ``$1``."""
    return goes_with(map, table, alias)


def steps(map: DataMap, table: Table) -> Iterator[Step]:  # noqa: A002
    """Give what has to stand as long as somebody asks whose the rows of *table* are."""
    named = {map.ids[name].table for name in ids_of(table.owner) if name != "id"}
    return _steps(map, table, table.owner, {hop.table for hop in hops(table)} | named)


def steps_to_persons(map: DataMap, table: Table) -> Iterator[Step]:  # noqa: A002
    """Give what has to stand as long as somebody asks whom the rows of *table* are about."""
    return iter(()) if table.person is None else _steps(map, table, table.person, passes(table.person))


def _steps(map: DataMap, table: Table, way: Owner, looked: Iterable[str]) -> Iterator[Step]:  # noqa: A002
    if isinstance(way, ByPath):
        yield from _along(table.name, way)
        return
    # A condition in SQL may look anywhere.
    anywhere = {one.name for one in map.tables} if has_condition(way) else set()
    for other in sorted(({*looked} | anywhere) - {table.name}):
        yield table.name, (), other, ()


def is_way(map: DataMap, step: Step) -> bool:  # noqa: A002
    """Tell whether rows belong to a customer just because they lead to its rows by *step*, as the map says."""
    name, columns, to, keys = step
    child, parent = map.table(name).owner, map.table(to).owner
    if isinstance(child, ByPath):
        return len(child.hops) == 1 and not child.several and next(_along(name, child)) == step
    if isinstance(child, ByColumn) and isinstance(parent, ByColumn):
        return child.key == parent.key and (columns, keys) == ((child.column,), (parent.column,))
    return False


def _along(at: str, way: ByPath) -> Iterator[Step]:
    for hop in way.hops:
        # Compared after a cast: no comparison of the columns themselves.
        columns, keys = ((), ()) if hop.cast else (hop.columns, hop.keys)
        yield at, columns, hop.table, keys
        at = hop.table
