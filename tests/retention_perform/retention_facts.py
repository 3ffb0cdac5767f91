"""The facts of one finished deletion, from which certificates are made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.retention.journal import Journal, noted
from services.retention.tasks import (
    Certify,
    ExportEvidence,
    HolderAnswer,
    HolderReading,
    HoldEvidence,
    JournalEntry,
    TableReading,
)
from shared.events.platform import CustomerInformed, ExportConfirmed
from shared.events.vocabulary import TableCount, TableFingerprint

END = datetime(2026, 8, 1, 22, 0, tzinfo=UTC)
CLOSED = END + timedelta(days=90)


def reading(own: int, holder: str = "platform-database", kept: int = 0) -> HolderReading:
    """Give one holder with one table."""
    table = TableReading(table="users", own=own, others=7, fingerprint="ab", kept=kept)
    return HolderReading(holder=holder, tables=(table,))


def answer(remaining: int = 0, holder: str = "platform-database") -> HolderAnswer:
    """Give a holder's answer: two rows deleted."""
    return HolderAnswer(
        holder=holder,
        commanded_at=CLOSED,
        answered_at=CLOSED + timedelta(hours=1),
        deleted=(TableCount(table="users", rows=2),),
        remaining=(TableCount(table="users", rows=remaining),),
        bystanders=(TableFingerprint(table="users", rows_before=7, rows_after=7, before="ab", after="ab"),),
    )


def hold(released_at: datetime | None = CLOSED) -> HoldEvidence:
    """Give a hold that was placed before the window closed."""
    return HoldEvidence(hold_id="hold-1", basis="BFL 7:2", placed_at=END, released_at=released_at)


def exported(rows: int = 1) -> ExportEvidence:
    """Give the last export, from before the last row was written."""
    tables = (TableCount(table="users", rows=rows), TableCount(table="media", rows=0))
    return ExportEvidence(export_id="e-1", sha256="0" * 64, snapshot_at=END + timedelta(days=1), tables=tables)


def journal() -> tuple[JournalEntry, ...]:
    """Give a case's journal of two decisions."""
    kept = noted(Journal(), END, "ContractTerminated", "window", ())
    kept = noted(kept, CLOSED, "Woke", "surveying", ("RetentionExpired",))
    return tuple(
        JournalEntry(at=entry.at, given=entry.given, state=entry.state, events=entry.events, seal=entry.seal)
        for entry in kept.entries
    )


def facts(**changed: object) -> Certify:
    """Give everything that is known of a deletion gone well, but for what is *changed*."""
    informed = CustomerInformed(
        customer_id="acme", announcement_id="a-1", channel="email", outcome="delivered", informed_at=END
    )
    confirmed = ExportConfirmed(
        customer_id="acme", export_id="e-1", sha256="0" * 64, confirmed_by="staff-7", confirmed_at=END
    )
    told: dict[str, object] = {
        "customer_id": "acme",
        "deletion_id": "deletion:acme/1",
        "attempt": 2,
        "terminated_at": END,
        "window_days": 90,
        "window_closed_at": CLOSED,
        "policy_version": "2026-11",
        "answers": (answer(),),
        "before": (reading(2),),
        "after": (reading(0),),
        "checked_at": CLOSED + timedelta(hours=2),
        "holds": (hold(),),
        "informed": (informed,),
        "confirmed": (confirmed,),
        "access_ended": (),
        "approvals": (),
        "exported": exported(),
        "copies": (),
        "sub_processors": ("mail-relay",),
        "journal": journal(),
    }
    return Certify.model_validate({**told, **changed})
