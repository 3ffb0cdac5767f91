"""A set of rows in one short number that does not depend on their order, to see whether it changed.

It is of two sums over 64-bit hashes with seeds of their own, of which each takes in all of a row: a change is missed
once in 2**64 by each, in 2**128 by both. That holds against accidents, which is what it is for: who may choose what
rows say can make some that cancel out, as they could with any sum of hashes whose seeds are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from .ownership import goes_with, relation
from .rowhash import Hashed, by_text, columns, hashed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .live import Connection
    from .model import DataMap, Table
    from .rowhash import Column

# How a row is written before it is hashed: as Postgres writes the whole of it, or column by column, at half the cost.
# Both give the same in any session and of any release, as what was seen months ago is compared with what is seen now.
Method: TypeAlias = Literal[1, 2]
BY_TEXT: Final = 1
BY_COLUMNS: Final = 2


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows, and their fingerprint: 64 hexadecimal digits."""

    count: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Measuring:
    """Counts and fingerprints rows, by the *columns* that the tables had at first, or by their text where None."""

    connection: Connection
    columns: Mapping[str, tuple[Column, ...]] | None

    async def rows(self, table: Table, which: str = "true", *customer: str, without: Collection[str] = ()) -> Rows:
        """Measure the rows of *table*, called ``t``, that fulfil the condition *which*, for *customer* if it asks.

        The columns *without* play no part; of what is written as text none can be left out.
        """
        # All rows and not the first one: where a limit is sent along, the server reads without parallel workers.
        (row,) = await self.connection.fetch(self.query(table, which, without), *customer)
        return Rows(row["count"], row["fingerprint"])

    def query(self, table: Table, which: str = "true", without: Collection[str] = ()) -> str:
        """Give the query of ``rows``: one row of ``count`` and ``fingerprint``."""
        row = self.hashed(table, "t", without)
        return FINGERPRINT.format(
            relation=relation(table.name), which=which, line=row.line, first=row.seeds[0], second=row.seeds[1]
        )

    def hashed(self, table: Table, alias: str, without: Collection[str] = ()) -> Hashed:
        """Give what each row of *table*, called *alias*, is hashed by."""
        if self.columns is None:
            return by_text(alias)
        return hashed([one for one in self.columns[table.name] if one.name not in without], alias)


async def measuring(connection: Connection, map: DataMap, method: Method = BY_COLUMNS) -> Measuring:  # noqa: A002
    """Make ready to measure *map*'s tables; call ``settle`` before, in the same transaction."""
    return Measuring(connection, await columns(connection, map) if method == BY_COLUMNS else None)


def own_of(map: DataMap, table: Table, customer: str = "$1") -> str:  # noqa: A002
    """Give the condition for the rows of *table* that go with *customer*."""
    return goes_with(map, table, "t", customer)


def rest_of(map: DataMap, table: Table, customer: str = "$1") -> str:  # noqa: A002
    """Give the condition for all rows that stay, others' and nobody's."""
    return f"({goes_with(map, table, 't', customer)}) is not true"


async def settle(connection: Connection) -> None:
    """Fix until the transaction's end every setting that rows' texts depend on, and refuse rows hidden by policies."""
    await connection.execute(SETTLE)


# A volatile column keeps each line from being written out twice, as "offset 0" would, which also keeps parallel workers
# away. The sums grow with each copy of a row, where an xor would cancel two equal rows out. The count guards the rest.
FINGERPRINT = """
    select count,
           encode(sha256(convert_to(concat_ws(':', count, first, second), 'UTF8')), 'hex') as fingerprint
      from (
          select count(*) as count,
                 coalesce(sum(hashtextextended(line, first)), 0) as first,
                 coalesce(sum(hashtextextended(line, second)), 0) as second
            from (select {line} as line, {first} as first, {second} as second, clock_timestamp()
                    from {relation} as t where {which}) as lines
      ) as summed
"""

# row_security off makes a query fail where a policy would hide rows; hidden rows would look like deleted ones.
SETTLE = """
    set local extra_float_digits = 1;
    set local datestyle = 'ISO, YMD';
    set local timezone = 'UTC';
    set local intervalstyle = 'postgres';
    set local bytea_output = 'hex';
    set local lc_monetary = 'C';
    set local xmlbinary = 'base64';
    set local search_path = public;
    set local row_security = off;
"""
