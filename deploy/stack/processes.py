"""Processes that outlive the command that started them, and how to tell them from their pids' next holders."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: its arguments, environment and user, and the signals that end it, each with its patience in s."""

    arguments: Sequence[str | Path]
    environment: Mapping[str, str]
    folder: Path
    user: int | None = None
    group: int | None = None


# Kept for the life of this process: a dropped Popen of a living child would warn, and its zombie stay.
_children: list[subprocess.Popen[bytes]] = []


def spawn(program: Program, log: Path) -> int:
    """Start *program* in a session of its own, with its output appended to *log*; returns the pid."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            [os.fspath(argument) for argument in program.arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(program.environment),
            cwd=program.folder,
            user=program.user,
            group=program.group,
            extra_groups=None if program.user is None else [],
            start_new_session=True,
        )
    _children.append(child)
    return child.pid


def identity(pid: int) -> str | None:
    """Name the process that has *pid* now, for ever; ``None`` when there is none, or it has ended."""
    for child in _children:
        child.poll()
    return _linux_identity(pid) if sys.platform == "linux" else _other_identity(pid)


def _linux_identity(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name is in brackets and may hold anything; state is the 3rd field, start in ticks since boot the 22nd.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}:{fields[19]}"


def _other_identity(pid: int) -> str | None:
    found = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def ended(pid: int, known: str, within: float) -> bool:
    """Wait up to *within* seconds for the process *known* under *pid* to end."""
    if sys.platform == "linux":
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            # Read after opening: if it is still ours now, the handle is ours as well.
            if identity(pid) != known:
                return True
            return bool(select.select([handle], [], [], within)[0])
        finally:
            os.close(handle)
    deadline = time.monotonic() + within
    while identity(pid) == known:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)  # another process gives no signal that it is gone
    return True


def end(pid: int, known: str, steps: Sequence[tuple[signal.Signals, float]]) -> signal.Signals | None:
    """Send each signal of *steps* and wait its seconds, until the process is gone; returns the one that did it.

    Returns ``None`` when it was gone already. Raises ``TimeoutError`` when it outlives them all.
    """
    if identity(pid) != known:
        return None
    for number, patience in steps:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return number
        if ended(pid, known, patience):
            return number
    msg = f"process {pid} does not end"
    raise TimeoutError(msg)
