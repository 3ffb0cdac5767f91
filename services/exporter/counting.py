"""The window as this service counts it (P3): by the days that it opened with, as later events changed it."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from shared.contracts import Contracts
from shared.window import Window, window_of
from shared.windowchanges import applied, cut_short, uncut

from .policy import ExporterPolicy
from .states import Known


def window_under(known: Known, policy: ExporterPolicy) -> Window | None:
    """Tell the window as it is now; None while a contract goes on.

    Cases that were saved before the days were kept are counted by the policy of today.
    """
    return applied(window_of(known.contracts, known.window_days or policy.window_days), known.changes)


def uncut_window(known: Known, policy: ExporterPolicy) -> Window | None:
    """Tell the window as it would be if no confirmation closed it early; None while a contract goes on."""
    return uncut(window_of(known.contracts, known.window_days or policy.window_days), known.changes)


def relied_on(known: Known) -> tuple[str, datetime] | None:
    """Give the export whose confirmation closes the window early, and when that is; None if nothing does.

    Of cases that were saved before the days were kept none is given.
    """
    window = window_of(known.contracts, known.window_days) if known.window_days else None
    change, closing = cut_short(window, known.changes), applied(window, known.changes)
    return None if change is None or closing is None else (change.export_id, closing.closes_at)


def under_contracts(known: Known, news: Contracts, policy: ExporterPolicy) -> Known:
    """Go on under changed contracts: a window keeps its days, one that opens gets those of the policy."""
    after = replace(known, contracts=news, window_days=policy.window_days)
    before, window = window_under(known, policy), window_under(after, policy)
    same = before is not None and window is not None and before.opens_at == window.opens_at
    return replace(after, window_days=known.window_days) if same else after


def expired(known: Known, window: Window) -> bool:
    """Tell whether retention has said that *window* is over; it may have been cut short, and that not read yet."""
    return expired_at(known, window.closes_at) or known.expired_from == window.opens_at


def expired_at(known: Known, closes_at: datetime) -> bool:
    """Tell whether retention has said that a window until *closes_at*, or a later one, is over."""
    return known.expired_at is not None and known.expired_at >= closes_at
