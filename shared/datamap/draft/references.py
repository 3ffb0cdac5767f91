"""Which column refers to which table: by a foreign key, or, where there is none, by name, type and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .naming import Likeness, Targets, touched
from .values import Contained, contained, keys_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ..columns import ForeignKey, LiveColumn, Schema
    from ..live import Connection
    from .values import Size

# Below this a guess is told, but decides nothing.
SURE_ENOUGH = 0.6
# A name alone, with no rows to look at, is worth this much of its likeness.
_WITHOUT_ROWS = 0.75


@dataclass(frozen=True, slots=True)
class Reference:
    """*columns* of *table* refer to *keys* of *to*: how *sure* that is, from 0 to 1, and *why*.

    *touches* is true where it seems to name who did something to the row; *nullable* where it may be missing.
    """

    table: str
    columns: tuple[str, ...]
    to: str
    keys: tuple[str, ...]
    sure: float
    why: str
    touches: bool = False
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A column that might refer to a table, going by its name and type."""

    table: str
    column: LiveColumn
    to: str
    key: LiveColumn
    like: Likeness


def declared(schema: Schema) -> Iterator[Reference]:
    """Give the foreign keys."""
    for key in schema.keys:
        if key.table in schema.columns and key.to_table in schema.columns:
            yield _declared(key, schema)


def _declared(key: ForeignKey, schema: Schema) -> Reference:
    found = [schema.column(key.table, name) for name in key.columns]
    nullable = any(column is None or column.nullable for column in found)
    touches = all(touched(name) for name in key.columns)
    why = f"foreign key {key.name}"
    return Reference(key.table, key.columns, key.to_table, key.to_columns, 1.0, why, touches, nullable)


def candidates(schema: Schema, persons: str | None) -> Iterator[Candidate]:
    """Give what names and types alone suggest, for columns without a foreign key."""
    targets = Targets(schema.columns, persons)
    taken = {(key.table, name) for key in schema.keys for name in key.columns}
    keys = {table: keys_of(schema, table)[:1] for table in schema.columns}
    for table, columns in schema.columns.items():
        for column in columns:
            if (table, column.name) not in taken and column.name not in {key.name for key in keys[table]}:
                yield from _candidates(table, column, keys, targets)


def _candidates(
    table: str, column: LiveColumn, keys: dict[str, tuple[LiveColumn, ...]], targets: Targets
) -> Iterator[Candidate]:
    for to, like in targets.of(column.name, table):
        if keys[to] and column.comparable == keys[to][0].comparable:
            yield Candidate(table, column, to, keys[to][0], like)


async def guessed(
    connection: Connection, some: list[Candidate], sizes: dict[str, Size], tell: Callable[[], None]
) -> AsyncIterator[Reference]:
    """Look at the values of each candidate and say how sure it is; *tell* is called after each."""
    for one in some:
        yield await _judged(connection, one, sizes)
        tell()


async def _judged(connection: Connection, one: Candidate, sizes: dict[str, Size]) -> Reference:
    named = one.column.name, one.to, one.key.name
    rows = sizes[one.table].rows
    seen = (
        await contained(connection, one.table, *named, size=sizes[one.table])
        if rows and sizes[one.to].rows
        else Contained(0, 0, 0.0)
    )
    sure, why = _sure(one.like, seen, rows)
    said = f"{one.column.name} {one.like.why} ({one.to}), {why}"
    touches, nullable = touched(one.column.name), one.column.nullable or seen.filled < 1
    return Reference(one.table, (one.column.name,), one.to, (one.key.name,), sure, said, touches, nullable)


def _sure(like: Likeness, seen: Contained, rows: int) -> tuple[float, str]:
    if not seen.values:
        why = "no row has a value in it" if rows else "its table is empty, so by name and type alone"
        return like.fits * (_WITHOUT_ROWS if not rows else 0.5), why
    share = seen.found / seen.values
    told = f"{seen.found} of {seen.values} sampled values are keys there"
    # Few values prove little: small numbers are keys of any table.
    weight = 0.9 + 0.1 * min(seen.values, 20) / 20 if share == 1 else share**4
    return like.fits * weight * (0.7 + 0.3 * seen.filled), told
