"""A database and a bucket of one's own for each test, and the school in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from archive_school import MAP, MEDIA, SCHEMA, School

from shared.datamap.model import parse
from shared.objects import ObjectStore
from shared.settings import Settings, read_settings


@pytest.fixture(scope="session")
def settings() -> Settings:
    return read_settings()


def database_url(admin: str, name: str) -> str:
    return urlunsplit(urlsplit(admin)._replace(path=f"/{name}"))


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[ObjectStore]:
    async with ObjectStore(settings.s3) as store:
        yield store


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[str]:
    name = f"t_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(settings.postgres)
    await admin.execute(f"create database {name}")
    yield database_url(settings.postgres, name)
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@pytest.fixture
async def bucket(store: ObjectStore) -> AsyncIterator[str]:
    name = f"t-{uuid4().hex[:12]}"
    await store.ensure_bucket(name)
    yield name
    await store.delete_all_versions(name, "media/")
    await store.delete_all_versions(name, "acme/")
    await store.remove_bucket(name)


@pytest.fixture
async def school(store: ObjectStore, database: str, bucket: str) -> School:
    school = School(database, store, bucket, parse(MAP.replace("BUCKET", bucket).encode(), "map.yaml"))
    await school.run(SCHEMA)
    for key, body in MEDIA.items():
        await store.put(bucket, f"media/acme/{key}", body)
    await store.put(bucket, "media/other/secret.jpg", b"not acme's")
    return school
