"""What a format that holds several tables works with: the open snapshot to read from, the archive to write into."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from services.exporter.formats.format import RAW, Counter
from shared.datamap.columns import ForeignKey
from shared.datamap.model import DataMap

from .archive import Archive, File
from .names import SafeNames
from .page import Listed
from .snapshot import Receive, Shown, Snapshot


@dataclass(frozen=True, slots=True)
class Source:
    """One customer's *tables* in the open *snapshot*, and the foreign *keys* among them.

    When it was taken is not told, since the same data has to make the same bytes at any time.
    """

    snapshot: Snapshot
    tables: Sequence[Shown]
    keys: Sequence[ForeignKey]
    map: DataMap

    def rows(self, shown: Shown) -> str:
        """Give what follows ``select …``: the customer's rows of *shown* as ``t``; it has no parameter."""
        return self.snapshot.rows(shown.table)

    def ordered(self, shown: Shown) -> str:
        """Give the same rows as ``rows``, in the order in which every format writes them."""
        return self.snapshot.ordered(shown)

    async def stream(self, query: str, receive: Receive, options: Mapping[str, Any] = RAW) -> None:
        """Send what *query* gives to *receive*; by default it is one column, sent as it is, one line a row."""
        await self.snapshot.stream(query, options, receive)


class Files:
    """Where one whole *format* writes to: files below its own *folder*; *told* hears of stage, records and bytes."""

    def __init__(
        self,
        archive: Archive,
        names: SafeNames,
        format: str,  # noqa: A002 - the domain's word
        folder: str,
        told: Callable[[str, int, int], None],
    ) -> None:
        self._archive = archive
        self._names = names
        self._format = format
        self._folder = folder
        self._told = told
        self.listed: list[Listed] = []
        self.size = 0

    @asynccontextmanager
    async def file(
        self,
        path: str,
        *,
        counter: Counter | None = None,
        packed: bool = False,
        table: str | None = None,
        listed: bool = True,
    ) -> AsyncIterator[File]:
        """Write the file at *path* inside the block; *packed*: deflate is of no use; *table*: all that it holds.

        *listed*: the page names it; where there are many, name their folder by ``lists``.
        """
        name = f"data/{self._names.path(self._folder, path)}"

        def passed(file: File) -> None:
            self._told(f"{path} {self._format}", file.records, self.size + file.size)

        async with self._archive.file(name, counter=counter, packed=packed, passed=passed) as file:
            yield file
        self.size += file.size
        if listed:
            self.listed.append(Listed(self._format, name, table))

    def lists(self, folder: str, table: str) -> None:
        """Let the page name the *folder* that holds many files of *table*."""
        self.listed.append(Listed(self._format, f"data/{self._folder}/{folder}", table))
