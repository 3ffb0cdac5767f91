"""Foreign keys that leave a data map, and indexes without which an export or a deletion scans whole tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .finding import Finding
from .names import named, parts, quoted, relation
from .owners import ByAny, ByColumn, ByElement, ByJson, ByPair, ByPart, ByPath, ByPrefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .columns import ForeignKey, Schema
    from .declared import DataMap, Table
    from .owners import Owner


def of_keys(map: DataMap, schema: Schema) -> Iterator[Finding]:  # noqa: A002
    """Find foreign keys that lead into the map's tables from outside, or out of them to what it doesn't know."""
    declared = {table.name for table in map.tables}
    for key in schema.keys:
        place = f"{key.table}.{','.join(key.columns)}"
        if key.to_table in declared and key.table not in declared:
            says = f"it refers to {key.to_table}, whose rows are deleted, but is no declared table itself"
            yield Finding("foreign_key_from_outside", place, says, f"Declare {key.table} with its owner.")
        elif key.to_table in declared and not key.indexed:
            yield _not_indexed(key, place, schema)
        elif key.table in declared and key.to_table not in {*declared, *map.without_owner, *map.undecided}:
            says = f"the foreign key {key.name} leads to {key.to_table}, of which the map says nothing"
            remedy = f"Declare {key.to_table} with its owner, or as exempt or shared with a reason."
            yield Finding("foreign_key_leaves", place, says, remedy)


def _not_indexed(key: ForeignKey, place: str, schema: Schema) -> Finding:
    says = f"the foreign key {key.name} has no index: each row deleted from {key.to_table} scans {key.table}"
    remedy = f"Run: {create_index(key.table, ', '.join(map(quoted, key.columns)), schema)}"
    return Finding("foreign_key_not_indexed", place, says, remedy, stops=False)


def of_indexes(map: DataMap, schema: Schema) -> Iterator[Finding]:  # noqa: A002
    """Find owners' columns without an index: each export and deletion reads the whole table then."""
    told = {(key.table, key.columns) for key in schema.keys if not key.indexed}
    for table in map.tables:
        for columns, on in _wanted(table.owner):
            there = all(schema.column(table.name, column) for column in columns)
            if there and (table.name, columns) not in told and not _served(table, columns, on, schema):
                yield _scan(table, columns, on, schema)


def _served(table: Table, columns: tuple[str, ...], on: str, schema: Schema) -> bool:
    if schema.indexed(table.name, columns):
        return True
    return on.startswith("((") and schema.indexed_by_expression(table.name, columns[0])


def _scan(table: Table, columns: tuple[str, ...], on: str, schema: Schema) -> Finding:
    says = "no index serves the owner's columns: each export and deletion of a customer reads the whole table"
    remedy = f"Run: {create_index(table.name, on, schema)}"
    return Finding("owner_not_indexed", f"{table.name}.{','.join(columns)}", says, remedy, stops=False)


def _wanted(owner: Owner) -> Iterator[tuple[tuple[str, ...], str]]:
    """Give the columns by which rows are found, and on what an index has to be for it."""
    match owner:
        case ByAny(owners):
            for one in owners:
                yield from _wanted(one)
        case ByPath(hops):
            yield hops[0].columns, ", ".join(map(quoted, hops[0].columns))
        case ByPair():
            yield (owner.id_column,), quoted(owner.id_column)
        case ByColumn(column):
            yield (column,), quoted(column)
        case ByPrefix(column):
            yield (column,), f'{quoted(column)} collate "C"'
        case ByPart() | ByElement() | ByJson():
            yield (owner.column,), _expression(owner)


def _expression(owner: ByPart | ByElement | ByJson) -> str:
    column = quoted(owner.column)
    match owner:
        case ByElement():
            return column
        case ByPart(separator=separator, part=None):
            return f"(string_to_array({column}, '{separator}'))"
        case ByPart(separator=separator, part=part):
            return f"((split_part({column}, '{separator}', {part})))"
        case ByJson(path=path):
            return f"(({column} #>> '{{{','.join(path)}}}'))"


def create_index(table: str, on: str, schema: Schema) -> str:
    """Write the statement that makes the index; on a partitioned table it can't be made without a lock."""
    lists = on.startswith("(string_to_array") or _is_array(table, on, schema)
    method = "using gin " if lists else ""
    concurrently = "" if table in schema.partitioned else "concurrently "
    return f"create index {concurrently}on {relation(table)} {method}({on});"


def _is_array(table: str, on: str, schema: Schema) -> bool:
    name = on.strip('"').replace('""', '"')
    column = schema.column(named(*parts(table)), name)
    return column is not None and column.type.endswith("[]")
