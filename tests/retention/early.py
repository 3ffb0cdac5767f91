"""Short words for an end before the window is over (P10): an export, its confirmation, and what was found of that."""

from __future__ import annotations

from datetime import datetime

from shared.events.exporter import ConfirmationAccepted, ConfirmationVoided, ExportReady
from shared.events.platform import EarlyDeletionRequested, ExportConfirmed
from shared.events.vocabulary import ArchiveVolume, TableCount
from tests.retention.language import CLOSES, DAY, OVER

SUM = "1" * 64


def ready(sha256: str = SUM) -> ExportReady:
    """Say that an export of a day after the end is ready."""
    return ExportReady(
        customer_id="acme",
        request_id="r-1",
        export_id="e-1",
        volumes=(
            ArchiveVolume(place="s3://exports/acme/e-1.vol001.zip", size_bytes=1, sha256="8" * 64),
            ArchiveVolume(place="s3://exports/acme/e-1.vol002.zip", size_bytes=1, sha256=sha256),
        ),
        tables=(TableCount(table="users", rows=10),),
        media=TableCount(table="media", rows=0),
        map_sha256="2" * 64,
        snapshot_at=OVER + DAY,
        available_until=CLOSES,
    )


def confirmed(sha256: str = SUM) -> ExportConfirmed:
    """Confirm it two days after the end."""
    return ExportConfirmed(
        customer_id="acme", export_id="e-1", sha256=sha256, confirmed_by="head-1", confirmed_at=OVER + 2 * DAY
    )


def found(compared_at: datetime = OVER + 2 * DAY, sha256: str = SUM, export_id: str = "e-1") -> ConfirmationAccepted:
    """Let the exporter find that nothing changed since."""
    return ConfirmationAccepted(
        customer_id="acme",
        export_id=export_id,
        sha256=sha256,
        confirmed_by="head-1",
        snapshot_at=OVER + DAY,
        compared_at=compared_at,
    )


def void(compared_at: datetime = OVER + 2 * DAY) -> ConfirmationVoided:
    """Let the exporter find that something did."""
    return ConfirmationVoided(
        customer_id="acme",
        export_id="e-1",
        sha256=SUM,
        confirmed_by="head-1",
        reason="data_changed",
        changed=("users",),
        snapshot_at=OVER + DAY,
        compared_at=compared_at,
        offered_until=CLOSES,
    )


def asked(export_id: str = "e-1", request_id: str = "q-1") -> EarlyDeletionRequested:
    """Ask for the deletion before the window is over."""
    return EarlyDeletionRequested(
        customer_id="acme", request_id=request_id, export_id=export_id, requested_by="head-1", requested_at=OVER
    )
