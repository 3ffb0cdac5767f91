"""A delta that was asked for (P3): against which of the customer's own exports it may be made, and what is told of it.

What is read here can't tell what lies in the store: that the base is whole is found when it is made.
"""

from __future__ import annotations

from shared.events.exporter import DeltaReady, NoBase
from shared.events.platform import ExportRequested
from shared.events.vocabulary import DeltaBase
from shared.window import Window

from .announced import copy_of
from .states import Building, Copy, Delta, Known, Volume
from .tasks import DeltaBuilt


def no_base(known: Known, event: ExportRequested, window: Window) -> NoBase | None:
    """Tell why the export that *event* names can be no base; None if it can, or if none was named.

    It has to be complete, announced, readable by us, and of what is asked for now, in the same *window*.
    """
    if event.since is None:
        return None
    base = copy_of(known, event.since)
    return _not_there(known, event.since) if base is None else _differs(base, event, window)


def _not_there(known: Known, export_id: str) -> NoBase:
    if any(one.copy.export_id == export_id for one in known.deltas):
        return "base_is_delta"
    building = any(one.export_id == export_id for one in known.building)
    return "base_not_ready" if building else "base_unknown"


def _differs(base: Copy, event: ExportRequested, window: Window) -> NoBase | None:
    if not base.sha256 or None in (base.formats, base.language, base.encrypted, base.snapshot_at):
        # A release that kept less of what it had made has made it.
        return "base_not_comparable"
    if base.encrypted:
        return "base_encrypted"
    if base.snapshot_at is None or base.snapshot_at < window.opens_at:
        return "base_of_earlier_window"
    if {*base.scope} != {*event.scope}:
        return "base_other_scope"
    if {*(base.formats or ())} != {*event.formats}:
        return "base_other_formats"
    return None if _spoken(base.language) == _spoken(event.language) else "base_other_language"


def _spoken(language: str | None) -> str:
    # "sv-se" and "sv" are one: the page knows no regions.
    return (language or "").partition("-")[0]


def lying(event: DeltaBuilt, *, announced: bool) -> Delta:
    """Give what is remembered of a delta that lies there."""
    *before, last = (Volume(one.place, one.sha256, one.object_version or "") for one in event.volumes)
    copy = Copy(
        event.export_id,
        last.place,
        last.sha256,
        event.snapshot_at,
        event.map_sha256,
        announced=announced,
        version=last.version,
        before=tuple(before),
    )
    return Delta(copy, event.base_id)


def delta_ready(building: Building, event: DeltaBuilt, base: Copy) -> DeltaReady:
    """Say that a delta is ready, and of what."""
    return DeltaReady(
        customer_id=event.customer_id,
        request_id=building.request_id,
        export_id=event.export_id,
        base=DeltaBase(export_id=base.export_id, sha256=base.sha256, snapshot_at=base.snapshot_at),
        files=event.files,
        volumes=event.volumes,
        tables=event.tables,
        media=event.media,
        map_sha256=event.map_sha256,
        snapshot_at=event.snapshot_at,
        available_until=building.until,
        signed_by=event.signed_by,
        encrypted_to=event.encrypted_to,
    )
