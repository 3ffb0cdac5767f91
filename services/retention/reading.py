"""Reads the holders' systems, as they stand before a deletion and after it; deletes nothing and needs no such right."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import asyncpg

from shared.datamap.fingerprint import BY_COLUMNS, Measuring, Method, measuring, own_of, rest_of, settle
from shared.datamap.grouped import split
from shared.datamap.live import check
from shared.datamap.model import load
from shared.datamap.names import reported
from shared.declared import reading_dsn
from shared.holder.called import Called, Sought, called, sought
from shared.holder.declaration import Holder, PostgresHolder, S3Holder
from shared.holder.kept_buckets import maps_of
from shared.holder.referred_keys import refers
from shared.holder.referred_survey import Objects, ObjectSurvey
from shared.holder.residue import Search, search
from shared.holder.scope import bucket_covers
from shared.holder.survey import survey_objects, survey_rows
from shared.objects import ObjectStore
from shared.settings import Settings

from .buckets import beside_each, others_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from shared.datamap.live import Connection
    from shared.datamap.model import DataMap, Table
    from shared.events.platform import RetainedRows
    from shared.events.retention import Keep

NOTHING: Mapping[str, tuple[Keep, ...]] = MappingProxyType({})
NO_NAMES: Mapping[str, Called] = MappingProxyType({})
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One table or bucket: *own*, how many are the customer's; *others*, how many not, and their *fingerprint*.

    *kept* are the customer's too, but have to stay. Of a bucket, in which these are versions, *objects* are how many of
    the customer's can be read, and *shared* how many besides which others' rows refer to as well.
    """

    table: str
    own: int
    others: int
    fingerprint: str
    category: str | None = None
    kept: int = 0
    objects: int | None = None
    shared: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What was seen at *holder*; *undeclared* tables have no owner that the map knows, so nothing is proven of them."""

    holder: str
    seen: tuple[Seen, ...]
    undeclared: tuple[str, ...] = ()
    map_sha256: str | None = None
    # What laws keep, and which columns of which tables are emptied for them.
    retained: tuple[RetainedRows, ...] = ()
    emptied: tuple[tuple[str, tuple[str, ...]], ...] = ()
    # Where the customer's ids were looked for, and found, and which those are.
    search: Search | None = None
    sought: Sought | None = None
    # Before: by what else the customer goes; None where the map knows of no other ids.
    called: tuple[str, ...] | None = field(default=None, repr=False)
    # By which tables were fingerprinted.
    method: Method = BY_COLUMNS


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads every one of *holders*; a system that can't be reached raises an outage, and is never taken for empty.

    Its databases' errors are asyncpg's and OSError, its store's are StoreError.
    """

    holders: tuple[Holder, ...]
    settings: Settings

    async def before(self, customer: str) -> tuple[Reading, ...]:
        """Count and fingerprint what is *customer*'s and what is not, by the predicate that deletes.

        Raises ``HoldersError`` where a law may keep an object that another holder deletes without knowing it.
        """
        maps = maps_of(self.holders)
        return tuple([await self._before(holder, maps.get(holder.name), customer) for holder in self.holders])

    async def before_all(self, customers: Sequence[str]) -> dict[str, tuple[Reading, ...]]:
        """Give what ``before`` gives of each of *customers*, with one scan for all of them wherever the map allows it.

        Whatever fails of one of them fails for all.
        """
        maps = maps_of(self.holders)
        read = [await self._before_all(holder, maps.get(holder.name), customers) for holder in self.holders]
        return {customer: tuple(one[customer] for one in read) for customer in customers}

    async def after(
        self,
        customer: str,
        now: datetime,
        held: Mapping[str, tuple[Keep, ...]] = NOTHING,
        methods: Mapping[str, Method] = MappingProxyType({}),
        known: Mapping[str, Called] = NO_NAMES,
    ) -> tuple[Reading, ...]:
        """Look for what is left of *customer* at *now*, by another path than the one that deletes; *held* by holder.

        *methods* are those by which each holder was fingerprinted before, if it was; *known* are the other ids that the
        customer went by then.

        Raises ``RefusedError`` where it can't be told what a hold covers, or a law.
        """
        return tuple(
            [
                await self._after(
                    holder,
                    customer,
                    now,
                    held.get(holder.name, ()),
                    methods.get(holder.name, BY_COLUMNS),
                    known.get(holder.name),
                )
                for holder in self.holders
            ]
        )

    async def _before_all(
        self,
        holder: Holder,
        map: DataMap | None,  # noqa: A002 - the domain's word
        customers: Sequence[str],
    ) -> dict[str, Reading]:
        if isinstance(holder, S3Holder):
            return await self._bucket_of_all(holder, customers)
        if map is None or any(map.of(one) is not map for one in customers) or refers(map):
            return {customer: await self._before(holder, map, customer) for customer in customers}
        connection = await self._connect(holder)
        try:
            undeclared = await _undeclared(connection, map)
            seen = await _rows_of_all(connection, map, customers)
            names = {one: await _called(connection, map, one) for one in customers}
            return {
                one: Reading(holder.name, seen[one], undeclared, map.sha256, called=names[one]) for one in customers
            }
        finally:
            await connection.close()

    async def _before(
        self,
        holder: Holder,
        map: DataMap | None,  # noqa: A002 - the domain's word
        customer: str,
    ) -> Reading:
        if isinstance(holder, S3Holder):
            return (await self._bucket_of_all(holder, [customer]))[customer]
        map = (map or load(holder.map)).of(customer)  # noqa: A001 - the domain's word
        connection = await self._connect(holder)
        try:
            seen = await _rows_before(connection, map, customer)
            seen += await self._referred_before(connection, map, customer)
            undeclared, names = await _undeclared(connection, map), await _called(connection, map, customer)
            return Reading(holder.name, seen, undeclared, map.sha256, called=names)
        finally:
            await connection.close()

    async def _after(
        self,
        holder: Holder,
        customer: str,
        now: datetime,
        keep: tuple[Keep, ...],
        method: Method,
        known: Called | None,
    ) -> Reading:
        if isinstance(holder, S3Holder):
            return await self._bucket(holder, customer, keep)
        map, connection = load(holder.map).of(customer), await self._connect(holder)  # noqa: A001 - the domain's word
        try:
            undeclared = await _undeclared(connection, map)
            survey = await survey_rows(connection, map, customer, keep, now, method)
            referred, lawful = await self._referred_after(connection, map, customer, now, keep)
            looked_for = await sought(connection, map, customer, known) if holder.searched else Sought(())
            kept_of = customer if keep or map.retains else None
            # An id may be so short that it could be anything.
            names = looked_for.identifiers
            found = await search(connection, map, names, kept_of) if names else None
        finally:
            await connection.close()
        # Where nothing is kept "others" are all rows that stand: nothing of the customer may be among them.
        seen = [
            Seen(
                one.table,
                # What should have been emptied is left, too.
                one.left - one.kept + one.unemptied,
                one.standing.count,
                one.standing.fingerprint,
                map.table(one.table).category,
                one.kept,
            )
            for one in survey.tables
        ]
        seen += referred
        strange = (*undeclared, *(name for name, _ in survey.elsewhere))
        emptied = tuple(
            (reported(table.name), tuple(reported(name) for name in sorted(table.minimise)))
            for table in map.tables
            if table.minimise and not keep
        )
        kept = (*survey.retained, *lawful)
        return Reading(holder.name, tuple(seen), strange, map.sha256, kept, emptied, found, looked_for, method=method)

    async def _connect(self, holder: PostgresHolder) -> asyncpg.Connection[asyncpg.Record]:
        dsn = reading_dsn(self.settings, holder)
        # Whatever the role may do, this connection only reads.
        read_only = {"default_transaction_read_only": "on", "application_name": "offramp retention check"}
        return await asyncpg.connect(dsn, timeout=_CONNECT_SECONDS, server_settings=read_only)

    async def _referred_before(
        self,
        connection: Connection,
        map: DataMap,  # noqa: A002 - the domain's word
        customer: str,
    ) -> tuple[Seen, ...]:
        """Look at the objects that rows refer to, which no prefix tells."""
        if not refers(map):
            return ()
        async with self._objects(connection, map, customer) as survey:
            return tuple([_objects_seen(one) for one in await survey.before()])

    async def _referred_after(
        self,
        connection: Connection,
        map: DataMap,  # noqa: A002 - the domain's word
        customer: str,
        now: datetime,
        keep: tuple[Keep, ...],
    ) -> tuple[tuple[Seen, ...], tuple[RetainedRows, ...]]:
        """Look at what is left of them, and tell what of it stays for a law."""
        if not refers(map):
            return (), ()
        async with self._objects(connection, map, customer) as survey:
            found = await survey.after(now, keep)
        return tuple(_objects_seen(one) for one in found), tuple(row for one in found for row in one.retained)

    @asynccontextmanager
    async def _objects(
        self,
        connection: Connection,
        map: DataMap,  # noqa: A002 - the domain's word
        customer: str,
    ) -> AsyncIterator[ObjectSurvey]:
        async with ObjectStore(self.settings.s3) as store, connection.transaction(isolation="repeatable_read"):
            await settle(connection)
            yield ObjectSurvey(connection, map, customer, store)

    async def _bucket_of_all(self, holder: S3Holder, customers: Sequence[str]) -> dict[str, Reading]:
        prefixes = {customer: holder.prefix_of(customer) for customer in customers}
        async with ObjectStore(self.settings.s3) as store:
            found = await beside_each(store, holder.bucket, prefixes)
        return {
            customer: Reading(
                holder.name,
                (Seen(holder.bucket, one.own, one.others, one.fingerprint, holder.category, 0, one.objects),),
            )
            for customer, one in found.items()
        }

    async def _bucket(self, holder: S3Holder, customer: str, keep: tuple[Keep, ...]) -> Reading:
        prefix, kept = holder.prefix_of(customer), bool(bucket_covers(holder.bucket, holder.category, keep))
        async with ObjectStore(self.settings.s3) as store:
            found = await survey_objects(store, holder.bucket, prefix)
            others, fingerprint = await others_of(store.versions(holder.bucket, ""), prefix)
        own, stays = (0, found.left) if kept else (found.left, 0)
        seen = Seen(holder.bucket, own, others, fingerprint, holder.category, stays, found.objects)
        return Reading(holder.name, (seen,))


