"""Has the servers up while something lasts, and leaves them as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.settings import Settings

from . import lifecycle


@contextmanager
def servers(settings: Settings) -> Iterator[None]:
    """Start what is missing and stop it at the end; what was up before stays up. Raises ``OperatorError``."""
    were_up = all(one.state in {"running", "external"} for one in lifecycle.status(settings))
    lifecycle.up(settings)
    try:
        yield
    finally:
        if not were_up:
            lifecycle.down(settings)
