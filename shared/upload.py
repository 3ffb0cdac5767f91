"""An upload in parts: flat memory, a digest of the whole, and when it fails nothing, or what can be gone on with."""

from __future__ import annotations

import asyncio
import hashlib
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeAlias

from botocore.exceptions import ClientError

from .database_fates import DATABASE_OUTAGES
from .filling import Filling
from .lease import LeaseLostError
from .store_faults import StoreError, StoreRefusalError, UploadGoneError, judged
from .unfinished import Taken, Unfinished, unfinished, uploads_of

MIB = 1 << 20
# S3 allows 10,000 parts and 5 TiB; sizes double every 1,000, so 6 MiB reach 5.8 TiB, the last of 3 GiB.
_MOST_PARTS = 10_000
_DOUBLE_EVERY = 1_000
# What S3 and all that speak it make of the MD5s of the parts.
_OF_PARTS = re.compile(r"[0-9a-f]{32}-[0-9]+")
_MD5 = re.compile(r"[0-9a-f]{32}")

# What keeps an upload that ended from being tidied up: a later one of the key does that.
_UNTIDY: tuple[type[BaseException], ...] = (StoreError, LeaseLostError, *DATABASE_OUTAGES)

# Tells of what stopped an upload whether to go on with it later.
Keeps: TypeAlias = Callable[[BaseException], bool]


# Raises what ends an upload that is no longer this worker's to make.
May: TypeAlias = Callable[[], Awaitable[None]]


async def nobody_else() -> None:
    """Let an upload go on: nobody else makes this object."""


class Told(Protocol):
    """Who is told of an earlier attempt's upload; a logger's method is one."""

    def __call__(self, event: str, **values: object) -> object:
        """Take what happened."""


