"""Links to ready archives: which may be given, and until when (P4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import OperatorError

from .announced import any_of, delta_of, needed_by
from .counting import expired, window_under
from .policy import ExporterPolicy
from .states import Copy, Keeping, Known, State

# Of S3's signatures: no link lives longer, but another can be had on any day of the window.
LONGEST = timedelta(days=7)


class NoLinkError(OperatorError):
    """There is nothing to link to, or no longer the right to have it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What may be fetched until *expires_at* (UTC): an *archive*, or a delta and the *base* that makes it complete."""

    archive: Copy
    expires_at: datetime
    base: Copy | None = None

    @property
    def copies(self) -> tuple[Copy, ...]:
        """Give all that is needed, the base of a delta first."""
        return (self.archive,) if self.base is None else (self.base, self.archive)


def grant(state: State, export_id: str | None, now: datetime, policy: ExporterPolicy) -> Grant:
    """Say which archive may be fetched, and until when: the window's end, or S3's longest if that is sooner.

    Without *export_id* it is the newest archive, never a delta, which is given only by its name. Raises NoLinkError,
    with the date where there is one.
    """
    window = window_under(state.known, policy)
    if window is None or now < window.opens_at:
        raise NoLinkError("The window is not open: a contract goes on, or none is known. Archives are given inside it.")
    if not isinstance(state, Keeping) or now >= window.closes_at or expired(state.known, window):
        raise NoLinkError(f"The window closed with {window.last_day}: archives are deleted, and no longer given.")
    archive, base = _chosen(state.known, export_id)
    needed = {archive.export_id} if base is None else {archive.export_id, base.export_id}
    if any(one.export_id in needed for one in state.known.revoking):
        raise NoLinkError("Links to this archive are being taken back. Ask again when LinksRevoked is there.")
    return Grant(archive, min(window.closes_at, now + LONGEST), base)


def _chosen(known: Known, export_id: str | None) -> tuple[Copy, Copy | None]:
    archives = [one for one in known.archives if one.announced]
    for archive in reversed(archives):
        if export_id in {None, archive.export_id}:
            return archive, None
    delta, base = (None, None) if export_id is None else (delta_of(known, export_id), needed_by(known, export_id))
    if delta is not None and base is not None:
        return delta.copy, base
    if not archives:
        raise NoLinkError("No archive is ready yet. Ask for one with ExportRequested.")
    there = ", ".join(one.export_id for one in known.copies if any_of(known, one.export_id))
    raise NoLinkError(f"There is no archive {export_id}. There are: {there}.")
