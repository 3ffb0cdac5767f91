"""Many customers' rows of one table, counted and fingerprinted in one scan of it instead of one for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from .fingerprint import Rows
from .names import quoted, relation
from .owners import ByColumn, ByPath
from .predicate import rendered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .fingerprint import Measuring
    from .model import DataMap, Table
    from .owners import Key


@dataclass(frozen=True, slots=True)
class Sums:
    """How many rows, and the two sums that their fingerprint is made of."""

    count: int = 0
    first: int = 0
    second: int = 0

    def without(self, other: Sums) -> Rows:
        """Give what is left when *other*, some of these rows, is taken away."""
        count, first, second = self.count - other.count, self.first - other.first, self.second - other.second
        # As FINGERPRINT writes it.
        return Rows(count, sha256(f"{count}:{first}:{second}".encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Split:
    """The rows of one table: how many are each customer's own, and everybody else's beside each."""

    whole: Sums
    by_customer: Mapping[str, Sums]

    def own(self, customer: str) -> int:
        """Count *customer*'s rows."""
        return self.by_customer.get(customer, Sums()).count

    def others(self, customer: str) -> Rows:
        """Give all rows but *customer*'s."""
        return self.whole.without(self.by_customer.get(customer, Sums()))


@dataclass(frozen=True, slots=True)
class _Way:
    """SQL that gives each row (``t0``) its *owner*, by *joins*, and the *key* by which a customer is called there."""

    owner: str
    joins: str
    key: Key


async def split(
    measured: Measuring,
    map: DataMap,  # noqa: A002
    table: Table,
    customers: Sequence[str],
) -> Split | None:
    """Split *table* among *customers*, by the rows that the predicate of each alone would give; None if it can't be.

    It can where each row has one owner that a column tells, its own or that of the row which it refers to. A reference
    to several rows shows in the count, and is None too.
    """
    way = _way(map, table)
    if way is None:
        return None
    row = measured.hashed(table, "t0")
    query = SPLIT.format(
        relation=relation(table.name),
        joins=way.joins,
        owner=way.owner,
        called=rendered(way.key, "(w.customer)::text"),
        line=row.line,
        first=row.seeds[0],
        second=row.seeds[1],
    )
    connection = measured.connection
    rows = await connection.fetch(query, list(dict.fromkeys(customers)))
    found = {row["customer"]: Sums(row["count"], int(row["first"]), int(row["second"])) for row in rows}
    whole = found.pop(None)
    if way.joins and whole.count != await connection.fetchval(COUNT.format(relation=relation(table.name))):
        return None
    return Split(whole, found)


def _way(map: DataMap, table: Table) -> _Way | None:  # noqa: A002
    joins: list[str] = []
    at, owner = "t0", table.owner
    while isinstance(owner, ByPath):
        if owner.several or any(hop.cast for hop in owner.hops):
            return None
        for hop in owner.hops:
            following = f"t{len(joins) + 1}"
            pairs = zip(hop.columns, hop.keys, strict=True)
            condition = " and ".join(f"{at}.{quoted(here)} = {following}.{quoted(key)}" for here, key in pairs)
            joins.append(f"left join {relation(hop.table)} as {following} on {condition}")
            at = following
        owner = map.table(owner.hops[-1].table).owner
    if not isinstance(owner, ByColumn) or owner.key.ids:
        return None
    return _Way(f"{at}.{quoted(owner.column)}", " ".join(joins), owner.key)


# The sums are FINGERPRINT's, so that what is left of the whole without one customer's is what it would give.
SPLIT = """
    -- split: by the row's own word for its customer, which is compared as the predicate of one customer compares it
    with grouped as materialized (
        select owner, count(*) as count,
               coalesce(sum(hashtextextended(line, first)), 0) as first,
               coalesce(sum(hashtextextended(line, second)), 0) as second
          from (select {owner} as owner, {line} as line, {first} as first, {second} as second, clock_timestamp()
                  from {relation} as t0 {joins}) as lines
         group by owner
    )
    select null as customer, coalesce(sum(count), 0)::bigint as count,
           coalesce(sum(first), 0)::text as first, coalesce(sum(second), 0)::text as second
      from grouped
    union all
    select w.customer, sum(g.count)::bigint, sum(g.first)::text, sum(g.second)::text
      from unnest($1::text[]) as w (customer)
      join grouped as g on g.owner = {called}
     group by w.customer
"""

COUNT = "select count(*) from {relation}"
