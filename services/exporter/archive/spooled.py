"""A list that grows with the archive: in memory while it is short, then on disk, in a file without a name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from tempfile import SpooledTemporaryFile

# In bytes; a longer one waits on disk.
SPOOLED = 1 << 20
_PIECE = 256 * 1024


class SpooledCsv:
    """Lines of CSV under the header *columns*."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._lines = SpooledTemporaryFile(max_size=SPOOLED)  # noqa: SIM115 - closed by close()
        self.write(columns)

    def write(self, row: Sequence[object]) -> None:
        """Add a line."""
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        self._lines.write(line.getvalue().encode())

    def lines(self) -> Iterator[bytes]:
        """Give the list, piece by piece."""
        self._lines.seek(0)
        while piece := self._lines.read(_PIECE):
            yield piece

    def close(self) -> None:
        """Forget the list."""
        self._lines.close()
