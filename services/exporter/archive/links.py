"""data/media_references.csv: which row refers to which file, for whoever imports the archive; and what is missing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import Any, Literal, TypeAlias

from shared.datamap.referring import Referring

from .lost import Loss
from .media import SPOOLED
from .references import Named

PATH = "data/media_references.csv"
Outcome: TypeAlias = Literal["exported"] | Loss
COLUMNS = ("table", "row", "column", "value", "name", "media_type", "outcome", "path")


class Links:
    """The lines; many wait on disk, in a file without a name."""

    def __init__(self) -> None:
        self._lines = SpooledTemporaryFile(max_size=SPOOLED)  # noqa: SIM115 - closed by close()
        self._write(COLUMNS)

    def add(self, place: Referring, named: Named, outcome: Outcome, path: str | None) -> None:
        """Note that one row refers to the file at *path* (below data/), if there is one."""
        says = named.value, named.name, named.media_type, outcome, path
        self._write((place.table, named.row, place.column, *says))

    def _write(self, row: tuple[object, ...]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        self._lines.write(line.getvalue().encode())

    def lines(self) -> Iterator[bytes]:
        """Give the list as CSV, piece by piece."""
        self._lines.seek(0)
        while piece := self._lines.read(256 * 1024):
            yield piece

    def close(self) -> None:
        """Forget the list."""
        self._lines.close()


def links_resource() -> dict[str, Any]:
    """Describe the list for datapackage.json; *row* is the primary key of a row of *table*, as JSON."""
    fields = [{"name": name, "type": "object" if name == "row" else "string"} for name in COLUMNS]
    to_file = {"fields": ["path"], "reference": {"resource": "media", "fields": ["path"]}}
    schema = {"fields": fields, "foreignKeys": [to_file]}
    return {
        "title": "References to media",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": schema,
    }
