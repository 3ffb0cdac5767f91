"""Events of the exporter: what became of a request for the customer's data (P3 to P6)."""

from __future__ import annotations

from typing import ClassVar, Literal

from .event import Event
from .vocabulary import Code, Count, Day, KeyId, Moment, Place, Ref, Sha256, TableCount


class ExportReady(Event):
    """The archive at *place* is complete: every declared table was read to its end at *snapshot_at*.

    *signed_by* names the key that signed the archive, as ``ssh-keygen -l`` does.
    """

    owner: ClassVar[str] = "exporter"

    request_id: Ref
    export_id: Ref
    place: Place
    size_bytes: Count
    sha256: Sha256
    tables: tuple[TableCount, ...]
    media: TableCount
    map_sha256: Sha256
    snapshot_at: Moment
    available_until: Moment
    signed_by: KeyId | None = None


class ExportRefused(Event):
    """The request was outside the window, which closed on *closed_on* or has not opened."""

    owner: ClassVar[str] = "exporter"

    request_id: Ref
    reason: Literal["window_closed", "window_not_open", "unknown_customer", "already_erased"]
    closed_on: Day | None = None


class ExportFailed(Event):
    """No archive was made, and why; nothing that was left behind may be taken for one."""

    owner: ClassVar[str] = "exporter"

    request_id: Ref
    export_id: Ref
    reason: Code
    attempts: Count


class ExportDeleted(Event):
    """One archive, a copy like any other, is gone in all its versions."""

    owner: ClassVar[str] = "exporter"

    export_id: Ref
    place: Place
    deleted_at: Moment
