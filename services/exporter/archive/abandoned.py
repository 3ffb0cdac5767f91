"""Unfinished files that a killed export left in a folder: known by nobody's writing to them any more."""

from __future__ import annotations

import fcntl
import re
from pathlib import Path
from typing import IO

UNFINISHED = ".{}.unfinished"


def begin(path: Path) -> IO[bytes]:
    """Open the unfinished file at *path* from its start, and claim it for as long as it is open; raises OSError."""
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        file.close()
        raise
    return file


def clear(folder: Path, name: re.Pattern[str]) -> list[Path]:
    """Remove the unfinished files in *folder* of archives whose names match *name*, unless somebody writes them."""
    begins, ends = UNFINISHED.split("{}")
    found = [one for one in folder.glob(UNFINISHED.format("*")) if name.fullmatch(one.name[len(begins) : -len(ends)])]
    return [one for one in found if _is_cleared(one)]


def _is_cleared(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except OSError:
        # It is being written, or can't be told: then it stays, and costs only space.
        return False
    return True
