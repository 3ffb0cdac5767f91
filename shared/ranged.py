"""An object that is read like a file, piece by piece: what ordinary programs for files need to read a store."""

from __future__ import annotations

import asyncio
import concurrent.futures
import io
import os
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from .objects import Listed, ObjectStore

T = TypeVar("T")
PIECE = 2 << 20


class RangedObject(io.RawIOBase):
    """Reads *found* in *bucket* with a request a piece, as long as it is the version that was *found*.

    To be read in a thread, while the event loop that it was made in runs. Raises ObjectMissingError or
    ObjectChangedError where the object is gone or another by then, StoreOutageError where the store doesn't answer.
    """

    def __init__(self, store: ObjectStore, bucket: str, found: Listed) -> None:
        super().__init__()
        self._store, self._bucket, self._found = store, bucket, found
        self._loop = asyncio.get_running_loop()
        self._at = 0
        self._asked: concurrent.futures.Future[Any] | None = None
        self._abandoned = False

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read anywhere."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to *offset*, from the beginning, from here, or from the end."""
        begins = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._found.size}
        self._at = begins[whence] + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer*, or what is left of the object of it."""
        view = memoryview(buffer)
        last = min(self._at + len(view), self._found.size) - 1
        if last < self._at:
            return 0
        piece = self._wait(self._fetch(self._at, last))
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    async def _fetch(self, first: int, last: int) -> bytes:
        found = self._found
        named = {"etag": found.etag, "version": found.version}
        stream = self._store.stream(self._bucket, found.key, first=first, last=last, **named)
        return b"".join([piece async for piece in stream])

    def _wait(self, asked: Coroutine[object, object, T]) -> T:
        if asyncio.events._get_running_loop() is self._loop:  # noqa: SLF001 - documented, for just this question
            asked.close()
            raise RuntimeError("it waits for the event loop, so it must be read in a thread")
        if self._abandoned:
            asked.close()
            raise OSError(_CLOSED)
        self._asked = asyncio.run_coroutine_threadsafe(asked, self._loop)
        if self._abandoned:
            # It was closed after the question above and before this one could be cancelled.
            self._asked.cancel()
        try:
            return cast("T", self._asked.result())
        except concurrent.futures.CancelledError:
            raise OSError(_CLOSED) from None

    def abandon(self) -> None:
        """End a read that is under way, and refuse those that come: then whoever waits for the reader needn't."""
        self._abandoned = True
        if self._asked is not None:
            self._asked.cancel()


class _Buffered(io.BufferedReader):
    """A reader that can be closed in the event loop while a thread reads: that thread waits for this very loop."""

    raw: RangedObject

    def close(self) -> None:
        """Abandon what is being read, then close."""
        self.raw.abandon()
        super().close()


def opened(store: ObjectStore, bucket: str, found: Listed) -> io.BufferedReader:
    """Open *found* for reading in a thread; one piece is held."""
    return _Buffered(RangedObject(store, bucket, found), PIECE)


_CLOSED = "it was closed while it was read"
