"""What every server of the stack has to tell: how it is prepared, started, asked, and ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from .processes import Program


class Server(Protocol):
    """One server of the stack; nothing here starts or waits, so that all of them are treated alike."""

    @property
    def name(self) -> str:
        """Name it as the settings do."""

    @property
    def title(self) -> str:
        """Name it as people do."""

    @property
    def ports(self) -> dict[str, int]:
        """Give its ports by purpose."""

    @property
    def endings(self) -> Sequence[tuple[signal.Signals, float]]:
        """Give the signals that end it, the gentlest first, and how many seconds each gets."""

    @property
    def address(self) -> str:
        """Say where clients find it."""

    def prepare(self) -> Program:
        """Make its data folder usable and say what to run; a cut-off earlier attempt is made good."""

    def answers(self) -> bool:
        """Tell whether it serves a client's request now."""

    def clear(self) -> None:
        """Remove what a killed process leaves outside its data folder."""


def plain_environment(home: Path, **more: str) -> dict[str, str]:
    """Give a server only what it needs: its behaviour must not hang on the shell that started it."""
    return {"PATH": os.defpath, "HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC", **more}
