"""The objects that stay since a law keeps rows that refer to them: by which law, until when, told by those rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from ..datamap.names import literal, reported
from ..datamap.object_places import decoded, is_key, lies
from ..datamap.ownership import goes_with, owned_by, relation
from ..datamap.referring import referring
from ..events.platform import RetainedRows
from ..events.vocabulary import TableCount
from .going import stays
from .noted_objects import digest_of
from .referred_store import at_once
from .right import RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from datetime import date, datetime

    from ..datamap.live import Connection
    from ..datamap.model import DataMap
    from .referred_store import Store
    from .work import Work

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an object of *bucket* stays: the *basis*, and the last day; None where a kept row only needs its row."""

    bucket: str
    basis: str | None = None
    until: date | None = None


def table_of(bucket: str) -> str:
    """Name the objects that rows refer to in *bucket* as counts do."""
    return reported(f"objects.{bucket}")


def as_kept(found: Mapping[Reason, int]) -> tuple[TableCount, ...]:
    """Write how many versions stay of each bucket."""
    return _by_bucket(found.items())


def as_needed(found: Mapping[Reason, int]) -> tuple[TableCount, ...]:
    """Write how many of them only rows refer to that kept rows need."""
    return _by_bucket((reason, versions) for reason, versions in found.items() if reason.basis is None)


def as_retained(found: Mapping[Reason, int]) -> tuple[RetainedRows, ...]:
    """Write how many of them a law keeps, by its last day: the latest, where several rows refer to one object."""
    return tuple(
        RetainedRows(table=table_of(one.bucket), basis=one.basis, until=one.until, rows=versions)
        for one, versions in sorted(found.items(), key=lambda item: (item[0].bucket, str(item[0].until)))
        if one.basis is not None and one.until is not None and versions
    )


def _by_bucket(found: Iterable[tuple[Reason, int]]) -> tuple[TableCount, ...]:
    versions = Counter[str]()
    for reason, number in found:
        versions[reason.bucket] += number
    return tuple(TableCount(table=table_of(one), rows=rows) for one, rows in sorted(versions.items()) if rows)


async def check_several(connection: Connection, map: DataMap, customer: str, now: datetime) -> None:  # noqa: A002
    """Refuse where a row of several customers, which stays, names by this one's id an object that would go."""
    for one in referring(map):
        table = map.table(one.table)
        if table.retain and one.reference.of_one_customer:
            which = f"({owned_by(map, table)}) and ({goes_with(map, table)}) is not true and {one.named('t')}"
            query = COUNT.format(relation=relation(one.table), which=f"{which} and {table.retain.kept('t', now)}")
            rows = await connection.fetchval(query, customer)
            if rows:
                says = "rows that a law keeps are several customers', and name objects as this one's"
                raise RefusedError("failed", f"{one.place}: {rows} {says}, so nothing goes")


def standing_keys(map: DataMap, now: datetime) -> str:  # noqa: A002
    """Give the query for bucket, key, last day and basis of each object that a row of the customer ``$1`` names.

    Asked when all that goes is gone, so that any such row is one that was kept at *now*.
    """
    return _grouped(map, now, listed=False)


async def keys_to_stay(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    now: datetime,
    *,
    listed: bool = False,
) -> dict[bytes, Reason]:
    """Give, inside a transaction, the digests of all such objects; with *listed*, as ``keep`` lists rows beforehand.

    What lies under a prefix, and what is no key, is none of them.
    """
    found: dict[bytes, Reason] = {}
    query = _grouped(map, now, listed=listed)
    async for row in connection.cursor(query, customer, prefetch=_AT_ONCE):
        key = decoded(row["key"])
        if key is not None and is_key(key) and lies(map, customer, row["bucket"], key) == "free":
            found[digest_of(row["bucket"], key)] = Reason(row["bucket"], row["basis"], row["until"])
    return found


