"""What a worker learns that stalled for longer than its lease: its task is somebody else's."""

from __future__ import annotations


class LeaseLostError(Exception):
    """Another performer has taken the task over; what this one did must not count."""
