"""A small platform of two customers on the real Postgres and S3: rows of every awkward kind, media of every name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from services.exporter.archive.build import Order, Sources, build
from services.exporter.archive.report import ArchiveReport
from services.exporter.archive.sink import FileSink
from services.exporter.formats.registry import FORMATS
from shared.datamap.model import DataMap, parse
from shared.objects import ObjectStore
from shared.postgres_tool import postgres_tool
from shared.settings import Settings
from shared.signing.signer import Signer

NOW = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)

SCHEMA = r"""
    create table customers (id text primary key, name text not null);
    create table users (
        id bigint primary key,
        customer_id text not null references customers,
        email text not null,
        nickname text,
        password_hash text not null,
        boss bigint references users,
        active boolean not null,
        born date,
        seen_at timestamptz
    );
    create table notes (
        id uuid primary key,
        user_id bigint not null references users,
        title varchar(200),
        score numeric(12, 4),
        ratio double precision,
        tags text[],
        raw json,
        body jsonb,
        blob bytea,
        spent interval,
        at_time time,
        "select ""odd"" column" text
    );
    create table settings (key text primary key, value text);
    insert into customers values ('acme', 'Acme'), ('other', 'Other');
    insert into users values
        (1, 'acme', 'a@acme.test', '', 'x', null, true, '1990-02-28', '2026-01-02 03:04:05.678+02'),
        (9007199254740993, 'acme', 'b@acme.test', null, 'x', 1, false, null, null),
        (3, 'other', 'c@other.test', 'nobody''s business', 'x', null, true, null, now());
    insert into notes values
        (gen_random_uuid(), 1, E'line one\nline "two", and\r\nthree', 1.5, 0.1, array['a', 'b,"c"', null],
         E'{"a": 1,\n "a": 2, "u": "\\u0000"}', '{"deep": [1, {"x": null}]}',
         '\x00ff5c', '1 day 02:03', '12:34:56.7', E'\x01\x02\t'),
        (gen_random_uuid(), 1, '=1+1', null, 'NaN', '{}', '[]', '"text"', '', null, null, '');
    insert into notes (id, user_id, title, score, ratio) values
        (gen_random_uuid(), 9007199254740993, 'räksmörgås 日本語 🎓 שלום', -0.0001, 1e300),
        (gen_random_uuid(), 3, 'somebody else''s', 1, 1);
"""

MAP = """
version: 1
system: school
tenancy: rows
tables:
  customers: {category: user, owner: {column: id}}
  users:
    category: user
    owner: {column: customer_id}
    leave_out: {password_hash: a secret}
  notes:
    category: course
    owner: {path: [{column: user_id, to: users.id}]}
  settings: {exempt: the platform's own}
buckets:
  uploads: {bucket: BUCKET, prefix: "media/{customer}/", category: course}
"""


@dataclass(frozen=True)
class School:
    """The platform: its database, its store, its map."""

    dsn: str
    store: ObjectStore
    bucket: str
    map: DataMap

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.dsn)
        try:
            yield connection
        finally:
            await connection.close()

    async def run(self, sql: str) -> None:
        async with self.connect() as connection:
            await connection.execute(sql)

    @property
    def sources(self) -> Sources:
        return Sources(self.connect, self.store)

    def mapped(self, old: str, new: str) -> School:
        """Give the platform with a map in which *old* reads *new*."""
        assert old in MAP
        return replace(self, map=parse(MAP.replace(old, new).replace("BUCKET", self.bucket).encode(), "map.yaml"))

    def order(self, export_id: str = "export-1") -> Order:
        """Ask for acme's data table by table, which is enough where a test isn't about formats."""
        return Order("acme", export_id, self.map, NOW, tuple(FORMATS.values()))

    async def archive(self, folder: Path, signer: Signer | None = None) -> tuple[Path, ArchiveReport]:
        """Export acme to a file."""
        path = folder / "export-1.zip"
        return path, await build(self.sources, replace(self.order(), signer=signer), FileSink(path))


@asynccontextmanager
async def opened_school(settings: Settings) -> AsyncIterator[School]:
    """Make the school in a database and a bucket of its own, and take both away after."""
    name = uuid4().hex[:12]
    database, store = _database(settings.postgres, f"t_{name}"), ObjectStore(settings.s3)
    async with database as dsn, store, _bucket(store, f"t-{name}") as bucket:
        school = School(dsn, store, bucket, parse(MAP.replace("BUCKET", bucket).encode(), "map.yaml"))
        await school.run(SCHEMA)
        for key, body in MEDIA.items():
            await store.put(bucket, f"media/acme/{key}", body)
        await store.put(bucket, "media/other/secret.jpg", b"not acme's")
        yield school


@asynccontextmanager
async def database_of_its_own(admin: str) -> AsyncIterator[str]:
    """Make an empty database, and take it away after; gives its URL."""
    async with _database(admin, f"t_{uuid4().hex[:12]}") as dsn:
        yield dsn


@asynccontextmanager
async def _database(admin: str, name: str) -> AsyncIterator[str]:
    connection = await asyncpg.connect(admin)
    await connection.execute(f"create database {name}")
    try:
        yield urlunsplit(urlsplit(admin)._replace(path=f"/{name}"))
    finally:
        await connection.execute(f"drop database {name} with (force)")
        await connection.close()


@asynccontextmanager
async def _bucket(store: ObjectStore, name: str) -> AsyncIterator[str]:
    await store.ensure_bucket(name)
    try:
        yield name
    finally:
        await store.delete_all_versions(name, "media/")
        await store.delete_all_versions(name, "acme/")
        await store.remove_bucket(name)


def run(command: list[str | Path], folder: Path, *, check: bool = True) -> str:
    """Run a program of this environment in *folder*; gives what it printed, on both channels."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, env=environment)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


MEDIA = {
    "film.mp4": bytes(range(256)) * 40_000,
    "notes/räksmörgås.txt": b"hej\n" * 1000,
    "Film.mp4": b"only the case differs",
    "..hidden/passwd": b"dots",
    "a\\b.txt": b"a backslash",
    "line\nend.txt": b"a line end",
    "per%cent .txt": b"a per cent sign and a space",
    "CON.txt": b"a device",
    "empty.bin": b"",
}


@asynccontextmanager
async def restored(settings: Settings, dump: Path) -> AsyncIterator[asyncpg.Connection]:
    """Restore *dump* with psql into an empty database."""
    async with database_of_its_own(settings.postgres) as dsn:
        run([postgres_tool("psql"), "-X", "-q", "-d", dsn, "-f", str(dump)], dump.parent)
        connection = await asyncpg.connect(dsn)
        yield connection
        await connection.close()
