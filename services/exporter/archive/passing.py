"""Files of an archive that are read once for two: who restores them, and who checks every file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager

from shared.verify.archive import UNREADABLE, Files, Read, Taking

from .faults import NotReadBackError

_PIECE = 1 << 20


class Passing:
    """The files at *paths*, of which each is to be read to its end; what it comes to is then told in ``reads``."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._reads: dict[str, Future[Read]] = {path: Future() for path in paths}

    @property
    def reads(self) -> Mapping[str, Future[Read]]:
        """Give what the files come to, to be waited for in a thread."""
        return self._reads

    async def pieces(self, archive: Files, path: str) -> AsyncGenerator[bytes]:
        """Give the file at *path* piece by piece; the next one is inflated and digested while one is worked on.

        Raises NotReadBackError where it can't be read.
        """
        taking = Taking("records" if path.endswith(".csv") else "nothing")
        try:
            with await asyncio.to_thread(archive.open, path) as opened:

                def following() -> bytes:
                    piece = opened.read(_PIECE)
                    taking.take(piece)
                    return piece

                ahead = asyncio.create_task(asyncio.to_thread(following))
                try:
                    while piece := await ahead:
                        ahead = asyncio.create_task(asyncio.to_thread(following))
                        yield piece
                finally:
                    ahead.cancel()
        except UNREADABLE as error:
            broken = taking.broken(error)
            self._tell(path, broken)
            raise NotReadBackError(path, broken.says, _REPORT) from error
        self._tell(path, taking.read)

    def _tell(self, path: str, read: Read) -> None:
        if path in self._reads:
            self._reads[path].set_result(read)


@contextmanager
def passing(paths: Iterable[str]) -> Iterator[Passing]:
    """Let the files at *paths* pass inside the block; after it nobody waits any longer for those that didn't."""
    one = Passing(paths)
    try:
        yield one
    finally:
        for read in one.reads.values():
            read.cancel()


_REPORT = "Export again; if it happens twice, the store or the exporter is at fault"
