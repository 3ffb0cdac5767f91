"""What is heavy is told by an estimate, before a row is read: it decides who waits behind whom, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest

from deploy.platform.scratch import scratch_database
from services.exporter import weight
from services.exporter.archive.build import Sources
from services.exporter.weight import is_heavy
from shared.datamap.model import DataMap, parse
from shared.objects import ObjectStore
from shared.settings import Settings

MAP = """
version: 1
system: platform
tenancy: rows
tables:
  customers: {category: user, owner: {column: id}}
  notes: {category: user, owner: {column: customer_id}}
buckets:
  media: {bucket: BUCKET, category: user, prefix: "{customer}/"}
"""


def _map(bucket: str, notes: str = "notes") -> DataMap:
    return parse(MAP.replace("BUCKET", bucket).replace("notes", notes).encode(), "map.yaml")


@pytest.fixture
async def bucket(settings: Settings) -> AsyncIterator[str]:
    name = f"t-{uuid4().hex[:12]}"
    async with ObjectStore(settings.s3) as store:
        await store.ensure_bucket(name)
        for key in ("large/a", "large/b", "large/c", "small/a"):
            await store.put(name, key, b"0123456789")
        yield name
        await store.delete_all_versions(name, "large/")
        await store.delete_all_versions(name, "small/")
        await store.remove_bucket(name)


@pytest.fixture
async def sources(settings: Settings, bucket: str) -> AsyncIterator[Sources]:
    async with scratch_database(settings.postgres) as dsn, ObjectStore(settings.s3) as store:

        @asynccontextmanager
        async def connect() -> AsyncIterator[asyncpg.Connection]:
            connection = await asyncpg.connect(dsn)
            yield connection
            await connection.close()

        async with connect() as connection:
            await connection.execute(SCHEMA)
        yield Sources(connect, store)


SCHEMA = """
create table customers (id text primary key);
insert into customers values ('large'), ('small');
create table notes (customer_id text not null);
insert into notes select 'large' from generate_series(1, 5000);
insert into notes select 'small' from generate_series(1, 50);
analyze
"""


@pytest.mark.parametrize(("customer", "heavy"), [("large", True), ("small", False), ("nobody", False)])
async def test_who_has_many_rows_is_heavy(
    monkeypatch: pytest.MonkeyPatch, sources: Sources, bucket: str, customer: str, heavy: object
) -> None:
    """The planner knows who has most of a table's rows, without reading them."""
    monkeypatch.setattr(weight, "HEAVY_ROWS", 1000)

    assert await is_heavy(sources, _map(bucket), customer) is heavy


@pytest.mark.parametrize(("limit", "most"), [("HEAVY_OBJECTS", 2), ("HEAVY_BYTES", 25)])
@pytest.mark.parametrize(("customer", "heavy"), [("large", True), ("small", False)])
async def test_who_has_many_objects_or_large_ones_is_heavy(
    monkeypatch: pytest.MonkeyPatch, sources: Sources, bucket: str, limit: str, most: int, customer: str, heavy: object
) -> None:
    """Of the objects no more are listed than it takes to know."""
    monkeypatch.setattr(weight, limit, most)

    assert await is_heavy(sources, _map(bucket), customer) is heavy


async def test_a_map_that_does_not_fit_makes_nothing_heavy(sources: Sources, bucket: str) -> None:
    """A table that isn't there is for the build to say, which answers that there is no archive, and why."""
    assert await is_heavy(sources, _map(bucket, notes="gone"), "large") is False
