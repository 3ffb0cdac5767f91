"""A row as SQL that hashes it: one text and two numbers, which no other row has.

What Postgres writes of a whole row (``(t.*)::text``) costs more than all else of a hash. Here whole numbers are mixed
in as they are, and only the rest is written, each value as its type needs so that it can't be taken for another:

- a NULL by the place of its column, first of all (``!3``);
- other numbers, moments, uuids, JSON as they are: none has a comma outside brackets and quotes, or begins with ``!``;
- whatever else (arrays, enums, money, domains, an extension's) as a row of one value, in brackets and quotes;
- texts last, with the lengths of all before the first of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .names import quoted, relation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .live import Connection
    from .model import DataMap


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, and its type's name if it is one of Postgres' own, under no domain."""

    name: str
    type: str | None


@dataclass(frozen=True, slots=True)
class Hashed:
    """SQL over a row: a *line*, and two numbers, each to be the seed of one hash of it.

    Lines or numbers differ wherever rows do: of the numbers each by itself keeps 64 bits of all whole numbers.
    """

    line: str
    seeds: tuple[str, str]


async def columns(connection: Connection, map: DataMap) -> Mapping[str, tuple[Column, ...]]:  # noqa: A002
    """Give the columns of each declared table, in the table's order."""
    found: dict[str, list[Column]] = {table.name: [] for table in map.tables}
    for row in await connection.fetch(COLUMNS, list(found), [relation(name) for name in found]):
        found[row["table"]].append(Column(row["name"], row["type"]))
    return {name: tuple(some) for name, some in found.items()}


def by_text(alias: str) -> Hashed:
    """Write what a row is hashed by where all of it is a text, as it was before."""
    # (t.*) and not t: a column may be called t as well.
    return Hashed(f'({alias}.*)::text collate "C"', ("0", str(_OTHER_SEED)))


def hashed(columns: Sequence[Column], alias: str) -> Hashed:
    """Write what a row, called *alias*, with these *columns* is hashed by, whatever else the table has."""
    values = {one: f"{alias}.{quoted(one.name)}" for one in columns}
    numbers = [value for one, value in values.items() if one.type in _WHOLE]
    plain = [*(value for one, value in values.items() if one.type in _PLAIN), *numbers[_MOST_MIXED:]]
    texts = [value for one, value in values.items() if one.type in _TEXTS]
    others = [f"row({value})::text" for one, value in values.items() if one.type not in _WHOLE | _PLAIN | _TEXTS]
    nulls = [f"case when {value} is null then '!{place}' end" for place, value in enumerate(values.values(), 1)]
    fields = [*nulls, *plain, *others, *(f"octet_length({value})" for value in texts), *texts]
    mixed = numbers[:_MOST_MIXED]
    return Hashed(f'{_joined(fields)} collate "C"', (_mixed(mixed, 0), _mixed(mixed, _OTHER_SEED)))


def _joined(fields: Sequence[str]) -> str:
    """Join them with commas, of which a NULL has none; a function takes a hundred arguments at most."""
    if len(fields) <= _AT_ONCE:
        return f"concat_ws({', '.join([_COMMA, *fields])})"
    return _joined([_joined(fields[at : at + _AT_ONCE]) for at in range(0, len(fields), _AT_ONCE)])


def _mixed(numbers: Sequence[str], seed: int) -> str:
    """Hash them one by one, each with what came before it as the seed; the last is left to be one itself.

    Not by the hashes that they have themselves: those fold a bigint into half of its bits.
    """
    mixed = f"{seed}::bigint"
    for place, number in enumerate(numbers):
        before = mixed if place == 0 else f"hashtextextended('' collate \"C\", {mixed})"
        mixed = f"({before} # coalesce({number}, 0))"
    return mixed


_WHOLE = frozenset(("int2", "int4", "int8"))
_TEXTS = frozenset(("text", "varchar", "bpchar", "name"))
_PLAIN = frozenset(
    (
        *("numeric", "float4", "float8", "bool", "bit", "varbit", "bytea", "uuid", "json", "jsonb"),
        *("date", "time", "timetz", "timestamp", "timestamptz", "interval", "inet", "cidr", "macaddr", "macaddr8"),
    )
)
_OTHER_SEED = 8191
_AT_ONCE = 90
# They are nested, and the server's stack has an end.
_MOST_MIXED = 30
_COMMA = "','"

# A type of one's own may have the name of one of Postgres', and be written in any way.
COLUMNS = """
    -- columns: as the hash of a row needs them
    select asked.name as "table", a.attname as name,
           case when t.typnamespace = 'pg_catalog'::regnamespace then t.typname end as type
      from unnest($1::text[], $2::text[]) as asked (name, relation)
      join pg_attribute a on a.attrelid = asked.relation::regclass and a.attnum > 0 and not a.attisdropped
      join pg_type t on t.oid = a.atttypid
     order by asked.name, a.attnum
"""
