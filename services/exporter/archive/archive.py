"""An archive being written: files go in one after the other, digests and records are taken as the bytes pass."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from services.exporter.formats.format import Counter
from shared.verify.archive import SECOND_SIGNATURE, SIGNATURE, VOLUMES

from . import bag
from .sink import Noting, Sink
from .volumes import Volumes
from .zipstream import Entry, ZipStream

if TYPE_CHECKING:
    from shared.signing.signer import Signer

# Pieces from the network are gathered to this size, since a thread costs the same for any.
GATHERED = 512 * 1024
# Below this the thread costs more than the work.
_AT_ONCE = 128 * 1024


@dataclass(frozen=True, slots=True)
class Written:
    """A file of the archive, as it was written; *path* is below the bag, *size* in bytes."""

    path: str
    size: int
    sha256: str
    records: int


class Onward(Protocol):
    """Where packed bytes go on to: the sink, or the file around a ZIP inside the archive."""

    async def write(self, data: bytes) -> None:
        """Take *data*; may make the writer wait."""


def unwatched(_: File) -> None:
    """Nobody looks on."""


class File:
    """A file being written: one piece is digested and deflated in a thread while the next one is gathered."""

    def __init__(
        self, sink: Onward, worker: Executor, entry: Entry, counter: Counter | None, passed: Callable[[File], None]
    ) -> None:
        self._sink = sink
        self._worker = worker
        self._entry = entry
        self._counter = counter
        self._passed = passed
        self._digest = hashlib.sha256()
        self._gathered: list[memoryview] = []
        self._waiting = 0
        self._working: asyncio.Task[None] | None = None
        self.sent = 0
        self.written: Written | None = None

    @property
    def records(self) -> int:
        """Count the records so far."""
        return self._counter.records if self._counter else 0

    @property
    def size(self) -> int:
        """Count the plain bytes so far."""
        return self._entry.size

    def expect(self, size: int) -> None:
        """Say how large the file may become, in bytes."""
        self._entry.expected = size

    async def write(self, data: bytes) -> None:
        """Add *data*; waits until the piece before is on its way, which bounds the memory."""
        rest = memoryview(data)
        while self._waiting + len(rest) >= GATHERED:
            # Cut here wherever the network cut, since what deflate makes depends on the pieces that it gets.
            room = GATHERED - self._waiting
            self._gathered.append(rest[:room])
            self._waiting, rest = GATHERED, rest[room:]
            await self._hand_over()
        if rest:
            self._gathered.append(rest)
            self._waiting += len(rest)

    async def _hand_over(self) -> None:
        pieces, size, self._gathered, self._waiting = self._gathered, self._waiting, [], 0
        await self._settle()
        self._passed(self)
        if size < _AT_ONCE:
            await self._pass_on(self._press(pieces))
        else:
            self._working = asyncio.create_task(self._work(pieces))

    async def _settle(self) -> None:
        if self._working is not None:
            working, self._working = self._working, None
            await working

    async def _work(self, pieces: list[memoryview]) -> None:
        await self._pass_on(await asyncio.get_running_loop().run_in_executor(self._worker, self._press, pieces))

    def _press(self, pieces: list[memoryview]) -> bytes:
        piece = b"".join(pieces)
        self._digest.update(piece)
        if self._counter is not None:
            self._counter.feed(piece)
        return self._entry.feed(piece)

    async def _pass_on(self, packed: bytes) -> None:
        self.sent += len(packed)
        if packed:
            await self._sink.write(packed)

    async def end(self) -> str:
        """Write what is left; gives the file's SHA-256."""
        await self._hand_over()
        await self._settle()
        await self._pass_on(self._entry.close())
        return self._digest.hexdigest()

    def done(self) -> Written:
        """Tell what was written; only after the block."""
        if self.written is None:
            raise RuntimeError("the file is still being written")
        return self.written

    async def drop(self) -> None:
        """Stop the work that is under way."""
        if self._working is not None:
            self._working.cancel()
            # What it ran into is told by what stopped the file.
            await asyncio.gather(self._working, return_exceptions=True)


