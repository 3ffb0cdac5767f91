"""The last export beside the deletion, by table and by bucket: whether what went is what could be taken along."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from shared.datamap.names import reported
from shared.events.vocabulary import Count, Moment, Ref, Sha256, TableCount, TableName, Value

from .tasks import Certify, ExportEvidence, HolderReading, TableReading

_REFERRED = "objects."


class SymmetryRow(Value):
    """One table, or bucket, of the export beside what was deleted: the difference is named, never explained away.

    *retained* stays for a law, or is needed by such rows; *shared* since others' rows refer to it too.
    """

    table: TableName
    exported: Count
    deleted: Count
    written_since: Count
    gone_before: Count
    retained: Count = 0
    shared: Count = 0


class SymmetryPart(Value):
    """Whether what was deleted is what the customer could take along, as of the last export that was ready.

    *objects* are of buckets, each object counted once, whatever versions there were: those that could be read before
    the first command, less those that can be after the last answer. *objects_not_compared* of the export's aren't among
    them. *not_exported* was deleted, or kept, from where that export has nothing.
    """

    export_id: Ref
    export_sha256: Sha256
    snapshot_at: Moment
    tables: tuple[SymmetryRow, ...]
    objects: tuple[SymmetryRow, ...] = ()
    objects_not_compared: Count = 0
    not_exported: tuple[TableCount, ...] = ()


def symmetry(facts: Certify) -> SymmetryPart | None:
    """Give it; None where no export was ready."""
    export = facts.exported
    if export is None:
        return None
    deleted, kept = Counter[str](), Counter[str]()
    for answer in facts.answers:
        deleted.update({one.table: one.rows for one in answer.deleted})
        kept.update({one.table: one.rows for one in answer.kept})
    *tables, everything = export.tables
    objects = _objects(facts, export)
    return SymmetryPart(
        export_id=export.export_id,
        export_sha256=export.sha256,
        snapshot_at=export.snapshot_at,
        tables=tuple(_side_by_side(one, deleted[one.table], kept[one.table]) for one in tables),
        objects=objects,
        objects_not_compared=max(everything.rows - sum(one.exported for one in objects), 0),
        not_exported=_not_exported(export, deleted + kept),
    )


def _objects(facts: Certify, export: ExportEvidence) -> tuple[SymmetryRow, ...]:
    """Compare the buckets whose objects were counted before anything was deleted."""
    names = {one.table for one in export.objects}
    before, after = (_counted(readings, names) for readings in (facts.before, facts.after))
    shared = Counter[str]()
    for bucket, one in _buckets(facts.before, names):
        shared[bucket] += one.shared
    return tuple(
        _side_by_side(one, max(before[one.table] - after[one.table], 0), after[one.table], shared[one.table])
        for one in export.objects
        if one.table in before
    )


def _counted(readings: tuple[HolderReading, ...], names: set[str]) -> Counter[str]:
    found = Counter[str]()
    for bucket, one in _buckets(readings, names):
        found[bucket] += one.objects or 0
    return found


def _buckets(readings: tuple[HolderReading, ...], names: set[str]) -> Iterable[tuple[str, TableReading]]:
    """Give what was read of buckets, by their names: of some by prefix, of others as far as rows refer to them."""
    tables = (one for reading in readings for one in reading.tables)
    return ((_bucket(one.table, names), one) for one in tables if one.objects is not None)


def _bucket(table: str, names: set[str]) -> str:
    return table if table in names else reported(table.removeprefix(_REFERRED))


def _not_exported(export: ExportEvidence, there: Counter[str]) -> tuple[TableCount, ...]:
    if export.tables[-1].rows and not export.objects:
        # It doesn't tell from which buckets it has objects.
        return ()
    buckets = {one.table for one in export.objects}
    names = {one.table for one in export.tables[:-1]}
    return tuple(
        TableCount(table=table, rows=rows)
        for table, rows in sorted(there.items())
        if rows and table not in names and _bucket(table, buckets) not in buckets
    )


def _side_by_side(of: TableCount, deleted: int, kept: int, shared: int = 0) -> SymmetryRow:
    there = deleted + kept + shared
    return SymmetryRow(
        table=of.table,
        exported=of.rows,
        deleted=deleted,
        written_since=max(there - of.rows, 0),
        gone_before=max(of.rows - there, 0),
        retained=kept,
        shared=shared,
    )
