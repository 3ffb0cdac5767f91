"""An archive as objects of a store, one or one for each volume, and how it comes to be alone there.

Several workers may be at it, of which all but one were overtaken (docs/decisions/0014). *may* raises for those.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.objects import ObjectStore
from shared.upload import May, Stored, Told, Upload

from .going_on import begun
from .kept import Kept, KeptObject, KeptVolumes
from .numbering import before_number, numbered, volume_of
from .report import ArchiveReport
from .volumes import Volumes

if TYPE_CHECKING:
    from .encryption import Encryption

# What S3 calls the only version of an object in a bucket that keeps none.
_ONLY = "null"


@dataclass(frozen=True, slots=True)
class InStore:
    """Where an archive is to be: at *key*, or, with a *volume_size* in bytes, at keys that are numbered after it."""

    store: ObjectStore
    bucket: str
    key: str
    volume_size: int | None
    may: May

    def sink(self, encryption: Encryption | None, told: Told) -> Upload | Volumes:
        """Give what to write it to; it goes on with what an earlier try has sent."""

        def at(key: str) -> Upload:
            return begun(self.store, self.bucket, key, encryption, told, self.may)

        if self.volume_size is None:
            return at(self.key)
        return Volumes(lambda number: at(numbered(self.key, number)), self.volume_size)

    @property
    def kept(self) -> Kept | KeptVolumes:
        """Give how to read it back."""
        if self.volume_size is None:
            return KeptObject(self.store, self.bucket, self.key, self.may)
        return KeptVolumes(self._kept)

    def _kept(self, stored: Stored) -> Kept:
        return KeptObject(self.store, self.bucket, stored.place.removeprefix(f"s3://{self.bucket}/"), self.may)

    async def clear(self) -> int:
        """Delete every version that is there, of each volume; unfinished uploads stay, to be gone on with."""
        return await self._delete({})

    async def leave_alone(self, report: ArchiveReport) -> int:
        """Leave what *report* is of alone there; returns how many versions of others went.

        First what others have under way, at numbers too that this archive hasn't got: none of it can be completed then,
        nor can anything be begun any more by whoever was overtaken. So what is found after that is all.
        """
        await self.abort()
        stored = report.volumes or (Stored(report.place, report.size, report.sha256, report.etag, report.version),)
        return await self._delete({one.place.removeprefix(f"s3://{self.bucket}/"): one.version for one in stored})

    async def abort(self) -> None:
        """Abort every unfinished upload of it."""
        keys = {self.key} if self.volume_size is None else await self._of(self.store.unfinished(*self._all))
        for key in keys:
            await self.store.abort_uploads_of(self.bucket, key, self.may)

    async def _delete(self, but: dict[str, str | None]) -> int:
        keys = {self.key} if self.volume_size is None else await self._of(self.store.versions(*self._all))
        gone = 0
        # The last one first: as long as it is there the others would have to be, too.
        for key in sorted(keys, reverse=True):
            kept = (but[key] or _ONLY) if key in but else None
            gone += await self.store.delete_versions_of(self.bucket, key, kept, self.may)
        return gone

    @property
    def _all(self) -> tuple[str, str]:
        return self.bucket, before_number(self.key)

    async def _of(self, listed: AsyncIterator[tuple[str, str]]) -> set[str]:
        volume = volume_of(self.key)
        return {key async for key, _ in listed if volume.fullmatch(key)}
