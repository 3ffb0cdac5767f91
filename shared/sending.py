"""An object sent to a bucket that isn't ours: streamed in parts, never over anything that is there, read back there.

It differs from an upload into our own store: what is there already is somebody else's, so the object is completed on
the condition that its key is free, and nothing is ever deleted but what this sending wrote. The far end is believed in
nothing: its words are never repeated (they could be anything), and what it says it has is read again.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from .database_fates import DATABASE_OUTAGES
from .errors import OperatorError
from .filling import Filling, NoRoomError, cut
from .objects import Listed, ObjectStore
from .store_faults import ObjectChangedError, ObjectMissingError, StoreOutageError, StoreRefusalError, judged
from .unfinished import Taken, Unfinished, unfinished, uploads_of
from .upload import MIB

Left: TypeAlias = Literal["nothing", "parts", "object"]
Why: TypeAlias = Literal[
    "forbidden", "no_bucket", "full", "refused", "exists", "other_checksum", "no_conditional_writes", "not_s3"
]
PART = 8 * MIB
# S3's own limits: 10,000 parts of one upload.
_MOST_PARTS = 10_000
_IN_FLIGHT = 2
# One request's worth of what is read back: a connection that breaks costs no more than this.
RANGE = 64 * MIB
_RANGE_TRIES = 3
_FORBIDDEN = frozenset({401, 403})
_NOT_FOUND, _CONFLICT, _PRECONDITION, _NOT_IMPLEMENTED, _FULL = 404, 409, 412, 501, 507
_QUOTA = frozenset({"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage"})


class FarEndAwayError(OperatorError):
    """The far end can't be reached, or is overloaded, or broke off: waiting helps."""


class FarEndRefusalError(OperatorError):
    """The far end said no, or isn't what it has to be: *why*, in a word of ours."""

    def __init__(self, action: str, why: Why) -> None:
        super().__init__(f"{action}: {why}")
        self.why = why


class SourceDiffersError(OperatorError):
    """What is to be sent doesn't have the SHA-256 that it was said to have, so it was not completed there."""


# What ends a try, not the sending: the next one goes on with what lies there.
_PASSING: tuple[type[BaseException], ...] = (
    asyncio.CancelledError,
    FarEndAwayError,
    NoRoomError,
    StoreOutageError,
    ObjectChangedError,
    *DATABASE_OUTAGES,
)


@dataclass(frozen=True, slots=True)
class FarPlace:
    """Where to: a *key* in a *bucket* of a *store* that isn't ours."""

    store: ObjectStore
    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Cargo:
    """What is sent: *size* in bytes and SHA-256 in hexadecimal; *read* begins to read it anew, from its first byte."""

    size: int
    sha256: str
    read: Callable[[], AsyncIterator[bytes]]


@contextmanager
def at_far_end(action: str) -> Iterator[None]:
    """Give what goes wrong there its fate, in our own words."""
    try:
        with judged(action):
            yield
    except StoreOutageError as error:
        raise _outage(action, error) from None
    except StoreRefusalError as error:
        raise FarEndRefusalError(action, _why(error)) from None
    except (KeyError, ValueError, TypeError, AttributeError):
        # An answer without what every S3 answers, or with something else in its place.
        raise FarEndRefusalError(action, "not_s3") from None


def _outage(action: str, error: StoreOutageError) -> OperatorError:
    status, code = _answer(error)
    if status == _FULL or code in _QUOTA:
        return FarEndRefusalError(action, "full")
    if status == _NOT_IMPLEMENTED:
        return FarEndRefusalError(action, "no_conditional_writes")
    said = f"it answered {status}" if status else "it did not answer"
    return FarEndAwayError(f"{action}: {said}")


def _why(error: StoreRefusalError) -> Why:
    status, code = _answer(error)
    if code in _QUOTA:
        return "full"
    if code == "NoSuchBucket":
        return "no_bucket"
    if isinstance(error, ObjectChangedError) or status in {_CONFLICT, _PRECONDITION}:
        return "exists"
    if status == 0:
        return "not_s3"
    return "forbidden" if status in _FORBIDDEN else "refused"


