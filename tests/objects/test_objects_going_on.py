"""An upload that goes on where an earlier one stopped: equal parts stand, and the object is what was written now."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shared import filling
from shared.objects import ObjectStore
from shared.store_faults import StoreOutageError, StoreRefusalError, UploadGoneError
from shared.unfinished import Part, Taken, Unfinished
from shared.upload import MIB, Upload

PART = 5 * MIB
KEY = "acme/a"
# Two whole parts and the beginning of a third.
BODY = os.urandom(12 * MIB)


def keeps(cause: BaseException) -> bool:
    return isinstance(cause, (StoreOutageError, asyncio.CancelledError))


class Client:
    """The store's client; it notes which parts are sent, and *instead* does something else for a method."""

    def __init__(self, client: Any, **instead: Any) -> None:
        self._client, self._instead = client, instead
        self.sent: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return self._instead.get(name) or getattr(self._client, name)

    async def upload_part(self, **named: Any) -> Any:
        self.sent.append(named["PartNumber"])
        return await self._client.upload_part(**named)


class Place:
    """A bucket, and the uploads of one key in it."""

    def __init__(self, store: ObjectStore, bucket: str) -> None:
        self.store, self.bucket = store, bucket
        self.at = {"Bucket": bucket, "Key": KEY}
        self.told: list[str] = []

    def upload(self, client: Client | None = None) -> Upload:
        def told(event: str, **_: object) -> None:
            self.told.append(event)

        client = client or Client(self.store._client)
        return Upload(client, self.bucket, KEY, part_bytes=PART, in_flight=2, keeps=keeps, told=told)

    async def interrupted(self, body: bytes = BODY, cause: type[BaseException] = StoreOutageError) -> None:
        """Write *body*, then stop of *cause*."""
        with pytest.raises(cause):
            await self._stopped(body, cause)

    async def _stopped(self, body: bytes, cause: type[BaseException]) -> None:
        async with self.upload() as upload:
            await upload.write(body)
            # What is under way is cut off; here it is to have landed.
            await asyncio.gather(*upload._tasks)
            raise cause

    async def written(self, body: bytes) -> tuple[Upload, list[int]]:
        """Write *body* to the end; gives the upload, and which parts were sent."""
        client = Client(self.store._client)
        async with self.upload(client) as upload:
            await upload.write(body)
        assert await self.store.get(self.bucket, KEY) == body
        assert upload.stored.sha256 == hashlib.sha256(body).hexdigest()
        return upload, client.sent

    async def begin(self) -> str:
        begun = await self.store._client.create_multipart_upload(**self.at, ChecksumAlgorithm="SHA256")
        return str(begun["UploadId"])

    async def plant(self, upload_id: str, number: int, part: bytes) -> dict[str, Any]:
        """Send a part as anybody could who may write here."""
        checksum = b64encode(hashlib.sha256(part).digest()).decode()
        sizes = {"Body": io.BytesIO(part), "ContentLength": len(part), "ChecksumSHA256": checksum}
        sent = await self.store._client.upload_part(**self.at, UploadId=upload_id, PartNumber=number, **sizes)
        return {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum}

    async def unfinished(self) -> list[str]:
        return [upload_id async for key, upload_id in self.store.unfinished(self.bucket, KEY) if key == KEY]


@pytest.fixture
async def place(store: ObjectStore, bucket: str) -> Place:
    return Place(store, bucket)


