"""Whether a confirmation holds (P10): the export as it was made, and nothing changed since.

It is looked at when it comes, and once more at the end of a window that it closes early: what begins then can't be
taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from msgspec.structs import replace

from shared.decision import Decided, Decision, Ignored
from shared.events.event import Event
from shared.events.exporter import ConfirmationAccepted, ConfirmationRejected, ConfirmationVoided
from shared.events.platform import ExportConfirmed

from .announced import copy_of, delta_of
from .counting import expired, relied_on, uncut_window, window_under
from .policy import ExporterPolicy
from .states import Accounted, Confirming, Copy, Keeping, Known, State, Verdict
from .tasks import CompareExport, CompareFailed, ExportCompared

Rejection: TypeAlias = Literal["unknown_export", "other_checksum", "window_not_open", "window_closed", "is_delta"]
Void: TypeAlias = Literal["data_changed", "map_changed", "not_compared"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a comparison came to: the confirmation holds, unless it is *void*; *changed* are tables."""

    compared_at: datetime
    void: Void | None
    changed: tuple[str, ...] = ()


def export_confirmed(state: State, event: ExportConfirmed, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Compare the export with what there is now, if it is the one that was made; otherwise say what is wrong."""
    known = state.known
    # Before anything else: a wrong one is no repetition of the right one that is being compared.
    reason = _objection(state, event, now, policy)
    if reason is not None:
        rejected = ConfirmationRejected(
            customer_id=event.customer_id,
            export_id=event.export_id,
            confirmed_by=event.confirmed_by,
            reason=reason,
        )
        return Decided(state, (rejected,))
    if any(one.export_id == event.export_id for one in known.confirming):
        return Ignored("it is being compared")
    return _compare(known, Confirming(event.export_id, event.confirmed_by, 1))


def _objection(state: State, event: ExportConfirmed, now: datetime, policy: ExporterPolicy) -> Rejection | None:
    copy = copy_of(state.known, event.export_id)
    if copy is None:
        return "unknown_export" if delta_of(state.known, event.export_id) is None else "is_delta"
    if copy.sha256 != event.sha256:
        return "other_checksum"
    return _closed(state, now, policy)


def _closed(state: State, now: datetime, policy: ExporterPolicy) -> Rejection | None:
    window = window_under(state.known, policy)
    if window is None or now < window.opens_at:
        return "window_not_open"
    closed = not isinstance(state, Keeping) or now >= window.closes_at or expired(state.known, window)
    return "window_closed" if closed else None


def _compare(known: Known, confirming: Confirming) -> Decided[State]:
    copy = copy_of(known, confirming.export_id)
    task = CompareExport(
        customer_id=known.customer_id,
        export_id=confirming.export_id,
        attempt=confirming.attempt,
        scope=() if copy is None else copy.scope,
    )
    return Decided(Keeping(replace(known, confirming=(*known.confirming, confirming))), (), (task,))


def export_compared(state: State, event: ExportCompared, _: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Say whether the confirmation holds, and if not what changed, and until when a new export can be had."""
    found = _awaited(state.known, event)
    if found is None:
        return Ignored("no such comparison is awaited")
    return _answered(state, *found, _finding(found[1], event), policy)


def _finding(copy: Copy, event: ExportCompared) -> Finding:
    after = {Accounted(one.place, one.rows, one.fingerprint) for one in event.account}
    changed = tuple(sorted({one.place for one in {*copy.account} ^ after}))
    if not copy.account or not after:
        return Finding(event.compared_at, "not_compared")
    if copy.map_sha256 != event.map_sha256:
        # Other tables, or other columns: what differs need not be the data, and what is equal need not be all of it.
        return Finding(event.compared_at, "map_changed")
    return Finding(event.compared_at, "data_changed" if changed else None, changed)


def compare_failed(state: State, event: CompareFailed, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Try again, as often as the policy says, or answer that the confirmation can't be relied on."""
    found = _awaited(state.known, event)
    if found is None:
        return Ignored("no such comparison is awaited")
    confirming, copy = found
    if isinstance(state, Keeping) and confirming.attempt < policy.attempts:
        again = replace(confirming, attempt=confirming.attempt + 1)
        return _compare(_without(state.known, confirming), again)
    return _answered(state, confirming, copy, Finding(now, "not_compared"), policy)


def _awaited(known: Known, event: ExportCompared | CompareFailed) -> tuple[Confirming, Copy] | None:
    copy = copy_of(known, event.export_id)
    for one in known.confirming:
        if copy is not None and (one.export_id, one.attempt) == (event.export_id, event.attempt):
            return one, copy
    return None


def _answered(
    state: State, confirming: Confirming, copy: Copy, finding: Finding, policy: ExporterPolicy
) -> Decided[State]:
    verdict = Verdict(copy.export_id, confirming.confirmed_by, finding.compared_at, finding.void is None)
    others = tuple(one for one in state.known.verdicts if one.export_id != copy.export_id)
    known = replace(_without(state.known, confirming), verdicts=(*others, verdict))
    return Decided(replace(state, known=known), (_said(known, verdict, copy, finding, policy),))


def _said(known: Known, verdict: Verdict, copy: Copy, finding: Finding, policy: ExporterPolicy) -> Event:
    named = {
        "customer_id": known.customer_id,
        "export_id": copy.export_id,
        "sha256": copy.sha256,
        "confirmed_by": verdict.confirmed_by,
        "snapshot_at": copy.snapshot_at,
        "compared_at": finding.compared_at,
    }
    if finding.void is None:
        return ConfirmationAccepted(**named)
    window = uncut_window(known, policy)
    until = finding.compared_at if window is None else window.closes_at
    return ConfirmationVoided(**named, reason=finding.void, changed=finding.changed, offered_until=until)


def uphold_at(state: State) -> datetime | None:
    """Tell when the confirmation that closes the window early has to be looked at again: when it closes."""
    due = _to_uphold(state)
    return None if due is None else due[1]


def upheld(state: State, now: datetime) -> Decision[State]:
    """Look again, now that the window closes early, whether the confirmation still holds."""
    due = _to_uphold(state)
    if due is None or now < due[1]:
        return Ignored("nothing is due")
    verdict = due[0]
    return _compare(state.known, Confirming(verdict.export_id, verdict.confirmed_by, 1))


def _to_uphold(state: State) -> tuple[Verdict, datetime] | None:
    known = state.known
    cut = relied_on(known)
    if cut is None or not isinstance(state, Keeping):
        return None
    export_id, closes_at = cut
    verdict = verdict_of(known, export_id)
    if verdict is None or not verdict.holds or verdict.compared_at >= closes_at:
        return None
    under_way = any(one.export_id == export_id for one in known.confirming)
    return None if under_way else (verdict, closes_at)


def unproven(known: Known, now: datetime, policy: ExporterPolicy) -> bool:
    """Tell whether only a confirmation closes the window, and nobody saw yet that it held when it did."""
    cut, window = relied_on(known), uncut_window(known, policy)
    if cut is None or window is None or now >= window.closes_at:
        return False
    verdict = verdict_of(known, cut[0])
    return verdict is None or not verdict.holds or verdict.compared_at < cut[1]


def verdict_of(known: Known, export_id: str) -> Verdict | None:
    """Give what the last comparison of the export came to."""
    return next((one for one in known.verdicts if one.export_id == export_id), None)


def _without(known: Known, confirming: Confirming) -> Known:
    return replace(known, confirming=tuple(one for one in known.confirming if one != confirming))
