"""The last full export beside the deletion, table by table: whether what went is what could be taken along."""

from __future__ import annotations

from collections import Counter

from shared.events.vocabulary import Count, Moment, Ref, Sha256, TableName, Value

from .tasks import Certify


class SymmetryRow(Value):
    """One table of the last export beside what was deleted: the difference is named, never explained away.

    *retained* stays for a law, or is needed by such rows.
    """

    table: TableName
    exported: Count
    deleted: Count
    written_since: Count
    gone_before: Count
    retained: Count = 0


class SymmetryPart(Value):
    """Whether what was deleted is what the customer could take along, as of the last export that was ready."""

    export_id: Ref
    export_sha256: Sha256
    snapshot_at: Moment
    tables: tuple[SymmetryRow, ...]


def symmetry(facts: Certify) -> SymmetryPart | None:
    """Give it; None where no export was ready."""
    if facts.exported is None:
        return None
    deleted, kept = Counter[str](), Counter[str]()
    for answer in facts.answers:
        deleted.update({one.table: one.rows for one in answer.deleted})
        kept.update({one.table: one.rows for one in answer.kept})
    rows = (_side_by_side(one.table, one.rows, deleted[one.table], kept[one.table]) for one in facts.exported.tables)
    return SymmetryPart(
        export_id=facts.exported.export_id,
        export_sha256=facts.exported.sha256,
        snapshot_at=facts.exported.snapshot_at,
        tables=tuple(rows),
    )


def _side_by_side(table: str, exported: int, deleted: int, kept: int) -> SymmetryRow:
    return SymmetryRow(
        table=table,
        exported=exported,
        deleted=deleted,
        written_since=max(deleted + kept - exported, 0),
        gone_before=max(exported - deleted - kept, 0),
        retained=kept,
    )
