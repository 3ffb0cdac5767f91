"""A school to export, and one with so much that its archive has several parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from shared.holder.declaration import load_holders
from shared.objects import ObjectStore
from shared.settings import Settings
from shared.signing.keys import make_keys
from shared.signing.sshsig import ARCHIVE
from tests.exporter_perform.school import ESSAYS, HOLDERS, MAP, MORE, School


@pytest.fixture
async def school(settings: Settings, postgres: str, tmp_path: Path) -> AsyncIterator[School]:
    name = f"t_{uuid4().hex[:12]}"
    bucket = name.replace("_", "-")
    (tmp_path / "map.yaml").write_text(MAP)
    (tmp_path / "holders.yaml").write_text(HOLDERS.replace("BUCKET", bucket))
    admin = await asyncpg.connect(settings.postgres)
    for one in (name, f"{name}_scratch"):
        await admin.execute(f"create database {one}")
    platform = urlunsplit(urlsplit(settings.postgres)._replace(path=f"/{name}"))
    own_dsns = MappingProxyType({"platform": platform, "exporter": postgres, "exporter_scratch": f"{platform}_scratch"})
    async with ObjectStore(settings.s3) as store:
        await store.ensure_bucket(bucket)
        own = replace(settings, own_dsns=own_dsns, exports_bucket=bucket, home=tmp_path)
        make_keys(tmp_path / "exporter-keys", ARCHIVE)
        made = School(own, load_holders(tmp_path / "holders.yaml"), store)
        await made.run("create table customers (id text primary key); insert into customers values ('acme'), ('acme2')")
        yield made
        await store.delete_all_versions(bucket, "acme")
        await store.remove_bucket(bucket)
    for one in (name, f"{name}_scratch"):
        await admin.execute(f"drop database {one} with (force)")
    await admin.close()


@pytest.fixture
async def essays(school: School) -> AsyncIterator[School]:
    """Give it so many rows, and a bucket of media, that the archive has several parts."""
    await school.run(ESSAYS)
    (school.settings.home / "map.yaml").write_text(MAP + MORE.replace("BUCKET", school.bucket))
    await school.store.put(school.bucket, "media/acme/a", b"a")
    yield school
    await school.store.delete_all_versions(school.bucket, "media/")
