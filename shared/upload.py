"""An upload in parts: flat memory, a digest of the whole, and nothing left behind when it fails."""

from __future__ import annotations

import asyncio
import hashlib
import io
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Self

from botocore.exceptions import ClientError

from .store_faults import StoreError, StoreRefusalError, judged

MIB = 1 << 20
# S3 allows 10,000 parts; sizes double every 2,500, so 6 MiB reach 219 GiB before that.
_MOST_PARTS = 10_000
_DOUBLE_EVERY = 2_500


@dataclass(frozen=True, slots=True)
class Stored:
    """What an upload became: its place, its size in bytes, the SHA-256 of all of it in hexadecimal."""

    place: str
    size: int
    sha256: str


async def abort_upload(client: Any, bucket: str, key: str, upload_id: str) -> None:
    """Drop an unfinished upload and its parts; harmless when it is already gone."""
    with judged(f"abort the upload of s3://{bucket}/{key}"):
        try:
            await client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
        except ClientError as error:
            # Already gone is what was wanted.
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise


class Upload:
    """One object of unknown size: ``async with`` it and ``write``; the object appears when the block ends well.

    When the block fails or is cancelled, the parts are dropped and no object appears. At most
    *in_flight* parts are under way and one is being filled, which bounds the memory.
    After the block, ``stored`` tells size and SHA-256.
    """

    def __init__(self, client: Any, bucket: str, key: str, *, part_bytes: int, in_flight: int) -> None:
        self._client = client
        self._at = {"Bucket": bucket, "Key": key}
        self._place = f"s3://{bucket}/{key}"
        self._part_bytes = part_bytes
        self._slots = asyncio.Semaphore(in_flight)
        self._id = ""
        self._beginning: asyncio.Task[None] | None = None
        self._pieces: list[bytes | memoryview] = []
        self._filled = 0
        self._tasks: list[asyncio.Task[dict[str, Any]]] = []
        self._failed: BaseException | None = None
        self._digest = hashlib.sha256()
        self._hashing = asyncio.Lock()
        self._size = 0
        self._completing = False
        self._stored: Stored | None = None

    @property
    def stored(self) -> Stored:
        """Tell what was stored; only after the block ended well."""
        if self._stored is None:
            raise RuntimeError(f"{self._place} is not complete")
        return self._stored

    async def __aenter__(self) -> Self:
        """Begin the upload, after dropping any that an earlier attempt at the same key left unfinished.

        The store's answer is waited for by the first ``write``, so that the writer can prepare meanwhile.
        """
        self._beginning = asyncio.create_task(self._begin())
        return self

    async def _begin(self) -> None:
        with judged(f"begin the upload of {self._place}"):
            await self._drop_earlier()
            begun = await self._client.create_multipart_upload(
                **self._at, ChecksumAlgorithm="SHA256", ContentType="application/octet-stream"
            )
        self._id = begun["UploadId"]

    async def _begun(self) -> None:
        if self._beginning is None:
            raise RuntimeError("an upload is written to inside its block")
        # Not cancelled with the writer, or an upload that the store has just begun would stay without a name.
        await asyncio.shield(self._beginning)

    async def _drop_earlier(self) -> None:
        bucket, key = self._at["Bucket"], self._at["Key"]
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=key)
        found = [item async for page in pages for item in page.get("Uploads", ()) if item["Key"] == key]
        for item in found:
            await abort_upload(self._client, bucket, key, item["UploadId"])

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Complete the object, or drop every part of it."""
        if error is None:
            try:
                await self._complete()
            except BaseException as late:
                await self._abandon(late)
                raise
        else:
            await self._abandon(error)

    async def write(self, data: bytes) -> None:
        """Add *data*; waits while too many parts are under way; raises what the beginning or a part ran into."""
        if not self._id:
            await self._begun()
        rest = memoryview(data)
        while rest:
            room = self._room()
            self._pieces.append(rest[:room])
            self._filled += min(room, len(rest))
            rest = rest[room:]
            if self._filled == self._size_of_part():
                await self._send()

    def _room(self) -> int:
        return self._size_of_part() - self._filled

    def _size_of_part(self) -> int:
        return self._part_bytes << (len(self._tasks) // _DOUBLE_EVERY)

    async def _send(self) -> None:
        await self._slots.acquire()
        if self._failed is not None:
            raise self._failed
        part, self._pieces, self._filled = b"".join(self._pieces), [], 0
        if len(self._tasks) == _MOST_PARTS:
            raise StoreRefusalError(f"{self._place} needs more than {_MOST_PARTS} parts: begin with larger ones")
        task = asyncio.create_task(self._send_part(len(self._tasks) + 1, part))
        task.add_done_callback(self._landed)
        self._tasks.append(task)

    def _hashed(self, part: bytes) -> str:
        self._digest.update(part)
        self._size += len(part)
        return b64encode(hashlib.sha256(part).digest()).decode()

    def _landed(self, task: asyncio.Task[dict[str, Any]]) -> None:
        self._slots.release()
        if not task.cancelled():
            self._failed = self._failed or task.exception()

    async def _send_part(self, number: int, part: bytes) -> dict[str, Any]:
        # The lock is fair, so the digest of the whole takes the parts in their order; the writer need not wait for it.
        async with self._hashing:
            checksum = await asyncio.get_running_loop().run_in_executor(None, self._hashed, part)
        with judged(f"send part {number} of {self._place}"):
            sent = await self._client.upload_part(
                **self._at,
                UploadId=self._id,
                PartNumber=number,
                Body=io.BytesIO(part),
                ContentLength=len(part),
                ChecksumSHA256=checksum,
            )
        return {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum}

    async def _complete(self) -> None:
        await self._begun()
        if self._filled or not self._tasks:
            await self._send()
        parts = await asyncio.gather(*self._tasks)
        self._completing = True
        with judged(f"complete {self._place}"):
            await self._client.complete_multipart_upload(
                **self._at, UploadId=self._id, MultipartUpload={"Parts": parts}
            )
            kept = await self._client.head_object(**self._at)
        if kept["ContentLength"] != self._size:
            raise StoreRefusalError(f"{self._place} has {kept['ContentLength']} bytes where {self._size} were sent")
        self._stored = Stored(self._place, self._size, self._digest.hexdigest())

    async def _abandon(self, cause: BaseException) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pieces = []
        try:
            await asyncio.shield(self._erase())
        except StoreError as trouble:
            # The next attempt at this key drops it; an unfinished upload can't be read as an object.
            cause.add_note(f"the unfinished upload may still take up space: {trouble}")

    async def _erase(self) -> None:
        await asyncio.gather(self._begun(), return_exceptions=True)
        if not self._id:
            return
        await abort_upload(self._client, self._at["Bucket"], self._at["Key"], self._id)
        if self._completing:
            # The answer may be lost though the object is there: what was not reported must not exist.
            with judged(f"take back {self._place}"):
                await self._client.delete_object(**self._at)
