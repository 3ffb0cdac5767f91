"""A ZIP inside the archive, such as a workbook: its files are deflated as they pass, the outer ZIP stores them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from .archive import File
from .zipstream import ZipStream


class Nested:
    """The inner ZIP on its way into the file *outer*."""

    def __init__(self, outer: File) -> None:
        self._outer = outer
        self._zip = ZipStream()
        self._worker = ThreadPoolExecutor(1, "nested")

    @asynccontextmanager
    async def file(self, name: str) -> AsyncIterator[File]:
        """Write the inner file *name* inside the block."""
        entry = self._zip.begin(name)
        file = File(self._outer, self._worker, entry, None, lambda _: None)
        try:
            yield file
            await file.end()
        finally:
            await file.drop()
        self._zip.ended(entry, file.sent)

    async def add(self, name: str, text: str) -> None:
        """Write an inner file whose text is here already."""
        async with self.file(name) as file:
            await file.write(text.encode())

    async def end(self) -> None:
        """Write the inner directory; the ZIP is whole after this."""
        for piece in self._zip.end():
            await self._outer.write(piece)

    def close(self) -> None:
        """Let go of the thread, and of what waits on disk."""
        self._worker.shutdown(wait=False)
        self._zip.close()