@pytest.mark.parametrize(
    ("cause", "in_memory"), [(StoreOutageError, PART), (asyncio.CancelledError, PART), (StoreOutageError, PART - 1)]
)
async def test_what_was_sent_is_not_sent_again(
    place: Place, cause: type[BaseException], in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage or an interruption only what isn't there is sent, and the object is whole; from disk too."""
    monkeypatch.setattr(filling, "IN_MEMORY", in_memory)
    await place.interrupted(cause=cause)
    upload, sent = await place.written(BODY)

    assert sent == [3]
    assert upload.taken == Taken(2, 2 * PART)
    assert await place.unfinished() == []
    assert place.told == [
        "the unfinished upload is kept to be gone on with",
        "an unfinished upload is gone on with",
        "parts were taken over",
    ]


async def test_what_changed_since_is_sent_over_what_lay_there(place: Place) -> None:
    """Nothing of the earlier bytes gets into the object, though they have the same size and the same number."""
    await place.interrupted()
    changed = BODY[: PART + 7] + bytes([BODY[PART + 7] ^ 1]) + BODY[PART + 8 :]
    upload, sent = await place.written(changed)

    assert sorted(sent) == [2, 3]
    assert upload.taken.parts == 1


async def test_parts_that_somebody_planted_are_not_taken(place: Place) -> None:
    """Other bytes of the same size, a part under another's number, parts behind the end: none gets into the object."""
    upload_id = await place.begin()
    await place.plant(upload_id, 1, os.urandom(PART))
    await place.plant(upload_id, 2, BODY[:PART])
    await place.plant(upload_id, 3, BODY[2 * PART :] + b"more")
    await place.plant(upload_id, 4, b"behind the end")
    upload, sent = await place.written(BODY)

    assert sorted(sent) == [1, 2, 3]
    assert upload.taken == Taken()


async def test_a_part_of_equal_bytes_is_taken_whoever_sent_it(place: Place) -> None:
    """The digest tells, not who sent it."""
    await place.plant(await place.begin(), 2, BODY[PART : 2 * PART])
    upload, sent = await place.written(BODY)

    assert sorted(sent) == [1, 3]
    assert upload.taken == Taken(1, PART)


@pytest.mark.parametrize(
    ("listed", "etag"),
    [
        (Part(4, "not the MD5", "sha"), "not the MD5"),
        (Part(4, hashlib.md5(b"part").hexdigest(), "another"), None),  # noqa: S324 - an ETag
        (Part(4, hashlib.md5(b"part").hexdigest(), None), hashlib.md5(b"part").hexdigest()),  # noqa: S324
        (Part(5, hashlib.md5(b"part").hexdigest(), None), None),  # noqa: S324
        (Part(5, "not the MD5", "sha"), None),
        (Part(4, "not the MD5", None), None),
    ],
)
async def test_a_part_is_known_by_its_sha256_where_the_store_lists_it(listed: Part, etag: str | None) -> None:
    """Else by the MD5 in its ETag; the size must be the same; an ETag that is no MD5 is never the same."""
    part = filling.Filling(4)
    await part.write(memoryview(b"part"))
    assert Unfinished("u", {1: (listed,)}).same(1, part, "sha") == etag
    assert Unfinished("u", {2: (listed,)}).same(1, part, "sha") is None


async def test_without_an_earlier_upload_no_part_is_digested_twice(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MD5 is only for comparing, so whoever begins anew doesn't pay for it."""
    md5, sizes = hashlib.md5, list[int]()

    def noting(data: bytes = b"", **more: Any) -> Any:
        sizes.append(len(data))
        return md5(data, **more)

    monkeypatch.setattr(hashlib, "md5", noting)
    await place.written(BODY)

    assert max(sizes, default=0) < PART


async def test_the_newest_is_gone_on_with_and_the_others_go(place: Place) -> None:
    """One upload of the very key is enough; that of a key which begins the same is another export's."""
    await place.begin()
    async with asyncio.timeout(10):
        # The store tells the moment in seconds.
        older = (await place.store._client.list_multipart_uploads(Bucket=place.bucket))["Uploads"][0]["Initiated"]
        newest = await place.begin()
        while (await _initiated(place, newest)) <= older:
            await place.store.abort(place.bucket, KEY, newest)
            newest = await place.begin()
    await place.plant(newest, 1, BODY[:PART])
    await place.store._client.create_multipart_upload(Bucket=place.bucket, Key=f"{KEY}b")
    async with place.upload() as upload:
        await upload.write(BODY)
        await asyncio.gather(*upload._tasks)
        assert await place.unfinished() == [newest]

    assert upload.taken.parts == 1
    assert [key async for key, _ in place.store.unfinished(place.bucket, "acme/")] == [f"{KEY}b"]


async def _initiated(place: Place, upload_id: str) -> Any:
    listed = await place.store._client.list_multipart_uploads(Bucket=place.bucket)
    return next(one["Initiated"] for one in listed["Uploads"] if one["UploadId"] == upload_id)


async def test_a_failure_for_good_drops_what_was_taken_over_too(place: Place) -> None:
    """What nobody will go on with takes up no space."""
    await place.interrupted()
    await place.interrupted(cause=StoreRefusalError)

    assert await place.unfinished() == []


async def test_an_upload_without_a_part_is_not_kept(place: Place) -> None:
    """There is nothing to go on with."""
    await place.interrupted(body=b"less than a part")

    assert await place.unfinished() == []


async def test_an_upload_that_has_vanished_is_begun_anew_and_told(place: Place) -> None:
    """Somebody aborted it after it was listed: nothing is taken over, all is sent."""
    await place.interrupted()
    place.told.clear()
    client = Client(place.store._client, get_paginator=lambda operation: _Vanishing(place, operation))
    async with place.upload(client) as upload:
        await upload.write(BODY)

    assert sorted(client.sent) == [1, 2, 3]
    assert place.told == ["an unfinished upload has vanished; begun anew"]
    assert await place.store.get(place.bucket, KEY) == BODY
    assert upload.taken == Taken()


class _Vanishing:
    """Lets the uploads vanish when the parts of one are asked for."""

    def __init__(self, place: Place, operation: str) -> None:
        self._place, self._operation = place, operation

    async def paginate(self, **named: Any) -> AsyncIterator[Any]:
        if self._operation == "list_parts":
            await self._place.store.abort_uploads_of(self._place.bucket, KEY)
        async for page in self._place.store._client.get_paginator(self._operation).paginate(**named):
            yield page


async def test_an_upload_that_vanishes_while_it_is_written_is_an_outage(place: Place) -> None:
    """What was passed over is gone, so all has to be written once more: trying again helps, nobody need be asked."""
    await place.interrupted()

    async def write() -> None:
        async with place.upload() as upload:
            await upload.write(BODY)
            await place.store.abort_uploads_of(place.bucket, KEY)

    with pytest.raises(UploadGoneError):
        await write()

    _, sent = await place.written(BODY)
    assert sorted(sent) == [1, 2, 3]


async def test_a_part_that_the_old_worker_sends_over_ours_is_not_in_the_object(place: Place) -> None:
    """Two workers on one upload: the object names the parts of the one that completes it; the other one is refused."""
    await place.interrupted()
    old = place.upload()
    await old.__aenter__()
    await old.write(b"another snapshot" + BODY)
    await asyncio.gather(*old._tasks)
    client = Client(place.store._client)
    async with place.upload(client) as new:
        await new.write(BODY)
        await asyncio.gather(*new._tasks)
        (upload_id,) = await place.unfinished()
        await place.plant(upload_id, 1, b"another snapshot" + BODY[: PART - 16])

    assert await place.store.get(place.bucket, KEY) == BODY
    with pytest.raises(UploadGoneError):
        await old.__aexit__(None, None, None)
    # What the refused one takes back is its own alone.
    assert await place.store.get(place.bucket, KEY) == BODY
    assert new.stored.etag == (await place.store.head(place.bucket, KEY)).etag


async def test_who_comes_second_at_the_end_does_not_call_it_its_own(place: Place) -> None:
    """The old worker completes the upload that the new one has taken over: the new one tries again, from nothing."""
    await place.interrupted()
    old, new = place.upload(), place.upload()
    others = b"another snapshot" + BODY
    await new.__aenter__()
    await new.write(BODY)
    await asyncio.gather(*new._tasks)
    async with old:
        await old.write(others)
    with pytest.raises(UploadGoneError):
        await new.__aexit__(None, None, None)

    assert await place.store.get(place.bucket, KEY) == others
    assert await place.unfinished() == []


async def test_a_store_that_answers_with_anothers_object_is_not_believed(place: Place) -> None:
    """Completing what somebody else has completed is a success to some stores: the parts are not ours."""
    await place.store.put(place.bucket, KEY, b"another's")

    async def complete(**_: Any) -> Any:
        return {"ETag": f'"{"0" * 32}-3"'}

    with pytest.raises(UploadGoneError, match="of other parts"):
        async with place.upload(Client(place.store._client, complete_multipart_upload=complete)) as upload:
            await upload.write(BODY)

    assert await place.store.get(place.bucket, KEY) == b"another's"


async def test_a_store_that_keeps_one_part_a_number_refuses_at_the_end(place: Place) -> None:
    """As S3 does when a part was sent over ours: an outage, so the task is tried again, and sends it once more."""
    await place.interrupted()

    async def complete(**_: Any) -> Any:
        answer: Any = {"Error": {"Code": "InvalidPart"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        raise ClientError(answer, "CompleteMultipartUpload")

    with pytest.raises(UploadGoneError):
        async with place.upload(Client(place.store._client, complete_multipart_upload=complete)) as upload:
            await upload.write(BODY)

    upload, sent = await place.written(BODY)
    assert (sent, upload.taken.parts) == ([], 3)


async def test_an_answer_that_is_lost_takes_back_ours_alone(place: Place) -> None:
    """Another worker's object at the same key is still the one that is read."""
    await place.store.put(place.bucket, KEY, b"another's")

    async def complete_in_silence(**named: Any) -> None:
        await place.store._client.complete_multipart_upload(**named)
        raise TimeoutError

    with pytest.raises(StoreOutageError):
        async with place.upload(Client(place.store._client, complete_multipart_upload=complete_in_silence)) as upload:
            await upload.write(BODY)

    assert await place.store.get(place.bucket, KEY) == b"another's"
    assert len(await place.store.versions_of(place.bucket, KEY)) == 1
