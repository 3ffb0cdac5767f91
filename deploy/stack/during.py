"""Has the servers up while something lasts, and leaves them as they were."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from shared.settings import Settings

from . import lifecycle

# What a terminal's interrupt reaches, it reaches by itself, as it goes to every process in front.
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def servers(settings: Settings) -> Iterator[None]:
    """Start what is missing and stop that at the end; what was up before stays up. Raises ``OperatorError``."""
    were_up = {one.server for one in lifecycle.status(settings) if one.state == "running"}
    lifecycle.up(settings)
    try:
        yield
    finally:
        lifecycle.down(settings, spared=were_up)


def run(settings: Settings, command: Sequence[str]) -> int:
    """Run *command* while the servers are up; give its exit code, or 128 and the number of the signal that ended it.

    SIGTERM and SIGHUP are passed on to it, and SIGINT is left to it; then the servers are left as they were. One that
    comes before the command runs keeps it from running. Raises ``OperatorError``.
    """
    with _signals() as heard, servers(settings):
        return _code(heard, command)


def _code(heard: _Heard, command: Sequence[str]) -> int:
    if heard.early is not None:
        return 128 + heard.early
    with subprocess.Popen(command) as child:
        heard.child = child
        if heard.early is not None:
            child.send_signal(heard.early)
        code = child.wait()
    return code if code >= 0 else 128 - code


@dataclass
class _Heard:
    """Whom a signal is passed on to; *early* is one that came when there was nobody yet."""

    child: subprocess.Popen[bytes] | None = None
    early: int | None = None

    def __call__(self, number: int, _: FrameType | None) -> None:
        if number not in _PASSED_ON:
            return
        if self.child is None:
            self.early = number
        else:
            # Of one that has ended this does nothing.
            self.child.send_signal(number)


@contextmanager
def _signals() -> Iterator[_Heard]:
    """Hear them for as long as the block lasts, instead of dying of them."""
    heard = _Heard()
    # A handler for SIGINT, too: what ignores it hands that on to the command, for good.
    before = {number: signal.signal(number, heard) for number in (*_PASSED_ON, signal.SIGINT)}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
