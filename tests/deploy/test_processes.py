"""A process is ours only if it is the one that was started, not the next holder of its pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.stack.processes import Program, end, identity, spawn

GENTLE = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
STUBBORN = "trap '' TERM; echo ready; while :; do read -r _ < /dev/null; /bin/sleep 0.1; done"


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that nobody of ours started."""
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process
        process.kill()


def _program(tmp_path: Path, *arguments: str) -> Program:
    return Program(arguments, {"PATH": os.defpath}, tmp_path)


def test_an_identity_ends_with_its_process(tmp_path: Path) -> None:
    """A process has one identity while it lives, and none afterwards, even while nobody has reaped it."""
    pid = spawn(_program(tmp_path, "/bin/sleep", "60"), tmp_path / "log")
    known = identity(pid)
    assert known is not None
    assert identity(pid) == known

    assert end(pid, known, GENTLE) is signal.SIGTERM
    assert identity(pid) is None


def test_a_pid_of_somebody_else_is_left_alone(stranger: subprocess.Popen[bytes]) -> None:
    """A pid that went to another process is not ended: it is not the one that was recorded."""
    assert end(stranger.pid, "an identity of before", GENTLE) is None
    assert stranger.poll() is None


def test_a_stubborn_process_is_killed(tmp_path: Path) -> None:
    """A process that ignores SIGTERM gets its time, then SIGKILL."""
    pid = spawn(_program(tmp_path, "/bin/sh", "-c", STUBBORN), tmp_path / "log")
    while "ready" not in (tmp_path / "log").read_text():
        assert identity(pid)

    assert end(pid, str(identity(pid)), ((signal.SIGTERM, 0.3), (signal.SIGKILL, 5.0))) is signal.SIGKILL


def test_one_that_outlives_everything_is_told(stranger: subprocess.Popen[bytes]) -> None:
    """When no signal ends a process that is an error, not a success."""
    with pytest.raises(TimeoutError):
        end(stranger.pid, str(identity(stranger.pid)), ((signal.SIGCONT, 0.1),))


def test_a_process_does_not_hang_on_the_shell(tmp_path: Path) -> None:
    """What is started is the leader of a session of its own, so no terminal's end reaches it."""
    program = "import os; print(os.getsid(0) == os.getpid(), os.environ.get('HOME'))"
    pid = spawn(_program(tmp_path, sys.executable, "-c", program), tmp_path / "log")
    while identity(pid):
        pass

    assert (tmp_path / "log").read_text().split() == ["True", "None"]
