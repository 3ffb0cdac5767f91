"""Which clock a process goes by: the machine's, unless a demo or a test moves it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .clock import Clock, MovedClock, system_clock
from .errors import OperatorError


def choose_clock(environ: Mapping[str, str] | None = None) -> Clock:
    """Give the clock that *environ* asks for.

    ``OFFRAMP_MOVED_CLOCK`` names the file with the offset in seconds; in production (``OFFRAMP_ENV=production``) it is
    refused, since whoever moves the clock moves the deletions. Raises OperatorError.
    """
    env = os.environ if environ is None else environ
    file = env.get("OFFRAMP_MOVED_CLOCK")
    if not file:
        return system_clock
    if env.get("OFFRAMP_ENV", "") == "production":
        msg = "OFFRAMP_MOVED_CLOCK is set in production, where time is not ours to move: unset it."
        raise OperatorError(msg)
    if not Path(file).is_file():
        msg = f"OFFRAMP_MOVED_CLOCK names {file}, which is not there: write the offset in seconds into it, or unset it."
        raise OperatorError(msg)
    return MovedClock(Path(file))
