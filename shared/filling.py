"""A part of what is sent, while it is filled and sent: in memory while parts are small, else on disk."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import IO

from .store_faults import StoreRefusalError

# Parts grow with the archive; memory doesn't.
IN_MEMORY = 8 << 20
_PIECE = 1 << 20


class NoRoomError(StoreRefusalError):
    """A part can't wait on our own disk: somebody must make room; no store said anything."""


class Filling:
    """Takes *room* bytes. A large one waits on disk, in a file without a name, until it is sent."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: IO[bytes] = io.BytesIO()
        self._on_disk = False
        self.size = 0

    @property
    def is_full(self) -> bool:
        """Tell whether there is room for nothing more."""
        return self.size == self._room

    async def write(self, data: memoryview) -> int:
        """Take in as much of *data* as there is room for, and tell how much; raises NoRoomError.

        It is copied, since what is handed on in pieces may be a piece of something larger, which would be kept whole.
        """
        taken = data[: self._room - self.size]
        if self._room <= IN_MEMORY:
            self._kept.write(taken)
        else:
            with self._told():
                await asyncio.to_thread(self._write_to_disk, taken)
        self.size += len(taken)
        return len(taken)

    def _write_to_disk(self, data: memoryview) -> None:
        if not self._on_disk:
            self._kept, self._on_disk = tempfile.TemporaryFile(), True  # noqa: SIM115 - closed by close()
        self._kept.write(data)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            says = f"a part of {self._room} bytes can't wait in {tempfile.gettempdir()} until it is sent: {error}"
            raise NoRoomError(f"{says}. Make room for four, or let TMPDIR name another place") from error

    def pieces(self) -> Iterator[bytes]:
        """Give what it holds, to be read in a thread."""
        if isinstance(self._kept, io.BytesIO):
            # Its buffer itself and no copy.
            yield self._kept.getvalue()
            return
        self._kept.seek(0)
        while piece := self._kept.read(_PIECE):
            yield piece

    def md5(self) -> str:
        """Give the MD5 of it, in hexadecimal, as stores name parts by it."""
        digest = hashlib.md5(usedforsecurity=False)
        for piece in self.pieces():
            digest.update(piece)
        return digest.hexdigest()

    def body(self) -> IO[bytes]:
        """Give it to be sent, from the beginning.

        Itself and no copy: of what shares its bytes with another the client would make one, to see how long it is.
        """
        self._kept.seek(0)
        return self._kept

    def close(self) -> None:
        """Forget it."""
        self._kept.close()


async def cut(pieces: AsyncIterator[bytes], size: int) -> AsyncGenerator[Filling]:
    """Cut *pieces* into parts of *size* bytes, the last one smaller; who takes one closes it. Raises NoRoomError."""
    filling = Filling(size)
    try:
        async for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[await filling.write(rest) :]
                if filling.is_full:
                    full, filling = filling, Filling(size)
                    yield full
        if filling.size:
            last, filling = filling, Filling(size)
            yield last
    finally:
        filling.close()
