"""Switches that an operator sets for all workers of a service: so far, one that pauses reading."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncpg import Pool

_EVERY = 1.0


class Switches:
    """Kept in the service's database, so that every worker obeys and a restart remembers."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._read_at = float("-inf")
        self._paused = False

    async def paused(self) -> bool:
        """Tell whether reading is paused; looks at most once a second."""
        if time.monotonic() - self._read_at >= _EVERY:
            async with self._pool.acquire(timeout=5) as connection:
                self._paused = await connection.fetchval(_IS_SET, "paused")
            self._read_at = time.monotonic()
        return self._paused

    async def pause(self, because: str, now: datetime) -> None:
        """Stop all workers' reading; nothing is lost, the lag shows it."""
        async with self._pool.acquire(timeout=5) as connection:
            await connection.execute(_SET, "paused", because, now)

    async def resume(self) -> None:
        """Read on."""
        async with self._pool.acquire(timeout=5) as connection:
            await connection.execute(_CLEAR, "paused")


_IS_SET = "select exists (select from switches where name = $1)"
_SET = "insert into switches (name, because, since) values ($1, $2, $3) on conflict (name) do nothing"
_CLEAR = "delete from switches where name = $1"
