"""A small platform with two customers, in a database and buckets of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

import pytest
from retention_systems import HOLDERS, MAP, SCHEMA, Platform

from shared.holder.declaration import load_holders
from shared.objects import ObjectStore
from shared.settings import Settings


@pytest.fixture
async def platform(settings: Settings, postgres: str, tmp_path: Path) -> AsyncIterator[Platform]:
    name = f"t-{uuid4().hex[:12]}"
    media, exports, certificates = f"{name}-media", f"{name}-exports", f"{name}-certificates"
    (tmp_path / "map.yaml").write_text(MAP)
    holders_file = tmp_path / "holders.yaml"
    holders_file.write_text(HOLDERS.replace("MEDIA", media).replace("EXPORTS", exports))
    own = replace(
        settings,
        own_dsns=MappingProxyType({"platform": postgres}),
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
