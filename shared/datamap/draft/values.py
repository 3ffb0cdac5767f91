"""What a sample of the values says: whether a column's values are another table's keys, times, or secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..names import literal, quoted, relation
from ..secrets import VALUES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..columns import LiveColumn, Schema
    from ..live import Connection
    from ..rules import Unit

_NUMBERS = frozenset({"smallint", "integer", "bigint", "numeric"})
_TEXTS = frozenset({"text", "character varying", "character", "bytea"})
_BATCH = 50
_SAMPLE = 2_000
# Of a result; a table may have 1,600.
_MOST_COLUMNS = 1_600


@dataclass(frozen=True, slots=True)
class Contained:
    """Of *values* different ones that were sampled, *found* are keys; *filled* is the share of rows that have one."""

    values: int
    found: int
    filled: float


@dataclass(frozen=True, slots=True)
class Size:
    """How large a table is: *rows* as the server estimates them or as far as it was counted, and *bytes*.

    Of a foreign table no pages can be sampled, so that it is not *paged*.
    """

    rows: int
    bytes: int
    paged: bool = True


async def sizes(connection: Connection, tables: Sequence[str]) -> dict[str, Size]:
    """Tell the size of each table; up to 1,000 rows they are counted."""
    found: dict[str, Size] = {}
    for start in range(0, len(tables), _BATCH):
        some = tables[start : start + _BATCH]
        query = " union all ".join(_size_of(name) for name in some)
        for row in await connection.fetch(query):
            found[row["name"]] = Size(max(row["counted"], row["estimated"]), row["bytes"], row["paged"])
    return found


def _size_of(name: str) -> str:
    return SIZE.format(name=literal(name), relation=relation(name), quoted=literal(relation(name)))


async def contained(connection: Connection, table: str, column: str, to: str, key: str, *, size: Size) -> Contained:
    """Sample some 2,000 values of *column*, and look for them among the *key* of *to*; 0 and '' are none."""
    query = CONTAINED.format(
        relation=relation(table), column=quoted(column), to=relation(to), key=quoted(key), some=_some(size)
    )
    row = await connection.fetchrow(query)
    if row is None:
        raise AssertionError("an aggregate always gives a row")
    return Contained(row["values"], row["found"], float(row["filled"] or 0))


def _some(size: Size) -> str:
    """Take pages from all over a large table; the first rows of a log are about its first days only."""
    if not size.paged or size.rows <= 2 * _SAMPLE:
        return ""
    return f"tablesample system ({100 * _SAMPLE / size.rows:.6f}) repeatable (0)"


async def secrets(connection: Connection, table: str, columns: Sequence[LiveColumn]) -> frozenset[str]:
    """Name the columns in whose first rows something looks like a secret from within."""
    texts = [column.name for column in columns if (column.base or column.type) in _TEXTS]
    if not texts:
        return frozenset()
    looked = [f"bool_or({_text(name, columns)} ~ {literal(VALUES)})" for name in texts]
    answers = await _answers(connection, table, looked)
    return frozenset(name for name, secret in zip(texts, answers, strict=True) if secret)


async def _answers(connection: Connection, table: str, looked: Sequence[str]) -> list[Any]:
    """Ask all of *looked* of the first rows, by statements of as many columns as Postgres lets one have."""
    answers: list[Any] = []
    for start in range(0, len(looked), _MOST_COLUMNS):
        some = ", ".join(looked[start : start + _MOST_COLUMNS])
        answers += await connection.fetchrow(SAMPLE.format(looked=some, relation=relation(table))) or ()
    return answers


def _text(name: str, columns: Sequence[LiveColumn]) -> str:
    binary = any(column.name == name and column.base == "bytea" for column in columns)
    return f"encode(s.{quoted(name)}, 'escape')" if binary else f"s.{quoted(name)}"


async def epochs(connection: Connection, table: str, columns: Sequence[LiveColumn]) -> dict[str, tuple[Unit, bool]]:
    """Name the whole numbers that lie like times since 1970, with their unit and whether 0 occurs."""
    numbers = [column.name for column in columns if (column.base or column.type) in _NUMBERS]
    if not numbers:
        return {}
    looked = [question.format(column=quoted(name)) for name in numbers for question in EPOCH]
    values = await _answers(connection, table, looked)
    found = {}
    for place, name in enumerate(numbers):
        unit = _unit(*values[place * 3 : place * 3 + 2])
        if unit:
            found[name] = (unit, bool(values[place * 3 + 2]))
    return found


def _unit(low: int | None, high: int | None) -> Unit | None:
    """Tell the unit in which both numbers lie between the years 1990 and 2100."""
    if low is None or high is None:
        return None
    units: tuple[tuple[Unit, int], ...] = (("seconds", 1), ("milliseconds", 1_000), ("microseconds", 1_000_000))
    for unit, factor in units:
        if 631_152_000 * factor <= low <= high <= 4_102_444_800 * factor:
            return unit
    return None


async def types_of(connection: Connection, table: str, column: str) -> tuple[str, ...]:
    """Give the different values of the type of a polymorphic pair, at most 20."""
    return tuple(
        row["type"] for row in await connection.fetch(TYPES.format(column=quoted(column), relation=relation(table)))
    )


def keys_of(schema: Schema, table: str) -> tuple[LiveColumn, ...]:
    """Give the columns that alone tell the rows of *table* apart, the primary key first."""
    unique = [column for column in schema.columns.get(table, ()) if column.unique]
    return tuple(sorted(unique, key=lambda column: column.key_position is None))


SIZE = """
    (select {name}::text as name, (select count(*) from (select from {relation} limit 1000) as s) as counted,
            greatest(c.reltuples, 0)::bigint as estimated, pg_total_relation_size(c.oid) as bytes,
            c.relkind <> 'f' as paged
       from pg_class c where c.oid = {quoted}::regclass)
"""

CONTAINED = """
    with rows as (select t.{column} as value from {relation} as t {some} limit 4000),
         sampled as (select distinct value from rows where value is not null and value::text not in ('', '0') limit 500)
    select count(*) as values,
           count(*) filter (where exists (select from {to} as k where k.{key} = sampled.value)) as found,
           (select avg((value is not null and value::text not in ('', '0'))::int) from rows) as filled
      from sampled
"""

SAMPLE = "select {looked} from (select * from {relation} limit 500) as s"

EPOCH = ("min(s.{column}) filter (where s.{column} <> 0)", "max(s.{column})", "bool_or(s.{column} = 0)")

TYPES = """
    select distinct s.value as type
      from (select t.{column}::text as value from {relation} as t where t.{column} is not null limit 20000) as s
     order by 1 limit 20
"""
