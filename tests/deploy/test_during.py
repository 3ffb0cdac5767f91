"""Whoever ends `offramp stack during` ends what it runs, and is left with what was there before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deploy.stack import during, lifecycle
from deploy.stack.lifecycle import Status
from shared.settings import Settings, read_settings
from tests.deploy.free_offset import free_offset

OFFRAMP = Path(sys.executable).with_name("offramp")
# Of a stack of which only PostgreSQL is local, because it starts in a second.
ONLY_POSTGRES = {"OFFRAMP_KAFKA": "127.0.0.1:1", "OFFRAMP_S3": "http://127.0.0.1:1"}
HEARS = """
import signal, sys
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: sys.exit(f"heard {number}"))
print("runs", flush=True)
signal.pause()
"""
# Interrupts whoever runs it, then ends it; tells which of the two it is told of.
INTERRUPTS = """
import os, signal
both = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, both)
print("runs", flush=True)
os.kill(os.getppid(), signal.SIGINT)
os.kill(os.getppid(), signal.SIGTERM)
print(signal.sigwait(both).name, len(signal.sigpending()))
"""


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Give a stack of its own, in a folder that the database's user may enter, too."""
    with TemporaryDirectory(prefix="offramp-") as folder:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OFFRAMP_")}
        own = {"OFFRAMP_HOME": f"{folder}/state", "OFFRAMP_PORT_OFFSET": str(free_offset())}
        given = {**inherited, "OFFRAMP_CACHE": str(read_settings().cache), **own, **ONLY_POSTGRES}
        yield given
        lifecycle.down(read_settings(given), wipe=True)


@contextmanager
def _during(environment: dict[str, str], script: str) -> Iterator[subprocess.Popen[str]]:
    """Have it run *script*, which has said that it runs; whatever goes wrong, nothing of it is left running."""
    command = [OFFRAMP, "stack", "during", "--", sys.executable, "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline().startswith("runs")
            yield running
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)


def _ended(running: subprocess.Popen[str]) -> tuple[int, str, str]:
    # Not by communicate(): it passes over what came along with the line that was read already.
    assert running.stdout is not None
    assert running.stderr is not None
    said, complained = running.stdout.read(), running.stderr.read()
    return running.wait(30), said, complained


def _states(environment: dict[str, str]) -> dict[str, str]:
    return {one.server: one.state for one in lifecycle.status(read_settings(environment))}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_command(environment: dict[str, str], number: signal.Signals) -> None:
    """It can end as it has to; its exit code is given, and the servers that were started for it are stopped."""
    with _during(environment, HEARS) as running:
        assert _states(environment)["postgres"] == "running"
        running.send_signal(number)
        code, _, said = _ended(running)

    assert (code, said.splitlines()[-1]) == (1, f"heard {number}")
    assert _states(environment)["postgres"] == "stopped"


def test_a_command_that_a_signal_ended(environment: dict[str, str]) -> None:
    """The exit code says which, as a shell's does; what was up before stays up."""
    subprocess.run([OFFRAMP, "stack", "up"], env=environment, check=True, capture_output=True)
    with _during(environment, "import signal; print('runs', flush=True); signal.pause()") as running:
        running.send_signal(signal.SIGTERM)
        code, _, _ = _ended(running)

    assert code == 128 + signal.SIGTERM
    assert _states(environment)["postgres"] == "running"


def test_one_of_two_was_up(environment: dict[str, str]) -> None:
    """Only the one that was started for the command is stopped after it."""
    subprocess.run([OFFRAMP, "stack", "up"], env=environment, check=True, capture_output=True)
    before = _states(environment)["postgres"]
    with_s3 = {name: value for name, value in environment.items() if name != "OFFRAMP_S3"}
    with _during(with_s3, "print('runs', flush=True)") as running:
        code, _, _ = _ended(running)

    assert code == 0
    assert before == "running"
    assert _states(with_s3) == {"kafka": "external", "postgres": "running", "s3": "stopped"}


def test_a_signal_before_the_command_runs(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """The servers come up whole, the command doesn't run, and they are stopped."""
    done = []
    stopped = [Status("postgres", "stopped", "")]
    monkeypatch.setattr(lifecycle, "status", lambda _: stopped)
    monkeypatch.setattr(lifecycle, "up", lambda _: (os.kill(os.getpid(), signal.SIGTERM), done.append("up")))
    monkeypatch.setattr(lifecycle, "down", lambda _, spared: done.append(f"down but for {spared or 'none'}"))
    before = signal.getsignal(signal.SIGTERM)
    # To start it would raise.
    code = during.run(settings, ["/no/such/program"])

    assert (code, done) == (128 + signal.SIGTERM, ["up", "down but for none"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_terminals_interrupt_is_left_to_the_command(environment: dict[str, str]) -> None:
    """A terminal sends it to the command as well: it isn't passed on, and the command is waited for."""
    with _during(environment, INTERRUPTS) as running:
        code, said, _ = _ended(running)

    assert (code, said) == (0, "SIGTERM 0\n")
    assert _states(environment)["postgres"] == "stopped"