def _grouped(map: DataMap, now: datetime, *, listed: bool) -> str:  # noqa: A002
    named = []
    for one in referring(map):
        table = map.table(one.table)
        if listed and one.column in table.minimise:
            # The kept row will name it no more.
            continue
        kept = table.retain.kept("t", now) if table.retain else "false"
        named.append(
            NAMED.format(
                bucket=one.bucket("$1"),
                key=one.key("t", "$1"),
                kept=kept,
                until=table.retain.until("t") if table.retain else "null::date",
                basis=literal(table.retain.basis) if table.retain else "null",
                relation=relation(one.table),
                which=f"({goes_with(map, table)}) and {stays()}" if listed else goes_with(map, table),
            )
        )
    return GROUPED.format(" union all ".join(named or [NOTHING]))


@dataclass(frozen=True, slots=True)
class KeptObjects:
    """The objects that stay of one deletion's, listed for the session; their notes stay until their rows go."""

    work: Work
    store: Store
    now: datetime | None

    async def prepare(self) -> None:
        """Make an empty list."""
        await self.work.connection.execute(LIST)

    async def fill(self) -> None:
        """List, inside a transaction, what is noted and a row that stays names."""
        if self.now is not None:
            named = standing_keys(self.work.map, self.now)
            who = self.work.customer, self.work.map.system
            await self.work.connection.execute(INTO_LIST.format(named=named), *who)

    async def among(self, digests: list[bytes]) -> set[bytes]:
        """Give those of *digests* that rows of the customer's refer to now, whether or not they are listed."""
        if self.now is None or not digests:
            return set()
        query = AMONG.format(named=standing_keys(self.work.map, self.now))
        rows = await self.work.connection.fetch(query, self.work.customer, self.work.map.system, digests)
        return {row["digest"] for row in rows}

    async def count(self) -> dict[Reason, tuple[int, int]]:
        """Count the versions of what is listed, from key to key, each sum with a mark that any change changes."""
        found: dict[Reason, tuple[int, int]] = {}
        async for page in self._pages():
            versions = await at_once([self.store.versions_of(reason.bucket, key) for key, reason in page])
            for (key, reason), some in zip(page, versions, strict=True):
                count, total = found.get(reason, (0, 0))
                marks = sum(_mark(key, version) for version in some)
                found[reason] = count + len(some), total + marks
        return found

    async def _pages(self) -> AsyncIterator[list[tuple[str, Reason]]]:
        after = b""
        while rows := await self.work.connection.fetch(PAGE, after, _AT_ONCE):
            after = rows[-1]["digest"]
            yield [(decoded(row["key"]) or "", Reason(row["bucket"], row["basis"], row["until"])) for row in rows]


def _mark(key: str, version: str) -> int:
    return int.from_bytes(blake2b(f"{key}\0{version}".encode(), digest_size=8).digest(), "big")


COUNT = "select count(*) from {relation} as t where {which}"

NAMED = """
    select k.bucket, k.key, k.until, k.basis
      from (select ({bucket})::text as bucket, {key} as key,
                   case when {kept} then {until} end as until, case when {kept} then {basis} end as basis
              from {relation} as t where {which} offset 0) as k
     where k.key is not null and $1::text is not null
"""

NOTHING = "select null::text as bucket, null::bytea as key, null::date as until, null::text as basis where $1 is null"

GROUPED = """
    select n.bucket, n.key, max(n.until) as until,
           (array_agg(n.basis order by n.until desc nulls last, n.basis))[1] as basis
      from ({}) as n group by n.bucket, n.key
"""

LIST = """
    drop table if exists pg_temp.offramp_kept_objects;
    create temporary table offramp_kept_objects (
        digest bytea primary key, bucket text not null, key bytea not null, until date, basis text
    )
"""

INTO_LIST = """
    insert into pg_temp.offramp_kept_objects
    select o.digest, o.bucket, o.key, n.until, n.basis
      from offramp.objects as o join ({named}) as n using (bucket, key)
     where o.system = $2 and o.customer = $1 and o.state = 'noted'
"""

AMONG = """
    select o.digest from offramp.objects as o join ({named}) as n using (bucket, key)
     where o.system = $2 and o.customer = $1 and o.digest = any($3::bytea[])
"""

PAGE = """
    select bucket, key, digest, until, basis from pg_temp.offramp_kept_objects
     where digest > $1 order by digest limit $2
"""
