"""A customer's objects go in every version, and nobody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from shared.clock import system_clock
from shared.events.platform import Erased, NotErased
from shared.holder.objects import erase_objects
from shared.holder.right import Right
from shared.holder.survey import survey_objects
from shared.objects import ObjectStore, Swept
from shared.settings import read_settings
from tests.holder.platform_rows import expired


@pytest.fixture
async def store() -> AsyncIterator[ObjectStore]:

    async with ObjectStore(read_settings().s3) as store:
        yield store


@pytest.fixture
async def bucket(store: ObjectStore) -> AsyncIterator[str]:
    """Make a bucket with two versions and a half upload of acme's, and a neighbour whose id begins alike."""
    bucket = f"t-{uuid4().hex[:12]}"
    await store.ensure_bucket(bucket)
    for key in ("acme/a.png", "acme/a.png", "acme/b/c.pdf", "acme-east/a.png", "acme.png", "fjord/acme/x.png"):
        await store.put(bucket, key, key.encode())
    async with store.upload(bucket, "acme/gone.mp4") as upload:
        await upload.write(b"x")
    yield bucket
    await store.delete_all_versions(bucket, "acme")
    await store.delete_all_versions(bucket, "fjord")


async def erased(store: ObjectStore, bucket: str, prefix: str, right: Right | None = None) -> Erased | NotErased:
    return await erase_objects(store, bucket, prefix, right=right or expired(), now=system_clock())


async def keys(store: ObjectStore, bucket: str) -> list[str]:
    return [found.key async for found in store.list(bucket, "")]


async def test_every_version_goes_and_the_neighbours_stay(store: ObjectStore, bucket: str) -> None:
    """Older versions are copies too; "acme-east/" is not under "acme/"."""
    outcome = await erased(store, bucket, "acme/")

    assert isinstance(outcome, Erased)
    assert [one.rows for one in outcome.deleted] == [4]
    assert [one.rows for one in outcome.remaining] == [0]
    assert [(one.rows_before, one.rows_after) for one in outcome.bystanders] == [(3, 3)]
    assert outcome.bystanders[0].before == outcome.bystanders[0].after
    assert await keys(store, bucket) == ["acme-east/a.png", "acme.png", "fjord/acme/x.png"]
    assert await survey_objects(store, bucket, "acme/") == 0


class Careless(ObjectStore):
    """A store whose deletion takes a neighbour's object as well."""

    async def delete_all_versions(self, bucket: str, prefix: str) -> Swept:
        await super().delete_all_versions(bucket, "fjord/")
        return await super().delete_all_versions(bucket, prefix)


async def test_a_neighbours_object_that_went_too_is_told(bucket: str) -> None:
    """Objects can't be brought back, but nobody is told that all went well."""
    async with Careless(read_settings().s3) as careless:
        assert await erased(careless, bucket, "acme/") == NotErased(reason="failed")


async def test_the_survey_finds_what_is_left(store: ObjectStore, bucket: str) -> None:
    """Versions count, not only what a listing shows."""
    assert await survey_objects(store, bucket, "acme/") == 4


@pytest.mark.parametrize("prefix", ["", "/", "acme", "/acme/"])
async def test_a_prefix_that_is_not_one_customers_is_refused(store: ObjectStore, bucket: str, prefix: str) -> None:
    """An empty prefix would be the whole bucket; one without a slash would be a neighbour's too."""
    before = await keys(store, bucket)

    assert await erased(store, bucket, prefix) == NotErased(reason="failed")
    assert await keys(store, bucket) == before


async def test_without_the_right_nothing_is_deleted(store: ObjectStore, bucket: str) -> None:
    """The window and the hold count for objects as for rows."""
    before = await keys(store, bucket)
    early = Right(window_closed_at=system_clock() + timedelta(days=1))

    assert await erased(store, bucket, "acme/", early) == NotErased(reason="window_open")
    assert await erased(store, bucket, "acme/", replace(expired(), held=True)) == NotErased(reason="held")
    assert await keys(store, bucket) == before
