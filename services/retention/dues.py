"""The service's own count of what is due to be deleted, over all customers: how far one mistake could reach.

``decide`` sees one customer's case only, so a survey asks here, and its outcome says what was found.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from shared.datamap.live import Connection

    from .tasks import Survey

_DAY = timedelta(days=1)
_CONNECT_SECONDS = 10.0
# As many as surveys are made side by side.
_KEPT = 2
_NAMED = {"application_name": "offramp retention dues"}
# How many customers there are changes slowly, and counting them reads every case.
_COUNTED_FOR = timedelta(minutes=1)
# So many share one count of what is due.
TOGETHER = 2_000


@dataclass(frozen=True, slots=True)
class Due:
    """How many *customers* there are, how many of them are *due* within a day, and the *usual_rows* of a deletion."""

    due: int
    customers: int
    usual_rows: int | None


@dataclass(frozen=True, slots=True)
class _Shared:
    """What was *due* at a moment, of which those *orders* that waited then were part."""

    at: datetime
    due: int
    orders: set[UUID]


@dataclass(slots=True)
class Dues:
    """Counts in the service's database at *dsn*; up to *most* due customers, since beyond that one waits anyway.

    One count is for all whose surveys were ordered by then, and for a minute: each of them is in it, so of those that
    go on by a count no more are due within a day than it says, whoever counts next. An order that was given later is
    counted anew. Inside ``async with`` its connections are kept; otherwise each count makes one.
    """

    dsn: str
    most: int
    _counted: tuple[datetime, int] | None = field(default=None, init=False)
    _shared: _Shared | None = field(default=None, init=False)
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _pool: asyncpg.Pool | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        """Keep connections from the first count on."""
        self._pool = await asyncpg.create_pool(
            self.dsn, timeout=_CONNECT_SECONDS, min_size=0, max_size=_KEPT, server_settings=_NAMED
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them."""
        if self._pool is not None:
            await self._pool.close()
        self._pool = None

    async def count(self, task: Survey, rows: int, now: datetime, order: UUID | None = None) -> Due:
        """Note that *task*'s deletion of so many *rows* is due, and count; an outage of the database is raised.

        One that is surveyed anew, say when a hold has ended, is due anew: released together they go together. *order*
        is the task's id, by which it shares a count; without one it has its own.
        """
        async with self._connected() as connection:
            usual = await connection.fetchval(NOTE, task.deletion_id, task.customer_id, now, rows)
            async with self._alone:
                due = await self._due(connection, order, now)
            return Due(due, await self._customers(connection, now), usual)

    async def _due(self, connection: Connection, order: UUID | None, now: datetime) -> int:
        shared = self._shared
        if shared is not None and order in shared.orders and timedelta(0) <= now - shared.at < _COUNTED_FOR:
            # Once: whoever is surveyed again has been noted since, or held, and is counted anew.
            shared.orders.discard(order)
            return shared.due
        (found,) = await connection.fetch(DUE, now, now - _DAY, self.most + 1, TOGETHER)
        self._shared = _Shared(now, found["due"], {*found["orders"]} - {order})
        return self._shared.due

    async def waiting(self, most: int) -> dict[UUID, str]:
        """Give up to *most* surveys that are ordered, by id: their customers, first those under way, then the next."""
        async with self._connected() as connection:
            return {row["id"]: row["customer_id"] for row in await connection.fetch(WAITING, most)}

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        if self._pool is not None:
            async with self._pool.acquire(timeout=_CONNECT_SECONDS) as kept:
                yield kept
            return
        connection = await asyncpg.connect(self.dsn, timeout=_CONNECT_SECONDS)
        try:
            yield connection
        finally:
            await connection.close()

    async def _customers(self, connection: Connection, now: datetime) -> int:
        if self._counted is None or not timedelta(0) <= now - self._counted[0] < _COUNTED_FOR:
            self._counted = now, await connection.fetchval(CUSTOMERS)
        return self._counted[1]


NOTE = """
-- note: a deletion that is surveyed again is due again; and the usual size, the median of up to a hundred deletions
-- before: of fewer than ten nothing can be said
with noted as (
    insert into due_deletions (deletion_id, customer_id, due_at, rows) values ($1, $2, $3, $4)
        on conflict (deletion_id) do update set due_at = excluded.due_at, rows = excluded.rows
)
select case when count(*) >= 10 then percentile_disc(0.5) within group (order by rows) end
  from (select rows from due_deletions where deletion_id <> $1 order by due_at desc limit 100) as former
"""

DUE = """
-- due: those of the last day, those whose survey is still to come, and those whose window closed but who weren't woken;
-- and which surveys are to come, by the same snapshot
select (select count(*) from (
    (select customer_id from due_deletions where due_at > $2 order by due_at desc limit $3)
    union
    (select customer_id from tasks where kind = 'Survey' limit $3)
    union
    (select customer_id from cases
      where wakes_at <= $1 and state ->> 'kind' = 'window' and (state -> 'window' ->> 'closes_at')::timestamptz <= $1
      limit $3)
) as customers) as due,
array(select id from tasks where kind = 'Survey' order by lease is null, due_at limit $4) as orders
"""

WAITING = """
-- waiting: those under way, some of which are the asker's own, then the others in the order in which they are begun
select id, customer_id from tasks where kind = 'Survey' order by lease is null, due_at limit $1
"""

CUSTOMERS = """
-- customers: whose account isn't closed
select count(*) from cases where state ->> 'kind' not in ('closed', 'retaining')
"""
