"""Looks for a customer's identifiers in every column that may hold words, whatever the map says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..datamap.declared import BySchema
from ..datamap.fingerprint import settle
from ..datamap.names import literal, named, parts
from ..datamap.ownership import goes_with, owned_by_somebody, quoted, relation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..datamap.live import Connection
    from ..datamap.model import DataMap


@dataclass(frozen=True, slots=True)
class Mention:
    """*rows* of *table* in whose *column* an identifier stands.

    *whose* is "nobody" for rows that no customer owns and for tables that the map doesn't give an owner: copies, which
    stop the case. Rows of somebody else may speak of the customer, and are theirs. The customer's "own" rows are those
    that had to be kept.
    """

    table: str
    column: str
    rows: int
    whose: Literal["nobody", "somebody", "own"]

    @property
    def stops(self) -> bool:
        """Tell whether the customer can't be called erased while it stands there."""
        return self.whose == "nobody"

    def told(self) -> dict[str, object]:
        """Give it as JSON."""
        return {"table": self.table, "column": self.column, "rows": self.rows, "whose": self.whose}

    def __str__(self) -> str:
        return f"found again: {self.table}.{self.column} names the customer in {self.rows} {_WHOSE[self.whose]}"


_SHORTEST, _SHORTEST_NUMBER = 4, 6
# Columns, of which each is counted three times: Postgres gives 1,664 results at most.
_AT_ONCE = 500
_WHOSE = {"nobody": "rows that nobody owns", "somebody": "rows of somebody else", "own": "of its rows that were kept"}


@dataclass(frozen=True, slots=True)
class Search:
    """Where identifiers stand, in how many *columns* they were looked for, and the tables that were *passed_over*.

    Of these the map says why customers' ids may stand there.
    """

    columns: int
    mentions: tuple[Mention, ...]
    passed_over: tuple[str, ...]


def searchable(identifier: str) -> bool:
    """Tell whether *identifier* is long enough to be no other word or number wherever it stands."""
    return len(identifier) >= (_SHORTEST_NUMBER if identifier.isdecimal() else _SHORTEST)


async def residue(
    connection: Connection,
    map: DataMap,  # noqa: A002
    identifiers: Sequence[str],
    kept_of: str | None = None,
) -> tuple[Mention, ...]:
    """Give what ``search`` finds."""
    return (await search(connection, map, identifiers, kept_of)).mentions


async def search(
    connection: Connection,
    map: DataMap,  # noqa: A002
    identifiers: Sequence[str],
    kept_of: str | None = None,
) -> Search:
    """Read every table once, in one snapshot, and find the columns in which one of *identifiers* stands as a word.

    A word ends where a letter, a digit, "_" or "-" does not follow, so "acme" is found in "acme." and in a key of
    JSON, but not in "acme-east" or "acme.com"; whether it is written small or large plays no part.
    Where rows of a customer had to be kept, *kept_of* is its id, and they are told apart. Raises ``ValueError`` for an
    empty identifier, which is everywhere.
    """
    if not identifiers or not all(identifiers):
        raise ValueError("an identifier has at least one character")
    found: list[Mention] = []
    looked_at = 0
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await settle(connection)
        for table, columns in await _searched(connection):
            if table in map.mentions:
                continue
            asked = query(map, table, columns, kept_of)
            counts = await connection.fetchrow(asked, _likely(identifiers), pattern(identifiers))
            found += _mentions(table, columns, [*(counts or ())])
            looked_at += len(columns)
    return Search(looked_at, tuple(found), tuple(sorted(map.mentions)))


def _mentions(table: str, columns: Sequence[str], counts: Sequence[int]) -> list[Mention]:
    whose: tuple[Literal["nobody", "somebody", "own"], ...] = ("nobody", "somebody", "own")
    places = [(column, who) for who in whose for column in columns]
    return [Mention(table, column, rows, who) for (column, who), rows in zip(places, counts, strict=True) if rows]


