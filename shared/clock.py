"""The one place where time is read; everything else is handed ``now``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]


def system_clock() -> datetime:
    """Read the machine's clock, in UTC."""
    return datetime.now(UTC)


class MovedClock:
    """The machine's clock plus an offset that a file holds, in seconds; for demos and tests only.

    The file is read again whenever it changed, so that several processes move together.
    """

    def __init__(self, offset_file: Path, base: Clock = system_clock) -> None:
        self._file = offset_file
        self._base = base
        self._stamp = -1
        self._offset = timedelta(0)

    def __call__(self) -> datetime:
        """Read the moved time, in UTC; raises OSError or ValueError if the offset can't be read."""
        stamp = self._file.stat().st_mtime_ns
        if stamp != self._stamp:
            self._offset = timedelta(seconds=float(self._file.read_text()))
            self._stamp = stamp
        return self._base() + self._offset

    @staticmethod
    def move(offset_file: Path, offset: timedelta) -> None:
        """Set the offset in one step, so that no reader sees half a file."""
        fresh = offset_file.with_suffix(".new")
        fresh.write_text(str(offset.total_seconds()))
        fresh.replace(offset_file)