def silent(event: str, **_: object) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What an upload became: its place, its size in bytes, the SHA-256 of all of it in hexadecimal.

    In a store *etag* tells it from what others put at the same place, and so does its *version* if the bucket has any.
    """

    place: str
    size: int
    sha256: str
    etag: str | None = None
    version: str | None = None


async def abort_upload(client: Any, bucket: str, key: str, upload_id: str) -> None:
    """Drop an unfinished upload and its parts; harmless when it is already gone."""
    with judged(f"abort the upload of s3://{bucket}/{key}"):
        try:
            await client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
        except ClientError as error:
            # Already gone is what was wanted.
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise


async def withdraw(
    client: Any, bucket: str, key: str, etag: str, version: str | None = None, may: May = nobody_else
) -> None:
    """Delete the versions of *key* that have *etag*, and no other: one that somebody else made stays.

    Where the *version* is known it is that one alone. *may* is asked between looking and deleting: an upload that was
    taken over by somebody else may be answered as completed though they did it, and have told of it. While we may, no
    later try's version is among them.
    """
    with judged(f"take back s3://{bucket}/{key}"):
        found = []
        async for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
            ours = (one for one in page.get("Versions", ()) if one["Key"] == key and one["ETag"].strip('"') == etag)
            found += [one["VersionId"] for one in ours if version in {None, one["VersionId"]}]
        if found:
            await may()
        for one in found:
            await client.delete_object(Bucket=bucket, Key=key, VersionId=one)


class Upload:
    """One object of unknown size: ``async with`` it and ``write``; the object appears when the block ends well.

    When the block fails or is cancelled, no object appears and the parts are dropped, unless *keeps* says of what
    stopped it that it will be gone on with. Then the next upload of the same key that has *keeps* takes it over: all is
    written again, and a part that lies there under the same number with the same digest isn't sent. So the object is
    what was written this time, whatever lay there.

    At most *in_flight* parts are under way and one is being filled, which bounds the memory; large ones wait on disk.
    After the block, ``stored`` tells size and SHA-256. What happens to earlier parts is *told*.

    *may* keeps a worker that was overtaken from putting its object over a later one's. It is asked once the upload is
    there, and before any other is dropped: whoever comes later looks for uploads after that, finds this one, and takes
    it over or drops it; and one upload becomes one object, or none.
    """

    def __init__(
        self,
        client: Any,
        bucket: str,
        key: str,
        *,
        part_bytes: int,
        in_flight: int,
        keeps: Keeps | None = None,
        told: Told = silent,
        may: May = nobody_else,
    ) -> None:
        self._client = client
        self._at = {"Bucket": bucket, "Key": key}
        self._place = f"s3://{bucket}/{key}"
        self._part_bytes = part_bytes
        self._slots = asyncio.Semaphore(in_flight)
        self._keeps = keeps
        self._told = told
        self._may = may
        self._id = ""
        self._earlier: Unfinished | None = None
        self._sent = 0
        self._beginning: asyncio.Task[None] | None = None
        self._filling = Filling(part_bytes)
        self._tasks: list[asyncio.Task[dict[str, Any]]] = []
        self._failed: BaseException | None = None
        self._digest = hashlib.sha256()
        self._hashing = asyncio.Lock()
        self._size = 0
        # Of what is being completed, as the store will name it; None before, and where that can't be told.
        self._etag: str | None = None
        self._stored: Stored | None = None
        self.taken = Taken()

    @property
    def stored(self) -> Stored:
        """Tell what was stored; only after the block ended well."""
        if self._stored is None:
            raise RuntimeError(f"{self._place} is not complete")
        return self._stored

    async def __aenter__(self) -> Self:
        """Begin the upload, or take over the newest that an earlier attempt at the same key left; others are dropped.

        The store's answer is waited for by the first ``write``, so that the writer can prepare meanwhile.
        """
        self._beginning = asyncio.create_task(self._begin())
        return self

    async def _begin(self) -> None:
        with judged(f"begin the upload of {self._place}"):
            self._earlier = await self._take_over()
            if self._earlier is not None:
                self._id = self._earlier.upload_id
                return
            begun = await self._client.create_multipart_upload(
                **self._at, ChecksumAlgorithm="SHA256", ContentType="application/octet-stream"
            )
        try:
            await self._may()
        except BaseException:
            await abort_upload(self._client, **_named(self._at), upload_id=begun["UploadId"])
            raise
        self._id = begun["UploadId"]

    async def _take_over(self) -> Unfinished | None:
        at = self._at["Bucket"], self._at["Key"]
        found = await uploads_of(self._client, *at)
        # Whoever was overtaken has found a later one's by now, and must not touch it.
        await self._may()
        newest = found.pop() if found and self._keeps is not None else None
        for upload_id in found:
            await abort_upload(self._client, *at, upload_id)
        if newest is None:
            return None
        earlier = await unfinished(self._client, *at, newest)
        if earlier is None:
            self._told("an unfinished upload has vanished; begun anew", place=self._place)
        else:
            self._told("an unfinished upload is gone on with", place=self._place, parts=len(earlier.parts))
        return earlier

    async def _begun(self) -> None:
        if self._beginning is None:
            raise RuntimeError("an upload is written to inside its block")
        # Not cancelled with the writer, or an upload that the store has just begun would stay without a name.
        await asyncio.shield(self._beginning)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Complete the object, or drop every part of it, or keep them to be gone on with."""
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
            rest = rest[await self._filling.write(rest) :]
            if self._filling.is_full:
                await self._send()

    async def seal(self) -> Stored:
        """Send what is left, take no more, and tell what will appear; it doesn't before the block ends."""
        await self._begun()
        if self._filling.size:
            await self._send()
        await asyncio.gather(*self._tasks)
        return Stored(self._place, self._size, self._digest.hexdigest())

    async def withdraw(self) -> None:
        """Delete the object that this completed, and none that somebody else made."""
        if self._etag is not None:
            version = None if self._stored is None else self._stored.version
            await withdraw(self._client, **_named(self._at), etag=self._etag, version=version, may=self._may)

    def _size_of_part(self) -> int:
        return self._part_bytes << (len(self._tasks) // _DOUBLE_EVERY)

    async def _send(self) -> None:
        await self._slots.acquire()
        if self._failed is not None:
            raise self._failed
        if len(self._tasks) == _MOST_PARTS:
            raise StoreRefusalError(f"{self._place} needs more than {_MOST_PARTS} parts: begin with larger ones")
        task = asyncio.create_task(self._send_part(len(self._tasks) + 1, self._filling))
        task.add_done_callback(self._landed)
        self._tasks.append(task)
        self._filling = Filling(self._size_of_part())

    def _hashed(self, part: Filling) -> str:
        digest = hashlib.sha256()
        for piece in part.pieces():
            self._digest.update(piece)
            digest.update(piece)
        self._size += part.size
        return b64encode(digest.digest()).decode()

    def _landed(self, task: asyncio.Task[dict[str, Any]]) -> None:
        self._slots.release()
        if not task.cancelled():
            self._failed = self._failed or task.exception()

    async def _send_part(self, number: int, part: Filling) -> dict[str, Any]:
        with closing(part):
            # The lock is fair, so the digest of the whole takes the parts in order; the writer need not wait for it.
            async with self._hashing:
                checksum = await asyncio.get_running_loop().run_in_executor(None, self._hashed, part)
            etag = await self._standing(number, part, checksum) or await self._put(number, part, checksum)
        self._sent += 1
        return {"PartNumber": number, "ETag": etag, "ChecksumSHA256": checksum}

    async def _standing(self, number: int, part: Filling, checksum: str) -> str | None:
        if self._earlier is None or number not in self._earlier.parts:
            return None
        etag = await asyncio.get_running_loop().run_in_executor(None, self._earlier.same, number, part, checksum)
        if etag is not None:
            self.taken = Taken(self.taken.parts + 1, self.taken.size + part.size)
        return etag

    async def _put(self, number: int, part: Filling, checksum: str) -> str:
        with judged(f"send part {number} of {self._place}"):
            sent = await self._client.upload_part(
                **self._at,
                UploadId=self._id,
                PartNumber=number,
                Body=part.body(),
                ContentLength=part.size,
                ChecksumSHA256=checksum,
            )
        return str(sent["ETag"]).strip('"')

    async def _complete(self) -> None:
        await self._begun()
        if self._filling.size or not self._tasks:
            await self._send()
        parts = await asyncio.gather(*self._tasks)
        await self._may()
        self._etag = _etag_of([part["ETag"] for part in parts])
        with judged(f"complete {self._place}"):
            # By the name of each part: one that somebody sent over ours since makes it fail, or isn't taken.
            done = await self._client.complete_multipart_upload(
                **self._at, UploadId=self._id, MultipartUpload={"Parts": parts}
            )
            etag = str(done["ETag"]).strip('"')
            if self._etag not in {None, etag} and _OF_PARTS.fullmatch(etag):
                # Some stores answer so where somebody else has completed the very upload before.
                raise UploadGoneError(f"complete {self._place}: what lies there is of other parts")
            kept, version = await self._kept(done.get("VersionId"), etag)
        if kept["ContentLength"] != self._size:
            raise StoreRefusalError(f"{self._place} has {kept['ContentLength']} bytes where {self._size} were sent")
        self._stored = Stored(self._place, self._size, self._digest.hexdigest(), etag, version)
        if self.taken.parts:
            self._told(
                "parts were taken over", place=self._place, parts=self.taken.parts, of=len(parts), bytes=self.taken.size
            )

    async def _kept(self, version: str | None, etag: str) -> tuple[Any, str | None]:
        """Look at what was completed; an answer that doesn't name its version may be to a request that was repeated."""
        kept = await self._client.head_object(**self._at, **({"VersionId": version} if version else {}))
        if version is None and str(kept["ETag"]).strip('"') != etag:
            raise UploadGoneError(f"complete {self._place}: something else was put there meanwhile")
        found = version or kept.get("VersionId")
        return kept, None if found in {None, "null"} else str(found)

    async def _abandon(self, cause: BaseException) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._filling.close()
        try:
            await asyncio.shield(self._leave(cause))
        except _UNTIDY as trouble:
            # The next attempt at this key sees it; an unfinished upload can't be read as an object.
            cause.add_note(f"the unfinished upload may still take up space: {trouble}")

    async def _leave(self, cause: BaseException) -> None:
        await asyncio.gather(self._begun(), return_exceptions=True)
        if not self._id:
            return
        if self._is_kept(cause):
            self._told("the unfinished upload is kept to be gone on with", place=self._place, parts=self.kept_parts)
        else:
            await abort_upload(self._client, self._at["Bucket"], self._at["Key"], self._id)
        if self._etag is not None:
            # The answer may be lost though the object is there: what was not reported must not exist.
            await withdraw(self._client, **_named(self._at), etag=self._etag, may=self._may)

    def _is_kept(self, cause: BaseException) -> bool:
        return self._keeps is not None and self.kept_parts > 0 and self._keeps(cause)

    @property
    def kept_parts(self) -> int:
        """Count the parts that lie in the upload by now, as far as this process knows."""
        return max(self._sent, 0 if self._earlier is None else len(self._earlier.parts))


def _named(at: dict[str, str]) -> dict[str, str]:
    return {"bucket": at["Bucket"], "key": at["Key"]}


def _etag_of(parts: Sequence[str]) -> str | None:
    """Foretell the ETag of an object of *parts*: the MD5 of their MD5s; None where theirs are no MD5s."""
    if not all(map(_MD5.fullmatch, parts)):
        return None
    return f"{hashlib.md5(b''.join(map(bytes.fromhex, parts)), usedforsecurity=False).hexdigest()}-{len(parts)}"
