"""What a confirmation is worth (P10): a deletion that only a confirmation allows rests on one that still holds.

The exporter compares the confirmed export with what there is, when it is confirmed and again when the window closes
early. Until it has said the second time that nothing changed, the early end has no effect.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from shared.events.retention import EarlyDeletionWithdrawn
from shared.window import Window, window_of
from shared.windowchanges import Change, applied, cut_short, uncut

from .states import Known, Verdict


def with_verdict(known: Known, news: Verdict) -> Known | None:
    """Take on what the exporter found; None if something later is known."""
    before = verdict_of(known, news.export_id)
    if before is not None and (before.compared_at, not before.holds) >= (news.compared_at, not news.holds):
        return None
    others = tuple(one for one in known.verdicts if one.export_id != news.export_id)
    return replace(known, verdicts=(*others, news))


def verdict_of(known: Known, export_id: str) -> Verdict | None:
    """Give what was found last of the export."""
    return next((one for one in known.verdicts if one.export_id == export_id), None)


def relied_on(known: Known) -> Change | None:
    """Give what cuts the window short now; None if nothing does."""
    return cut_short(_whole(known), known.changes)


def uncut_window(known: Known) -> Window | None:
    """Tell the window as it would be if no confirmation cut it short."""
    return uncut(_whole(known), known.changes)


def unproven(known: Known, now: datetime) -> bool:
    """Tell whether only a confirmation closes the window, and it wasn't found to hold when it closed.

    At the end of the whole window nobody needs it any more.
    """
    cut, window, whole = relied_on(known), applied(_whole(known), known.changes), uncut_window(known)
    if cut is None or window is None or whole is None or now >= whole.closes_at:
        return False
    verdict = verdict_of(known, cut.export_id)
    return verdict is None or not verdict.holds or verdict.compared_at < window.closes_at


def _whole(known: Known) -> Window | None:
    return window_of(known.contracts, known.window_days) if known.window_days else None


def withdrawn(known: Known, void: Verdict | None, now: datetime) -> EarlyDeletionWithdrawn | None:
    """Say that the window is as long as before, if what cuts it short is *void*, or can't be relied on any more."""
    cut, whole = relied_on(known), uncut_window(known)
    if cut is None or whole is None or (void is not None and void.export_id != cut.export_id):
        return None
    return EarlyDeletionWithdrawn(
        customer_id=known.customer_id,
        request_id=cut.name,
        export_id=cut.export_id,
        reason="not_upheld" if void is None else "confirmation_void",
        terminated_at=whole.opens_at,
        last_day=whole.last_day,
        closes_at=whole.closes_at,
        withdrawn_at=now,
    )
