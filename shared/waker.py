"""The waker: deadlines are a column, and one mover claims the rows that are due."""

from __future__ import annotations

import asyncio
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
# Decided without a break, during which this worker answers nobody: some 20 ms.
BATCH = 500
# What a relay publishes in a few tenths of a second. More would only make others' answers wait behind it.
MOST_OWED = 2000
_REST = 0.1
# Seconds; the next look comes sooner, unless something is wrong.
_LOOK_COUNTS_FOR = 1.0
_MOST_SKEW = timedelta(minutes=1)


class ClockDisagreesError(OSError):
    """The service's clock and its database's are more than a minute apart: nothing is woken until they agree."""


class Waker:
    """Wakes due cases in batches, by *clock*; compares *machine_clock* with the database's own.

    While more than *most_owed* events wait to be published it lets the relay come after, which rings *published*: what
    is due is late by then in any case, and an event of somebody else's isn't.
    """

    def __init__(
        self,
        process: Process,
        pool: Pool,
        clock: Clock,
        machine_clock: Clock,
        progress: Progress,
        most_owed: int = MOST_OWED,
        published: asyncio.Event | None = None,
    ) -> None:
        self._process = process
        self._pool = pool
        self._clock = clock
        self._machine_clock = machine_clock
        self._most_owed = most_owed
        self._published = published or asyncio.Event()
        self._free_at: float | None = None
        self._loop = Loop("waker", self.turn, progress, _REST)

    async def run(self) -> None:
        """Wake until ``stop``."""
        await self._loop.run()

    def stop(self) -> None:
        """Finish the batch under way, then end."""
        self._loop.stop()

    async def turn(self) -> bool:
        """Wake one batch; tell whether there may be more. Raises ClockDisagreesError."""
        self._published.clear()
        if not await self._look():
            await self._less_owed()
            return True
        woken = await self._process.wakes(self._clock(), BATCH)
        return woken == BATCH

    def may_wake(self) -> bool:
        """Tell whether others may wake what is due: clocks agreed and little was owed, less than a second ago."""
        return self._free_at is not None and _elapsed() - self._free_at < _LOOK_COUNTS_FOR

    async def _less_owed(self) -> None:
        try:
            async with asyncio.timeout(_REST):
                await self._published.wait()
        except TimeoutError:
            return

    async def _look(self) -> bool:
        self._free_at = None
        async with self._pool.acquire(timeout=5) as connection:
            (theirs, owed), *_ = await connection.fetch(_LOOK, self._most_owed + 1)
        skew = abs(theirs - self._machine_clock())
        if skew > _MOST_SKEW:
            msg = f"our clock and the database's are {skew} apart; set the one that is wrong"
            raise ClockDisagreesError(msg)
        if owed > self._most_owed:
            return False
        self._free_at = _elapsed()
        return True


def _elapsed() -> float:
    return asyncio.get_running_loop().time()


_LOOK = """
-- look: at the database's clock, and whether much is owed; how much beyond that needs no counting. By the key, since
-- the table is full of rows that were published since the last vacuum
select clock_timestamp(), (select count(*) from (select from outbox order by lane, seq limit $1) as owed)
"""
