"""Three customers whose rows refer to objects of one store, in which equal files lie once."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha1
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg

from deploy.platform.scratch import scratch_database
from shared.datamap.model import DataMap, parse
from shared.objects import ObjectStore
from shared.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SCHEMA = """
    create table customers (id text primary key, status text not null default 'ended');
    create table files (
        id int primary key, customer_id text references customers, hash text, name text, size bigint
    );
    create table avatars (id int primary key, customer_id text not null references customers, url text);
    create table badges (id int primary key, hash text);
    insert into customers values ('acme'), ('acme-east'), ('fjord');
"""

MAP = """
version: 1
system: school
tenancy: rows
guard: "select 'the contract is active' from customers where id = $1 and status = 'active'"
tables:
  customers: {category: user, owner: {column: id}}
  files:
    category: course
    owner: {column: customer_id}
    unowned: drafts
    media: {hash: {bucket: BUCKET, key: "{value[0:2]}/{value}", name: name, size: size, digest: {sha1: hash}}}
  avatars:
    category: user
    owner: {column: customer_id}
    media: {url: {bucket: BUCKET, url: "https://cdn.example/"}}
  badges: {shared: everybody's, media: {hash: {bucket: BUCKET, key: "{value[0:2]}/{value}"}}}
buckets:
  media: {bucket: BUCKET, prefix: "own/{customer}/", category: course}
"""


def hashed(text: str) -> str:
    return sha1(text.encode()).hexdigest()  # noqa: S324 - as such stores call their files


def key(text: str) -> str:
    return f"{hashed(text)[:2]}/{hashed(text)}"


# Which file each customer has: one alone, one that a neighbour has too, one that is everybody's, one that nobody owns.
FILES = [
    (1, "acme", "only acme's"),
    (2, "acme", "a neighbour's too"),
    (3, "acme", "everybody's"),
    (4, "acme", "nobody's too"),
    (5, "acme", "only acme's"),
    (6, "acme-east", "a neighbour's too"),
    (7, "fjord", "only fjord's"),
    (8, None, "nobody's too"),
    (9, "acme", "acme's other"),
]


@dataclass(frozen=True)
class World:
    """The database, the store, the map."""

    dsn: str
    connection: asyncpg.Connection
    store: ObjectStore
    bucket: str
    map: DataMap

    async def keys(self) -> set[str]:
        """Name the objects of which any version or marker is there."""
        return {key async for key, _ in self.store.versions(self.bucket, "")}

    async def put(self, text: str) -> None:
        await self.store.put(self.bucket, key(text), text.encode())

    def mapped(self, old: str, new: str) -> DataMap:
        assert old in MAP
        return parse(MAP.replace(old, new).replace("BUCKET", self.bucket).encode(), "map.yaml")


@asynccontextmanager
async def referred_world() -> AsyncIterator[World]:
    settings, bucket = read_settings(), f"t-{uuid4().hex[:12]}"
    async with scratch_database(settings.postgres) as dsn, ObjectStore(settings.s3) as store:
        connection = await asyncpg.connect(dsn)
        await store.ensure_bucket(bucket)
        await connection.execute(SCHEMA)
        world = World(dsn, connection, store, bucket, parse(MAP.replace("BUCKET", bucket).encode(), "map.yaml"))
        for number, customer, text in FILES:
            row = number, customer, hashed(text), f"{text}.txt", len(text)
            await connection.execute("insert into files values ($1, $2, $3, $4, $5)", *row)
        for text in sorted({text for _, _, text in FILES} | {"an orphan"}):
            await world.put(text)
        await connection.execute("insert into badges values (1, $1)", hashed("everybody's"))
        await connection.execute(
            "insert into avatars values (1, 'acme', 'https://cdn.example/faces/a%20b.png?v=2'), (2, 'acme', null), "
            "(3, 'fjord', 'https://cdn.example/faces/f.png')"
        )
        for one in ("faces/a b.png", "faces/a b.png2", "faces/f.png"):
            await store.put(bucket, one, b"a face")
        # An older version, a marker and half an upload are copies too.
        await world.put("only acme's")
        await store._client.delete_object(Bucket=bucket, Key=key("acme's other"))
        await store._client.create_multipart_upload(Bucket=bucket, Key=key("only acme's"))
        await store._client.create_multipart_upload(Bucket=bucket, Key=key("only fjord's"))
        yield world
        await connection.close()
        async for found, upload in store.unfinished(bucket, ""):
            await store.abort(bucket, found, upload)
        everything = [one async for one in store.versions(bucket, "")]
        await store.delete_versions(bucket, everything)
        await store.remove_bucket(bucket)
