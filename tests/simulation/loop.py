"""An event loop whose time is simulated: it jumps to what happens next, in an order that depends on nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class NothingLeftError(Exception):
    """Everybody waits for somebody else, so nothing can happen any more."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """asyncio's own loop without sockets, files and threads; a sleep of a year takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self._moment = 0.0
        self._selector = self
        # After months a float has no nanoseconds left.
        self._clock_resolution = 1e-6

    def select(self, timeout: float | None) -> list[Any]:
        """Let time pass until the next timer."""
        if timeout is None:
            raise NothingLeftError
        self._moment += timeout
        return []

    def time(self) -> float:
        """Give the seconds since the simulation began."""
        return self._moment

    def _process_events(self, event_list: list[Any]) -> None:
        pass


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* to its end in simulated time, and drop whatever is still under way then."""
    loop = SimulatedLoop()
    loop.set_exception_handler(lambda _, __: None)
    try:
        return loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
