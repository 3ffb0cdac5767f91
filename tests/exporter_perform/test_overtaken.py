"""A worker that stood still until another one had its task: whatever it does then, what was announced stays so."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Self
from uuid import uuid4

import pytest

from services.exporter import perform
from services.exporter.tasks import ArchiveBuilt, RevokeLinks, VersionsReplaced
from shared.clock import system_clock
from shared.lease import LeaseLostError
from shared.objects import ObjectStore
from shared.performer import Attempt
from shared.store_faults import StoreError, UploadGoneError
from tests.exporter_perform.school import BUILD, School

STALE: ContextVar[Gate | None] = ContextVar("stale", default=None)
KEY = "acme/e-1.zip"


class Gate:
    """Where a worker stands still: just before it asks the store for *method*, the how manieth time."""

    def __init__(self, method: str, nth: int = 1) -> None:
        self.method, self.nth = method, nth
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def passed(self) -> None:
        """Come by: it is the last time until it is open."""
        self.nth -= 1
        if self.nth <= 0:
            self.reached.set()
            await self.open.wait()


class Held:
    """The store's client, which stands still once at a gate."""

    def __init__(self, client: Any, gate: Gate) -> None:
        self._client, self._gate = client, gate

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name != self._gate.method:
            return real

        async def held(**named: Any) -> Any:
            await self._gate.passed()
            return await real(**named)

        return held


class HeldStore(ObjectStore):
    """A store that holds whoever is stale."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        gate = STALE.get()
        if gate is not None:
            self._client = Held(self._client, gate)
        return self

    async def versions_of(self, bucket: str, key: str) -> tuple[str, ...]:
        gate = STALE.get()
        if gate is not None and gate.method == "versions_of":
            await gate.passed()
        return await super().versions_of(bucket, key)


class Two:
    """Two workers of one task, of whom one has the lease, and the bucket that both write to."""

    def __init__(self, school: School) -> None:
        self.school, self.holder = school, 1

    def attempt(self, worker: int, report: Callable[..., None] = lambda *_: None) -> Attempt:
        async def insist() -> None:
            if self.holder != worker:
                raise LeaseLostError(worker)

        return Attempt(uuid4(), worker, system_clock, report, insist)

    def begin(self, work: Any, gate: Gate) -> asyncio.Task[Any]:
        """Let the first worker do *work* and stand still at *gate*."""

        async def stale() -> Any:
            STALE.set(gate)
            return await work

        return asyncio.create_task(stale())

    async def built(self, worker: int) -> ArchiveBuilt:
        outcome = await self.school.exporting.build(BUILD, self.attempt(worker))
        assert isinstance(outcome, ArchiveBuilt)
        return outcome

    async def has_only(self, version: str | None, sha256: str) -> None:
        """See that nothing lies in the bucket but one version, which has the digest."""
        school = self.school
        assert version is not None
        assert await school.store.versions_of(school.bucket, KEY) == (version,)
        assert await school.store.count_left(school.bucket, "acme/") == 1
        pieces = [piece async for piece in school.store.stream(school.bucket, KEY, version=version)]
        assert hashlib.sha256(b"".join(pieces)).hexdigest() == sha256


@pytest.fixture
def two(school: School, monkeypatch: pytest.MonkeyPatch) -> Two:
    monkeypatch.setattr(perform, "ObjectStore", HeldStore)
    return Two(school)


async def came_to_nothing(stale: asyncio.Task[Any]) -> None:
    """Let it end: by itself, since it has lost the lease, or because the store has nothing for it."""
    async with asyncio.timeout(20):
        with pytest.raises((LeaseLostError, StoreError)):
            await stale


METHODS = ["create_multipart_upload", "upload_part", "complete_multipart_upload"]


@pytest.mark.parametrize("method", METHODS)
async def test_nothing_is_laid_over_what_was_announced(two: Two, method: str) -> None:
    """It wakes when the other one's archive is ready: before it begins, sends, or completes its own."""
    gate = Gate(method)
    stale = two.begin(two.school.exporting.build(BUILD, two.attempt(1)), gate)
    await gate.reached.wait()
    two.holder = 2
    await two.school.run("insert into customers values ('another')")
    ready = await two.built(2)
    gate.open.set()
    await came_to_nothing(stale)

    await two.has_only(ready.object_version, ready.sha256)


async def test_what_was_announced_is_not_taken_for_a_remainder(two: Two) -> None:
    """A worker that comes to its task after the other one is done deletes nothing."""
    await two.school.store.put(two.school.bucket, KEY, b"left by a try that was killed")
    gate = Gate("delete_objects")
    stale = two.begin(two.school.exporting.build(BUILD, two.attempt(1)), gate)
    await gate.reached.wait()
    two.holder = 2
    ready = await two.built(2)
    gate.open.set()
    await came_to_nothing(stale)
    with pytest.raises(LeaseLostError):
        await two.built(1)

    await two.has_only(ready.object_version, ready.sha256)


