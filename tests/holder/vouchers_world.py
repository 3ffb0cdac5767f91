"""Two customers with vouchers that a law keeps, whose rows refer to scans in a store."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg

from deploy.platform.scratch import scratch_database
from shared.datamap.model import DataMap, parse
from shared.events.platform import Erased, ErasedInPart
from shared.events.retention import Keep
from shared.holder.referred_survey import Objects, ObjectSurvey
from shared.holder.right import Right
from shared.holder.rows import erase
from shared.holder.work import Work
from shared.objects import ObjectStore
from shared.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

SCHEMA = """
    create table customers (id text primary key);
    create table users (id int primary key, customer_id text not null references customers, face text);
    create table vouchers (id int primary key, customer_id text not null references customers,
        buyer int references users, day date, scan text, preview text);
    create table receipts (id int primary key, customer_id text not null references customers, day date, scan text);
    create table notes (id int primary key, customer_id text not null references customers, file text);
    create table badges (id int primary key, file text);
    insert into customers values ('acme'), ('fjord');
"""

MAP = """
version: 1
system: shop
tenancy: rows
tables:
  customers: {category: user, owner: {column: id}}
  users: {category: user, owner: {column: customer_id}, media: {face: {bucket: BUCKET, key: "{value}"}}}
  vouchers:
    category: report
    owner: {column: customer_id}
    retain: {basis: "BFL 7:2", years: 7, time_zone: UTC, counted_from: {end_of_year: day}}
    minimise: {preview: null}
    media: {scan: {bucket: BUCKET, key: "{value}"}, preview: {bucket: BUCKET, key: "{value}"}}
  receipts:
    category: report
    owner: {column: customer_id}
    retain: {basis: "SFL 39:13", years: 2, time_zone: UTC, counted_from: {end_of_year: day}}
    media: {scan: {bucket: BUCKET, key: "PLACE{value}"}}
  notes: {category: course, owner: {column: customer_id}, media: {file: {bucket: BUCKET, key: "{value}"}}}
  badges: {shared: everybody's, media: {file: {bucket: BUCKET, key: "{value}"}}}
"""
LEFT = datetime(2027, 6, 1, tzinfo=UTC)


def shop(bucket: str, place: str = "") -> DataMap:
    """Give the map; the key of a receipt's scan begins with *place*."""
    return parse(MAP.replace("BUCKET", bucket).replace("PLACE", place).encode(), "shop.yaml")


@dataclass(frozen=True)
class Vouchers:
    """The database, the store, the map."""

    dsn: str
    connection: asyncpg.Connection
    store: ObjectStore
    bucket: str
    map: DataMap

    async def run(self, statement: str) -> None:
        await self.connection.execute(statement)

    async def put(self, *keys: str) -> None:
        for key in keys:
            await self.store.put(self.bucket, key, key.encode())

    async def keys(self) -> set[str]:
        """Name the objects of which any version or marker is there."""
        return {key async for key, _ in self.store.versions(self.bucket, "")}

    async def fill(self) -> None:
        """Fill it with what is kept for one law or two, or is needed; with what goes, and with what is others' too."""
        await self.run("""
            insert into users values (1, 'acme', 'buyer'), (2, 'acme', 'nobody any more'), (3, 'fjord', 'theirs');
            insert into vouchers values
                (1, 'acme', 1, '2026-03-01', 'kept', 'preview'), (2, 'acme', null, '2019-03-01', 'over', null),
                (3, 'acme', null, '2025-03-01', 'kept twice', null), (4, 'acme', null, '2026-05-01', 'fjord too', null),
                (5, 'acme', null, '2026-05-01', null, null), (6, 'fjord', null, '2019-03-01', 'fjord too', null);
            insert into receipts values (1, 'acme', '2026-03-01', 'kept twice'), (2, 'acme', '2026-03-01', 'a receipt');
            insert into notes values (1, 'acme', 'kept'), (2, 'acme', 'a note'), (3, 'fjord', 'a note of fjord');
            insert into badges values (1, 'a badge');
        """)
        await self.put("buyer", "nobody any more", "theirs", "kept", "preview", "over", "kept twice", "fjord too")
        await self.put("a receipt", "a note", "a note of fjord", "a badge", "an orphan")
        # An earlier version, and half an upload, which no row can name.
        await self.put("kept")
        await self.store._client.create_multipart_upload(Bucket=self.bucket, Key="kept")

    async def erase(self, now: datetime = LEFT, **more: Any) -> Erased | ErasedInPart:
        right = more.pop("right", Right(datetime(2027, 1, 1, tzinfo=UTC), moved_clock=True))
        work = Work(self.connection, self.map, "acme", right, lambda: now, objects=self.store)
        return (await erase(replace(work, **more))).outcome

    async def survey(
        self, now: datetime | None = LEFT, *, deleted: bool = True, keep: tuple[Keep, ...] = ()
    ) -> Objects:
        async with self.connection.transaction(isolation="repeatable_read", readonly=True):
            survey = ObjectSurvey(self.connection, self.map, "acme", self.store)
            [found] = await (survey.after(now, keep) if deleted else survey.before())
        return found

    async def emptied(self) -> None:
        """Take all objects and rows away."""
        async for found, upload in self.store.unfinished(self.bucket, ""):
            await self.store.abort(self.bucket, found, upload)
        await self.store.delete_versions(self.bucket, [one async for one in self.store.versions(self.bucket, "")])
        await self.run("truncate vouchers, receipts, notes, badges, users, customers")
        await self.run("drop schema if exists offramp cascade; insert into customers values ('acme'), ('fjord')")


@asynccontextmanager
async def vouchers_world() -> AsyncIterator[Vouchers]:
    settings, bucket = read_settings(), f"t-{uuid4().hex[:12]}"
    async with scratch_database(settings.postgres) as dsn, ObjectStore(settings.s3) as store:
        connection = await asyncpg.connect(dsn)
        await store.ensure_bucket(bucket)
        await connection.execute(SCHEMA)
        world = Vouchers(dsn, connection, store, bucket, shop(bucket))
        yield world
        await world.emptied()
        await connection.close()
        await store.remove_bucket(bucket)


def told(outcome: Erased | ErasedInPart, bucket: str) -> dict[str, int]:
    table = f"objects.{bucket}"
    return {
        name: sum(one.rows for one in getattr(outcome, name) if one.table == table)
        for name in ("deleted", "kept", "needed", "shared", "remaining")
        if hasattr(outcome, name)
    }
