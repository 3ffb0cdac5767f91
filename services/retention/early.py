"""Deletion before the window is over: only when the customer confirmed the transfer, and asked for it (P10)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from shared.days import first_moment_after, local_day
from shared.events.platform import EarlyDeletionRequested
from shared.events.retention import EarlyDeletionAccepted, EarlyDeletionRefused
from shared.holds import all_held
from shared.window import Window

from .confirming import verdict_of
from .policy import RetentionPolicy
from .states import Confirmed, InWindow, Known, State, Verdict

Objection: TypeAlias = Literal["not_confirmed", "not_in_window", "held"]


def transferred(known: Known, export_id: str) -> Confirmed | None:
    """Give the confirmation of *export_id*, if it names the checksum of the export that was ready."""
    ready = next((one for one in known.ready if one.export_id == export_id), None)
    if ready is None:
        return None
    matching = (one for one in known.confirmed if one.export_id == export_id and one.sha256 == ready.sha256)
    return next(matching, None)


def compared(known: Known, confirmed: Confirmed) -> Verdict | None:
    """Give what the exporter found when it compared what was *confirmed* with what there was, if it has."""
    verdict = verdict_of(known, confirmed.export_id)
    return verdict if verdict is not None and verdict.sha256 == confirmed.sha256 else None


def early_answer(
    state: State, event: EarlyDeletionRequested, now: datetime, policy: RetentionPolicy
) -> EarlyDeletionAccepted | EarlyDeletionRefused:
    """Tell from when on the data goes, or why the window stays as it is.

    A confirmation counts if the exporter found that nothing had changed since the export.
    """
    if not isinstance(state, InWindow) or now >= state.window.closes_at:
        return _refused(event, "not_in_window")
    confirmed = transferred(state.known, event.export_id)
    verdict = None if confirmed is None else compared(state.known, confirmed)
    if confirmed is None or verdict is None or not verdict.holds:
        return _refused(event, "not_confirmed")
    if all_held(state.known.holds, now):
        return _refused(event, "held")
    return _accepted(event, confirmed, state.window, now, policy)


def _refused(event: EarlyDeletionRequested, reason: Objection) -> EarlyDeletionRefused:
    return EarlyDeletionRefused(customer_id=event.customer_id, request_id=event.request_id, reason=reason)


def _accepted(
    event: EarlyDeletionRequested, confirmed: Confirmed, window: Window, now: datetime, policy: RetentionPolicy
) -> EarlyDeletionAccepted:
    """Close the window as soon as every warning of the deletion can still be given, and never later than before."""
    last_day = local_day(now, window.zone) + timedelta(days=max(policy.announce_before.deletion))
    last_day = min(last_day, window.last_day)
    return EarlyDeletionAccepted(
        customer_id=event.customer_id,
        request_id=event.request_id,
        export_id=confirmed.export_id,
        sha256=confirmed.sha256,
        terminated_at=window.opens_at,
        last_day=last_day,
        closes_at=first_moment_after(last_day, window.zone),
        accepted_at=now,
    )


def comparing(state: State, export_id: str) -> bool:
    """Tell whether the export was confirmed, and the exporter still compares it with what there is."""
    confirmed = transferred(state.known, export_id)
    return isinstance(state, InWindow) and confirmed is not None and compared(state.known, confirmed) is None
