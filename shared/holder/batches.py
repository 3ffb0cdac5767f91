"""Deletes in many short transactions, each of which shows that it wrote nothing but its own deletes."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

import asyncpg

from ..datamap.fingerprint import settle
from ..datamap.names import reported
from ..datamap.ownership import relation
from ..events.vocabulary import TableCount
from .account import account, unaccounted, written
from .kept import loose
from .order import Group, delete_all, deleting, peelable, unreferred
from .plan import Plan, check_entangled, digest, plan
from .right import check_guard, check_still
from .whose import goes
from .work import RACES, Work

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from ..datamap.model import Table

# How often a batch is tried before its race counts as an outage, and how often all begins anew from a fresh plan.
_TRIES, _PLANS = 5, 3
# Rows to which nobody refers are taken off in so many rounds; what is left of a ring then goes in one statement.
_PEELINGS = 20
_FIRST_REST = 0.05


class UnaccountedError(Exception):
    """A batch wrote more than its deletes, to *tables*; it was undone, and only a whole transaction can judge it."""

    def __init__(self, tables: tuple[str, ...]) -> None:
        super().__init__(f"besides the deleted rows something was written to {', '.join(tables)}")
        self.tables = tables


class _SchemaChangedError(Exception):
    """Tables, foreign keys or triggers are others than planned."""


async def erase_in_batches(work: Work, first: Plan) -> int:
    """Delete by the plan *first*, and anew while the schema changes or somebody writes; give how many batches went.

    It may leave rows: those that came late, and those in the way of which a whole transaction says why. Raises
    ``RefusedError`` with nothing done where others' rows refer to the customer's; later ones may find much gone.
    """
    emptying = _Emptying(work, first)
    for _ in range(_PLANS):
        await check_entangled(work, emptying.plan.known)
        try:
            for group in emptying.plan.groups:
                await emptying.empty(group)
        except (_SchemaChangedError, *RACES):
            emptying.plan = await plan(work)
        except UnaccountedError:
            # Not every trigger is damage: the whole transaction compares the others' rows themselves.
            break
        else:
            break
    return emptying.batches


@dataclass(slots=True)
class _Emptying:
    work: Work
    plan: Plan
    batches: int = field(default=0)

    async def empty(self, group: Group) -> None:
        if not group.among:
            await self._sweep(group.tables[0].name, self._which(group, group.tables[0]))
            return
        for _ in range(_PEELINGS if peelable(group) else 0):
            # In turn: which rows nobody refers to changes with each table.
            if not sum([await self._sweep(one.name, self._which(group, one)) for one in group.tables]):
                break
        # What in a ring has to stay can't be told row by row: the whole transaction at the end does.
        if not self.work.holds:
            await self._batch(partial(self._together, group))

    def _which(self, group: Group, table: Table) -> str:
        if self.work.holds:
            return loose(self.work.map, table, self.work.holds, self.plan.known)
        return unreferred(self.work.map, group, table) if group.among else goes(self.work.map, table)

    async def _sweep(self, table: str, which: str) -> int:
        """Delete the rows that fulfil *which*, as listed once, a batch of them at a time."""
        went = 0
        for part in await self.work.connection.fetch(PARTS, relation(table)):
            # Closed here and not when it is collected: the next listing has the same name.
            async with aclosing(self._listed(part["name"], which)) as listed:
                async for tids in listed:
                    went += await self._batch(partial(self._some, table, part["name"], tids, which))
        return went

    async def _listed(self, part: str, which: str) -> AsyncGenerator[str]:
        """List the places of rows in *part* of a table; kept by the server, so our memory is that of one batch."""
        connection, size = self.work.connection, self.work.pace.batch_rows
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await settle(connection)
            await connection.execute(LIST.format(relation=part, which=which, size=size), self.work.customer)
        try:
            while row := await connection.fetchrow("fetch from offramp_victims"):
                yield row[0]
        finally:
            if not connection.is_closed():
                await connection.execute("close offramp_victims")

    async def _batch(self, delete: Callable[[], Awaitable[Counter[str]]]) -> int:
        """Run *delete* in a transaction of its own, some times if others are in its way."""
        began = monotonic()
        for attempt in range(_TRIES):
            try:
                went = await self._transaction(delete)
                break
            except (asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError):
                if attempt == _TRIES - 1:
                    raise
                await asyncio.sleep(_FIRST_REST * 2**attempt)
        self.batches += 1
        self.work.gone.update(went)
        for name, rows in went.items():
            self.work.progress(TableCount(table=reported(name), rows=rows))
        await asyncio.sleep(self.work.pace.rest(monotonic() - began))
        return went.total()

    async def _transaction(self, delete: Callable[[], Awaitable[Counter[str]]]) -> Counter[str]:
        work = self.work
        async with work.transaction("read_committed"):
            if await digest(work.connection) != self.plan.digest:
                raise _SchemaChangedError
            await check_guard(work.connection, work.map, work.customer)
            await work.connection.execute(UNHURRIED)
            before = await account(work.connection)
            went = await delete()
            # What was put off to the end of the transaction happens now, where it is still counted.
            await work.connection.execute("set constraints all immediate")
            more = unaccounted(written(before, await account(work.connection)), went, work.map.exempt)
            if more:
                raise UnaccountedError(more)
            await work.note(went)
            await check_still(work.right)
        return went

    async def _some(self, table: str, part: str, tids: str, listed_by: str) -> Counter[str]:
        # Whose the row is is asked again: since it was listed another row may have come to its place.
        map, declared = self.work.map, self.work.map.table(table)  # noqa: A001
        whose = listed_by if self.work.holds else goes(map, declared)
        which = f"t.ctid = any($2::text::tid[]) and ({whose})"
        query = SOME.format(deleting(map, declared, "gone", part, which, self.work.holds))
        return Counter({table: await self.work.connection.fetchval(query, self.work.customer, tids)})

    async def _together(self, group: Group) -> Counter[str]:
        row = await self.work.connection.fetchrow(delete_all(self.work.map, group, {}), self.work.customer)
        return Counter(dict(zip([table.name for table in group.tables], row or (), strict=True)))


# A batch that a crash of the server undoes is undone with its counts; the last transaction waits for the disk, for all.
UNHURRIED = "set local synchronous_commit = off"

PARTS = """
    -- parts: the partitions that hold rows, or the table itself; a row's place is unique in one of them only
    select format('%I.%I', n.nspname, c.relname) as name
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
     where c.oid = $1::text::regclass and c.relkind <> 'p'
        or c.oid in (select relid from pg_partition_tree($1::text::regclass) where isleaf)
     order by c.oid
"""

# One row is one batch, in the form in which it is sent back: we never look into it.
LIST = """
    declare offramp_victims cursor with hold for
    select array_agg(at)::text
      from (select t.ctid as at, (row_number() over () - 1) / {size} as batch from {relation} as t where {which}) listed
     group by batch
"""

SOME = "with {} select count(*) from gone"
