"""The customer's objects, each read once, each exactly as the listing said it was."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias

from shared.datamap.model import Bucket
from shared.objects import Listed
from shared.store_faults import ObjectChangedError, ObjectMissingError

from .account import ObjectsSum
from .archive import Archive, Written
from .faults import MediaChangedError
from .names import SafeNames, is_packed
from .spooled import SpooledCsv

INDEX = "data/media.csv"
COLUMNS = {
    "path": "string",
    "bucket": "string",
    "key": "string",
    "bytes": "integer",
    "sha256": "string",
    "last_modified": "datetime",
}
Pieces: TypeAlias = "AsyncGenerator[bytes]"
# This many objects of at most this size are fetched ahead, which bounds the memory.
AHEAD = 8
SMALL = 256 * 1024


class Media(Protocol):
    """A store of media; ``ObjectStore`` is one."""

    def list(self, bucket: str, prefix: str) -> AsyncIterator[Listed]:
        """List the current objects under *prefix*, in order of their keys."""

    async def head(self, bucket: str, key: str) -> Listed:
        """Tell what is known of one object; raises ObjectMissingError."""

    async def check_bucket(self, bucket: str) -> None:
        """Raise StoreRefusalError if there is no such *bucket*."""

    def stream(self, bucket: str, key: str, *, etag: str) -> AsyncGenerator[bytes]:
        """Read the object of *etag*; raises ObjectMissingError or ObjectChangedError where there is none."""


class Digest(Protocol):
    """What ``hashlib`` gives."""

    def update(self, data: bytes, /) -> None:
        """Take in *data*."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many objects, and how many bytes they have."""

    objects: int = 0
    size: int = 0

    def and_one(self, size: int) -> Tally:
        """Count one more object, of *size* bytes."""
        return Tally(self.objects + 1, self.size + size)


class MediaIndex(SpooledCsv):
    """The list that says which object each file was."""

    def __init__(self) -> None:
        super().__init__(tuple(COLUMNS))
        self.names = SafeNames()
        self.objects = ObjectsSum()
        self.of_buckets = Counter[str]()

    def add(self, bucket: str, found: Listed, written: Written) -> None:
        """Note one object."""
        path = written.path.removeprefix("data/")
        self.objects.add(bucket, found)
        self.of_buckets[bucket] += 1
        self.write((path, bucket, found.key, found.size, written.sha256, found.modified.isoformat()))


def index_resource() -> dict[str, Any]:
    """Describe the list for datapackage.json."""
    fields = [{"name": name, "type": kind} for name, kind in COLUMNS.items()]
    schema = {"fields": fields, "primaryKey": ["path"]}
    return {"title": "Media", "format": "csv", "mediatype": "text/csv", "encoding": "utf-8", "schema": schema}


async def add_media(
    archive: Archive,
    store: Media,
    bucket: Bucket,
    customer: str,
    index: MediaIndex,
    there: Callable[[str, str], bool] = lambda _, __: False,
) -> AsyncGenerator[Tally]:
    """Write every object of *customer* in *bucket* into *archive*; gives the bucket's tally after each.

    *there* tells of a bucket and a key whether the object is in the archive already. Raises MediaChangedError where an
    object is gone, or other than its listing, by the time it is read.
    """
    prefix, tally = bucket.prefix_of(customer), Tally()
    async with aclosing(_opened(store, bucket.bucket, prefix)) as objects:
        async for found, pieces in objects:
            if there(bucket.bucket, found.key):
                await pieces.aclose()
                continue
            path = f"data/media/{index.names.path(bucket.name, found.key.removeprefix(prefix))}"
            again = partial(store.stream, bucket.bucket, found.key, etag=found.etag)
            written = await add_one(archive, bucket.bucket, found, pieces, path, again)
            index.add(bucket.bucket, found, written)
            tally = tally.and_one(found.size)
            yield tally


async def _opened(store: Media, bucket: str, prefix: str) -> AsyncGenerator[tuple[Listed, Pieces]]:
    """Give the objects in order; small ones are fetched while those before are written, or each would cost a trip."""
    waiting: deque[tuple[Listed, asyncio.Task[bytes] | None]] = deque()
    try:
        async for found in store.list(bucket, prefix):
            fetching = asyncio.create_task(whole(store, bucket, found)) if found.size <= SMALL else None
            waiting.append((found, fetching))
            if len(waiting) > AHEAD:
                yield _next(store, bucket, *waiting[0])
                waiting.popleft()
        while waiting:
            yield _next(store, bucket, *waiting[0])
            waiting.popleft()
    finally:
        fetching_still = [fetching for _, fetching in waiting if fetching is not None]
        for fetching in fetching_still:
            fetching.cancel()
        await asyncio.gather(*fetching_still, return_exceptions=True)


async def whole(store: Media, bucket: str, found: Listed) -> bytes:
    """Read a small object."""
    return b"".join([piece async for piece in store.stream(bucket, found.key, etag=found.etag)])


def _next(store: Media, bucket: str, found: Listed, fetching: asyncio.Task[bytes] | None) -> tuple[Listed, Pieces]:
    return found, store.stream(bucket, found.key, etag=found.etag) if fetching is None else _awaited(fetching)


async def fetched(body: bytes) -> Pieces:
    """Give what was read already."""
    yield body


async def _awaited(fetching: asyncio.Task[bytes]) -> Pieces:
    yield await fetching


async def add_one(
    archive: Archive,
    bucket: str,
    found: Listed,
    pieces: Pieces,
    path: str,
    again: Callable[[], Pieces],
    digests: Collection[Digest] = (),
) -> Written:
    """Write one object to *path*, and feed *digests*; raises MediaChangedError where it isn't as it was *found*.

    A large one that the base of a delta may have is only digested first, since all of it would have to wait on disk to
    be compared; if it is another one of the same size it is read *again*.
    """
    try:
        if found.size > SMALL and archive.may_have(path, found.size):
            read = await _digested(pieces, path, digests)
            written = read if archive.has(read) else await _written(archive, found, again(), path)
        else:
            written = await _written(archive, found, pieces, path, digests)
    except (ObjectMissingError, ObjectChangedError) as error:
        says = "the object vanished or changed after it was listed"
        raise MediaChangedError(f"s3://{bucket}/{found.key}", says, _AGAIN) from error
    if written.size != found.size:
        says = f"{written.size} bytes were read where the listing said {found.size}"
        raise MediaChangedError(f"s3://{bucket}/{found.key}", says, _AGAIN)
    return written


async def _written(
    archive: Archive, found: Listed, pieces: Pieces, path: str, digests: Collection[Digest] = ()
) -> Written:
    packed = is_packed(path)
    async with aclosing(pieces), archive.file(path, packed=packed, expected=found.size, etag=found.etag) as file:
        async for piece in pieces:
            await file.write(piece)
            for digest in digests:
                digest.update(piece)
    return file.done()


async def _digested(pieces: Pieces, path: str, digests: Collection[Digest]) -> Written:
    size, own = 0, hashlib.sha256()
    async with aclosing(pieces):
        async for piece in pieces:
            size += len(piece)
            for digest in (own, *digests):
                digest.update(piece)
    return Written(path, size, own.hexdigest(), 0)


_AGAIN = "Export again when nothing changes the customer's media"
