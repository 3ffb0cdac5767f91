"""Encrypts on the way: a library that pulls what it reads runs in a thread, beside a writer that pushes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Self, TypeAlias

from pyrage import EncryptError, encrypt_io, ssh, x25519

from shared.unfinished import Taken
from shared.upload import Stored

from .volumes import Volume

_WAITING = 2
# The library hands on 8 KiB at a time; a thread's way to the event loop costs the same for any size.
_GATHERED = 512 * 1024
Recipient: TypeAlias = ssh.Recipient | x25519.Recipient


class _StoppedError(Exception):
    """The writer gave up, so what was encrypted so far is nothing."""


_Piece: TypeAlias = bytes | _StoppedError


class EncryptedSink:
    """What is written goes on to *onward* encrypted for *recipients*; whole, or not at all, as *onward* is.

    At most two pieces wait and one is on its way, so memory doesn't grow. The key of the file is the library's own, of
    chance, and kept nowhere: who begins again writes other bytes.
    """

    def __init__(self, onward: Volume, recipients: Sequence[Recipient]) -> None:
        self._onward = onward
        self._recipients = recipients
        self._pieces: SimpleQueue[_Piece] = SimpleQueue()
        self._room = asyncio.Semaphore(_WAITING)
        self._worker = ThreadPoolExecutor(1, "age")
        self._working: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = False

    @property
    def taken(self) -> Taken:
        """Tell what was taken over of an earlier attempt: nothing is."""
        return self._onward.taken

    @property
    def stored(self) -> Stored:
        """Tell place, size and SHA-256 of what is encrypted; only after the block ended well."""
        return self._onward.stored

    async def __aenter__(self) -> Self:
        """Begin."""
        await self._onward.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._working = asyncio.ensure_future(self._loop.run_in_executor(self._worker, self._encrypt))
        self._working.add_done_callback(self._ended)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Encrypt the end and make all of it appear, or leave nothing."""
        try:
            await self._end(_StoppedError() if error else b"")
        except BaseException as late:
            # Should the thread still be at it, it ends with its next piece.
            self._pieces.put(_StoppedError())
            cause = error or late
            await self._onward.__aexit__(type(cause), cause, None)
            raise
        finally:
            self._over = True
            self._worker.shutdown(wait=False)
        await self._onward.__aexit__(kind, error, None)

    async def seal(self) -> Stored:
        """Encrypt the end, take no more, and tell what will appear; it doesn't yet."""
        await self._end(b"")
        self._worker.shutdown(wait=False)
        return await self._onward.seal()

    async def withdraw(self) -> None:
        """Take away what appeared."""
        await self._onward.withdraw()

    async def _end(self, last: _Piece) -> None:
        if self._working is None:
            return
        self._pieces.put(last)
        await asyncio.wait([self._working])
        if isinstance(last, bytes):
            await self._working

    async def write(self, data: bytes) -> None:
        """Add *data*; waits while too much is under way; raises what the encryption, or *onward*, ran into."""
        if self._working is None:
            raise RuntimeError("a sink is written to inside its block")
        if not data:
            return
        await self._room.acquire()
        if self._working.done():
            self._room.release()
            await self._working
            raise RuntimeError("the encryption ended before its writer")
        self._pieces.put(data)

    def _ended(self, working: asyncio.Future[None]) -> None:
        self._room.release()
        if not working.cancelled():
            # It is raised where it is waited for; nobody waits for that of a writer that gave up.
            working.exception()

    def _encrypt(self) -> None:
        source, target = _Source(self._pieces, self._taken), _Target(self._hand_on)
        try:
            encrypt_io(source, target, list(self._recipients))
            target.close()
        except EncryptError as error:
            # The library keeps the text of what its reader or writer raised, and not the exception.
            raise (source.failed or target.failed or error) from None
        if target.failed is not None:
            raise target.failed

    def _taken(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._room.release)

    def _hand_on(self, data: bytes) -> None:
        if self._loop is None:
            raise RuntimeError("a sink is written to inside its block")
        asyncio.run_coroutine_threadsafe(self._pass_on(data), self._loop).result()

    async def _pass_on(self, data: bytes) -> None:
        if self._over:
            raise _StoppedError
        await self._onward.write(data)


class _Source:
    """What the library reads from: the pieces, cut as it likes."""

    def __init__(self, pieces: SimpleQueue[_Piece], taken: Callable[[], None]) -> None:
        self._pieces, self._taken = pieces, taken
        self._piece = memoryview(b"")
        self._at_end = False
        self.failed: BaseException | None = None

    def read(self, size: int) -> bytes:
        if not self._piece and not self._at_end:
            self._next()
        given, self._piece = self._piece[:size], self._piece[size:]
        return bytes(given)

    def _next(self) -> None:
        piece = self._pieces.get()
        if isinstance(piece, _StoppedError):
            self.failed = piece
            raise piece
        self._piece, self._at_end = memoryview(piece), not piece
        self._taken()


class _Target:
    """What the library writes to: gathered, and handed on in order. It remembers a failure: the library may not."""

    def __init__(self, hand_on: Callable[[bytes], None]) -> None:
        self._hand_on = hand_on
        self._gathered = bytearray()
        self.failed: BaseException | None = None

    def write(self, data: bytes) -> int:
        if self.failed is not None:
            raise self.failed
        self._gathered += data
        if len(self._gathered) >= _GATHERED:
            self._send()
        return len(data)

    def flush(self) -> None:
        """Nothing has to be sent before the end."""

    def close(self) -> None:
        if self.failed is None:
            self._send()

    def _send(self) -> None:
        data, self._gathered = bytes(self._gathered), bytearray()
        try:
            self._hand_on(data)
        except BaseException as error:
            self.failed = error
            raise