def _objects_seen(one: Objects) -> Seen:
    return Seen(one.table, one.own, one.others, one.fingerprint, None, one.kept, one.objects, one.shared)


async def _rows_before(connection: Connection, map: DataMap, customer: str) -> tuple[Seen, ...]:  # noqa: A002
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await settle(connection)
        measured = await measuring(connection, map)
        return tuple([await _table_before(measured, map, table, customer) for table in map.tables])


async def _table_before(
    measured: Measuring,
    map: DataMap,  # noqa: A002
    table: Table,
    customer: str,
) -> Seen:
    own = await measured.rows(table, own_of(map, table), customer)
    others = await measured.rows(table, rest_of(map, table), customer)
    return Seen(table.name, own.count, others.count, others.fingerprint, table.category)


async def _rows_of_all(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customers: Sequence[str],
) -> dict[str, tuple[Seen, ...]]:
    """Read the rows of all *customers* in one snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await settle(connection)
        measured = await measuring(connection, map)
        tables = [await _table_of_all(measured, map, table, customers) for table in map.tables]
    return {customer: tuple(table[number] for table in tables) for number, customer in enumerate(customers)}


async def _table_of_all(
    measured: Measuring,
    map: DataMap,  # noqa: A002
    table: Table,
    customers: Sequence[str],
) -> list[Seen]:
    among = await split(measured, map, table, customers)
    if among is None:
        return [await _table_before(measured, map, table, one) for one in customers]
    beside = [(among.own(one), among.others(one)) for one in customers]
    return [Seen(table.name, own, rest.count, rest.fingerprint, table.category) for own, rest in beside]


async def _called(connection: Connection, map: DataMap, customer: str) -> tuple[str, ...] | None:  # noqa: A002
    return await called(connection, map, customer) if map.ids else None


async def _undeclared(connection: Connection, map: DataMap) -> tuple[str, ...]:  # noqa: A002
    return tuple(finding.place for finding in await check(connection, map) if finding.stops)
