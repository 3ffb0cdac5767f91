"""What becomes of an archive, or a delta, that was ordered: built and told, tried again, or given up (P3, P4)."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from shared.decision import Decided, Decision, Ignored
from shared.events.event import Event
from shared.events.exporter import ExportFailed, ExportReady, ExportRefused
from shared.events.vocabulary import ArchiveVolume

from .announced import copy_of
from .archive.faults import (
    OtherMapError,
    PapersAloneError,
    TooManyVolumesError,
    UnknownError,
    UnusableRecipientError,
)
from .copies import as_base
from .counting import expired_at, window_under
from .deletion import go_on
from .deltas import delta_ready, lying
from .policy import ExporterPolicy
from .states import Accounted, Building, Copy, Deleting, Erased, Keeping, Known, State, Volume
from .tasks import ArchiveBuilt, BuildArchive, BuildFailed, DeltaBuilt

# What was asked for can't be had, whoever tries it and when.
FOR_GOOD = frozenset(one.code for one in (UnknownError, PapersAloneError, UnusableRecipientError, TooManyVolumesError))


def archive_built(state: State, event: ArchiveBuilt, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Tell the customer that the archive is ready; one that comes too late is deleted with the others."""
    if any(copy.export_id == event.export_id for copy in state.known.copies):
        return Ignored("the archive is known")
    building = _ordered(state.known, event)
    withheld = _withheld(state, building, event, policy)
    # All of it, though a delta may have been asked for: a worker of a release that knows of none has built it.
    copy = replace(_copy(event, building), announced=building is not None and withheld is None)
    known = replace(_without(state.known, event), archives=(*state.known.archives, copy))
    said: tuple[Event, ...] = ()
    if building is not None:
        said = (_ready(building, event) if withheld is None else _failed(building, event.customer_id, withheld),)
    return _laid_down(state, known, said, now, policy)


