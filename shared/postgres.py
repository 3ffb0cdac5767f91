"""``Process`` on the service's own Postgres: one transaction a batch, whatever the mix of customers and types."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar
from uuid import UUID

import structlog

from .advance import Case
from .caserows import OUTBOX_COLUMNS, CaseRows, CaseUnreadableError, OutboxRow, dead_letter_row, key_hash, owed_row
from .database_fates import POISONOUS
from .decision import Domain
from .identity import burial_key, inbox_key
from .lease import LeaseLostError
from .logs import tell
from .settlement import Arrival, Buried, Done, Settlement, settle, settle_wakes, wake_due

if TYPE_CHECKING:
    from asyncpg import Connection, Pool, Record
    from asyncpg.pool import PoolConnectionProxy

    AnyConnection = Connection | PoolConnectionProxy

S = TypeVar("S")
P = TypeVar("P")
Cases: TypeAlias = dict[str, Case[S]]
# By customer, why its case can't be read.
Lost: TypeAlias = dict[str, str]
_log = structlog.get_logger()

# How long a case that failed to wake is left alone before the next try.
_STUCK_FOR = timedelta(minutes=5)
# From so many rows on COPY; a guess that lies far from both a lone event and a full batch.
_MANY = 50
# A statement that waits longer than this is an outage, not work.
_PATIENCE = 30.0


class PostgresProcess(Generic[S]):
    """The transaction on a pool of asyncpg connections; *partitions* is the number every topic has."""

    def __init__(self, domain: Domain[S, P], pool: Pool, partitions: int) -> None:
        self._domain = domain
        self._rows: CaseRows[S] = CaseRows(domain)
        self._pool = pool
        self._partitions = partitions
        # Rung after a commit that owes something on a lane, or orders something: relay and performer needn't poll.
        self.owed = [asyncio.Event() for _ in range(partitions)]
        self.ordered = asyncio.Event()

    async def arrivals(self, arrivals: Sequence[Arrival], unreadable: Sequence[Buried], now: datetime) -> int:
        """See ``Process``; a batch that the database rejects is halved until the one to blame stands alone."""
        try:
            return await self._arrivals(arrivals, unreadable, now)
        except POISONOUS as error:
            return await self._take_apart(arrivals, unreadable, now, type(error).__name__)

    async def _take_apart(
        self, arrivals: Sequence[Arrival], unreadable: Sequence[Buried], now: datetime, reason: str
    ) -> int:
        if len(arrivals) == 1:
            buried = Buried(f"the database rejected it: {reason}", arrivals[0].record, arrivals[0].fact)
            await self._arrivals((), (*unreadable, buried), now)
            return 0
        if not arrivals:
            msg = f"dead letters were rejected: {reason}"
            raise RuntimeError(msg)
        middle = len(arrivals) // 2
        first = await self.arrivals(arrivals[:middle], unreadable, now)
        return first + await self.arrivals(arrivals[middle:], (), now)

    async def _arrivals(self, arrivals: Sequence[Arrival], unreadable: Sequence[Buried], now: datetime) -> int:
        async with self._transaction() as connection:
            cases, lost, hashes = await self._lock(connection, {one.fact.event.customer_id for one in arrivals})
            fresh = await self._unseen(connection, arrivals)
            settlement = settle(self._domain, cases, fresh, now, lost)
            settlement.buried.extend(unreadable)
            lanes = await self._write(connection, settlement, hashes, now)
        self._committed(settlement, lanes)
        return len(fresh)

    async def wakes(self, now: datetime, limit: int) -> int:
        """See ``Process``; of cases that the database rejects the one to blame is found by halving, and is stuck."""
        try:
            return await self._wakes(now, limit)
        except POISONOUS as error:
            if limit == 1:
                return await self._leave_first(now, f"the database rejected it: {type(error).__name__}")
        return await self.wakes(now, limit // 2) + await self.wakes(now, limit - limit // 2)

    async def _leave_first(self, now: datetime, reason: str) -> int:
        async with self._transaction() as connection:
            due = await connection.fetch(_DUE, now, 1)
            await connection.executemany(_STUCK, [(row["customer_id"], reason, now + _STUCK_FOR) for row in due])
        return len(due)

    async def _wakes(self, now: datetime, limit: int) -> int:
        async with self._transaction() as connection:
            due = await connection.fetch(_DUE, now, limit)
            cases, lost = self._cases(due)
            settlement = settle_wakes(self._domain, cases, now)
            settlement.stuck |= lost
            lanes = await self._write(connection, settlement, _hashes(due), now)
        self._committed(settlement, lanes)
        return len(due)

    async def outcomes(self, done: Sequence[Done], now: datetime, *, wake: bool = False) -> list[Exception | None]:
        """See ``Process``; if ``decide`` fails on an outcome its task stays, with the reason, for another try.

        Of outcomes that the database rejects the one to blame is found by halving. If it may be what the waking came to
        that is rejected, nobody is woken along, and the waker finds it.
        """
        try:
            return await self._outcomes(done, now, wake=wake)
        except _FailedOutcomesError as failed:
            others = [one for one in done if one.task_id not in failed.reasons]
            rest = iter(await self.outcomes(others, now, wake=wake))
            return [
                OutcomeFailedError(failed.reasons[one.task_id]) if one.task_id in failed.reasons else next(rest)
                for one in done
            ]
        except POISONOUS as error:
            if wake:
                return await self.outcomes(done, now)
            if len(done) == 1:
                return [error]
        middle = len(done) // 2
        return [*await self.outcomes(done[:middle], now), *await self.outcomes(done[middle:], now)]

    async def _outcomes(self, done: Sequence[Done], now: datetime, *, wake: bool) -> list[Exception | None]:
        if not done:
            return []
        async with self._transaction() as connection:
            cases, lost, hashes = await self._lock(connection, {one.outcome.event.customer_id for one in done})
            leased = [one.task_id for one in done], [one.lease for one in done]
            ours = {row["id"] for row in await connection.fetch(_FORGET_TASKS, *leased)}
            held = {id(one.outcome): one.task_id for one in done if one.task_id in ours}
            arrivals = [Arrival(one.outcome) for one in done if one.task_id in ours]
            settlement = settle(self._domain, cases, arrivals, now, lost)
            # What an outcome made possible may be poisonous, and is buried; that is not the outcome's fault.
            failed = {held[id(one.fact)]: one.reason for one in settlement.buried if id(one.fact) in held}
            if failed:
                raise _FailedOutcomesError(failed)
            if wake:
                wake_due(self._domain, settlement, now)
            lanes = await self._write(connection, settlement, hashes, now)
        self._committed(settlement, lanes)
        return [None if one.task_id in ours else LeaseLostError(one.task_id) for one in done]

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AnyConnection]:
        async with self._pool.acquire(timeout=_PATIENCE) as connection, connection.transaction():
            yield connection

    async def _lock(self, connection: AnyConnection, customers: set[str]) -> tuple[Cases[S], Lost, dict[str, int]]:
        """Lock the customers' rows in the order of their keys, making those that are missing first."""
        wanted = sorted(customers)
        rows = await connection.fetch(_LOCK, wanted)
        if len(rows) < len(wanted):
            known = {row["customer_id"] for row in rows}
            missing = [customer_id for customer_id in wanted if customer_id not in known]
            await connection.execute(_MAKE, missing, [key_hash(customer_id) for customer_id in missing])
            rows += await connection.fetch(_LOCK, missing)
        return *self._cases(rows), _hashes(rows)

    def _cases(self, rows: Iterable[Record]) -> tuple[Cases[S], Lost]:
        """Read the cases, and why some can't be read: those are left as they are, and hold up nobody else."""
        read, cases, lost = self._rows.case, {}, {}
        for row in rows:
            try:
                cases[row["customer_id"]] = read(row["state"], row["waiting"], row["revision"])
            except CaseUnreadableError as error:
                lost[row["customer_id"]] = str(error)
        return cases, lost

    async def _unseen(self, connection: AnyConnection, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """Remember the arrivals and give those that are news, each once, in order."""
        by_key: dict[bytes, Arrival] = {}
        for one in arrivals:
            by_key.setdefault(inbox_key(one.fact), one)
        # In order of key, since two transactions that insert the same keys the other way round would deadlock.
        rows = await connection.fetch(_REMEMBER, sorted(by_key))
        if len(rows) == len(arrivals):
            return list(arrivals)
        fresh = {row["key"] for row in rows}
        return [one for key, one in by_key.items() if key in fresh]

    async def _write(
        self, connection: AnyConnection, settlement: Settlement[S], hashes: Mapping[str, int], now: datetime
    ) -> set[int]:
        """Write all that *settlement* comes to, and give the lanes that owe something now."""
        if settlement.cases:
            await self._save(connection, settlement.cases)
        count = self._partitions
        owed = [owed_row(fact, hashes[fact.event.customer_id] % count, now) for fact in settlement.owed]
        if settlement.buried:
            owed += await self._bury(connection, settlement.buried, now)
        if owed:
            await self._owe(connection, owed)
        if settlement.tasks:
            ordered = [
                (one.id, one.task.customer_id, one.task.kind(), one.task.model_dump_json()) for one in settlement.tasks
            ]
            await connection.execute(_ORDER, *map(list, zip(*ordered, strict=True)))
        if settlement.stuck:
            await connection.executemany(_STUCK, [(*one, now + _STUCK_FOR) for one in settlement.stuck.items()])
        return {row[0] for row in owed}

    async def _owe(self, connection: AnyConnection, owed: Sequence[OutboxRow]) -> None:
        # COPY asks for the columns' types every time, which only many rows are worth.
        if len(owed) < _MANY:
            await connection.executemany(_OWE, owed)
        else:
            await connection.copy_records_to_table("outbox", records=owed, columns=OUTBOX_COLUMNS)

    async def _save(self, connection: AnyConnection, cases: Mapping[str, Case[S]]) -> None:
        columns = [self._rows.columns(case) for case in cases.values()]
        states, waiting, revisions, wakes = zip(*columns, strict=True)
        await connection.execute(_SAVE, list(cases), states, waiting, revisions, wakes)

    async def _bury(self, connection: AnyConnection, buried: Sequence[Buried], now: datetime) -> list[OutboxRow]:
        """Owe each dead letter once, and forget that its event was seen, so that a replay is news."""
        rows = []
        forgotten = [inbox_key(one.fact) for one in buried if one.fact is not None]
        await connection.execute(_FORGET, forgotten)
        for one in buried:
            if one.record is not None and not await connection.fetch(
                _REMEMBER, [burial_key(one.record.topic, one.record.partition, one.record.offset)]
            ):
                continue
            key = _key(one)
            row = dead_letter_row(one, self._domain.name, key_hash(key) % self._partitions, now)
            await connection.execute(_COUNT_BURIED, row[2])
            rows.append(row)
        return rows

    def _committed(self, settlement: Settlement[S], lanes: set[int]) -> None:
        """Say what became of the batch, and ring for those who have work now."""
        tell(self._domain.name, settlement.fates, settlement.buried)
        for customer_id, reason in settlement.stuck.items():
            _log.warning("case can't be woken; tried again later", customer=customer_id, reason=reason)
        for lane in lanes:
            self.owed[lane].set()
        if settlement.tasks:
            self.ordered.set()


class OutcomeFailedError(Exception):
    """``decide`` failed on a task's outcome; nothing was written."""


class _FailedOutcomesError(Exception):
    """``decide`` failed on some of the outcomes, with *reasons* by their tasks: none of the batch was written."""

    def __init__(self, reasons: Mapping[UUID, str]) -> None:
        super().__init__(f"{len(reasons)} outcomes failed")
        self.reasons = reasons


def _hashes(rows: Iterable[Record]) -> dict[str, int]:
    return {row["customer_id"]: row["key_hash"] for row in rows}


def _key(buried: Buried) -> str:
    if buried.fact is not None:
        return buried.fact.event.customer_id
    return "" if buried.record is None or buried.record.key is None else buried.record.key.decode("latin-1")


_LOCK = """
-- lock: the customers' rows, in the order of their keys, so that two batches wait for each other and never both
select customer_id, state::text as state, waiting::text as waiting, revision, key_hash
  from cases where customer_id = any($1::text[]) order by customer_id for update
"""
_MAKE = """
-- make: a row that doesn't exist can't be locked, so two events of a new customer would race
insert into cases (customer_id, key_hash) select * from unnest($1::text[], $2::integer[]) on conflict do nothing
"""
_REMEMBER = """
-- remember: what was there already does not come back
insert into inbox (key) select unnest($1::bytea[]) on conflict do nothing returning key
"""
_FORGET = """
-- forget: what is buried was not carried out
delete from inbox where key = any($1::bytea[])
"""
_SAVE = """
-- save
update cases
   set state = new.state::jsonb, waiting = new.waiting::jsonb, revision = new.revision,
       wakes_at = new.wakes_at, stuck = null
  from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[])
    as new (customer_id, state, waiting, revision, wakes_at)
 where cases.customer_id = new.customer_id
"""
_OWE = f"""
-- owe: in the order given, since seq is the order of publishing
insert into outbox ({", ".join(OUTBOX_COLUMNS)}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_DUE = """
-- due: rows that somebody else has locked are somebody else's; this never waits, so it can't deadlock
select customer_id, state::text as state, waiting::text as waiting, revision, key_hash
  from cases where wakes_at <= $1 order by wakes_at limit $2 for update skip locked
"""
_STUCK = """
-- stuck: tried again later, and counted by a metric meanwhile
update cases set stuck = $2, wakes_at = $3 where customer_id = $1
"""
_ORDER = """
-- order: the id is derived, so an order that is repeated is the same order
insert into tasks (id, customer_id, kind, body)
select id, customer_id, kind, body::jsonb from unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
    as ordered (id, customer_id, kind, body)
    on conflict do nothing
"""
_FORGET_TASKS = """
-- forget_tasks: only under the lease that each row still has; in order, as whoever prolongs leases locks them
with held as (
    select t.id from tasks as t join unnest($1::uuid[], $2::uuid[]) as d (id, lease) using (id, lease)
     order by t.id for update of t
)
delete from tasks using held where tasks.id = held.id returning tasks.id
"""
_COUNT_BURIED = """
-- count_buried
insert into dead_letters (topic, buried) values ($1, 1)
    on conflict (topic) do update set buried = dead_letters.buried + 1
"""
