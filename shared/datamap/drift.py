"""Where a data map and the live schema disagree; pure, so that each kind of drift is a small test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .model import ByColumn, ByPath

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from .columns import ForeignKey, LiveColumn
    from .model import DataMap, Hop, Table

Kind = Literal[
    "undeclared_table",
    "vanished_table",
    "vanished_column",
    "owner_missing",
    "owner_type",
    "path_broken",
    "path_ambiguous",
    "foreign_key_from_outside",
    "foreign_key_not_indexed",
]

# SQL types that compare with a key of the map's type without a cast on the column.
_COMPARABLE = {
    "text": ("text", "character varying"),
    "uuid": ("uuid",),
    "integer": ("integer",),
    "bigint": ("bigint",),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A disagreement at *place* (a table or ``table.column``), and what to do; *stops* is false for a mere warning."""

    kind: Kind
    place: str
    says: str
    remedy: str
    stops: bool = True


def findings(
    map: DataMap,  # noqa: A002
    tables: Collection[str],
    columns: Mapping[str, tuple[LiveColumn, ...]],
    keys: Collection[ForeignKey],
) -> tuple[Finding, ...]:
    """List all disagreements, in the order of kinds."""
    return (
        *_undeclared(map, tables),
        *_vanished(map, tables),
        *(found for table in map.tables if table.name in columns for found in _columns_of(table, columns)),
        *_keys(map, keys),
    )


def hops(table: Table) -> tuple[Hop, ...]:
    """Give the steps from *table* to the customer's row; none where it names the customer itself."""
    return table.owner.hops if isinstance(table.owner, ByPath) else ()


def _undeclared(map: DataMap, tables: Collection[str]) -> Iterator[Finding]:  # noqa: A002
    for name in sorted(set(tables) - {table.name for table in map.tables} - set(map.exempt)):
        says = "the table exists, and the map says nothing of it"
        yield Finding("undeclared_table", name, says, "Declare it with its owner, or exempt it with a reason.")


def _vanished(map: DataMap, tables: Collection[str]) -> Iterator[Finding]:  # noqa: A002
    for name in [*(table.name for table in map.tables), *map.exempt]:
        if name not in tables:
            says = "the map speaks of a table that does not exist"
            yield Finding("vanished_table", name, says, "Take it out of the map, or correct its name.")


def _columns_of(table: Table, columns: Mapping[str, tuple[LiveColumn, ...]]) -> Iterator[Finding]:
    here = {column.name: column for column in columns[table.name]}
    for name in table.left_out:
        if name not in here:
            says = "the map leaves out a column that does not exist"
            yield Finding("vanished_column", f"{table.name}.{name}", says, "Look whether the secret was renamed.")
    if isinstance(table.owner, ByColumn):
        yield from _owner_column(table, table.owner, here)
    else:
        yield from _path(table, columns)


def _owner_column(table: Table, owner: ByColumn, here: Mapping[str, LiveColumn]) -> Iterator[Finding]:
    place = f"{table.name}.{owner.column}"
    column = here.get(owner.column)
    if column is None:
        says = "the owner column does not exist"
        yield Finding("owner_missing", place, says, "Name the column that holds the customer's id.")
    elif column.type.split("(")[0] not in _COMPARABLE[owner.type]:
        says = f"the owner column is of type {column.type}, the map says {owner.type}"
        yield Finding("owner_type", place, says, "Write owner: {column: ..., type: text|uuid|integer|bigint}.")


def _path(table: Table, columns: Mapping[str, tuple[LiveColumn, ...]]) -> Iterator[Finding]:
    at = table.name
    for hop in hops(table):
        if hop.column not in {column.name for column in columns.get(at, ())}:
            yield _broken(table, f"{at}.{hop.column}")
        target = next((column for column in columns.get(hop.table, ()) if column.name == hop.key), None)
        if target is None:
            yield _broken(table, f"{hop.table}.{hop.key}")
        elif not target.unique:
            says = f"its path goes by {hop.table}.{hop.key}, which is not unique: a row might have two customers"
            yield Finding("path_ambiguous", table.name, says, f"Go by a key of {hop.table}, or make the column unique.")
        at = hop.table


def _broken(table: Table, missing: str) -> Finding:
    says = f"its path does not lead to a customer: {missing} does not exist"
    return Finding("path_broken", table.name, says, "Correct the owner's path.")


def _keys(map: DataMap, keys: Collection[ForeignKey]) -> Iterator[Finding]:  # noqa: A002
    declared = {table.name for table in map.tables}
    for key in keys:
        place = f"{key.table}.{','.join(key.columns)}"
        if key.to_table in declared and key.table not in declared:
            says = f"it refers to {key.to_table}, whose rows are deleted, but is no declared table itself"
            yield Finding("foreign_key_from_outside", place, says, f"Declare {key.table} with its owner.")
        elif key.to_table in declared and not key.indexed:
            says = f"the foreign key {key.name} has no index: each row deleted from {key.to_table} scans {key.table}"
            remedy = "Create an index that begins with these columns."
            yield Finding("foreign_key_not_indexed", place, says, remedy, stops=False)
