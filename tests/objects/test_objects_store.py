"""The object store: what is written is read, and what is deleted is gone in all its versions."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.loaders import JSONFileLoader
from botocore.utils import parse_timestamp
from yarl import URL

from shared.objects import ObjectStore
from shared.settings import Settings
from shared.store_faults import ObjectChangedError, ObjectMissingError, StoreOutageError, StoreRefusalError
from shared.store_session import moment


async def test_what_is_put_is_got(store: ObjectStore, bucket: str) -> None:
    """An object reads back whole, and its head tells its size."""
    await store.put(bucket, "acme/a", b"hello")

    assert await store.get(bucket, "acme/a") == b"hello"
    assert (await store.head(bucket, "acme/a")).size == 5


async def test_a_range_is_a_part(store: ObjectStore, bucket: str) -> None:
    """A stream may begin and end anywhere, both ends included."""
    await store.put(bucket, "acme/a", b"0123456789")

    assert b"".join([piece async for piece in store.stream(bucket, "acme/a", first=2, last=4)]) == b"234"
    assert b"".join([piece async for piece in store.stream(bucket, "acme/a", first=8)]) == b"89"


async def test_a_stream_comes_in_pieces(store: ObjectStore, bucket: str) -> None:
    """No piece is larger than 256 KiB, so that a film needs no more memory than a note."""
    body = bytes(range(256)) * 8192
    await store.put(bucket, "acme/film", body)

    pieces = [piece async for piece in store.stream(bucket, "acme/film")]
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) <= 256 * 1024


async def test_a_link_needs_no_key_reads_in_pieces_and_ends(store: ObjectStore, bucket: str) -> None:
    """Anybody who has it can fetch the object or a range of it, until its time is up."""
    await store.put(bucket, "acme/a b", b"0123456789")
    lasting, brief = await store.link(bucket, "acme/a b", 60), await store.link(bucket, "acme/a b", 1)

    async with aiohttp.ClientSession() as stranger:
        async with stranger.get(URL(lasting, encoded=True), headers={"Range": "bytes=3-5"}) as answer:
            assert (answer.status, await answer.read()) == (206, b"345")
        async with asyncio.timeout(20):
            while (await stranger.get(URL(brief, encoded=True))).status == 200:
                await asyncio.sleep(0.2)
        async with stranger.get(URL(lasting, encoded=True)) as answer:
            assert await answer.read() == b"0123456789"


async def test_a_listing_shows_current_objects_in_order(store: ObjectStore, bucket: str) -> None:
    """Only what lies under the prefix, and nothing that was deleted."""
    for key in ("acme/b", "acme/a", "acmex/c"):
        await store.put(bucket, key, key.encode())
    await store.delete_all_versions(bucket, "acmex/")

    assert [one.key async for one in store.list(bucket, "acme/")] == ["acme/a", "acme/b"]


async def test_a_missing_object_is_said_to_be_missing(store: ObjectStore, bucket: str) -> None:
    """Reading and looking both name it."""
    with pytest.raises(ObjectMissingError, match="acme/none"):
        await store.get(bucket, "acme/none")
    with pytest.raises(ObjectMissingError, match="acme/none"):
        await store.head(bucket, "acme/none")


async def test_an_object_that_changed_since_its_listing_is_not_read(store: ObjectStore, bucket: str) -> None:
    """The etag of the listing must still be the object's."""
    await store.put(bucket, "acme/a", b"first")
    listed = await store.head(bucket, "acme/a")
    await store.put(bucket, "acme/a", b"other")

    with pytest.raises(ObjectChangedError):
        [piece async for piece in store.stream(bucket, "acme/a", etag=listed.etag)]


async def test_all_versions_markers_and_uploads_are_deleted_and_nobody_elses(store: ObjectStore, bucket: str) -> None:
    """After it nothing is left to count under the prefix, and other prefixes are as they were."""
    for body in (b"1", b"2", b"3"):
        await store.put(bucket, "acme/a", body)
    await store._client.delete_object(Bucket=bucket, Key="acme/a")
    await store._client.create_multipart_upload(Bucket=bucket, Key="acme/b")
    await store.put(bucket, "other/a", b"other")

    assert await store.count_left(bucket, "acme/") == 5
    swept = await store.delete_all_versions(bucket, "acme/")
    assert (swept.versions, swept.uploads) == (4, 1)
    assert await store.count_left(bucket, "acme/") == 0
    assert await store.get(bucket, "other/a") == b"other"


