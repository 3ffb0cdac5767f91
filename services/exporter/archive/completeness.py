"""The report of completeness: what became of every table and bucket. Without it nothing is called complete."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from services.exporter.formats.format import Format
from shared.datamap.model import Bucket, DataMap, Table
from shared.datamap.referring import referring
from shared.moments import iso

from .descriptor import TableFile
from .faults import RowsDisagreeError, UnreadError
from .lost import Lost
from .media import Tally
from .page import Listed
from .referred import Found
from .restoring import Dump
from .witness import Referred

PATH = "data/completeness.json"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a table must come to when it is read from the archive again: the CSV at *path* below the bag."""

    table: str
    path: str
    columns: tuple[str, ...]
    rows: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Complete:
    """Every declared source was read to its end, and all counts agree; only ``compared`` makes one.

    *counts* are rows per table; *files* all files of each table; *objects* what each bucket gave, *referred* what
    became of the objects that rows refer to; *fingerprints* are those of the tables whose rows are compared when the
    archive is read back; of the others only counts are.
    """

    counts: Mapping[str, int]
    files: Mapping[str, tuple[TableFile, ...]]
    objects: Mapping[str, Tally]
    fingerprints: Mapping[str, str]
    referred: tuple[Found, ...] = ()

    @property
    def expected(self) -> tuple[Expected, ...]:
        """Tell what the CSV of each table with a fingerprint must come to."""
        csvs = {name: [one for one in files if one.format.name == "csv"] for name, files in self.files.items()}
        named = ((name, csvs[name][0], hashed) for name, hashed in self.fingerprints.items() if csvs[name])
        return tuple(_expected(*one) for one in named)

    @property
    def lost(self) -> tuple[Lost, ...]:
        """Tell of the objects that are not here as the rows say."""
        return tuple(lost for one in self.referred for lost in one.lost)

    @property
    def media(self) -> Tally:
        """Sum up the files of all objects."""
        found = [*self.objects.values(), *(Tally(one.files, one.size) for one in self.referred)]
        return Tally(sum(one.objects for one in found), sum(one.size for one in found))


def compared(
    map: DataMap,  # noqa: A002 - the domain's word
    formats: Sequence[Format],
    files: Sequence[TableFile],
    counts: Mapping[str, int],
    objects: Mapping[str, Tally],
    fingerprints: Mapping[str, str] = MappingProxyType({}),
    referred: Sequence[Found] = (),
    witnessed: Mapping[str, Referred] = MappingProxyType({}),
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
    found = {one.place.place: one for one in referred}
    for place in referring(map):
        _compare_referred(place.place, found.get(place.place), witnessed.get(place.place))
    return Complete(counts, by_table, objects, fingerprints, tuple(referred))


def _compare_referred(place: str, found: Found | None, witnessed: Referred | None) -> None:
    if found is None or witnessed is None:
        raise UnreadError(place, "what it refers to was not read", _REPORT)
    if (found.rows, found.objects) != (witnessed.rows, witnessed.objects):
        says = f"{found.rows} rows were read that refer to {found.objects} objects"
        there = f"the snapshot has {witnessed.rows} to {witnessed.objects}"
        raise RowsDisagreeError(place, f"{says}, {there}", _REPORT)


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


def report(
    map: DataMap,  # noqa: A002 - the domain's word
    complete: Complete,
    moment: datetime,
    files: Sequence[Listed],
    signed_by: str | None = None,
    dump: Dump | None = None,
) -> bytes:
    """Write the report, for people and machines; *files* are of every format.

    *signed_by* names a key; *dump* is to be restored before all is ready.
    """
    document = {
        "system": map.system,
        "snapshot_at": iso(moment),
        "map_sha256": map.sha256,
        "signed_by": signed_by,
        "tables": [_table(table, complete, files) for table in map.tables if table.name in complete.counts],
        "together": [_together(one, dump) for one in files if one.table is None],
        "left_out": [{"table": name, "outcome": "left out", "reason": why} for name, why in map.without_owner.items()]
        + [
            {"table": table.name, "outcome": "left out", "reason": "not asked for"}
            for table in map.tables
            if table.name not in complete.counts
        ],
        "objects": [_objects(bucket, complete.objects.get(bucket.name)) for bucket in map.buckets]
        + [_referred(one) for one in complete.referred],
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
        "read_back": _read_back(table, complete),
    }


def _together(file: Listed, dump: Dump | None) -> dict[str, str]:
    restored = dump is not None and dump.path == file.path
    return {"path": file.path, "format": file.format, "read_back": "restored by psql" if restored else "digest"}


def _read_back(table: Table, complete: Complete) -> dict[str, str]:
    compared = {one.table: one.fingerprint for one in complete.expected}.get(table.name)
    return {"compared": "counts"} if compared is None else {"compared": "rows", "fingerprint": compared}


def _expected(table: str, file: TableFile, fingerprint: str) -> Expected:
    columns = tuple(column.name for column in file.shown.columns)
    return Expected(table, file.written.path, columns, file.written.records, fingerprint)


def _objects(bucket: Bucket, found: Tally | None) -> dict[str, Any]:
    if found is None:
        left_out = {"outcome": "left out", "reason": "not asked for"}
        return {"bucket": bucket.name, "category": bucket.category, **left_out}
    outcome = "exported" if found.objects else "empty"
    named = {"bucket": bucket.name, "category": bucket.category, "outcome": outcome}
    return {**named, "files": found.objects, "bytes": found.size}


def _referred(found: Found) -> dict[str, Any]:
    outcome = "incomplete" if found.lost else "exported" if found.objects else "empty"
    told = {"rows": found.rows, "objects": found.objects, "files": found.files, "bytes": found.size}
    lost = [{"outcome": one.outcome, "objects": one.objects, "reason": one.reason} for one in found.lost]
    named = [{"outcome": what, "says": says} for what, says in found.named]
    more = {"lost": lost, "named": named} if lost else {}
    return {"column": found.place.place, "bucket": found.place.reference.bucket, "outcome": outcome, **told, **more}


_REPORT = "Report this: the archive would not be complete"
