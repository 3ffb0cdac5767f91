"""Where an archive goes: a thing to write to that appears only when all of it is there."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, Self, runtime_checkable

from shared.unfinished import Taken
from shared.upload import Keeps, Stored, Told, silent

from .abandoned import UNFINISHED, begin, remove
from .faults import UnwritableError
from .noted import Notes

_FULL = {errno.ENOSPC, errno.EDQUOT}


class Sink(Protocol):
    """``async with`` it and write: complete after the block, or not there at all; ``shared.upload.Upload`` is one."""

    @property
    def taken(self) -> Taken:
        """Tell what was taken over of an earlier attempt so far."""

    @property
    def stored(self) -> Stored:
        """Tell place, size and SHA-256; only after the block ended well."""

    async def __aenter__(self) -> Self:
        """Begin."""

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Make it appear, or leave nothing."""

    async def write(self, data: bytes) -> None:
        """Add *data*; waits while too much is under way."""


@runtime_checkable
class Noting(Protocol):
    """A sink of which objects can be taken again, should it be left unfinished."""

    def note(self, etag: str) -> None:
        """Note that what is written next is the object of *etag*."""


def no_room() -> bool:
    """Tell that nothing can be removed to make room."""
    return False


class FileSink:
    """A file that gets its name last; until then it is a dot file that ends in ``.unfinished``.

    It begins from nothing each time: reading the source is what costs, and that has to be done again anyway. Where
    *keeps* says of what stopped it that it will be gone on with, it is left if there are objects in it, which needn't
    be fetched again then (``earlier``); that is *told*. *make_room* is asked when the disk is full.
    """

    taken = Taken()

    def __init__(
        self,
        path: Path,
        keeps: Keeps | None = None,
        told: Told = silent,
        make_room: Callable[[], bool] = no_room,
    ) -> None:
        self._path = path
        self._keeps = keeps
        self._told_of = told
        self._make_room = make_room
        self._notes: Notes | None = None
        self._unfinished = path.with_name(UNFINISHED.format(path.name))
        self._file: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self._size = 0
        self._stored: Stored | None = None

    @property
    def stored(self) -> Stored:
        """Tell place, size and SHA-256; only after the block ended well."""
        if self._stored is None:
            raise RuntimeError(f"{self._path} is not complete")
        return self._stored

    async def __aenter__(self) -> Self:
        """Begin, over whatever an earlier attempt left unfinished."""
        with self._told():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = await asyncio.to_thread(begin, self._unfinished)
            if self._keeps is not None:
                self._notes = await asyncio.to_thread(Notes, self._unfinished)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Name the file, or remove it, or leave it to be gone on with."""
        file, left = self._opened(), error is not None and self._is_left(error)
        try:
            if error is None:
                with self._told():
                    await asyncio.to_thread(self._complete, file)
        finally:
            if self._notes is not None:
                self._notes.close()
            if not left:
                remove(self._unfinished)
            # After that, since nobody else may claim it before.
            file.close()

    def _is_left(self, cause: BaseException) -> bool:
        if self._keeps is None or self._notes is None or not self._notes.count or not self._keeps(cause):
            return False
        self._told_of(
            "the unfinished file is kept to be gone on with",
            place=self._unfinished, objects=self._notes.count, bytes=self._size,
        )  # fmt: skip
        return True

    def note(self, etag: str) -> None:
        """Note that what is written next is the object of *etag*."""
        if self._notes is not None:
            with self._told():
                self._notes.add(etag, self._size)

    async def write(self, data: bytes) -> None:
        """Add *data*."""
        with self._told():
            await asyncio.to_thread(self._write, self._opened(), data)

    async def seal(self) -> Stored:
        """Take no more, and tell what will appear; it doesn't yet."""
        with self._told():
            await asyncio.to_thread(self._settled, self._opened())
        return Stored(str(self._path), self._size, self._digest.hexdigest())

    async def withdraw(self) -> None:
        """Take away what appeared."""
        await asyncio.to_thread(self._path.unlink, missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnwritableError(
                str(self._path), f"the archive can't be written: {error}", "Make room for it"
            ) from error

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            raise RuntimeError("a sink is written to inside its block")
        return self._file

    def _write(self, file: IO[bytes], data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[file.write(rest) :]
            except OSError as error:
                if error.errno not in _FULL or not self._make_room():
                    raise
        self._digest.update(data)
        self._size += len(data)

    def _settled(self, file: IO[bytes]) -> None:
        os.fsync(file.fileno())

    def _complete(self, file: IO[bytes]) -> None:
        self._settled(file)
        self._unfinished.replace(self._path)
        self._stored = Stored(str(self._path), self._size, self._digest.hexdigest())