async def test_a_page_goes_in_requests_side_by_side_each_object_in_one_of_them(
    store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests that took versions of one object at once would both have to tell which is the newest now."""
    for number in range(12):
        await store.put(bucket, f"acme/{number % 6}", b"1")
    deleted: list[list[str]] = []
    delete = store.client.delete_objects

    async def noted(**asked: Any) -> Any:
        deleted.append([one["Key"] for one in asked["Delete"]["Objects"]])
        return await delete(**asked)

    monkeypatch.setattr(store.client, "delete_objects", noted)
    swept = await store.delete_all_versions(bucket, "acme/")

    assert swept.versions == 12
    assert await store.count_left(bucket, "acme/") == 0
    assert len(deleted) > 1
    assert list(Counter(key for some in deleted for key in set(some)).values()) == [1] * 6


async def test_when_one_of_several_requests_fails_the_others_have_ended(
    store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing goes on behind whoever hears of the outage."""
    for number in range(4):
        await store.put(bucket, f"acme/{number}", b"1")
    begun: list[Any] = []
    ended: list[Any] = []
    delete = store.client.delete_objects

    async def failing(**asked: Any) -> Any:
        begun.append(asked)
        if len(begun) == 1:
            raise EndpointConnectionError(endpoint_url="http://s3")
        answer = await delete(**asked)
        ended.append(asked)
        return answer

    monkeypatch.setattr(store.client, "delete_objects", failing)
    with pytest.raises(StoreOutageError):
        await store.delete_all_versions(bucket, "acme/")

    assert len(ended) == len(begun) - 1 > 0
    assert await store.count_left(bucket, "acme/") == 1


@pytest.mark.parametrize(
    "written",
    ["2026-11-27T14:30:00.123Z", "Fri, 27 Nov 2026 14:30:00 GMT", "1795789800", "20261127"],
)
def test_a_moment_is_read_as_the_library_reads_it(written: str) -> None:
    """Whatever the way in which a store writes it; a listing has a thousand on each page."""
    assert moment(written) == parse_timestamp(written)
    assert moment(written).utcoffset() == timedelta()


async def test_a_whole_bucket_is_never_deleted(store: ObjectStore, bucket: str) -> None:
    """An empty prefix is a mistake, not a wish."""
    with pytest.raises(ValueError, match="whole bucket"):
        await store.delete_all_versions(bucket, "")


async def test_making_a_bucket_again_does_no_harm(store: ObjectStore, bucket: str) -> None:
    """What is in it stays."""
    await store.put(bucket, "acme/a", b"here")
    await store.ensure_bucket(bucket)

    assert await store.get(bucket, "acme/a") == b"here"


async def test_a_store_that_cant_be_reached_is_an_outage(settings: Settings) -> None:
    """Nobody listens: waiting helps."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = replace(settings.s3, endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}")
        async with ObjectStore(nowhere) as store:
            with pytest.raises(StoreOutageError, match="s3://some-bucket/acme/a"):
                await store.head("some-bucket", "acme/a")


async def test_a_wrong_key_is_a_refusal(settings: Settings, bucket: str) -> None:
    """Waiting does not help, so it is no outage."""
    async with ObjectStore(replace(settings.s3, secret_key="wrong")) as store:
        with pytest.raises(StoreRefusalError):
            await store.put(bucket, "acme/a", b"")


async def test_a_process_reads_the_description_of_the_service_once(
    settings: Settings, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many stores are opened: each time would cost 100 ms, and megabytes that are only missed much later."""
    read: list[str] = []
    monkeypatch.setattr(JSONFileLoader, "load_file", lambda _, path: read.append(path))

    for _ in range(3):
        async with ObjectStore(settings.s3):
            pass

    assert read == []
