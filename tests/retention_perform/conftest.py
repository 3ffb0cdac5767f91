"""A small platform with two customers, in a database and buckets of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from retention_systems import HOLDERS, MAP, SCHEMA, Platform

from services.retention.app import MIGRATIONS
from shared.holder.declaration import load_holders
from shared.migrate import migrate
from shared.objects import ObjectStore
from shared.settings import Settings


@pytest.fixture
async def own_database(settings: Settings, template: str) -> AsyncIterator[str]:
    """Give the service's own database, with its tables."""
    name = f"t_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(settings.postgres)
    await admin.execute(f'create database "{name}" template "{template}"')
    address = urlunsplit(urlsplit(settings.postgres)._replace(path=f"/{name}"))
    connection = await asyncpg.connect(address)
    await migrate(connection, MIGRATIONS)
    await connection.close()
    yield address
    await admin.execute(f'drop database "{name}" with (force)')
    await admin.close()


@pytest.fixture
async def platform(settings: Settings, postgres: str, own_database: str, tmp_path: Path) -> AsyncIterator[Platform]:
    name = f"t-{uuid4().hex[:12]}"
    media, exports, certificates = f"{name}-media", f"{name}-exports", f"{name}-certificates"
    (tmp_path / "map.yaml").write_text(MAP)
    holders_file = tmp_path / "holders.yaml"
    holders_file.write_text(HOLDERS.replace("MEDIA", media).replace("EXPORTS", exports))
    own = replace(
        settings,
        own_dsns=MappingProxyType({"platform": postgres, "retention": own_database}),
        exports_bucket=exports,
        certificates_bucket=certificates,
        home=tmp_path,
    )
    async with ObjectStore(settings.s3) as store:
        for bucket in (media, exports, certificates):
            await store.ensure_bucket(bucket)
        for key in ("acme/a.jpg", "acme/b c.mp4", "acme2/a.jpg"):
            await store.put(media, key, b"media")
        made = Platform(own, load_holders(holders_file), holders_file, store, media)
        # The machine's own tables are in every test's database and in no map.
        await made.run("drop schema public cascade; create schema public")
        await made.run(SCHEMA)
        yield made
        for bucket in (media, exports, certificates):
            for prefix in {key.split("/")[0] + "/" async for key, _ in store.versions(bucket, "")}:
                await store.delete_all_versions(bucket, prefix)
            await store.remove_bucket(bucket)
