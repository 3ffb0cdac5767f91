"""A store and a bucket of one's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from shared.objects import ObjectStore
from shared.settings import Settings


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[ObjectStore]:
    async with ObjectStore(settings.s3) as store:
        yield store


@pytest.fixture
async def bucket(store: ObjectStore) -> AsyncIterator[str]:
    name = f"t-{uuid4().hex[:12]}"
    await store.ensure_bucket(name)
    yield name
    await store.delete_all_versions(name, "acme/")
    await store.delete_all_versions(name, "other/")
    await store.remove_bucket(name)
