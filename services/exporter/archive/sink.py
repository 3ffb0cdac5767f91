"""Where an archive goes: a thing to write to that appears only when all of it is there."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, Self

from shared.unfinished import Taken
from shared.upload import Stored

from .abandoned import UNFINISHED, begin
from .faults import UnwritableError


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


class FileSink:
    """A file that gets its name last; until then it is a dot file that ends in ``.unfinished``.

    It begins from nothing each time: reading the source is what costs, and that has to be done again anyway.
    """

    taken = Taken()

    def __init__(self, path: Path) -> None:
        self._path = path
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
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Name the file, or remove it."""
        file = self._opened()
        try:
            if error is None:
                with self._told():
                    await asyncio.to_thread(self._complete, file)
        finally:
            file.close()
            self._unfinished.unlink(missing_ok=True)

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
        file.write(data)
        self._digest.update(data)
        self._size += len(data)

    def _settled(self, file: IO[bytes]) -> None:
        file.flush()
        os.fsync(file.fileno())

    def _complete(self, file: IO[bytes]) -> None:
        self._settled(file)
        self._unfinished.replace(self._path)
        self._stored = Stored(str(self._path), self._size, self._digest.hexdigest())
