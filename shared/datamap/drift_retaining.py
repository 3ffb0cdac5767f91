"""Whether a live schema lets the map keep what a law keeps, and empty what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .finding import Finding
from .owners import ByAny, ByColumn, ByElement, ByJson, ByPair, ByPart, ByPath, ByPrefix, BySql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .columns import LiveColumn, Schema
    from .declared import DataMap, Table
    from .owners import Owner

_DATES = ("date", "timestamp without time zone", "timestamp with time zone")


def of_retention(map: DataMap, table: Table, schema: Schema) -> Iterator[Finding]:  # noqa: A002
    """Find what stands in the way of *table*'s retention, and of its emptied columns."""
    if table.retain:
        yield from _date(table, table.retain.counted_from.column, schema)
        yield from _needed(map, table, schema)
    for name, value in table.minimise.items():
        column = schema.column(table.name, name)
        place = f"{table.name}.{name}"
        if column is None:
            says = "the map empties a column that does not exist"
            yield Finding("vanished_column", place, says, "Take it out of the map, or correct its name.")
        elif why := _not_minimisable(map, table, column, value, schema):
            yield Finding("not_minimisable", place, why, "Take it out of minimise, or give another value.")


def _date(table: Table, name: str, schema: Schema) -> Iterator[Finding]:
    column, place = schema.column(table.name, name), f"{table.name}.{name}"
    if column is None:
        says = "how long rows are kept by law is counted from a column that does not exist"
        yield Finding("vanished_column", place, says, "Correct counted_from.")
    elif (column.base or column.type) not in _DATES:
        says = f"how long rows are kept by law is counted from a column of the type {column.type}, which is no date"
        yield Finding("retained_date", place, says, "Count from a date or a timestamp.")


def _needed(map: DataMap, table: Table, schema: Schema) -> Iterator[Finding]:  # noqa: A002
    """Warn of rows that stay with the kept ones, since those refer to them, while nothing of them is emptied."""
    declared = {one.name: one for one in map.tables}
    seen, ahead = {table.name}, [table.name]
    while ahead:
        at = ahead.pop()
        ahead += (news := {key.to_table for key in schema.keys if key.table == at and key.to_table in declared} - seen)
        seen |= news
    for name in sorted(seen - {table.name}):
        if not declared[name].minimise and not declared[name].retain:
            says = f"rows that {table.name} refers to stay with those that a law keeps, and nothing of them is emptied"
            yield Finding("retained_needs", name, says, "Say under minimise what of them nobody needs.", stops=False)


def _not_minimisable(
    map: DataMap,  # noqa: A002
    table: Table,
    column: LiveColumn,
    value: bool | int | str | None,  # noqa: FBT001 - one of several kinds of value
    schema: Schema,
) -> str | None:
    if column.name in _needed_columns(map, table, schema):
        return "by it rows are found, kept or tied to each other, so it can't be emptied"
    if column.generated:
        return "the database works it out, so it can't be emptied"
    if value is None:
        return None if column.nullable else "it can't be null"
    if _unique(table, column, schema):
        return "its values are unique, so they can't all be the same"
    return None if _fits(column, value) else f"{value!r} is no value of the type {column.type}"


def _needed_columns(map: DataMap, table: Table, schema: Schema) -> set[str]:  # noqa: A002
    """Name the columns of *table* without which a kept row isn't found again, or isn't the same to others."""
    found = {name for key in schema.keys if key.table == table.name for name in key.columns}
    found |= {name for key in schema.keys if key.to_table == table.name for name in key.to_columns}
    ways = [(one.name, way) for one in map.tables for way in (one.owner, one.person) if way]
    found |= {name for at, way in ways for there, name in _of_way(at, way) if there == table.name}
    found |= {one.column for one in map.ids.values() if one.table == table.name}
    if map.registry and map.registry.table == table.name:
        found.add(map.registry.column)
    conditions = [sql for at, way in ways for sql in _conditions(way)]
    conditions += [one.retain.where for one in map.tables if one.retain and one.retain.where]
    live = {column.name for column in schema.columns[table.name]}
    # A condition may ask any table: whatever is called like a column there is taken for it.
    found |= {name for name in live if any(name in sql for sql in conditions)}
    return found | ({table.retain.counted_from.column} if table.retain else set())


def _of_way(at: str, way: Owner) -> Iterator[tuple[str, str]]:
    match way:
        case ByAny(owners):
            for one in owners:
                yield from _of_way(at, one)
        case ByPath(hops):
            for hop in hops:
                yield from ((at, column) for column in hop.columns)
                yield from ((hop.table, key) for key in hop.keys)
                at = hop.table
        case ByPair():
            yield from ((at, way.type_column), (at, way.id_column))
            yield from (target for target in way.targets.values() if target)
        case ByColumn() | ByPrefix() | ByPart() | ByElement() | ByJson():
            yield at, way.column


def _conditions(way: Owner) -> Iterator[str]:
    match way:
        case ByAny(owners):
            for one in owners:
                yield from _conditions(one)
        case BySql(sql):
            yield sql


def _unique(table: Table, column: LiveColumn, schema: Schema) -> bool:
    found = [one for one in schema.indexes.get(table.name, ()) if one.unique]
    return column.unique or any(column.name in one.columns or column.name in one.expressions for one in found)


def _fits(column: LiveColumn, value: bool | int | str) -> bool:  # noqa: FBT001 - as above
    match value:
        case bool():
            return column.comparable == "boolean"
        case int():
            return column.comparable == "number"
    return column.comparable == "text"
