"""Whether every way in a data map ends at a customer, told from the file alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from .declared import MapError
from .owners import ByAny, BySql, ids_of, leads_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .declared import DataMap, Table
    from .owners import Owner

Line: TypeAlias = Literal["owner", "person"]


def check_ways(map: DataMap, file: str) -> None:  # noqa: A002
    """Raise a ``MapError`` where a way ends nowhere, goes in a ring, or needs what the map doesn't have."""
    declared = {table.name: table for table in map.tables}
    for table in map.tables:
        _ids_are_named(map, table, file)
        _lead_somewhere(declared, table, "owner", file)
        if table.person:
            _lead_somewhere(declared, table, "person", file)
    _ids_are_owned(map, declared, file)


def _lead_somewhere(declared: Mapping[str, Table], table: Table, line: Line, file: str) -> None:
    where = f"tables.{table.name}.{line}.path"
    _follow(declared, [table.name], line, where, file)


def _follow(declared: Mapping[str, Table], met: list[str], line: Line, where: str, file: str) -> None:
    for end in sorted(leads_to(_way(declared[met[-1]], line))):
        if end not in declared or _way(declared[end], line) is None:
            nobody = "no customer owns" if line == "owner" else "leads to no person"
            raise MapError(file, where, f"it ends at {end}, which {nobody}", f"Declare {end} with an {line}.")
        if end in met:
            ring = " -> ".join([*met, end])
            raise MapError(file, where, f"it goes in a ring: {ring}", f"Let one of them name its {_whom(line)}.")
        _follow(declared, [*met, end], line, where, file)


def _way(table: Table, line: Line) -> Owner | None:
    return table.owner if line == "owner" else table.person


def _whom(line: Line) -> str:
    return "customer" if line == "owner" else "person"


def _ids_are_named(map: DataMap, table: Table, file: str) -> None:  # noqa: A002
    unknown = sorted(ids_of(table.owner) - set(map.ids) - {"id"})
    if unknown:
        problem = f"the map knows no id called {unknown[0]}"
        raise MapError(file, f"tables.{table.name}.owner.by", problem, "Say under ids which column it is.")
    if map.registry is None and any(isinstance(one, BySql) for one in _all(table.owner)):
        problem = "a condition alone can't tell whether a row is somebody else's"
        remedy = "Say under customers which column lists all customers, for example customers: customers.id."
        raise MapError(file, f"tables.{table.name}.owner.sql", problem, remedy)


def _all(owner: Owner) -> Iterable[Owner]:
    return [one for part in owner.owners for one in _all(part)] if isinstance(owner, ByAny) else [owner]


def _ids_are_owned(map: DataMap, declared: Mapping[str, Table], file: str) -> None:  # noqa: A002
    if map.ids and map.registry is None:
        remedy = "Say under customers which column lists all customers, for example customers: customers.id."
        raise MapError(file, "ids", "other ids need a list of all customers", remedy)
    for name, column in map.ids.items():
        where = f"ids.{name}"
        if column.table not in declared:
            raise MapError(file, where, f"no customer owns {column.table}", f"Declare {column.table} with an owner.")
        if _needs_ids(declared, column.table):
            raise MapError(file, where, f"whose {column.table} are needs other ids", "Let its owner be the id itself.")


def _needs_ids(declared: Mapping[str, Table], name: str) -> bool:
    owner = declared[name].owner
    return bool(ids_of(owner) - {"id"}) or any(_needs_ids(declared, end) for end in leads_to(owner))
