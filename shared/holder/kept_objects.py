"""The objects that stay since rows that refer to them do: for which laws, until when, and for which holds.

So does what rows referred to that had gone when a hold came: which of it they covered nobody can tell any more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..datamap.names import literal, reported
from ..datamap.object_places import decoded, is_key, lies
from ..datamap.ownership import goes_with, owned_by, relation
from ..datamap.referring import referring
from ..events.platform import HeldRows, RetainedRows
from ..events.vocabulary import TableCount
from .bystander_objects import mark
from .going import leaves
from .noted_objects import THERE, WITH_MARKS, digest_of
from .referred_keys import going
from .referred_store import at_once, pages_of
from .right import RefusedError
from .scope import covered, holding, of_hold
from .spared import doubting, those
from .statutory import BY_LAW, instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from datetime import date, datetime

    import asyncpg

    from ..datamap.live import Connection
    from ..datamap.model import DataMap
    from ..datamap.referring import Referring
    from .referred_store import Store
    from .scope import Covers
    from .work import Work

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an object of *bucket* stays: the *basis*, and the last day; the *holds* that cover a row which names it.

    With none of these a kept row only needs its row. Its unfinished *uploads* stay where a hold may mean them.
    """

    bucket: str
    basis: str | None = None
    until: date | None = None
    holds: tuple[str, ...] = ()
    uploads: bool = False


def table_of(bucket: str) -> str:
    """Name the objects that rows refer to in *bucket* as counts do."""
    return reported(f"objects.{bucket}")


def as_kept(found: Mapping[Reason, int]) -> tuple[TableCount, ...]:
    """Write how many versions stay of each bucket."""
    return _by_bucket(found.items())


def as_needed(found: Mapping[Reason, int]) -> tuple[TableCount, ...]:
    """Write how many of them only rows refer to that kept rows need."""
    return _by_bucket((one, versions) for one, versions in found.items() if one.basis is None and not one.holds)


def as_held(found: Mapping[Reason, int], bases: Mapping[str, str | None]) -> tuple[HeldRows, ...]:
    """Write how many of them each hold covers; *bases* are those of the holds."""
    return tuple(
        HeldRows(table=one.table, rows=one.rows, hold_id=hold, basis=basis)
        for hold, basis in bases.items()
        for one in _by_bucket((reason, versions) for reason, versions in found.items() if hold in reason.holds)
    )


