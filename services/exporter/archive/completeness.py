"""The report of completeness: what became of every table and bucket. Without it nothing is called complete."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.exporter.formats import Format
from shared.datamap.model import Bucket, DataMap, Table
from shared.events.vocabulary import iso

from .descriptor import TableFile
from .faults import RowsDisagreeError, UnreadError
from .media import Tally
from .page import Listed

PATH = "data/completeness.json"


@dataclass(frozen=True, slots=True)
class Complete:
    """Every declared source was read to its end, and all counts agree; only ``compared`` makes one.

    *counts* are rows per table; *files* all files of each table; *objects* what each bucket gave.
    """

    counts: Mapping[str, int]
    files: Mapping[str, tuple[TableFile, ...]]
    objects: Mapping[str, Tally]

    @property
    def media(self) -> Tally:
        """Sum up the objects of all buckets."""
        found = self.objects.values()
        return Tally(sum(one.objects for one in found), sum(one.size for one in found))


def compared(
    map: DataMap,  # noqa: A002 - the domain's word
    formats: Sequence[Format],
    files: Sequence[TableFile],
    counts: Mapping[str, int],
    objects: Mapping[str, Tally],
) -> Complete:
    """Compare what was written with what the map declares and the witness counted.

    Raises UnreadError where a declared source was not read, RowsDisagreeError where a file has other records than the
    table has rows.
    """
    by_table = {table.name: tuple(file for file in files if file.shown.table == table) for table in map.tables}
    for table in map.tables:
        _compare(table, formats, by_table[table.name], counts)
    for bucket in map.buckets:
        if bucket.name not in objects:
            raise UnreadError(bucket.name, "its objects were not read", _REPORT)
    return Complete(counts, by_table, objects)


def _compare(table: Table, formats: Sequence[Format], files: Sequence[TableFile], counts: Mapping[str, int]) -> None:
    if table.name not in counts:
        raise UnreadError(table.name, "nobody counted its rows", _REPORT)
    missing = {one.name for one in formats} - {file.format.name for file in files}
    if missing:
        raise UnreadError(table.name, f"it was not written as {', '.join(sorted(missing))}", _REPORT)
    for file in files:
        if file.written.records != counts[table.name]:
            records = f"{file.written.records} records were written as {file.format.name}"
            raise RowsDisagreeError(table.name, f"{records}, the snapshot has {counts[table.name]} rows", _REPORT)


def report(map: DataMap, complete: Complete, moment: datetime, files: Sequence[Listed]) -> bytes:  # noqa: A002
    """Write the report, for people and machines; *files* are of every format."""
    document = {
        "system": map.system,
        "snapshot_at": iso(moment),
        "map_sha256": map.sha256,
        "tables": [_table(table, complete, files) for table in map.tables if table.name in complete.counts],
        "together": [{"path": one.path, "format": one.format} for one in files if one.table is None],
        "left_out": [{"table": name, "outcome": "left out", "reason": why} for name, why in map.without_owner.items()]
        + [
            {"table": table.name, "outcome": "left out", "reason": "not asked for"}
            for table in map.tables
            if table.name not in complete.counts
        ],
        "objects": [_objects(bucket, complete.objects.get(bucket.name)) for bucket in map.buckets],
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _table(table: Table, complete: Complete, files: Sequence[Listed]) -> dict[str, Any]:
    rows = complete.counts[table.name]
    return {
        "table": table.name,
        "category": table.category,
        "outcome": "exported" if rows else "empty",
        "rows": rows,
        "files": [{"path": file.written.path, "format": file.format.name} for file in complete.files[table.name]],
        "also": [
            {"path": one.path, "format": one.format} for one in files if one.table == table.name and not one.counted
        ],
        "columns_left_out": dict(table.left_out),
    }


def _objects(bucket: Bucket, found: Tally | None) -> dict[str, Any]:
    if found is None:
        left_out = {"outcome": "left out", "reason": "not asked for"}
        return {"bucket": bucket.name, "category": bucket.category, **left_out}
    outcome = "exported" if found.objects else "empty"
    named = {"bucket": bucket.name, "category": bucket.category, "outcome": outcome}
    return {**named, "files": found.objects, "bytes": found.size}


_REPORT = "Report this: the archive would not be complete"
