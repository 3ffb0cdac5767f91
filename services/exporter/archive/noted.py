"""Notes which objects of media begin where in an unfinished file, for whoever goes on after a kill.

They are hints: what is noted may never have been written.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .abandoned import notes_of

# An object by its ETag, and where it begins in the file.
_NOTE: Final = struct.Struct(">16sq")


def mark(etag: str) -> bytes:
    """Give what stands for an object of *etag*."""
    return hashlib.blake2b(etag.encode(), digest_size=16).digest()


class Notes:
    """Notes of the unfinished file at *path*."""

    def __init__(self, path: Path) -> None:
        # Unbuffered, so that a kill leaves them.
        self._file = notes_of(path).open("wb", buffering=0)
        self.count = 0

    def add(self, etag: str, at: int) -> None:
        """Note that the object of *etag* is to begin *at* so many bytes; raises OSError."""
        self._file.write(_NOTE.pack(mark(etag), at))
        self.count += 1

    def close(self) -> None:
        """Note no more."""
        self._file.close()


def noted(path: Path) -> Iterator[tuple[bytes, int]]:
    """Give the notes of the unfinished file at *path*: marks, and where each object begins."""
    if not notes_of(path).exists():
        return
    with notes_of(path).open("rb") as file:
        # The last one may be cut off.
        while len(note := file.read(_NOTE.size)) == _NOTE.size:
            yield _NOTE.unpack(note)