def as_retained(found: Mapping[Reason, int]) -> tuple[RetainedRows, ...]:
    """Write how many of them a law keeps, by its last day: the latest, where several rows refer to one object."""
    lawful: Counter[tuple[str, date, str]] = Counter()
    for one, versions in found.items():
        if one.basis is not None and one.until is not None and versions:
            lawful[one.bucket, one.until, one.basis] += versions
    return tuple(
        RetainedRows(table=table_of(bucket), basis=basis, until=until, rows=versions)
        for (bucket, until, basis), versions in sorted(lawful.items())
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


async def keys_to_stay(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    holds: Covers,
    *,
    listed: bool = False,
) -> dict[bytes, Reason]:
    """Give, inside a transaction, the digests of all that rows name which stay; why is told by what *holds* keep.

    Asked when all that goes is gone; or, with *listed*, as ``keep`` lists rows beforehand. What lies under a prefix,
    and what is no key, is none of them.
    """
    found: dict[bytes, Reason] = {}
    query = named_by_kept(map, holds, listed=listed)
    async for row in connection.cursor(query, customer, prefetch=_AT_ONCE):
        key = decoded(row["key"])
        if key is not None and is_key(key) and lies(map, customer, row["bucket"], key) == "free":
            found[digest_of(row["bucket"], key)] = _reason(row)
    return found


async def doubted(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    holds: Covers,
) -> dict[bytes, Reason]:
    """Give, inside a transaction, the digests of what is noted of rows that had gone when one of *holds* came."""
    if not holding(holds) or not await connection.fetchval(THERE):
        return {}
    note = "o" if await connection.fetchval(WITH_MARKS) else None
    query = DOUBTED.format(holds=doubting(map, holds, note))
    rows = await connection.fetch(query, map.system, customer)
    return {row["digest"]: Reason(row["bucket"], holds=tuple(row["holds"]), uploads=True) for row in rows}


def named_by_kept(map: DataMap, holds: Covers, *, listed: bool = False) -> str:  # noqa: A002
    """Give the query for bucket, key and reason of each object that a row of the customer ``$1`` names which stays."""
    by_hold = {hold: of_hold(holds, hold) for hold in holding(holds)}
    named = [_named(map, one, holds, by_hold, listed=listed) for one in referring(map)]
    return GROUPED.format(
        named=" union all ".join(named),
        holds=those((hold, f"bool_or(n.held[{number}])") for number, hold in enumerate(by_hold, 1)),
        held=str(bool(by_hold)).lower(),
    )


def _named(
    map: DataMap,  # noqa: A002
    one: Referring,
    holds: Covers,
    by_hold: Mapping[str, Covers],
    *,
    listed: bool,
) -> str:
    table = map.table(one.table)
    now = instant(holds)
    held = [f"({covered(map, table, some, 't')}) is true" for some in by_hold.values()]
    # A row of several customers stays with the others, and a hold may mean it.
    which = going(map, one) if by_hold else goes_with(map, table)
    if listed:
        which = f"({which}) and (({leaves(map, table, holds)}) is not true)"
        if one.column in table.minimise:
            # What stays for a law alone will name it no more.
            which = f"{which} and not {BY_LAW}"
    return NAMED.format(
        bucket=one.bucket("$1"),
        key=one.key("t", "$1"),
        kept=table.retain.kept("t", now) if table.retain and now else "false",
        until=table.retain.until("t") if table.retain else "null::date",
        basis=literal(table.retain.basis) if table.retain else "null",
        held=f"array[{', '.join(held)}]::boolean[]",
        relation=relation(one.table),
        which=which,
    )


def _reason(row: asyncpg.Record) -> Reason:
    return Reason(row["bucket"], row["basis"], row["until"], tuple(row["holds"]), row["uploads"])


@dataclass(frozen=True, slots=True)
class KeptObjects:
    """The objects that stay of one deletion's, listed for the session; their notes stay until their rows go."""

    work: Work
    store: Store

    async def prepare(self) -> None:
        """Make an empty list."""
        await self.work.connection.execute(LIST)

    async def fill(self) -> None:
        """List, inside a transaction, what is noted and a row that stays names, or one did that a hold may mean."""
        map, holds = self.work.map, self.work.holds  # noqa: A001 - the domain's word
        if holds:
            query = INTO_LIST.format(named=named_by_kept(map, holds), doubting=doubting(map, holds, "o"))
            await self.work.connection.execute(query, self.work.customer, map.system)

    async def among(self, digests: list[bytes]) -> set[bytes]:
        """Give those of *digests* that rows of the customer's refer to now, whether or not they are listed."""
        if not self.work.holds or not digests:
            return set()
        query = AMONG.format(named=named_by_kept(self.work.map, self.work.holds))
        rows = await self.work.connection.fetch(query, self.work.customer, self.work.map.system, digests)
        return {row["digest"] for row in rows}

    async def count(self) -> dict[Reason, tuple[int, int]]:
        """Count the versions of what is listed, from key to key, each sum with a mark that any change changes."""
        found: dict[Reason, tuple[int, int]] = {}
        async for page in self._pages():
            versions = await at_once([self.store.versions_of(reason.bucket, key) for key, reason in page])
            for (key, reason), some in zip(page, versions, strict=True):
                _add(found, reason, [mark(key, version) for version in some])
        for bucket in sorted({reason.bucket for reason in found if reason.uploads}):
            async for uploads in pages_of(self.store.unfinished(bucket, ""), _AT_ONCE):
                await self._add_uploads(found, bucket, uploads)
        return found

    async def _add_uploads(
        self, found: dict[Reason, tuple[int, int]], bucket: str, uploads: list[tuple[str, str]]
    ) -> None:
        digests = [digest_of(bucket, key) for key, _ in uploads]
        rows = await self.work.connection.fetch(WITH_UPLOADS, digests)
        reasons = {row["digest"]: _reason(row) for row in rows}
        for digest, (key, upload) in zip(digests, uploads, strict=True):
            if digest in reasons:
                _add(found, reasons[digest], [mark(key, upload)])

    async def _pages(self) -> AsyncIterator[list[tuple[str, Reason]]]:
        after = b""
        while rows := await self.work.connection.fetch(PAGE, after, _AT_ONCE):
            after = rows[-1]["digest"]
            yield [(decoded(row["key"]) or "", _reason(row)) for row in rows]


def _add(found: dict[Reason, tuple[int, int]], reason: Reason, marks: list[int]) -> None:
    count, total = found.get(reason, (0, 0))
    found[reason] = count + len(marks), total + sum(marks)


COUNT = "select count(*) from {relation} as t where {which}"

NAMED = """
    select k.bucket, k.key, k.until, k.basis, k.held
      from (select ({bucket})::text as bucket, {key} as key,
                   case when {kept} then {until} end as until, case when {kept} then {basis} end as basis,
                   {held} as held
              from {relation} as t where {which} offset 0) as k
     where k.key is not null and $1::text is not null
"""

# Under a hold the uploads stay as well, but of what a law alone keeps.
GROUPED = """
    select g.*, {held} and (g.basis is null or cardinality(g.holds) > 0) as uploads
      from (select n.bucket, n.key, max(n.until) as until,
                   (array_agg(n.basis order by n.until desc nulls last, n.basis))[1] as basis, {holds} as holds
              from ({named}) as n group by n.bucket, n.key) as g
"""

DOUBTED = """
    select * from (select o.digest, o.bucket, {holds} as holds from offramp.objects as o
                    where o.system = $1 and o.customer = $2 and o.state = 'noted') as d
     where cardinality(d.holds) > 0
"""

LIST = """
    drop table if exists pg_temp.offramp_kept_objects;
    create temporary table offramp_kept_objects (
        digest bytea primary key, bucket text not null, key bytea not null, until date, basis text,
        holds text[] not null, uploads boolean not null
    )
"""

INTO_LIST = """
    insert into pg_temp.offramp_kept_objects
    select o.digest, o.bucket, o.key, n.until, n.basis, coalesce(n.holds, {doubting}), coalesce(n.uploads, true)
      from offramp.objects as o left join ({named}) as n using (bucket, key)
     where o.system = $2 and o.customer = $1 and o.state = 'noted'
       and (n.key is not null or cardinality({doubting}) > 0)
"""

AMONG = """
    select o.digest from offramp.objects as o join ({named}) as n using (bucket, key)
     where o.system = $2 and o.customer = $1 and o.digest = any($3::bytea[])
"""

PAGE = """
    select * from pg_temp.offramp_kept_objects where digest > $1 order by digest limit $2
"""

WITH_UPLOADS = "select * from pg_temp.offramp_kept_objects where digest = any($1::bytea[]) and uploads"
