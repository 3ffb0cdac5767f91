"""An upload in parts: whole or nothing, never more in memory than the parts under way."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import os
import tracemalloc
from typing import Any, cast

import pytest
from aiohttp.payload import BytesIOPayload
from botocore.exceptions import ClientError

from shared import filling
from shared import upload as upload_of
from shared.filling import Filling
from shared.objects import ObjectStore
from shared.store_faults import ObjectMissingError, StoreOutageError, StoreRefusalError
from shared.upload import MIB, Upload

PART = 5 * MIB


async def nothing_is_there(store: ObjectStore, bucket: str) -> bool:
    return await store.count_left(bucket, "acme/") == 0


async def test_an_upload_is_there_when_its_block_has_ended(store: ObjectStore, bucket: str) -> None:
    """Before that nobody can read it; then it is whole, with the digest that was computed on the way."""
    body = os.urandom(12 * MIB + 1)
    async with store.upload(bucket, "acme/a", part_bytes=PART) as upload:
        for start in range(0, len(body), 700_000):
            await upload.write(body[start : start + 700_000])
        with pytest.raises(ObjectMissingError):
            await store.head(bucket, "acme/a")

    assert await store.get(bucket, "acme/a") == body
    stored = (upload.stored.place, upload.stored.size, upload.stored.sha256)
    assert stored == (f"s3://{bucket}/acme/a", len(body), hashlib.sha256(body).hexdigest())


def test_parts_are_small_while_they_can_be_and_enough_for_the_largest_object() -> None:
    """S3's limits are 10,000 parts of 5 GiB, and 5 TiB."""
    upload, sizes = Upload(None, "b", "k", part_bytes=6 * MIB, in_flight=2), []
    for _ in range(10_000):
        sizes.append(upload._size_of_part())
        upload._tasks.append(cast("Any", None))

    assert set(sizes[:1000]) == {6 * MIB}
    assert sum(sizes) >= 5 << 40
    assert max(sizes) <= 5 << 30


async def test_a_part_is_sent_from_where_it_was_filled() -> None:
    """A copy of each that is under way would be 12 MiB of an exporter's memory."""
    part = Filling(PART)
    await part.write(memoryview(bytes(PART)))
    assert sum(map(len, part.pieces())) == PART

    tracemalloc.start()
    payload = BytesIOPayload(part.body())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert payload.size == PART
    assert most < PART / 10
    part.close()


async def test_parts_that_grow_take_no_more_memory(
    store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large ones wait on disk, and are sent from there: an archive of a terabyte has parts of hundreds of megabytes."""
    monkeypatch.setattr(filling, "IN_MEMORY", PART)
    monkeypatch.setattr(upload_of, "_DOUBLE_EVERY", 2)
    piece, digest = os.urandom(MIB // 2), hashlib.sha256()
    tracemalloc.start()
    async with store.upload(bucket, "acme/a", part_bytes=PART) as upload:
        for _ in range(2 * 5 * (1 + 2 + 4 + 8) + 1):
            await upload.write(piece)
            digest.update(piece)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # Less than one of the last parts has.
    assert most < 8 * PART
    assert upload.stored.sha256 == digest.hexdigest()
    read = hashlib.sha256()
    async for some in store.stream(bucket, "acme/a"):
        read.update(some)
    assert read.hexdigest() == digest.hexdigest()


async def test_a_full_disk_is_a_sentence(store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the place, and what can be done; nothing stays in the store."""

    class Full(io.RawIOBase):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(filling, "IN_MEMORY", PART - 1)
    monkeypatch.setattr(filling.tempfile, "TemporaryFile", Full)
    with pytest.raises(StoreRefusalError, match=r"can't wait in /.*No space left.*TMPDIR"):
        async with store.upload(bucket, "acme/a", part_bytes=PART) as upload:
            await upload.write(bytes(PART))

    assert await nothing_is_there(store, bucket)


async def test_an_upload_of_nothing_is_an_empty_object(store: ObjectStore, bucket: str) -> None:
    """The smallest case is no special case."""
    async with store.upload(bucket, "acme/a"):
        pass

    assert await store.get(bucket, "acme/a") == b""


async def test_a_failure_leaves_nothing(store: ObjectStore, bucket: str) -> None:
    """Neither an object nor parts that take up space."""

    async def fail() -> None:
        async with store.upload(bucket, "acme/a", part_bytes=PART) as upload:
            await upload.write(bytes(11 * MIB))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await nothing_is_there(store, bucket)


async def test_a_cancelled_upload_leaves_nothing(store: ObjectStore, bucket: str) -> None:
    """A worker that is stopped while it uploads cleans up after itself."""
    written = asyncio.Event()

    async def upload_for_ever() -> None:
        async with store.upload(bucket, "acme/a", part_bytes=PART) as upload:
            await upload.write(bytes(6 * MIB))
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(upload_for_ever())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await nothing_is_there(store, bucket)


async def test_what_an_earlier_attempt_left_is_dropped(store: ObjectStore, bucket: str) -> None:
    """A killed worker's unfinished upload of the same key goes when the next one begins; another key's stays."""
    for key in ("acme/a", "acme/ab"):
        await store._client.create_multipart_upload(Bucket=bucket, Key=key)
    async with store.upload(bucket, "acme/a") as upload:
        await upload.write(b"whole")

    assert [key async for key, _ in store.unfinished(bucket, "acme/")] == ["acme/ab"]


async def test_a_beginning_that_the_store_refuses_is_told_at_the_first_write(store: ObjectStore) -> None:
    """Nothing need be filled before the writer learns that there is no such bucket."""

    async def write_once(upload: Upload) -> None:
        async with upload:
            with pytest.raises(StoreRefusalError, match="begin the upload"):
                await upload.write(b"a")

    with pytest.raises(StoreRefusalError, match="begin the upload"):
        await write_once(store.upload("no-such-bucket", "acme/a"))


class Meddler:
    """The store's client, but one of its methods does something else."""

    def __init__(self, client: Any, method: str, instead: Any) -> None:
        self._client, self._method, self._instead = client, method, instead

    def __getattr__(self, name: str) -> Any:
        return self._instead if name == self._method else getattr(self._client, name)


def meddled(store: ObjectStore, bucket: str, method: str, instead: Any, in_flight: int = 3) -> Upload:
    return Upload(Meddler(store._client, method, instead), bucket, "acme/a", part_bytes=PART, in_flight=in_flight)


async def write(upload: Upload, pieces: int) -> None:
    async with upload:
        for _ in range(pieces):
            await upload.write(bytes(MIB))


def says(code: str, status: int) -> ClientError:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "UploadPart")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "fate"),
    [(says("SlowDown", 503), StoreOutageError), (says("AccessDenied", 403), StoreRefusalError)],
    ids=["outage", "refusal"],
)
async def test_a_part_that_fails_stops_the_upload(
    store: ObjectStore, bucket: str, error: ClientError, fate: type[Exception]
) -> None:
    """The writer is told, with the part's fate, and nothing is left."""

    async def fail(**_: Any) -> None:
        raise error

    with pytest.raises(fate, match="send part 1"):
        await write(meddled(store, bucket, "upload_part", fail), 100)

    assert await nothing_is_there(store, bucket)