async def test_the_stale_one_completes_first(two: Two) -> None:
    """The upload that both were at is gone for the later one, which tries again; the stale archive goes."""
    gate, later = Gate("complete_multipart_upload"), Gate("complete_multipart_upload")
    stale = two.begin(two.school.exporting.build(BUILD, two.attempt(1)), gate)
    await gate.reached.wait()
    two.holder = 2
    second = two.begin(two.school.exporting.build(BUILD, two.attempt(2)), later)
    await later.reached.wait()
    gate.open.set()
    lost = await stale
    later.open.set()
    with pytest.raises(UploadGoneError):
        await second
    ready = await two.built(2)

    assert lost.object_version != ready.object_version
    await two.has_only(ready.object_version, ready.sha256)


async def test_the_stale_one_completes_beside_it(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the later one's look for remainders and its upload: then there are two versions, and one goes."""
    gate = Gate("complete_multipart_upload")
    stale = two.begin(two.school.exporting.build(BUILD, two.attempt(1)), gate)
    await gate.reached.wait()
    two.holder = 2
    real, completed = ObjectStore.delete_versions_of, list[ArchiveBuilt]()

    async def then_it_wakes(store: ObjectStore, *given: Any, **named: Any) -> int:
        found = await real(store, *given, **named)
        if not completed and STALE.get() is None:
            gate.open.set()
            completed.append(await stale)
        return found

    monkeypatch.setattr(ObjectStore, "delete_versions_of", then_it_wakes)
    ready = await two.built(2)

    assert completed[0].object_version != ready.object_version
    await two.has_only(ready.object_version, ready.sha256)


async def test_a_stale_failure_drops_nothing_of_the_later_ones(two: Two) -> None:
    """The map became unusable for the stale one alone: what the other one has sent stays."""
    school = two.school
    await school.store.client.create_multipart_upload(Bucket=school.bucket, Key=KEY)
    two.holder = 2
    map_file = school.settings.home / "map.yaml"
    text = map_file.read_text()
    map_file.write_text("version: none")
    with pytest.raises(LeaseLostError):
        await school.exporting.build(BUILD, two.attempt(1))
    map_file.write_text(text)

    assert [key async for key, _ in school.store.unfinished(school.bucket, KEY)] == [KEY]


async def test_what_is_read_back_is_what_was_written(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody puts an object over it before it is read back: the version that was written is what is announced."""
    school, real = two.school, perform.prove

    async def laid_over(*given: Any) -> Any:
        await school.store.put(school.bucket, KEY, b"laid over")
        return await real(*given)

    monkeypatch.setattr(perform, "prove", laid_over)
    ready = await two.built(1)

    await two.has_only(ready.object_version, ready.sha256)


@pytest.mark.parametrize(
    "method",
    ["create_multipart_upload", "upload_part_copy", "complete_multipart_upload", "versions_of", "delete_objects"],
)
async def test_links_are_taken_back_once(two: Two, method: str) -> None:
    """A stale worker that takes links back neither leaves a version, nor removes that to which new links lead."""
    built = await two.built(1)
    order = RevokeLinks(
        customer_id="acme", export_id="e-1", attempt=1, place=built.place, sha256=built.sha256,
        object_version=built.object_version,
    )  # fmt: skip
    gate = Gate(method)
    stale = two.begin(two.school.exporting.revoke(order, two.attempt(1)), gate)
    await gate.reached.wait()
    two.holder = 2
    done = await two.school.exporting.revoke(order, two.attempt(2))
    assert isinstance(done, VersionsReplaced)
    gate.open.set()
    await asyncio.wait([stale], timeout=20)

    assert done.object_version != built.object_version
    await two.has_only(done.object_version, built.sha256)


async def test_links_are_not_taken_back_beside_it(two: Two) -> None:
    """A stale worker begins to copy when the later one has already listed what it will remove."""
    built = await two.built(1)
    order = RevokeLinks(
        customer_id="acme", export_id="e-1", attempt=1, place=built.place, sha256=built.sha256,
        object_version=built.object_version,
    )  # fmt: skip
    gate, later = Gate("create_multipart_upload"), Gate("delete_objects")
    stale = two.begin(two.school.exporting.revoke(order, two.attempt(1)), gate)
    await gate.reached.wait()
    two.holder = 2
    second = two.begin(two.school.exporting.revoke(order, two.attempt(2)), later)
    await later.reached.wait()
    gate.open.set()
    await came_to_nothing(stale)
    later.open.set()
    done = await second

    await two.has_only(done.object_version, built.sha256)


async def test_links_are_taken_back_though_a_try_was_cut_off(two: Two) -> None:
    """The version that was ordered is gone, since a try that was killed had replaced it: the newest one is as good."""
    built = await two.built(1)
    order = RevokeLinks(
        customer_id="acme", export_id="e-1", attempt=1, place=built.place, sha256=built.sha256,
        object_version=built.object_version,
    )  # fmt: skip
    await two.school.exporting.revoke(order, two.attempt(1))
    again = await two.school.exporting.revoke(order, replace(two.attempt(1), number=2))

    assert isinstance(again, VersionsReplaced)
    await two.has_only(again.object_version, built.sha256)
