"""The waker: deadlines are a column, and one mover claims the rows that are due."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from .clock import Clock
from .loop import Loop
from .process import Process
from .progress import Progress

if TYPE_CHECKING:
    from asyncpg import Pool

_log = structlog.get_logger()
BATCH = 5000
_REST = 0.1
_MOST_SKEW = timedelta(minutes=1)


class ClockDisagreesError(OSError):
    """The service's clock and its database's are more than a minute apart: nothing is woken until they agree."""


class Waker:
    """Wakes due cases in batches, by *clock*; compares *machine_clock* with the database's own."""

    def __init__(self, process: Process, pool: Pool, clock: Clock, machine_clock: Clock, progress: Progress) -> None:
        self._process = process
        self._pool = pool
        self._clock = clock
        self._machine_clock = machine_clock
        self._loop = Loop("waker", self.turn, progress, _REST)

    async def run(self) -> None:
        """Wake until ``stop``."""
        await self._loop.run()

    def stop(self) -> None:
        """Finish the batch under way, then end."""
        self._loop.stop()

    async def turn(self) -> bool:
        """Wake one batch; tell whether there may be more. Raises ClockDisagreesError."""
        await self._compare_clocks()
        woken = await self._process.wakes(self._clock(), BATCH)
        return woken == BATCH

    async def _compare_clocks(self) -> None:
        async with self._pool.acquire(timeout=5) as connection:
            theirs = await connection.fetchval(_THEIR_CLOCK)
        skew = abs(theirs - self._machine_clock())
        if skew > _MOST_SKEW:
            msg = f"our clock and the database's are {skew} apart; set the one that is wrong"
            raise ClockDisagreesError(msg)


_THEIR_CLOCK = "select clock_timestamp()"