async def test_an_upload_cancelled_while_it_begins_leaves_nothing(store: ObjectStore, bucket: str) -> None:
    """What the store has just begun is dropped too, though nobody knew its name yet."""
    begun, answered = asyncio.Event(), asyncio.Event()

    async def create(**named: Any) -> Any:
        answer = await store._client.create_multipart_upload(**named)
        begun.set()
        await answered.wait()
        return answer

    task = asyncio.create_task(write(meddled(store, bucket, "create_multipart_upload", create), 1))
    await begun.wait()
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, answered.set)
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await nothing_is_there(store, bucket)


async def test_an_answer_that_is_lost_at_the_end_takes_the_object_back(store: ObjectStore, bucket: str) -> None:
    """The object was complete, but nobody was told: what was not reported can't be read."""

    async def complete_in_silence(**named: Any) -> None:
        await store._client.complete_multipart_upload(**named)
        raise TimeoutError

    with pytest.raises(StoreOutageError, match="complete"):
        async with meddled(store, bucket, "complete_multipart_upload", complete_in_silence) as upload:
            await upload.write(b"whole")

    with pytest.raises(ObjectMissingError):
        await store.head(bucket, "acme/a")


async def test_no_more_parts_are_under_way_than_allowed(store: ObjectStore, bucket: str) -> None:
    """The writer waits for the store, so memory does not depend on how far ahead it is."""
    under_way: list[int] = [0]
    most = 0
    gate = asyncio.Event()

    async def slowly(**named: Any) -> Any:
        nonlocal most
        under_way[0] += 1
        most = max(most, under_way[0])
        await gate.wait()
        under_way[0] -= 1
        return await store._client.upload_part(**named)

    writing = asyncio.create_task(write(meddled(store, bucket, "upload_part", slowly, in_flight=2), 40))
    while under_way[0] < 2:
        # Each turn of the loop is a step of the writer.
        await asyncio.sleep(0)
    gate.set()
    await writing

    assert most == 2


async def test_memory_does_not_grow_with_the_size(store: ObjectStore, bucket: str) -> None:
    """Four times as much needs no more than a part more."""
    piece = os.urandom(MIB)

    async def peak(pieces: int) -> int:
        tracemalloc.start()
        async with store.upload(bucket, "acme/a", part_bytes=PART, in_flight=2) as upload:
            for _ in range(pieces):
                await upload.write(piece)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert abs(await peak(120) - await peak(30)) < PART
