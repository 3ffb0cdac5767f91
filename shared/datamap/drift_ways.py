"""Whether the ways of a data map are there in the live schema, and each leads to exactly one customer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .finding import Finding
from .owners import ByAny, ByColumn, ByElement, ByJson, ByPair, ByPart, ByPath, ByPrefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .columns import LiveColumn, Schema
    from .declared import DataMap, Table
    from .owners import Hop, KeyType, Owner

# SQL types that compare with a key of the map's type without a cast on the column.
_COMPARABLE: dict[KeyType, tuple[str, ...]] = {
    "text": ("text", "character varying"),
    "character varying": ("text", "character varying"),
    "character": ("character",),
    "citext": ("citext",),
    "uuid": ("uuid",),
    "smallint": ("smallint", "integer", "bigint"),
    "integer": ("integer", "bigint"),
    "bigint": ("bigint",),
    "numeric": ("numeric",),
}
_TEXTS = ("text", "character varying")


def of_ways(map: DataMap, table: Table, schema: Schema) -> Iterator[Finding]:  # noqa: A002
    """Find what is wrong with the way of *table* to its customer, and to a person if it names one."""
    yield from _way(table, table.owner, schema)
    if table.person:
        yield from _way(table, table.person, schema)
    if map.registry and map.registry.table == table.name and schema.column(table.name, map.registry.column) is None:
        place = f"{table.name}.{map.registry.column}"
        yield Finding("owner_missing", place, "the list of all customers has no such column", "Correct customers.")


def _way(table: Table, owner: Owner, schema: Schema) -> Iterator[Finding]:
    match owner:
        case ByPath():
            yield from _path(table, owner, schema)
        case ByPair():
            yield from _pair(table, owner, schema)
        case ByAny(owners):
            for one in owners:
                yield from _way(table, one, schema)
        case ByColumn() | ByPrefix() | ByPart() | ByElement() | ByJson():
            yield from _own_column(table, owner, schema)


def _own_column(
    table: Table, owner: ByColumn | ByPrefix | ByPart | ByElement | ByJson, schema: Schema
) -> Iterator[Finding]:
    column = schema.column(table.name, owner.column)
    if column is None:
        yield _missing(table, owner.column)
    elif (column.base or column.type) not in _expected(owner):
        says = f"the owner column is of type {column.type}, the map says {_expected(owner)[0]}"
        remedy = _remedy(owner)
        yield Finding("owner_type", f"{table.name}.{owner.column}", says, remedy)


def _expected(owner: ByColumn | ByPrefix | ByPart | ByElement | ByJson) -> tuple[str, ...]:
    match owner:
        case ByColumn():
            return _COMPARABLE[owner.key.type]
        case ByElement():
            return (f"{owner.key.type}[]",)
        case ByJson():
            return (owner.stored,) if owner.stored != "text" else _TEXTS
    return _TEXTS


def _remedy(owner: Owner) -> str:
    match owner:
        case ByJson():
            return "Write owner: {json: ..., stored: jsonb|json|text}."
        case ByElement():
            return "Write owner: {element: ..., type: text|uuid|integer|bigint|...} as the array's elements are."
        case ByPrefix() | ByPart():
            return "Go by a column that is a text."
    return "Write owner: {column: ..., type: text|uuid|integer|bigint|...}."


def _missing(table: Table, column: str) -> Finding:
    says = "the owner column does not exist"
    return Finding("owner_missing", f"{table.name}.{column}", says, "Name the column that holds the customer's id.")


def _path(table: Table, owner: ByPath, schema: Schema) -> Iterator[Finding]:
    at = table.name
    for hop in owner.hops:
        yield from _step(table, at, hop, schema)
        if not owner.several and _there(hop, schema) and not schema.unique(hop.table, hop.keys):
            keys = f"{hop.table}.{','.join(hop.keys)}"
            says = f"its path goes by {keys}, which is not unique: a row might have two customers"
            remedy = f"Go by a key of {hop.table}, make it unique, or say several: true if it is meant."
            yield Finding("path_ambiguous", table.name, says, remedy)
        at = hop.table


def _there(hop: Hop, schema: Schema) -> bool:
    return all(schema.column(hop.table, key) for key in hop.keys)


def _step(table: Table, at: str, hop: Hop, schema: Schema) -> Iterator[Finding]:
    for column, key in zip(hop.columns, hop.keys, strict=True):
        here, there = schema.column(at, column), schema.column(hop.table, key)
        if here is None:
            yield _broken(table, f"{at}.{column}")
        if there is None:
            yield _broken(table, f"{hop.table}.{key}")
        if here and there and hop.cast is None:
            yield from _compared(table, at, here, hop.table, there)


def _compared(table: Table, at: str, here: LiveColumn, to: str, there: LiveColumn) -> Iterator[Finding]:
    if here.comparable != there.comparable:
        says = f"its path compares {at}.{here.name} ({here.type}) with {to}.{there.name} ({there.type})"
        yield Finding("path_type", table.name, says, f"Write cast: {here.base or here.type} at this step.")


def _pair(table: Table, owner: ByPair, schema: Schema) -> Iterator[Finding]:
    identity = schema.column(table.name, owner.id_column)
    for name in (owner.type_column, owner.id_column):
        if schema.column(table.name, name) is None:
            yield _missing(table, name)
    for target in filter(None, owner.targets.values()):
        there = schema.column(*target)
        if there is None:
            yield _broken(table, ".".join(target))
        elif identity and owner.cast is None:
            yield from _compared(table, table.name, identity, target[0], there)
        if there and not schema.unique(target[0], (target[1],)):
            says = f"its pair leads to {'.'.join(target)}, which is not unique: a row might have two customers"
            yield Finding("path_ambiguous", table.name, says, f"Lead to a key of {target[0]}.")


def _broken(table: Table, missing: str) -> Finding:
    says = f"its path does not lead to a customer: {missing} does not exist"
    return Finding("path_broken", table.name, says, "Correct the owner's path.")
