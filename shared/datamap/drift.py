"""Where a data map and the live schema disagree; pure, so that each kind of drift is a small test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .drift_keys import of_indexes, of_keys
from .drift_retaining import of_retention
from .drift_ways import of_ways
from .finding import Finding, Kind
from .owners import ByAny, ByPair, ByPath, Hop
from .rules import Choice, Expression, Lookup
from .secrets import secret_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .columns import LiveColumn, Schema
    from .declared import DataMap, Table
    from .owners import Owner

__all__ = ["Finding", "Kind", "findings", "hops"]


def findings(map: DataMap, schema: Schema) -> tuple[Finding, ...]:  # noqa: A002
    """List all disagreements, in the order of kinds."""
    here = [table for table in map.tables if table.name in schema.columns]
    return (
        *_undecided(map),
        *_undeclared(map, schema),
        *_vanished(map, schema),
        *_vanished_in_shared(map, schema),
        *(found for table in here for found in _columns_of(table, schema)),
        *(found for table in here for found in of_ways(map, table, schema)),
        *(found for table in here for found in of_retention(map, table, schema)),
        *of_keys(map, schema),
        *of_indexes(map, schema),
    )


def hops(table: Table) -> tuple[Hop, ...]:
    """Give every step that the ways from *table* to its customers take; none where each row names them itself."""
    return _steps(table.owner)


def _steps(owner: Owner) -> tuple[Hop, ...]:
    match owner:
        case ByPath(hops):
            return hops
        case ByPair(id_column=column, targets=targets, cast=cast):
            return tuple(Hop((column,), to[0], (to[1],), cast) for to in targets.values() if to)
        case ByAny(owners):
            return tuple(hop for one in owners for hop in _steps(one))
    return ()


def _undecided(map: DataMap) -> Iterator[Finding]:  # noqa: A002
    for name, why in map.undecided.items():
        remedy = "Declare it with its owner, or as exempt or shared with a reason."
        yield Finding("undecided", name, f"the draft could not decide: {why}", remedy)


def _undeclared(map: DataMap, schema: Schema) -> Iterator[Finding]:  # noqa: A002
    declared = {table.name for table in map.tables} | set(map.without_owner) | set(map.undecided)
    for name in sorted(set(schema.tables) - declared):
        says = "the table exists, and the map says nothing of it"
        yield Finding("undeclared_table", name, says, "Declare it with its owner, or exempt it with a reason.")


def _vanished(map: DataMap, schema: Schema) -> Iterator[Finding]:  # noqa: A002
    for name in [*(table.name for table in map.tables), *map.without_owner, *map.undecided]:
        if name not in schema.tables:
            says = "the map speaks of a table that does not exist"
            yield Finding("vanished_table", name, says, "Take it out of the map, or correct its name.")


def _vanished_in_shared(map: DataMap, schema: Schema) -> Iterator[Finding]:  # noqa: A002
    for name, media in map.shared_media.items():
        for column in media if name in schema.columns else ():
            if schema.column(name, column) is None:
                says = "the map speaks of a column that does not exist"
                yield Finding(
                    "vanished_column", f"{name}.{column}", says, "Take it out of the map, or correct its name."
                )


def _columns_of(table: Table, schema: Schema) -> Iterator[Finding]:
    here = {column.name: column for column in schema.columns[table.name]}
    yield from _vanished_columns(table, here, schema)
    for column in here.values():
        if column.name not in table.left_out:
            yield from _column(table, column)


def _vanished_columns(table: Table, here: dict[str, LiveColumn], schema: Schema) -> Iterator[Finding]:
    for name in table.left_out:
        if name not in here:
            says = "the map leaves out a column that does not exist"
            yield Finding("vanished_column", f"{table.name}.{name}", says, "Look whether the secret was renamed.")
    named = {*(table.columns or ()), *table.coded, *table.media, *_beside(table)}
    for name in sorted(named - set(here) - set(table.left_out)):
        says = "the map speaks of a column that does not exist"
        yield Finding("vanished_column", f"{table.name}.{name}", says, "Take it out of the map, or correct its name.")
    yield from _vanished_meanings(table, schema)


def _beside(table: Table) -> set[str]:
    names = {name for one in table.media.values() for name in one.columns}
    return names | {coding.via for coding in table.coded.values() if isinstance(coding, Choice)}


def _vanished_meanings(table: Table, schema: Schema) -> Iterator[Finding]:
    for column, coding in table.coded.items():
        if isinstance(coding, Lookup | Choice):
            text = coding.text if isinstance(coding, Lookup) else coding.options
            for name in (coding.key, text):
                if schema.column(coding.table, name) is None:
                    says = f"its meaning is read from {coding.table}.{name}, which does not exist"
                    place = f"{table.name}.{column}"
                    yield Finding("vanished_column", place, says, "Correct where the meaning is, or take it out.")
            yield from _meaning_compares(table, column, coding, schema)


def _meaning_compares(table: Table, column: str, coding: Lookup | Choice, schema: Schema) -> Iterator[Finding]:
    here = schema.column(table.name, column if isinstance(coding, Lookup) else coding.via)
    there = schema.column(coding.table, coding.key)
    if here and there and here.comparable != there.comparable:
        says = f"its meaning compares {here.name} ({here.type}) with {coding.table}.{there.name} ({there.type})"
        place = f"{table.name}.{column}"
        yield Finding("path_type", place, says, "Write the meaning as sql: that looks it up with a cast.")


def _column(table: Table, column: LiveColumn) -> Iterator[Finding]:
    place = f"{table.name}.{column.name}"
    declared = column.name in (table.columns or ())
    if table.columns is not None and not declared:
        says = "the column exists, and the map says nothing of it"
        remedy = "Name it under columns, or leave it out with a reason."
        yield Finding("undeclared_column", place, says, remedy)
    elif not declared and secret_name(table.name, column):
        says = "the column looks like a secret, and the archive would show it"
        remedy = "Leave it out with a reason; or, if it is none, name the table's columns under columns."
        yield Finding("secret_shown", place, says, remedy)
    if not column.carried and not isinstance(table.coded.get(column.name), Expression):
        says = f"no format can carry the type {column.type}: the value lies elsewhere, or only an extension can read it"
        remedy = f"Leave it out with a reason, or say under coded what it shows: {column.name}: {{sql: ...}}."
        yield Finding("type_not_carried", place, says, remedy)
