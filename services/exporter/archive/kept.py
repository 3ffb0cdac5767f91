"""Where a complete archive lies, how it is read there, and how it is taken away again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from shared.objects import ObjectStore
from shared.ranged import opened
from shared.upload import May, Stored, nobody_else

from .report import ArchiveReport


class Kept(Protocol):
    """A complete archive where it lies."""

    async def open(self, report: ArchiveReport) -> AbstractContextManager[IO[bytes]]:
        """Open what *report* is of, for reading in a thread."""

    async def withdraw(self, report: ArchiveReport) -> None:
        """Take away again what *report* is of."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """An archive in a file."""

    path: Path

    async def open(self, report: ArchiveReport) -> AbstractContextManager[IO[bytes]]:  # noqa: ARG002 - as below
        """Open it, for reading in a thread."""
        return self.path.open("rb")

    async def withdraw(self, report: ArchiveReport) -> None:  # noqa: ARG002 - a file is nobody else's
        """Take it away again."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class KeptObject:
    """An archive in a store; *may* raises for whoever was overtaken, and must take nothing away."""

    store: ObjectStore
    bucket: str
    key: str
    may: May = nobody_else

    async def open(self, report: ArchiveReport) -> AbstractContextManager[IO[bytes]]:
        """Open it, for reading in a thread: the version that was written, whatever lies over it."""
        return opened(self.store, self.bucket, await self.store.head(self.bucket, self.key, report.version))

    async def withdraw(self, report: ArchiveReport) -> None:
        """Take away the versions that are what was written, and none that another worker made at the same place."""
        if report.etag is not None:
            await self.store.withdraw(self.bucket, self.key, report.etag, report.version, self.may)


@dataclass(frozen=True, slots=True)
class KeptVolumes:
    """An archive in several files, which *kept* gives by how each was stored, the last of them last."""

    kept: Callable[[Stored], Kept]

    def of(self, report: ArchiveReport) -> tuple[Kept, ...]:
        """Give each volume of *report*."""
        return tuple(map(self.kept, report.volumes))
