"""Where objects of media are in what an earlier try has written into a folder, and their bytes.

Nothing here is believed: whoever takes bytes from it compares them with what the store says of the object now.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import struct
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

from isal import igzip_lib, isal_zlib

from shared.unfinished import Taken

from .abandoned import Left
from .going_on import is_gone_on_with
from .noted import mark, noted

_HEADER, _BEGINS = struct.Struct("<4s22x2H"), b"PK\x03\x04"
# As the store's pieces are.
_PIECE = 256 << 10
# Its stub takes the class for one of its instances.
_BAD_DEFLATE = cast("type[Exception]", igzip_lib.IsalError)
_ENDED_BADLY = (OSError, ValueError, struct.error, _BAD_DEFLATE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object may be: in the file of that *number*, *at* so many bytes."""

    number: int
    at: int


class Earlier:
    """The *files* of an earlier try. ``with`` it: they go at the end, unless the export is to be gone on with again."""

    def __init__(self, files: Sequence[Left]) -> None:
        self._files = tuple(files)
        self._dropped = False
        # In a file without a name, if there are many.
        self._places = sqlite3.connect("")
        self._places.execute("create table places (mark blob primary key, number integer, at integer) without rowid")
        for number, one in enumerate(files):
            notes = ((marked, number, at) for marked, at in noted(one.path))
            self._places.executemany("insert or ignore into places values (?, ?, ?)", notes)
        self.taken = Taken()

    def find(self, etag: str) -> Place | None:
        """Tell where an object of *etag* may be."""
        if self._dropped:
            return None
        found = self._places.execute("select number, at from places where mark = ?", (mark(etag),)).fetchone()
        return None if found is None else Place(*found)

    async def pieces(self, place: Place, take: Callable[[bytes], object]) -> AsyncGenerator[bytes]:
        """Give what is there, unpacked; ends early where it is broken off, is nothing of the kind, or was removed.

        Each piece is given to *take* before, in a thread.
        """
        reading = self._read(place)

        def following() -> bytes:
            piece = next(reading, b"")
            take(piece)
            return piece

        while piece := await asyncio.to_thread(following):
            yield piece

    def _read(self, place: Place) -> Iterator[bytes]:
        try:
            file = self._files[place.number].file.fileno()
            begins, name, extra = _HEADER.unpack(os.pread(file, _HEADER.size, place.at))
            if begins != _BEGINS:
                return
            at, inflate = place.at + _HEADER.size + name + extra, isal_zlib.decompressobj(-15)
            while not inflate.eof:
                packed = inflate.unconsumed_tail
                if not packed:
                    packed = os.pread(file, _PIECE, at)
                    at += len(packed)
                    if not packed:
                        return
                if piece := inflate.decompress(packed, _PIECE):
                    yield piece
        except _ENDED_BADLY:
            return

    def took(self, size: int) -> None:
        """Count one more object of *size* bytes that wasn't fetched."""
        self.taken = Taken(self.taken.parts + 1, self.taken.size + size)

    def make_room(self) -> bool:
        """Remove the files, since the disk is full; tells whether there were any."""
        dropped, self._dropped = self._dropped, True
        for one in () if dropped else self._files:
            one.drop()
        return bool(self._files) and not dropped

    def __enter__(self) -> Self:
        """Keep them while the export goes on."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove them, or leave them to the next try."""
        self._places.close()
        if error is None or not is_gone_on_with(error):
            self.make_room()
        for one in self._files:
            one.file.close()
