"""What goes wrong with the work, and may go better the next time."""

from __future__ import annotations


class PassingError(OSError):
    """Something that may go better the next time."""
