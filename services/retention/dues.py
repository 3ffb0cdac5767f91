"""The service's own count of what is due to be deleted, over all customers: how far one mistake could reach.

``decide`` sees one customer's case only, so a survey asks here, and its outcome says what was found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from .tasks import Survey

_DAY = timedelta(days=1)
_CONNECT_SECONDS = 10.0
# How many customers there are changes slowly, and counting them reads every case.
_COUNTED_FOR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Due:
    """How many *customers* there are, how many of them are *due* within a day, and the *usual_rows* of a deletion."""

    due: int
    customers: int
    usual_rows: int | None


@dataclass(slots=True)
class Dues:
    """Counts in the service's database at *dsn*; up to *most* due customers, since beyond that one waits anyway."""

    dsn: str
    most: int
    _counted: tuple[datetime, int] | None = field(default=None, init=False)

    async def count(self, task: Survey, rows: int, now: datetime) -> Due:
        """Note that *task*'s deletion of so many *rows* is due, and count; an outage of the database is raised.

        One that is surveyed anew, say when a hold has ended, is due anew: released together they go together.
        """
        connection = await asyncpg.connect(self.dsn, timeout=_CONNECT_SECONDS)
        try:
            await connection.execute(NOTE, task.deletion_id, task.customer_id, now, rows)
            due = await connection.fetchval(DUE, now, now - _DAY, self.most + 1)
            usual = await connection.fetchval(USUAL, task.deletion_id)
            return Due(due, await self._customers(connection, now), usual)
        finally:
            await connection.close()

    async def _customers(self, connection: asyncpg.Connection[asyncpg.Record], now: datetime) -> int:
        if self._counted is None or not timedelta(0) <= now - self._counted[0] < _COUNTED_FOR:
            self._counted = now, await connection.fetchval(CUSTOMERS)
        return self._counted[1]


NOTE = """
-- note: a deletion that is surveyed again is due again
insert into due_deletions (deletion_id, customer_id, due_at, rows) values ($1, $2, $3, $4)
    on conflict (deletion_id) do update set due_at = excluded.due_at, rows = excluded.rows
"""

DUE = """
-- due: those of the last day, those whose survey is still to come, and those whose window closed but who weren't woken
select count(*) from (
    (select customer_id from due_deletions where due_at > $2 order by due_at desc limit $3)
    union
    (select customer_id from tasks where kind = 'Survey' limit $3)
    union
    (select customer_id from cases
      where wakes_at <= $1 and state ->> 'kind' = 'window' and (state -> 'window' ->> 'closes_at')::timestamptz <= $1
      limit $3)
) as customers
"""

USUAL = """
-- usual: the median of up to a hundred deletions before; of fewer than ten nothing can be said
select case when count(*) >= 10 then percentile_disc(0.5) within group (order by rows) end
  from (select rows from due_deletions where deletion_id <> $1 order by due_at desc limit 100) as former
"""

CUSTOMERS = """
-- customers: whose account isn't closed
select count(*) from cases where state ->> 'kind' not in ('closed', 'retaining')
"""