async def _searched(connection: Connection) -> list[tuple[str, list[str]]]:
    """Give the tables with their columns, of a very wide one some at a time."""
    found: dict[str, list[str]] = {}
    for row in await connection.fetch(COLUMNS):
        found.setdefault(named(row["schema"], row["table"]), []).append(row["column"])
    return [
        (table, columns[start : start + _AT_ONCE])
        for table, columns in found.items()
        for start in range(0, len(columns), _AT_ONCE)
    ]


def query(map: DataMap, table: str, columns: Sequence[str], kept_of: str | None = None) -> str:  # noqa: A002
    """Give the query that counts, in one scan of *table*, for each column nobody's rows, somebody's, and the kept."""
    declared = {one.name: one for one in map.tables}
    own, somebodys = "false", "false"
    if table in declared:
        somebodys = f"({owned_by_somebody(map, declared[table])}) is true"
        own = own if kept_of is None else f"({goes_with(map, declared[table], 't', literal(kept_of))}) is true"
    elif _of_another(map, table):
        somebodys = "true"
    whose = (f"not {own} and not {somebodys}", f"not {own} and {somebodys}", own)
    likely = [LIKELY.format(column=quoted(column)) for column in columns]
    telling = [f"{one} and {NAMES.format(column=quoted(column))}" for one, column in zip(likely, columns, strict=True)]
    counts = [f"count(*) filter (where {one} and {which})" for which in whose for one in telling]
    # Once more, so that of nearly every row each column is written out and looked through but once.
    return f"select {', '.join(counts)} from {relation(table)} as t where {' or '.join(likely)}"


def _of_another(map: DataMap, table: str) -> bool:  # noqa: A002
    """Tell whether *table* lies in the schema of another customer, where each has one."""
    tenancy, schema = map.tenancy, parts(table)[0]
    return isinstance(tenancy, BySchema) and tenancy.customer_of(schema) not in {None, tenancy.bound_to}


def _likely(identifiers: Sequence[str]) -> list[str]:
    """Give patterns of LIKE for *identifiers*, small in ASCII as ``LIKELY`` makes the text, else as usually written."""
    written = {way for one in identifiers for way in (one, one.lower(), one.upper(), one.capitalize(), one.title())}
    return sorted({"%" + re.sub(r"([%_\\])", r"\\\1", _small(one)) + "%" for one in written})


def _small(text: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def pattern(identifiers: Sequence[str]) -> str:
    """Give the regular expression of PostgreSQL for *identifiers* as words."""
    either = "|".join(re.sub(r"([^A-Za-z0-9_-])", r"\\\1", one) for one in identifiers)
    return rf"(?<![A-Za-z0-9_-])({either})(?![A-Za-z0-9_-]|\.[A-Za-z0-9])"


# The plain search rules out nearly every row before the regular expression is tried, which decides. ILIKE would take
# twice as long as LIKE of what is made small byte by byte.
LIKELY = """lower(t.{column}::text collate "C") like any ($1::text[])"""

NAMES = "t.{column}::text ~* $2"

COLUMNS = """
    -- columns: of text, json, uuid, what is made of words for a search, and all that such are put together to (arrays,
    -- domains, rows); partitions are read with their table
    with recursive peeled as (
        select oid as top, oid, typtype, typcategory, typname, typbasetype, typelem from pg_type
        union all
        select p.top, y.oid, y.typtype, y.typcategory, y.typname, y.typbasetype, y.typelem
          from peeled p
          join pg_type y on y.oid = case when p.typtype = 'd' then p.typbasetype
                                         when p.typcategory = 'A' then p.typelem end
    )
    select n.nspname::text as schema, c.relname::text as table, a.attname::text as column
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relkind in ('r', 'p', 'f', 'm') and c.relispopulated and not c.relispartition
       and n.nspname not in ('information_schema', 'offramp') and n.nspname !~ '^pg_'
       and exists (select from peeled p
                    where p.top = a.atttypid
                      and (p.typcategory = 'S' or p.typtype = 'c'
                           or p.typname in ('json', 'jsonb', 'uuid', 'xml', 'hstore', 'tsvector')))
     order by 1, 2, a.attnum
"""
