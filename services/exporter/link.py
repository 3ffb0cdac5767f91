"""Links to ready archives: which may be given, and until when (P4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import OperatorError

from .counting import expired, window_under
from .policy import ExporterPolicy
from .states import Copy, Keeping, State

# Of S3's signatures: no link lives longer, but another can be had on any day of the window.
LONGEST = timedelta(days=7)


class NoLinkError(OperatorError):
    """There is nothing to link to, or no longer the right to have it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """An archive that may be fetched until *expires_at* (UTC)."""

    archive: Copy
    expires_at: datetime


def grant(state: State, export_id: str | None, now: datetime, policy: ExporterPolicy) -> Grant:
    """Say which archive may be fetched, and until when: the window's end, or S3's longest if that is sooner.

    Without *export_id* it is the newest. Raises NoLinkError, with the date where there is one.
    """
    window = window_under(state.known, policy)
    if window is None or now < window.opens_at:
        raise NoLinkError("The window is not open: a contract goes on, or none is known. Archives are given inside it.")
    if not isinstance(state, Keeping) or now >= window.closes_at or expired(state.known, window):
        raise NoLinkError(f"The window closed with {window.last_day}: archives are deleted, and no longer given.")
    archive = _chosen([one for one in state.known.archives if one.announced], export_id)
    if any(one.export_id == archive.export_id for one in state.known.revoking):
        raise NoLinkError("Links to this archive are being taken back. Ask again when LinksRevoked is there.")
    return Grant(archive, min(window.closes_at, now + LONGEST))


def _chosen(archives: Sequence[Copy], export_id: str | None) -> Copy:
    for archive in reversed(archives):
        if export_id in {None, archive.export_id}:
            return archive
    if not archives:
        raise NoLinkError("No archive is ready yet. Ask for one with ExportRequested.")
    there = ", ".join(archive.export_id for archive in archives)
    raise NoLinkError(f"There is no archive {export_id}. There are: {there}.")