def delta_built(state: State, event: DeltaBuilt, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Tell the customer that the delta is ready, and what it needs; that it isn't all of it is the outcome's word."""
    known = state.known
    if any(copy.export_id == event.export_id for copy in known.copies):
        return Ignored("the delta is known")
    building, base = _ordered(known, event), copy_of(known, event.base_id)
    withheld = _withheld(state, building, event, policy) or ("base_gone" if base is None else None)
    delta = lying(event, announced=building is not None and withheld is None)
    known = replace(_without(known, event), deltas=(*known.deltas, delta))
    said: tuple[Event, ...] = ()
    if building is not None and (withheld is not None or base is None):
        said = (_failed(building, event.customer_id, withheld or "base_gone"),)
    elif building is not None and base is not None:
        said = (delta_ready(building, event, base),)
    return _laid_down(state, known, said, now, policy)


def _ordered(known: Known, event: ArchiveBuilt | DeltaBuilt | BuildFailed) -> Building | None:
    return next((one for one in known.building if one.export_id == event.export_id), None)


def _withheld(
    state: State, building: Building | None, event: ArchiveBuilt | DeltaBuilt, policy: ExporterPolicy
) -> str | None:
    """Tell why nobody is given what lies there now; it goes with the others."""
    if not isinstance(state, Keeping):
        return "deletion_requested"
    if building is None:
        return None
    if event.snapshot_at >= _until(state.known, building, policy):
        # What it shows may be what a deletion had left over, and that must not pass for all there was. Whether one
        # has begun is not asked: another service's event may be on its way.
        return "window_closed"
    # Else a worker of a release that encrypts nothing has built it.
    return "not_encrypted" if building.encrypt_to and not event.encrypted_to else None


def _laid_down(
    state: State, known: Known, said: tuple[Event, ...], now: datetime, policy: ExporterPolicy
) -> Decided[State]:
    if isinstance(state, Keeping):
        return Decided(Keeping(known), said)
    return _also(go_on(_under_way(state, known), now, policy), said)


def _copy(event: ArchiveBuilt, building: Building | None) -> Copy:
    account = tuple(Accounted(one.place, one.rows, one.fingerprint) for one in event.account)
    scope = () if building is None else building.scope
    of = event.sha256, event.snapshot_at, event.map_sha256
    before = tuple(Volume(one.place, one.sha256, one.object_version or "") for one in event.before)
    return Copy(
        event.export_id,
        event.place,
        *of,
        scope,
        account,
        version=event.object_version or "",
        before=before,
        formats=None if building is None else building.formats,
        language=None if building is None else building.language,
        encrypted=bool(event.encrypted_to),
    )


def _under_way(state: Deleting | Erased, known: Known) -> Deleting:
    """Go on deleting with what is *known* now; an archive that turned up late begins it again."""
    if isinstance(state, Deleting):
        return replace(state, known=known)
    return Deleting(known, state.deletion_id, state.window_closed_at)


def build_failed(state: State, event: BuildFailed, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Try again, as often as the policy says, or answer that there is no archive; at once where that can't help."""
    building = _ordered(state.known, event)
    if building is None or building.attempt != event.attempt:
        return Ignored("no such attempt is awaited")
    known = _without(state.known, event)
    if not isinstance(state, Keeping):
        failed = (_failed(building, event.customer_id, "deletion_requested"),)
        return _also(go_on(_under_way(state, known), now, policy), failed)
    if event.reason == OtherMapError.code:
        # It was known only when the map was read, and it is the request's fault all the same.
        return Decided(Keeping(known), (_other_map(event),))
    for_good = event.reason in FOR_GOOD or building.attempt >= policy.attempts
    if for_good or expired_at(known, building.until):
        return Decided(Keeping(known), (_failed(building, event.customer_id, event.reason),))
    return build(known, replace(building, attempt=building.attempt + 1))


def _other_map(event: BuildFailed) -> ExportRefused:
    return ExportRefused(customer_id=event.customer_id, request_id=event.request_id, reason="base_other_map")


def _until(known: Known, building: Building, policy: ExporterPolicy) -> datetime:
    """Tell from when on what was read may have been gone: the window may have been cut short since it was asked for."""
    window = window_under(known, policy)
    if window is None:
        return building.until
    told = [known.expired_at] if known.expired_at is not None and known.expired_from == window.opens_at else []
    return min(building.until, window.closes_at, *told)


def build(known: Known, building: Building) -> Decision[State]:
    """Order it; what is to be a delta only against an archive that is there."""
    base = copy_of(known, building.since)
    if building.since and base is None:
        # Tried again, and what it was to be made against is gone meanwhile.
        return Decided(Keeping(known), (_failed(building, known.customer_id, "base_gone"),))
    task = BuildArchive(
        customer_id=known.customer_id,
        request_id=building.request_id,
        export_id=building.export_id,
        attempt=building.attempt,
        scope=building.scope,
        formats=building.formats,
        language=building.language,
        encrypt_to=building.encrypt_to,
        volume_size=building.volume_size,
        since=None if base is None else as_base(base),
    )
    return Decided(Keeping(replace(known, building=(*known.building, building))), (), (task,))


def _ready(building: Building, event: ArchiveBuilt) -> ExportReady:
    last = ArchiveVolume(
        place=event.place, size_bytes=event.size_bytes, sha256=event.sha256, object_version=event.object_version
    )
    return ExportReady(
        customer_id=event.customer_id,
        request_id=building.request_id,
        export_id=event.export_id,
        volumes=(*event.before, last),
        tables=event.tables,
        media=event.media,
        map_sha256=event.map_sha256,
        snapshot_at=event.snapshot_at,
        available_until=building.until,
        signed_by=event.signed_by,
        encrypted_to=event.encrypted_to,
        objects=event.objects,
    )


def _failed(building: Building, customer_id: str, reason: str) -> ExportFailed:
    return ExportFailed(
        customer_id=customer_id,
        request_id=building.request_id,
        export_id=building.export_id,
        reason=reason,
        attempts=building.attempt,
    )


def _without(known: Known, event: ArchiveBuilt | DeltaBuilt | BuildFailed) -> Known:
    return replace(known, building=tuple(one for one in known.building if one.export_id != event.export_id))


def _also(decision: Decided[State], events: tuple[Event, ...]) -> Decided[State]:
    return Decided(decision.state, (*events, *decision.events), decision.tasks)
