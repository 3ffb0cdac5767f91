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
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

    from shared.datamap.live import Connection

    from .tasks import Survey

_DAY = timedelta(days=1)
_CONNECT_SECONDS = 10.0
# One counts for all, and somebody asks who waits.
_KEPT = 2
_NAMED = {"application_name": "offramp retention dues"}
# How many customers there are changes slowly, and counting them reads every case.
_COUNTED_FOR = timedelta(minutes=1)
# So many share one count of what is due, since that takes as long as so many are due; their ids are kept, 1 MB.
TOGETHER = 10_000
# Of so many former deletions the usual size is taken, and of fewer than so many none.
_FORMER, _FEWEST = 100, 10


@dataclass(frozen=True, slots=True)
class Due:
    """How many *customers* there are, how many of them are *due* within a day, and the *usual_rows* of a deletion."""

    due: int
    customers: int
    usual_rows: int | None


@dataclass(slots=True, eq=False)
class _Asked:
    """A deletion of so many *rows* that is to be noted as due, and what was *found*, or why nothing could be."""

    deletion_id: str
    customer_id: str
    rows: int
    now: datetime
    order: UUID | None
    found: Due | None = None
    failed: Exception | None = None


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
    _asked: list[_Asked] = field(default_factory=list, init=False)
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
        is the task's id, by which it shares a count; without one it has its own. Those that ask while another count is
        under way are noted together, each as if it came after those before it.
        """
        mine = _Asked(task.deletion_id, task.customer_id, rows, now, order)
        self._asked.append(mine)
        async with self._alone:
            if mine.found is None and mine.failed is None:
                await self._count_all(mine)
        if mine.found is None:
            raise mine.failed or RuntimeError("nobody has counted")
        return mine.found

    async def _count_all(self, mine: _Asked) -> None:
        """Count for *mine*, and for all who have asked by now; if this one is stopped each of them counts anew."""
        asked, self._asked = [mine, *(one for one in self._asked if one is not mine)], []
        try:
            async with self._connected() as connection:
                for one, usual in zip(asked, await _noted(connection, asked), strict=True):
                    due = await self._due(connection, one.order, one.now)
                    one.found = Due(due, await self._customers(connection, one.now), usual)
        except Exception as error:
            for one in asked:
                one.failed = error
            raise

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


async def _noted(connection: Connection, asked: list[_Asked]) -> list[int | None]:
    """Note *asked*, each once, and give the usual size for each: of up to a hundred deletions that were due before it.

    Those before it in the list are among them, and no others of it: a mistake with many is not its own measure.
    """
    last = {one.deletion_id: one for one in asked}
    noted = sorted(last.values(), key=lambda one: one.deletion_id)
    columns = [[getattr(one, name) for one in noted] for name in ("deletion_id", "customer_id", "now", "rows")]
    former = [(row["deletion_id"], row["rows"]) for row in await connection.fetch(NOTE, *columns, _FORMER + 1)]
    found = []
    for one in asked:
        former = [(name, rows) for name, rows in former if name != one.deletion_id]
        found.append(usual_rows([rows for _, rows in former]))
        former = [(one.deletion_id, one.rows), *former][: _FORMER + 1]
    return found


def usual_rows(former: Sequence[int]) -> int | None:
    """Give the median of up to a hundred deletions, the newest first; of fewer than ten nothing can be said."""
    some = sorted(former[:_FORMER])
    return some[(len(some) - 1) // 2] if len(some) >= _FEWEST else None


NOTE = """
-- note: deletions that are surveyed again are due again; and what was due before, the newest first
with noted as (
    insert into due_deletions (deletion_id, customer_id, due_at, rows)
    select * from unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[])
        on conflict (deletion_id) do update set due_at = excluded.due_at, rows = excluded.rows
)
select deletion_id, rows from due_deletions order by due_at desc limit $5
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
