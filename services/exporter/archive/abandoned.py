"""Unfinished files that an export left in a folder: known by nobody's writing to them any more."""

from __future__ import annotations

import fcntl
import os
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import IO

UNFINISHED = ".{}.unfinished"
_NOTES = ".media"
_VOLUME = re.compile(r"[.]vol[0-9]{3}(?=[.]zip)")


def begin(path: Path) -> IO[bytes]:
    """Open the unfinished file at *path* from its start, and claim it for as long as it is open; raises OSError."""
    # Unbuffered: what couldn't be written is known, and can be written when there is room.
    file = path.open("wb", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        file.close()
        raise
    return file


def notes_of(path: Path) -> Path:
    """Name the file beside the unfinished one at *path* that tells where in it objects of media are."""
    return path.with_name(path.name + _NOTES)


def remove(path: Path) -> None:
    """Remove the unfinished file at *path*, and what tells of it."""
    notes_of(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Left:
    """An unfinished *file* at *path*, claimed for as long as it is open; all volumes of one try have its *name*."""

    path: Path
    file: IO[bytes]

    @property
    def name(self) -> str:
        """Name the try."""
        return _VOLUME.sub("", self.path.name)

    @property
    def noted(self) -> bool:
        """Tell whether objects of media are known to be in it."""
        notes = notes_of(self.path)
        return notes.exists() and notes.stat().st_size > 0

    def drop(self) -> None:
        """Remove it; its room is free at once, though somebody may still read it, and finds nothing."""
        remove(self.path)
        self.file.truncate(0)


def claimed(folder: Path, name: re.Pattern[str]) -> list[Left]:
    """Claim the unfinished files in *folder* of archives whose names match *name*, but those that somebody writes."""
    begins, ends = UNFINISHED.split("{}")
    found = [one for one in folder.glob(UNFINISHED.format("*")) if name.fullmatch(one.name[len(begins) : -len(ends)])]
    return [left for one in sorted(found) if (left := _claimed(one)) is not None]


def largest(left: list[Left]) -> list[Left]:
    """Give the files of the one try that has most of all those of which objects of media are known."""
    tries: defaultdict[str, list[Left]] = defaultdict(list)
    for one in left:
        tries[one.name].append(one)
    known = [files for files in tries.values() if any(one.noted for one in files)]
    return max(known, key=lambda files: sum(os.fstat(one.file.fileno()).st_size for one in files), default=[])


def _claimed(path: Path) -> Left | None:
    try:
        file = path.open("r+b", buffering=0)
    except OSError:
        # It can't be told whose it is: then it stays, and costs only space.
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it may have finished, or removed, it meanwhile.
        if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            return Left(path, file)
    except OSError:
        # It is being written.
        pass
    file.close()
    return None
