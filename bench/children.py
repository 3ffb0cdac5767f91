"""Contenders run in child processes, so that none inherits another's memory, imports or garbage."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import uvloop

from shared.garbage import expect_batches
from shared.logs import configure

_LONGEST_ANSWER = 2**24
# Where the child's two words to its parent go.
_ANSWERS = 1


@dataclass(frozen=True)
class Answer:
    """What a child answered, its peak of memory, and the CPU seconds that it took."""

    figures: dict[str, Any]
    memory_mib: float
    cpu: float


class Child:
    """One contender in a process of its own: starts, says that it is ready, waits for *go*, answers."""

    def __init__(self, process: asyncio.subprocess.Process, log: IO[bytes]) -> None:
        self._process = process
        self._log = log

    async def ready(self) -> None:
        """Wait until the child has prepared itself."""
        assert await self._line() == "ready"

    async def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        await self._process.stdin.drain()

    async def answer(self) -> Answer:
        """Wait for its end; peak memory is the kernel's own count (``ru_maxrss``)."""
        found = json.loads(await self._line())
        assert await self._process.wait() == 0
        return Answer(**found)

    async def _line(self) -> str:
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode().strip()
        if not line:
            self._log.seek(0)
            raise RuntimeError(f"a contender ended: {self._log.read()[-2000:].decode(errors='replace')}")
        return line

    def end(self) -> None:
        """Leave no process behind."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)


@asynccontextmanager
async def child(target: str, **arguments: Any) -> AsyncIterator[Child]:
    """Start *target* (``bench.module:function``) with *arguments*, which must be JSON."""
    log = TemporaryFile()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bench.children", target, json.dumps(arguments)),
        cwd=Path(__file__).parents[1],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        limit=_LONGEST_ANSWER,
    )
    started = Child(process, log)
    try:
        yield started
    finally:
        started.end()
        await process.wait()
        log.close()


async def alone(target: str, **arguments: Any) -> Answer:
    """Run *target* by itself."""
    async with child(target, **arguments) as one:
        await one.ready()
        await one.go()
        return await one.answer()


class Starting:
    """The child's side: ``await starting()`` says that all is prepared, and returns when the parent says go."""

    used = 0.0

    async def __call__(self) -> None:
        """Wait for the word; what was used until then doesn't count."""
        expect_batches()
        _say("ready")
        assert await asyncio.to_thread(sys.stdin.readline) == "go\n"
        self.used = sum(os.times()[:2])


def _say(line: str) -> None:
    os.write(_ANSWERS, f"{line}\n".encode())


def main(arguments: Sequence[str]) -> None:
    """Run one contender; the last line of the output is its answer."""
    module, _, function = arguments[0].partition(":")
    configure("bench", json=True)
    contender = getattr(import_module(module), function)
    uvloop.run(_answer(contender, json.loads(arguments[1])))


async def _answer(contender: Callable[..., Awaitable[dict[str, Any]]], arguments: dict[str, Any]) -> None:
    starting = Starting()
    figures = await contender(starting, **arguments)
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    _say(json.dumps({"figures": figures, "memory_mib": peak, "cpu": sum(os.times()[:2]) - starting.used}))
    # Faust, stopped or not, keeps the loop from ending.
    os._exit(0)


if __name__ == "__main__":
    # Logs go to standard output by default; here they go where they disturb nobody.
    _ANSWERS = os.dup(1)
    os.dup2(2, 1)
    main(sys.argv[1:])
