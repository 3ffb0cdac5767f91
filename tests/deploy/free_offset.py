"""Where a stack of a test's own finds ports."""

from __future__ import annotations

import secrets

from deploy.stack.ports import is_taken
from deploy.stack.site import BASE_PORTS


def free_offset() -> int:
    """Find an offset whose ports are free, so that two runs of the tests don't meet."""
    while True:
        offset = 1000 + 20 * secrets.randbelow(500)
        if not any(is_taken(port + offset) for ports in BASE_PORTS.values() for port in ports.values()):
            return offset
