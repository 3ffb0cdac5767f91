"""A customer's objects go in every version, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from shared import version_listing
from shared.clock import system_clock
from shared.events.platform import Erased, NotErased
from shared.holder.objects import erase_objects
from shared.holder.right import Right
from shared.holder.survey import survey_objects
from shared.objects import Lock, ObjectStore, Refused, Swept, _may
from shared.settings import read_settings
from shared.store_faults import StoreRefusalError
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
    await store._client.create_multipart_upload(Bucket=bucket, Key="acme/gone.mp4")
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
    assert (await survey_objects(store, bucket, "acme/")).left == 0


class Careless(ObjectStore):
    """A store whose deletion takes a neighbour's object as well."""

    async def sweep(self, bucket: str, prefix: str, may: Callable[[int], Awaitable[None]] = _may) -> Swept:
        await super().sweep(bucket, "fjord/")
        return await super().sweep(bucket, prefix, may)


async def test_a_neighbours_object_that_went_too_is_told(bucket: str) -> None:
    """Objects can't be brought back, but nobody is told that all went well."""
    async with Careless(read_settings().s3) as careless:
        outcome = await erased(careless, bucket, "acme/")

    assert isinstance(outcome, NotErased)
    assert outcome.reason == "failed"


class Refusing(ObjectStore):
    """A store that neither deletes one of a customer's objects nor lets it be looked at."""

    async def _delete(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        mine = [one for one in some if one[0] == "acme/b/c.pdf"]
        await super()._delete(bucket, [one for one in some if one not in mine])
        return tuple(Refused(key, version, "AccessDenied") for key, version in mine)

    async def lock_of(self, bucket: str, key: str, version: str) -> Lock | None:
        raise StoreRefusalError(f"look at s3://{bucket}/{key}: Forbidden")


async def test_one_object_that_is_refused_hides_no_count(store: ObjectStore, bucket: str) -> None:
    """What went is told, though nobody may even look at what is left; the log has what the store said, and no key."""
    async with Refusing(read_settings().s3) as refusing:
        with capture_logs() as logs:
            outcome = await erased(refusing, bucket, "acme/")

    assert isinstance(outcome, NotErased)
    assert (outcome.reason, outcome.until) == ("failed", None)
    assert [(one.rows, two.rows) for one, two in zip(outcome.deleted, outcome.saved, strict=True)] == [(3, 1)]
    assert [one["refused"] for one in logs] == [{"AccessDenied": 1}]
    assert "c.pdf" not in str(logs)


async def test_the_survey_finds_what_is_left(store: ObjectStore, bucket: str) -> None:
    """Versions count, not only what a listing shows."""
    assert (await survey_objects(store, bucket, "acme/")).left == 4


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


@pytest.fixture
async def locking(store: ObjectStore) -> AsyncIterator[str]:
    """Make a bucket with object lock, and in it an object of acme's that is free; nothing may be left locked in it."""
    bucket = f"t-{uuid4().hex[:12]}"
    await store._client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    await store.put(bucket, "acme/free", b"x")
    yield bucket
    await store.delete_all_versions(bucket, "acme/")


async def test_what_is_locked_stays_and_the_answer_says_until_when(store: ObjectStore, locking: str) -> None:
    """All else goes at once; when the lock has ended, so does the rest."""
    end = (system_clock() + timedelta(seconds=4)).replace(microsecond=0)
    for number in (0, 1):
        lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": end - timedelta(seconds=number)}
        await store._client.put_object(Bucket=locking, Key=f"acme/{number}", Body=b"x", **lock)
    locked = await erased(store, locking, "acme/")
    while system_clock() <= end:
        await asyncio.sleep(0.2)
    after = await erased(store, locking, "acme/")

    assert isinstance(locked, NotErased)
    assert (locked.reason, locked.until) == ("failed", end)
    assert [(one.rows, two.rows) for one, two in zip(locked.deleted, locked.saved, strict=True)] == [(1, 2)]
    assert isinstance(after, Erased)


async def test_what_is_to_go_first_goes_before_all_else(store: ObjectStore, bucket: str) -> None:
    """In all versions, by the right of that moment; a neighbour's key is none; in the end all is counted as ever."""
    asked: list[list[str]] = []

    async def held_after_the_first() -> bool:
        asked.append([key for key in await keys(store, bucket) if key.startswith("acme/")])
        return len(asked) == 3

    async def erasing(right: Right) -> Erased | NotErased:
        first = ("acme/b/c.pdf", "acme/nothing", "fjord/acme/x.png")
        return await erase_objects(store, bucket, "acme/", right=right, now=system_clock(), first=first)

    stopped = await erasing(replace(expired(), still_held=held_after_the_first))
    outcome = await erasing(expired())

    assert asked == [["acme/a.png", "acme/b/c.pdf"]] * 2 + [["acme/a.png"]]
    assert isinstance(stopped, NotErased)
    # With the upload.
    assert [one.rows for one in (*stopped.deleted, *stopped.saved)] == [2, 2]
    assert isinstance(outcome, Erased)
    assert [one.rows for one in outcome.deleted] == [2]
    assert "fjord/acme/x.png" in await keys(store, bucket)


async def test_while_what_is_to_go_first_is_locked_nothing_else_goes(store: ObjectStore, locking: str) -> None:
    """What needs it would be left without it."""
    await store._client.put_object(Bucket=locking, Key="acme/held", Body=b"x", ObjectLockLegalHoldStatus="ON")
    outcome = await erase_objects(store, locking, "acme/", right=expired(), now=system_clock(), first=("acme/held",))
    [(_, version)] = [found async for found in store.versions(locking, "acme/held")]
    off = {"Status": "OFF"}
    await store._client.put_object_legal_hold(Bucket=locking, Key="acme/held", VersionId=version, LegalHold=off)

    assert isinstance(outcome, NotErased)
    assert outcome.reason == "held"
    assert [(one.rows, two.rows) for one, two in zip(outcome.deleted, outcome.saved, strict=True)] == [(0, 2)]
    assert await keys(store, locking) == ["acme/free", "acme/held"]


async def test_a_legal_hold_on_an_object_is_answered_as_held(store: ObjectStore, locking: str) -> None:
    """It has no end, so no moment is named."""
    await store._client.put_object(Bucket=locking, Key="acme/held", Body=b"x", ObjectLockLegalHoldStatus="ON")
    outcome = await erased(store, locking, "acme/")
    [(_, version)] = [found async for found in store.versions(locking, "acme/held")]
    off = {"Status": "OFF"}
    await store._client.put_object_legal_hold(Bucket=locking, Key="acme/held", VersionId=version, LegalHold=off)

    assert isinstance(outcome, NotErased)
    assert (outcome.reason, outcome.until) == ("held", None)
    assert await keys(store, locking) == ["acme/held"]


async def test_a_hold_that_comes_between_two_pages_saves_the_rest(
    store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer says what it came too late for."""
    monkeypatch.setattr(version_listing, "AT_ONCE", 1)
    asked: list[bool] = []

    async def held_by_the_third_time() -> bool:
        asked.append(True)
        return len(asked) > 2

    outcome = await erased(store, bucket, "acme/", replace(expired(), still_held=held_by_the_third_time))

    assert isinstance(outcome, NotErased)
    assert outcome.reason == "held"
    # The unfinished upload and one version went before.
    assert [(one.rows, two.rows) for one, two in zip(outcome.deleted, outcome.saved, strict=True)] == [(2, 2)]


async def test_of_a_large_bucket_some_neighbours_are_compared_and_the_answer_says_so(
    store: ObjectStore, bucket: str
) -> None:
    """A sample is never given out as all."""
    outcome = await erase_objects(store, bucket, "acme/", right=expired(), now=system_clock(), compared=2)

    assert isinstance(outcome, Erased)
    assert outcome.sampled == (bucket,)
    assert [one.rows_before for one in outcome.bystanders] == [2]


async def test_what_neighbours_add_meanwhile_pushes_none_out_of_the_sample(store: ObjectStore, bucket: str) -> None:
    """A large bucket never stands still: what was there before is looked for, not what comes first now."""

    async def somebody_uploads() -> bool:
        await store.put(bucket, "aaron/first-of-all.png", b"new")
        return False

    right = replace(expired(), still_held=somebody_uploads)
    outcome = await erase_objects(store, bucket, "acme/", right=right, now=system_clock(), compared=2)
    await store.delete_all_versions(bucket, "aaron/")

    assert isinstance(outcome, Erased)
    assert outcome.bystanders[0].before == outcome.bystanders[0].after
