"""A delta: of the full archive those files that its base hasn't, and all that makes both together the full one.

It is a bag by itself (RFC 8493), whose manifests name what it holds. ``from-base.txt`` names the files of the full
archive that lie in the base; ``full/`` has the full archive's own page, manifests and signatures.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from services.exporter.formats.format import Counter
from shared.verify.archive import (
    BASE_ARCHIVE,
    BASE_MANIFEST,
    BASE_NAME,
    FROM_BASE,
    FULL,
    IN_BOTH,
    TAG_MANIFEST,
    Base,
    Checked,
    Read,
)

from . import bag
from .archive import Archive, File, Written, unwatched
from .names import bag_name
from .sink import Sink
from .withheld import Withheld

if TYPE_CHECKING:
    from shared.signing.signer import Signer

# Of so many changed files the page tells; the manifest of all.
NAMED_AT_MOST = 1_000
MEDIA = "data/media/"


@dataclass(frozen=True, slots=True)
class Since:
    """The *checked* archive that a delta is made against, while it is open; *several*: it is in volumes.

    *encrypted*: it lies there so, and was read decrypted.
    """

    checked: Checked = field(repr=False)
    several: bool = False
    encrypted: bool = False

    @property
    def export_id(self) -> str:
        """Name it."""
        return self.checked.verdict.export_id

    @property
    def bag(self) -> str:
        """Name the folder in its ZIP."""
        return bag_name(self.export_id)

    @property
    def snapshot_at(self) -> str:
        """Tell when it was (RFC 3339, UTC)."""
        return self.checked.verdict.snapshot_at

    @property
    def tagmanifest(self) -> str:
        """Give the SHA-256 of its tag manifest, which is what is signed and has the digest of all else."""
        return self.checked.read[TAG_MANIFEST].sha256

    @property
    def files(self) -> Mapping[str, Read]:
        """Give the files under data/ and all others, as they were read."""
        return self.checked.read

    @property
    def named(self) -> Base:
        """Name it as a verdict does."""
        return Base(self.export_id, self.tagmanifest, self.checked.verdict.sha256)

    @property
    def info(self) -> dict[str, str]:
        """Tell in bag-info.txt which it is."""
        verdict = self.checked.verdict
        return {
            "External-Description": f"A delta: complete only together with its base {verdict.export_id}",
            BASE_NAME: verdict.export_id,
            "Base-Snapshot-At": self.snapshot_at,
            BASE_MANIFEST: self.tagmanifest,
            BASE_ARCHIVE: verdict.sha256,
        }


@dataclass(frozen=True, slots=True)
class Changes:
    """How many files of the full archive are *new*, *changed*, or *unchanged* in the base; how many of it are *gone*.

    *size* and *unchanged_size* are bytes, not packed; *named* are some of the new and changed ones, media excepted.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    size: int = 0
    unchanged_size: int = 0
    named: tuple[str, ...] = field(default=(), repr=False)


# Gives the delta's own files, by path, for these changes and so many volumes (None: it is one file in any case).
Front: TypeAlias = Callable[[Changes, int | None], Mapping[str, bytes]]


class DeltaArchive(Archive):
    """Takes in all files of the full archive, writes those that *since* hasn't, and names the others."""

    def __init__(self, sink: Sink, name: str, since: Since, front: Front, own_info: Mapping[str, str]) -> None:
        super().__init__(sink, name)
        self._since = since
        self._front = front
        self._own_info = own_info
        self._full, self._full_tags, self._taken = bag.Ledger(), bag.Ledger(), bag.Ledger()
        # Where what is not the same in a delta and in the full archive goes; at last the delta's own, beside it.
        self._folder = FULL
        self.changes = Changes()

    @property
    def volumes(self) -> int | None:
        """Tell that what both give is one file; the delta itself may be in volumes."""
        return None

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
        """Write the file at *path* of the full archive inside the block, unless the base has the very same."""
        if path.startswith("data/"):
            there = self._since.files.get(path)
            if there is None or (expected and expected != there.size):
                writing = super().file(
                    path, counter=counter, packed=packed, expected=expected, passed=passed, etag=etag
                )
            else:
                writing = self._compared(path, there, counter, packed=packed, expected=expected, passed=passed)
            async with writing as file:
                yield file
            self._full.add(path, file.size, file.done().sha256)
            self._count(file.done(), there)
            return
        async with super().file(path if path in IN_BOTH else self._folder + path, packed=packed) as file:
            yield file
        if self._folder:
            self._full_tags.add(path, file.size, file.done().sha256)

    def may_have(self, path: str, size: int) -> bool:
        """Tell whether the base has a file of that size at *path*."""
        there = self._since.files.get(path)
        return there is not None and there.size == size

    def has(self, written: Written) -> bool:
        """Tell whether the base has that very file; then it is named, and needn't be written."""
        there = self._since.files.get(written.path)
        if there is None or there.sha256 != written.sha256:
            return False
        self._full.add(written.path, written.size, written.sha256)
        self._taken.add(written.path, written.size, written.sha256)
        self._count(written, there)
        return True

    @asynccontextmanager
    async def _compared(
        self,
        path: str,
        there: Read,
        counter: Counter | None,
        *,
        packed: bool,
        expected: int,
        passed: Callable[[File], None],
    ) -> AsyncIterator[File]:
        """Keep the file back until its digest is known; only if it isn't that of the base's is it written."""
        entry = self._zip.begin(f"{self._name}/{path}", packed=packed, expected=expected)
        with closing(Withheld(self._sink, entry, there.size)) as withheld:
            file = File(withheld, self._worker, entry, counter, passed)
            try:
                yield file
                sha256 = await file.end()
            finally:
                await file.drop()
            if sha256 == there.sha256:
                self._taken.add(path, file.size, sha256)
                file.written = Written(path, file.size, sha256, file.records)
            else:
                await withheld.let_go()
                await self._enter(path, entry, file, sha256)

    def _count(self, written: Written, there: Read | None) -> None:
        changes = self.changes
        if there is not None and there.sha256 == written.sha256:
            size = changes.unchanged_size + written.size
            self.changes = replace(changes, unchanged=changes.unchanged + 1, unchanged_size=size)
            return
        named = changes.named
        if not written.path.startswith(MEDIA) and len(named) < NAMED_AT_MOST:
            named = (*named, written.path)
        changes = replace(changes, size=changes.size + written.size, named=named)
        self.changes = (
            replace(changes, new=changes.new + 1) if there is None else replace(changes, changed=changes.changed + 1)
        )

    def _gone(self) -> int:
        there = sum(path.startswith("data/") for path in self._since.files)
        return there - self.changes.unchanged - self.changes.changed

    async def close_bag(self, info: dict[str, str], signer: Signer | None, moment: datetime) -> None:
        """Write and sign what makes the full archive one, then the same for the delta itself; raises KeysError."""
        await self._sealed(info, self._full, self._full_tags, signer, moment)
        self._folder = ""
        self.changes = replace(self.changes, gone=self._gone())
        await self.add(FROM_BASE, self._taken.lines())
        for path, body in self._front(self.changes, super().volumes).items():
            await self.add(path, [body])
        await super().close_bag({**info, **self._since.info, **self._own_info}, signer, moment)

    def close(self) -> None:
        """Let go of the thread, and of what waits on disk."""
        super().close()
        for part in (self._full, self._full_tags, self._taken):
            part.close()
