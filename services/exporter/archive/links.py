"""data/media_references.csv: which row refers to which file, for whoever imports the archive; and what is missing."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from shared.datamap.referring import Referring

from .lost import Loss
from .references import Named
from .spooled import SpooledCsv

PATH = "data/media_references.csv"
Outcome: TypeAlias = Literal["exported"] | Loss
COLUMNS = ("table", "row", "column", "value", "name", "media_type", "outcome", "path")


class Links(SpooledCsv):
    """The lines, one for each row and column that refers."""

    def __init__(self) -> None:
        super().__init__(COLUMNS)

    def add(self, place: Referring, named: Named, outcome: Outcome, path: str | None) -> None:
        """Note that one row refers to the file at *path* (below data/), if there is one."""
        says = named.value, named.name, named.media_type, outcome, path
        self.write((place.table, named.row, place.column, *says))


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