def _answer(error: StoreOutageError | StoreRefusalError) -> tuple[int, str]:
    response = getattr(error.__cause__, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return (status if isinstance(status, int) else 0), str(response.get("Error", {}).get("Code", ""))


async def nothing_against_it() -> None:
    """Let it be sent."""


class Sending:
    """One object on its way to *far*; *may* is asked before each part, and what it raises ends the sending.

    Cut off, or where the far end or our side is away, it leaves its unfinished upload there, and the next sending to
    the same key goes on with it: all is read and hashed again, and a part that lies there with the same digest isn't
    sent.
    *tell* takes what is done, in bytes: sent, and then read back. After a failure *left_behind* tells what may still
    lie there. Three parts wait at most, in memory up to 8 MiB each, which reach 78 GiB; a 10,000th of a larger object
    waits on disk. Their size depends on the object's alone, or none that lies there would be the same.
    """

    def __init__(
        self,
        far: FarPlace,
        cargo: Cargo,
        *,
        may: Callable[[], Awaitable[None]] = nothing_against_it,
        tell: Callable[[str, int], None] = lambda _stage, _done: None,
        part_bytes: int = PART,
    ) -> None:
        self._far, self._cargo, self._may, self._tell = far, cargo, may, tell
        self._part_bytes = max(part_bytes, -(-cargo.size // _MOST_PARTS))
        self._at: dict[str, Any] = {"Bucket": far.bucket, "Key": far.key}
        self._id = ""
        self._earlier: Unfinished | None = None
        self.left_behind: Left = "nothing"
        self.taken = Taken()

    async def send(self) -> Literal["copied", "found"]:
        """Send it, and read it back; found there, the same, nothing is sent.

        Raises FarEndAwayError, FarEndRefusalError, SourceDiffersError, NoRoomError, what *may* and what reading raises.
        """
        await self._may()
        there = await look(self._far)
        if there is not None:
            if not await self._is_it(there):
                raise FarEndRefusalError(self._place("look at"), "exists")
            return "found"
        version = await self._copy()
        await self._check(version)
        return "copied"

    async def _copy(self) -> str | None:
        self._earlier = await self._take_over()
        self._id = await self._begun() if self._earlier is None else self._earlier.upload_id
        try:
            parts = await self._parts()
            await self._may()
            return await self._complete(parts)
        except _PASSING:
            self.left_behind = "parts"
            raise
        except BaseException:
            await asyncio.shield(self._abandon())
            raise

    async def _begun(self) -> str:
        with at_far_end(self._place("begin to send")):
            begun = await self._client.create_multipart_upload(
                **self._at, ChecksumAlgorithm="SHA256", ContentType="application/zip"
            )
            return str(begun["UploadId"])

    async def _take_over(self) -> Unfinished | None:
        """Take the newest unfinished upload of this very key, whoever began it: what counts is what its parts are."""
        with at_far_end(self._place("look for unfinished uploads")):
            found = await uploads_of(self._client, self._far.bucket, self._far.key)
        newest = found.pop() if found else None
        earlier = None if newest is None else await self._parts_of(newest)
        for upload_id in found if earlier else (*found, newest):
            if upload_id is not None:
                with at_far_end(self._place("abort")):
                    await self._far.store.abort(self._far.bucket, self._far.key, upload_id)
        return earlier

    async def _parts_of(self, upload_id: str) -> Unfinished | None:
        try:
            with at_far_end(self._place("look at what was sent")):
                return await unfinished(self._client, self._far.bucket, self._far.key, upload_id)
        except FarEndRefusalError:
            # Whoever may send need not be allowed to list parts: then all is sent again.
            return None

    async def _parts(self) -> list[dict[str, Any]]:
        digest, sending, parts = hashlib.sha256(), deque[asyncio.Task[dict[str, Any]]](), list[dict[str, Any]]()
        loop, sent = asyncio.get_running_loop(), 0
        try:
            async for part in cut(self._cargo.read(), self._part_bytes):
                with ExitStack() as held:
                    held.callback(part.close)
                    checksum = await loop.run_in_executor(None, _hashed, digest, part)
                    if len(sending) == _IN_FLIGHT:
                        parts.append(await sending.popleft())
                    # After the wait for a place, which a slow far end makes long.
                    await self._may()
                    task = asyncio.create_task(self._part(len(parts) + len(sending) + 1, part, checksum))
                    # Not by the task itself: one that is cancelled before it begins does nothing.
                    task.add_done_callback(partial(_close, held.pop_all()))
                sending.append(task)
                sent += part.size
                self._tell("sent", sent)
            parts += [await one for one in sending]
        finally:
            for one in sending:
                one.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
        if digest.hexdigest() != self._cargo.sha256:
            raise SourceDiffersError("what was to be sent isn't what it was when it was made; nothing was delivered")
        return parts

    async def _standing(self, number: int, part: Filling, checksum: str) -> str | None:
        if self._earlier is None or number not in self._earlier.parts:
            return None
        etag = await asyncio.get_running_loop().run_in_executor(None, self._earlier.same, number, part, checksum)
        if etag is not None:
            self.taken = Taken(self.taken.parts + 1, self.taken.size + part.size)
        return etag

    async def _part(self, number: int, part: Filling, checksum: str) -> dict[str, Any]:
        standing = await self._standing(number, part, checksum)
        if standing is not None:
            return {"PartNumber": number, "ETag": standing, "ChecksumSHA256": checksum}
        with at_far_end(f"{self._place('send')}, part {number}"):
            answer = await self._client.upload_part(
                **self._at,
                UploadId=self._id,
                PartNumber=number,
                Body=part.body(),
                ContentLength=part.size,
                ChecksumSHA256=checksum,
            )
            return {"PartNumber": number, "ETag": str(answer["ETag"]), "ChecksumSHA256": checksum}

    async def _complete(self, parts: list[dict[str, Any]]) -> str | None:
        # Not every store knows the condition; the look before it leaves such a one a moment, not the hours of sending.
        if await look(self._far) is not None:
            raise FarEndRefusalError(self._place("complete"), "exists")
        try:
            return await self._completed(parts)
        except FarEndRefusalError:
            # Asked again after an answer that got lost, a store says that the key is taken: by what was sent.
            there = await look(self._far)
            if there is None or not await self._is_it(there):
                raise
            return there.version

    async def _completed(self, parts: list[dict[str, Any]]) -> str | None:
        with at_far_end(self._place("complete")):
            done = await self._client.complete_multipart_upload(
                **self._at, UploadId=self._id, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
            version = done.get("VersionId")
            return None if version is None else str(version)

    async def _abandon(self) -> None:
        try:
            with at_far_end(self._place("abort")):
                await self._far.store.abort(self._far.bucket, self._far.key, self._id)
        except (FarEndAwayError, FarEndRefusalError):
            self.left_behind = "parts"

    async def _check(self, version: str | None) -> None:
        there = await look(self._far)
        if there is not None and await self._is_it(there):
            return
        if there is not None:
            await self._remove(version)
        raise FarEndRefusalError(self._place("read back"), "other_checksum")

    async def _remove(self, version: str | None) -> None:
        """Take away what was written and isn't the archive; without a version it could be somebody else's by now."""
        self.left_behind = "object"
        if version in {None, "null"}:
            return
        try:
            with at_far_end(self._place("take back")):
                if not await self._far.store.delete_versions(self._far.bucket, [(self._far.key, str(version))]):
                    self.left_behind = "nothing"
        except (FarEndAwayError, FarEndRefusalError):
            return

    async def _is_it(self, there: Listed) -> bool:
        if there.size != self._cargo.size:
            return False
        digest = hashlib.sha256()
        for first in range(0, there.size, RANGE):
            last = min(first + RANGE, there.size) - 1
            read = await self._range(digest, there, first, last)
            if read is None:
                return False
            digest = read
            self._tell("read back", last + 1)
        return digest.hexdigest() == self._cargo.sha256

    async def _range(self, before: hashlib._Hash, there: Listed, first: int, last: int) -> hashlib._Hash | None:
        """Go on with the digest *before* over one range, asked for again if it breaks off; None if it isn't a range."""
        for again in reversed(range(_RANGE_TRIES)):
            digest, left = before.copy(), last - first + 1
            try:
                with at_far_end(self._place("read back")):
                    stream = self._far.store.stream(
                        self._far.bucket, there.key, first=first, last=last, etag=there.etag
                    )
                    async for piece in stream:
                        left -= len(piece)
                        if left < 0:
                            return None
                        digest.update(piece)
            except FarEndAwayError:
                if not again:
                    raise
                continue
            return digest if left == 0 else None
        return None

    def _place(self, action: str) -> str:
        return f"{action} {self._far.key} at the far end"

    @property
    def _client(self) -> Any:
        return self._far.store.client


async def look(far: FarPlace) -> Listed | None:
    """Tell what lies at *far*; None if nothing does. Raises FarEndAwayError, FarEndRefusalError."""
    with at_far_end(f"look at {far.key} at the far end"):
        try:
            return await far.store.head(far.bucket, far.key)
        except ObjectMissingError:
            # A bucket that isn't there is answered in the same way.
            try:
                await far.store.check_bucket(far.bucket)
            except ObjectMissingError:
                raise FarEndRefusalError(f"look at the bucket of {far.key} at the far end", "no_bucket") from None
            return None


async def drop_unfinished(far: FarPlace) -> None:
    """Abort what earlier tries left unfinished at this very key. Raises FarEndAwayError, FarEndRefusalError."""
    with at_far_end(f"look for unfinished uploads of {far.key} at the far end"):
        async for key, upload_id in far.store.unfinished(far.bucket, far.key):
            if key == far.key:
                await far.store.abort(far.bucket, key, upload_id)


def _close(held: ExitStack, _: asyncio.Task[dict[str, Any]]) -> None:
    held.close()


def _hashed(whole: hashlib._Hash, part: Filling) -> str:
    digest = hashlib.sha256()
    for piece in part.pieces():
        whole.update(piece)
        digest.update(piece)
    return b64encode(digest.digest()).decode()
