"""A set of rows in one short number that does not depend on their order, to see whether it changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .names import literal
from .ownership import goes_with, relation

if TYPE_CHECKING:
    from .live import Connection
    from .model import DataMap, Table


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows, and their fingerprint: 64 hexadecimal digits."""

    count: int
    fingerprint: str


def own_rows(map: DataMap, table: Table, customer: str = "$1") -> str:  # noqa: A002
    """Give the query for the rows of *table* that go with *customer*: one row of ``count`` and ``fingerprint``."""
    return FINGERPRINT.format(relation=relation(table.name), which=goes_with(map, table, "t", customer))


def other_rows(map: DataMap, table: Table, customer: str = "$1") -> str:  # noqa: A002
    """Give the query for all rows that stay, others' and nobody's: one row of ``count`` and ``fingerprint``."""
    which = f"({goes_with(map, table, 't', customer)}) is not true"
    return FINGERPRINT.format(relation=relation(table.name), which=which)


def all_rows(table: Table) -> str:
    """Give the query for every row of *table*; where nothing of a customer is left, these are everybody else's."""
    return FINGERPRINT.format(relation=relation(table.name), which="true")


def rows_where(table: Table, which: str, without: tuple[str, ...] = ()) -> str:
    """Give the query for the rows of *table*, called ``t``, that fulfil the condition *which*.

    The columns *without* play no part.
    """
    query = FINGERPRINT.format(relation=relation(table.name), which=which)
    names = ", ".join(map(literal, without))
    return query.replace("(t.*)::text", f"(to_jsonb(t.*) - array[{names}])::text") if without else query


async def measure(connection: Connection, query: str, *customer: str) -> Rows:
    """Run a *query* of this module, for *customer* if it has one; call ``settle`` before, in the same transaction."""
    # All rows and not the first one: where a limit is sent along, the server reads without parallel workers.
    (row,) = await connection.fetch(query, *customer)
    return Rows(row["count"], row["fingerprint"])


async def settle(connection: Connection) -> None:
    """Fix until the transaction's end every setting that rows' texts depend on, and refuse rows hidden by policies."""
    await connection.execute(SETTLE)


# (t.*) and not t: a column may be called t as well. A volatile column keeps each line from being written out twice, as
# "offset 0" would, which also keeps parallel workers away.
# The sums grow with each copy of a row, where an xor would cancel two equal rows out, and two seeds make 128 bits of
# it. The count guards the rest.
FINGERPRINT = """
    select count,
           encode(sha256(convert_to(concat_ws(':', count, first, second), 'UTF8')), 'hex') as fingerprint
      from (
          select count(*) as count,
                 coalesce(sum(hashtextextended(line, 0)), 0) as first,
                 coalesce(sum(hashtextextended(line, 8191)), 0) as second
            from (select (t.*)::text collate "C" as line, clock_timestamp() from {relation} as t where {which}) as lines
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
