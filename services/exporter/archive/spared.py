"""A store of media from which is fetched only what an earlier try hasn't.

An object is taken from there if its bytes have the ETag that the store names now. They are read twice unless they are
few: once to be compared, once to be written; and are the same both times by their SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from shared.objects import Listed, ObjectStore
from shared.store_faults import ObjectChangedError

from .earlier import Earlier, Place
from .etags import ETag, parts_of

# What is read once.
_FEW = 1 << 20


@dataclass(frozen=True, slots=True)
class _Same:
    """What was found to be the object: its size in bytes, its digest, and all of it if that is little."""

    size: int
    sha256: bytes
    pieces: tuple[bytes, ...] | None


class SparedStore:
    """Gives what *store* has, from the files of *earlier* where it is the same."""

    def __init__(self, store: ObjectStore, earlier: Earlier) -> None:
        self._store = store
        self._earlier = earlier

    def list(self, bucket: str, prefix: str) -> AsyncIterator[Listed]:
        """List the current objects under *prefix*, as the store does."""
        return self._store.list(bucket, prefix)

    async def head(self, bucket: str, key: str) -> Listed:
        """Tell what is known of one object, as the store does."""
        return await self._store.head(bucket, key)

    async def check_bucket(self, bucket: str) -> None:
        """Raise StoreRefusalError if there is no such *bucket*."""
        await self._store.check_bucket(bucket)

    async def stream(self, bucket: str, key: str, *, etag: str) -> AsyncGenerator[bytes]:
        """Read the object of *etag*; raises as the store does, and ObjectChangedError if what was compared changed."""
        place = self._earlier.find(etag)
        same = None if place is None else await self._same(place, bucket, key, etag)
        if place is None or same is None:
            async with aclosing(self._store.stream(bucket, key, etag=etag)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        if same.pieces is None:
            async with aclosing(self._again(place, same, bucket, key, etag)) as pieces:
                async for piece in pieces:
                    yield piece
        else:
            for piece in same.pieces:
                yield piece
        self._earlier.took(same.size)

    async def _same(self, place: Place, bucket: str, key: str, etag: str) -> _Same | None:
        """Read what is at *place*; None if it isn't what the store has."""
        count = parts_of(etag)
        if count is None:
            return None
        part = await self._store.size_of_part(bucket, key, etag) if count else None
        named, digest, size, few = ETag(part), hashlib.sha256(), 0, list[bytes]()

        def take(piece: bytes) -> None:
            named.update(piece)
            digest.update(piece)

        async with aclosing(self._earlier.pieces(place, take)) as pieces:
            async for piece in pieces:
                size += len(piece)
                few = [*few, piece] if size <= _FEW else []
        if named.says() != etag:
            return None
        return _Same(size, digest.digest(), tuple(few) if size <= _FEW else None)

    async def _again(self, place: Place, same: _Same, bucket: str, key: str, etag: str) -> AsyncGenerator[bytes]:
        """Give what was compared; where it was removed meanwhile, to make room, the store has the rest."""
        digest, passed = hashlib.sha256(), 0
        async with aclosing(self._earlier.pieces(place, digest.update)) as pieces:
            async for piece in pieces:
                passed += len(piece)
                yield piece
        if passed < same.size:
            async with aclosing(self._store.stream(bucket, key, first=passed, etag=etag)) as pieces:
                async for piece in pieces:
                    digest.update(piece)
                    yield piece
        if digest.digest() != same.sha256:
            raise ObjectChangedError(f"read s3://{bucket}/{key}: what an earlier try had of it changed meanwhile")
