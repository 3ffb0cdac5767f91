"""Complete is what was read to its end in every format, and counted twice; nothing less can be called so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from archive_school import MAP

from services.exporter.archive.archive import Written
from services.exporter.archive.completeness import compared
from services.exporter.archive.descriptor import TableFile
from services.exporter.archive.faults import ArchiveError, RowsDisagreeError, UnreadError
from services.exporter.archive.media import Tally
from services.exporter.archive.snapshot import Shown
from services.exporter.formats.registry import FORMATS
from shared.datamap.model import parse

SCHOOL = parse(MAP.replace("BUCKET", "uploads").encode(), "map.yaml")
TABLES = {table.name: table for table in SCHOOL.tables}
COUNTS = {"customers": 1, "users": 2, "notes": 0}


def file(table: str, name: str, records: int) -> TableFile:
    return TableFile(Shown(TABLES[table], (), ()), FORMATS[name], Written(f"data/{table}", 1, "", records))


def everything() -> dict[str, Any]:
    files = {(table, name): file(table, name, COUNTS[table]) for table in TABLES for name in FORMATS}
    return {"files": files, "counts": dict(COUNTS), "objects": {"uploads": Tally(3, 5)}}


def judged(said: dict[str, Any]) -> Any:
    files = list(said["files"].values())
    return compared(SCHOOL, tuple(FORMATS.values()), files, said["counts"], said["objects"])


def test_all_that_is_declared_and_agrees_is_complete() -> None:
    """Then the counts, an empty table's too, and the objects of all buckets are those that were found."""
    complete = judged(everything())

    assert complete.counts == COUNTS
    assert complete.media == Tally(3, 5)


@pytest.mark.parametrize(
    ("change", "fault", "says"),
    [
        (lambda said: said["files"].pop(("users", "csv")), UnreadError, "users: it was not written as csv"),
        (lambda said: said["counts"].pop("notes"), UnreadError, "notes: nobody counted"),
        (lambda said: said["objects"].clear(), UnreadError, "uploads: its objects were not read"),
        (
            lambda said: said["files"].update({("notes", "csv"): file("notes", "csv", 1)}),
            RowsDisagreeError,
            "notes: 1 records were written as csv, the snapshot has 0 rows",
        ),
    ],
    ids=["a format", "a count", "a bucket", "a row"],
)
def test_what_is_missing_is_named(change: Callable[[Any], object], fault: type[ArchiveError], says: str) -> None:
    """A table that isn't in every format, isn't counted or has other records, and a bucket that wasn't read."""
    said = everything()
    change(said)

    with pytest.raises(fault, match=says):
        judged(said)
