"""What customers were told that they may have: archives, and deltas, which are nothing without an archive."""

from __future__ import annotations

from .states import Copy, Delta, Known


def copy_of(known: Known, export_id: str) -> Copy | None:
    """Give the archive of that export, if it is there and was announced as ready; never a delta."""
    return next((one for one in known.archives if one.export_id == export_id and one.announced), None)


def delta_of(known: Known, export_id: str) -> Delta | None:
    """Give the delta of that export, if it was announced as ready, and what it needs is there as well."""
    found = next((one for one in known.deltas if one.copy.export_id == export_id and one.copy.announced), None)
    return None if found is None or copy_of(known, found.base_id) is None else found


def needed_by(known: Known, export_id: str) -> Copy | None:
    """Give the archive that the export is complete with, if it is a delta."""
    delta = delta_of(known, export_id)
    return None if delta is None else copy_of(known, delta.base_id)


def any_of(known: Known, export_id: str) -> Copy | None:
    """Give what lies there of that export, be it an archive or a delta."""
    delta = delta_of(known, export_id)
    return copy_of(known, export_id) if delta is None else delta.copy
