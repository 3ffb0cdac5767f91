"""What a format that holds several tables works with: the open snapshot to read from, the archive to write into."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from services.exporter.formats.format import RAW, Counter
from shared.datamap.columns import ForeignKey
from shared.datamap.model import DataMap

from .archive import Archive, File, Written
from .names import SafeNames, with_suffix
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
        self.format = format
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
        beside: Written | None = None,
    ) -> AsyncIterator[File]:
        """Write the file at *path* inside the block; *packed*: deflate is of no use; *table*: all that it holds.

        It is called as that one is which it belongs to, *beside*, but for the suffix. The page names it;
        where there are many, let it name their ``folder``.
        """
        suffix = path[path.rindex(".") :]
        name = f"data/{self._names.path(self._folder, path)}" if beside is None else with_suffix(beside.path, suffix)
        async with self.write(name, path, counter=counter, packed=packed) as file:
            yield file
        self.listed.append(Listed(self.format, name, table))

    def folder(self, path: str, table: str) -> Folder:
        """Give a folder of its own for many files of *table*."""
        return Folder(self, path, Listed(self.format, f"data/{self._names.folder(self._folder, path)}/", table))

    @asynccontextmanager
    async def write(
        self, name: str, path: str, *, counter: Counter | None = None, packed: bool = False
    ) -> AsyncIterator[File]:
        """Write the file that is to be called *name* in the archive; *path* is what is told of it."""

        def passed(file: File) -> None:
            self._told(f"{path} {self.format}", file.records, self.size + file.size)

        async with self._archive.file(name, counter=counter, packed=packed, passed=passed) as file:
            yield file
        self.size += file.size


class Folder:
    """Where many files of one table are: the page names the folder, once there is one in it."""

    def __init__(self, files: Files, path: str, listed: Listed) -> None:
        self._files = files
        self._path = path
        self._listed = listed

    @asynccontextmanager
    async def file(self, name: str, *, packed: bool = False) -> AsyncIterator[File]:
        """Write the file *name*, which every file system takes, inside the block; *packed*: deflate is of no use."""
        async with self._files.write(f"{self._listed.path}{name}", f"{self._path}/{name}", packed=packed) as file:
            yield file
        if self._listed not in self._files.listed:
            self._files.listed.append(self._listed)
