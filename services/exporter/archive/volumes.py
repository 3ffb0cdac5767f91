"""An archive in several files, of which each opens by itself: the last has the manifests, and so tells if one lacks.

A volume ends where a file of the archive does, so none is cut in two; unpacked into one folder they are one bag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, Self

from shared.database_fates import DATABASE_OUTAGES
from shared.lease import LeaseLostError
from shared.store_faults import StoreError
from shared.unfinished import Taken
from shared.upload import Stored

from .faults import TooManyVolumesError
from .sink import Noting, Sink

MOST = 999
# What keeps one volume from being taken away; the others are, all the same.
_TROUBLE: tuple[type[BaseException], ...] = (OSError, StoreError, LeaseLostError, *DATABASE_OUTAGES)


class Volume(Sink, Protocol):
    """A sink that can be ended before it appears, and be taken back after."""

    async def seal(self) -> Stored:
        """Take no more, and tell what will appear; it doesn't yet."""

    async def withdraw(self) -> None:
        """Take away what appeared."""


class Volumes:
    """A sink that begins another file when one has *size* bytes; *place* gives the one of a number, from 1 on.

    All appear when all are written, the last of them last: as long as it isn't there, there is no archive. *through*
    is put before each, to encrypt.
    """

    def __init__(
        self, place: Callable[[int], Volume], size: int, through: Callable[[Volume], Volume] | None = None
    ) -> None:
        self._place = place
        self._size = size
        self._through = through
        self._begun: list[Volume] = []
        self._sealed: list[Stored] = []
        self._filled = 0
        self._stored: tuple[Stored, ...] = ()

    def encrypted(self, through: Callable[[Volume], Volume]) -> Volumes:
        """Give the same, each volume of it written *through* something."""
        return Volumes(self._place, self._size, through)

    @property
    def taken(self) -> Taken:
        """Tell what was taken over of an earlier attempt so far."""
        return Taken(sum(one.taken.parts for one in self._begun), sum(one.taken.size for one in self._begun))

    @property
    def stored(self) -> Stored:
        """Tell the size of all, and place and SHA-256 of the last, which has the digests of all others."""
        return replace(self.volumes[-1], size=sum(one.size for one in self.volumes))

    @property
    def volumes(self) -> tuple[Stored, ...]:
        """Tell each volume; only after the block ended well."""
        if not self._stored:
            raise RuntimeError("the volumes are not complete")
        return self._stored

    @property
    def is_full(self) -> bool:
        """Tell whether another volume is to begin before the next file."""
        return self._filled >= self._size

    @property
    def before(self) -> tuple[Stored, ...]:
        """Tell the volumes before the one that is written."""
        return tuple(self._sealed)

    async def __aenter__(self) -> Self:
        """Begin the first."""
        await self._begin()
        return self

    async def _begin(self) -> None:
        number = len(self._begun) + 1
        if number > MOST:
            raise TooManyVolumesError("volumes", f"there would be more than {MOST}", "Choose a larger --volume-size")
        volume = self._place(number)
        volume = volume if self._through is None else self._through(volume)
        await volume.__aenter__()
        self._begun.append(volume)
        self._filled = 0

    async def turn(self) -> None:
        """End the volume that is written, without its appearing, and begin another."""
        self._sealed.append(await self._begun[-1].seal())
        await self._begin()

    def note(self, etag: str) -> None:
        """Note that what is written next is the object of *etag*, where the volume that is written takes notes."""
        volume = self._begun[-1]
        if isinstance(volume, Noting):
            volume.note(etag)

    async def write(self, data: bytes) -> None:
        """Add *data* to the volume that is written."""
        await self._begun[-1].write(data)
        self._filled += len(data)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Make all appear, or leave nothing."""
        if error is not None:
            await self._drop(self._begun, error)
            return
        try:
            # What can fail for want of room does so before the first appears.
            await self._begun[-1].seal()
        except BaseException as late:
            await self._drop(self._begun, late)
            raise
        for number, volume in enumerate(self._begun):
            try:
                await volume.__aexit__(None, None, None)
            except BaseException as late:
                # The one that failed leaves nothing by itself.
                await self._take_back(self._begun[:number], late)
                await self._drop(self._begun[number + 1 :], late)
                raise
        self._stored = tuple(one.stored for one in self._begun)

    async def _drop(self, volumes: list[Volume], cause: BaseException) -> None:
        for volume in volumes:
            try:
                await volume.__aexit__(type(cause), cause, None)
            except _TROUBLE as trouble:
                cause.add_note(f"a volume may still take up space: {trouble}")

    async def _take_back(self, volumes: list[Volume], cause: BaseException) -> None:
        for volume in volumes:
            try:
                await volume.withdraw()
            except _TROUBLE as trouble:
                cause.add_note(f"a volume of no archive may still lie there: {trouble}")
