"""How ssh-keygen(1) reads a moment."""

from __future__ import annotations

from datetime import UTC, datetime

# ssh-keygen takes a moment without Z as the local time of whoever checks: then two desks would disagree.
SECONDS = "%Y%m%d%H%M%SZ"


def ssh_time(moment: datetime) -> str:
    """Write *moment* as ssh-keygen reads it (``-O verify-time``, ``valid-before``): UTC, whole seconds, with a Z."""
    return moment.astimezone(UTC).strftime(SECONDS)