class Archive:
    """The bag in its ZIP; payload files first, then the manifests, since they sum up all the rest."""

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink = sink
        self._name = name
        self._zip = ZipStream()
        # One thread: pieces are worked on one after the other, and memory stays in one arena.
        self._worker = ThreadPoolExecutor(1, "archive")
        self._payload = bag.Ledger()
        self._tags = bag.Ledger()

    @asynccontextmanager
    async def file(
        self,
        path: str,
        *,
        counter: Counter | None = None,
        packed: bool = False,
        expected: int = 0,
        passed: Callable[[File], None] = unwatched,
        etag: str | None = None,
    ) -> AsyncIterator[File]:
        """Write the file at *path* (``data/...`` is payload, all else a tag file) inside the block.

        *packed*: deflate would be of no use; *expected*: its size in bytes, if known; *passed* is called now and then.
        With an *etag* it is an object of a store, which whoever goes on may find there.
        """
        if etag is not None and isinstance(self._sink, Noting):
            self._sink.note(etag)
        entry = self._zip.begin(f"{self._name}/{path}", packed=packed, expected=expected)
        file = File(self._sink, self._worker, entry, counter, passed)
        try:
            yield file
            sha256 = await file.end()
        finally:
            await file.drop()
        await self._enter(path, entry, file, sha256)

    def may_have(self, path: str, size: int) -> bool:  # noqa: ARG002 - of a delta it may be so
        """Tell whether the very file at *path*, of *size* bytes, may be there without being written."""
        return False

    def has(self, written: Written) -> bool:  # noqa: ARG002 - as above
        """Tell whether that file is there without being written, and note that it belongs to the archive."""
        return False

    async def _enter(self, path: str, entry: Entry, file: File, sha256: str) -> None:
        """Note that *file* is in the archive."""
        self._zip.ended(entry, file.sent)
        ledger = self._payload if path.startswith("data/") else self._tags
        ledger.add(path, file.size, sha256)
        file.written = Written(path, file.size, sha256, file.records)
        if ledger is self._payload:
            await self._turn()

    @property
    def volumes(self) -> int | None:
        """Count the volumes by now; None if it is to be one file in any case."""
        return len(self._sink.before) + 1 if isinstance(self._sink, Volumes) else None

    async def _turn(self) -> None:
        """Begin another volume if this one is full; what tells of all the others is in the last, after the payload."""
        if not isinstance(self._sink, Volumes) or not self._sink.is_full:
            return
        await self.end()
        self._zip.close()
        self._zip = ZipStream()
        await self._sink.turn()

    async def end(self) -> None:
        """Write the end of the ZIP."""
        for piece in self._zip.end():
            await self._sink.write(piece)

    async def add(self, path: str, pieces: Iterable[bytes], counter: Counter | None = None) -> Written:
        """Write a file whose bytes are here already."""
        async with self.file(path, counter=counter) as file:
            for piece in pieces:
                await file.write(piece)
        return file.done()

    async def open_bag(self) -> None:
        """Write what makes it a bag."""
        await self.add("bagit.txt", [bag.DECLARATION])

    async def close_bag(self, info: dict[str, str], signer: Signer | None, moment: datetime) -> None:
        """Write *info*, the manifests, the signatures by *signer* and the end of the ZIP; the archive is whole then.

        What is signed is the tag manifest, which has the digest of everything else; *moment* is the one that bag-info
        names. Raises KeysError.
        """
        if isinstance(self._sink, Volumes) and self._sink.before:
            info = {**info, "Volumes": str(len(self._sink.before) + 1)}
            listed = (f"{one.sha256}  {one.place.rpartition('/')[2]}\n".encode() for one in self._sink.before)
            await self.add(VOLUMES, listed)
        await self._sealed(info, self._payload, self._tags, signer, moment)
        await self.end()

    async def _sealed(
        self, info: dict[str, str], payload: bag.Ledger, tags: bag.Ledger, signer: Signer | None, moment: datetime
    ) -> None:
        """Write *info* and the manifests, and sign the one that has the digest of the other."""
        await self.add("bag-info.txt", [bag.info({**info, "Payload-Oxum": payload.oxum})])
        await self.add(bag.MANIFEST, payload.lines())
        lines = list(tags.lines())
        await self.add(bag.TAG_MANIFEST, lines)
        if signer is not None:
            signed = signer.sign(b"".join(lines), moment)
            await self.add(SIGNATURE, [signed.sshsig])
            await self.add(SECOND_SIGNATURE, [signed.ecdsa])

    def close(self) -> None:
        """Let go of the thread, and of what waits on disk."""
        self._worker.shutdown(wait=False)
        # Of several ZIPs only the one that is written.
        for part in (self._zip, self._payload, self._tags):
            part.close()
