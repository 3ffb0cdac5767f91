"""A database in memory that answers the machine's named statements, so that the machine's own code runs unchanged.

It has what the machine relies on: row locks that wait, skip or deadlock, rollback, and what isn't committed
isn't seen. ``tests/machine/conformance.py`` holds it against the real one.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from shared.caserows import OUTBOX_COLUMNS
from shared.decision import Domain
from shared.postgres import PostgresProcess

Row: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, Any]
# Called before every statement, before and after every commit; may wait, and may raise an outage.
Gate: TypeAlias = Callable[[str], Awaitable[None]]

_NAME = re.compile(r"-- (\w+)")
_DEADLOCK_AFTER = 30.0


async def open_gate(step: str) -> None:
    """Let every statement pass."""


class _Row(dict[str, Any]):
    """A row that can be told apart from another one with the same contents."""


@dataclass
class MemoryDatabase:
    """One service's tables, as they are committed, or written by whoever holds the row's lock."""

    clock: Callable[[], datetime]
    cases: dict[str, Row] = field(default_factory=dict)
    inbox: set[UUID] = field(default_factory=set)
    outbox: dict[int, Row] = field(default_factory=dict)
    tasks: dict[UUID, Row] = field(default_factory=dict)
    dead_letters: Counter[str] = field(default_factory=Counter)
    paused: bool = False
    # Called after every commit; of what was owed, with the rows.
    owed: Callable[[list[Row]], None] = lambda _: None
    changed: Callable[[], None] = lambda: None
    unborn: set[str] = field(default_factory=set)
    seq: int = 0
    _owners: dict[Key, Transaction] = field(default_factory=dict)
    _released: dict[Key, asyncio.Event] = field(default_factory=dict)

    def locked(self, key: Key, by: Transaction) -> bool:
        """Tell whether somebody else holds *key*."""
        return self._owners.get(key, by) is not by

    async def lock(self, key: Key, by: Transaction) -> None:
        """Take *key*, waiting for whoever has it; a wait that is too long is a deadlock, as Postgres would find."""
        while self.locked(key, by):
            event = self._released.setdefault(key, asyncio.Event())
            try:
                # The lock of a lane is held as long as Kafka takes, and nobody holds anything while waiting for it.
                async with asyncio.timeout(None if key[0] == "lane" else _DEADLOCK_AFTER):
                    await event.wait()
            except TimeoutError:
                raise asyncpg.DeadlockDetectedError(f"waiting for {key[0]}") from None
        self._owners[key] = by
        by.locks.append(key)

    def release(self, transaction: Transaction) -> None:
        """Give back everything that *transaction* holds."""
        for key in transaction.locks:
            if self._owners.get(key) is transaction:
                del self._owners[key]
            event = self._released.pop(key, None)
            if event is not None:
                event.set()
        transaction.locks.clear()


class Transaction:
    """What one transaction holds, how to undo what it wrote, and what it writes only at its end."""

    def __init__(self, database: MemoryDatabase) -> None:
        self.database = database
        self.locks: list[Key] = []
        self.undo: list[Callable[[], object]] = []
        self.at_commit: list[Callable[[], object]] = []
        self.owed: list[Row] = []

    def commit(self) -> None:
        """Make it all visible at once."""
        for late in self.at_commit:
            late()
        self.database.release(self)
        if self.owed:
            self.database.owed(self.owed)
        self.database.changed()

    def roll_back(self) -> None:
        """Leave no trace."""
        for undo in reversed(self.undo):
            undo()
        self.database.release(self)


class MemoryPool:
    """What asyncpg's pool is to the machine; one per worker, so that a crash can end its transactions."""

    def __init__(self, database: MemoryDatabase, gate: Gate = open_gate) -> None:
        self.database = database
        self.gate = gate
        # No set, whose order would differ from run to run.
        self.connections: dict[MemoryConnection, None] = {}

    @asynccontextmanager
    async def acquire(self, timeout: float | None = None) -> AsyncIterator[MemoryConnection]:
        """Give a connection; *timeout* is asyncpg's, and never needed here."""
        await self.gate("connect")
        connection = MemoryConnection(self.database, self.gate)
        self.connections[connection] = None
        try:
            yield connection
        finally:
            self.connections.pop(connection, None)

    def crash(self) -> None:
        """Roll back whatever is open, as the server does when a client is gone."""
        for connection in self.connections:
            connection.abandon()


class MemoryConnection:
    """A connection, with at most one transaction open."""

    def __init__(self, database: MemoryDatabase, gate: Gate) -> None:
        self._database = database
        self._gate = gate
        self._open: Transaction | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Run what is inside as one transaction."""
        self._open = Transaction(self._database)
        try:
            yield
            await self._gate("commit")
        except BaseException:
            self.abandon()
            raise
        opened, self._open = self._open, None
        if opened is not None:
            opened.commit()
        # The answer to a commit may get lost, and then nobody knows whether it happened.
        await self._gate("committed")

    def abandon(self) -> None:
        """Roll back."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.roll_back()

    async def fetch(self, sql: str, *arguments: Any) -> list[Row]:
        """Carry out one of the statements that are known here."""
        name = _name(sql)
        await self._gate(name)
        statement: Callable[..., Awaitable[Iterable[Row]]] = getattr(_Statements, name)
        if self._open is not None:
            return list(await statement(self._database, self._open, *arguments))
        alone = Transaction(self._database)
        try:
            rows = list(await statement(self._database, alone, *arguments))
        except BaseException:
            alone.roll_back()
            raise
        alone.commit()
        return rows

    async def execute(self, sql: str, *arguments: Any) -> None:
        """As ``fetch``, without rows."""
        await self.fetch(sql, *arguments)

    async def fetchval(self, sql: str, *arguments: Any) -> Any:
        """Give the first column of the first row."""
        rows = await self.fetch(sql, *arguments)
        return next(iter(rows[0].values())) if rows else None

    async def executemany(self, sql: str, arguments: Sequence[Sequence[Any]]) -> None:
        """Carry out one statement several times."""
        for one in arguments:
            await self.execute(sql, *one)

    async def copy_records_to_table(
        self, table: str, *, records: Sequence[Sequence[Any]], columns: Sequence[str]
    ) -> None:
        """Add to the outbox; its numbers are given at once, its rows are seen after the commit."""
        assert (table, tuple(columns)) == ("outbox", OUTBOX_COLUMNS)
        assert self._open is not None
        await self._gate("copy")
        for record in records:
            _owe(self._database, self._open, record)


def _owe(db: MemoryDatabase, tx: Transaction, record: Sequence[Any]) -> None:
    row = _Row(zip(OUTBOX_COLUMNS, record, strict=True))
    _refuse_nul(row["aggregateid"] or "")
    db.seq += 1
    row["seq"] = db.seq
    tx.owed.append(row)
    tx.at_commit.append(lambda: db.outbox.__setitem__(row["seq"], row))


def _name(sql: str) -> str:
    found = _NAME.search(sql)
    return "is_set" if found is None else found[1]


def _refuse_nul(text: str) -> None:
    if "\0" in text:
        raise asyncpg.CharacterNotInRepertoireError("invalid byte sequence for encoding UTF8: 0x00")


def _json(text: str | None) -> str | None:
    if text is not None and "\\u0000" in text:
        raise asyncpg.UntranslatableCharacterError("unsupported Unicode escape sequence")
    return text


class _Statements:
    """The statements, by the names that they have in the product."""

    @staticmethod
    async def lock(db: MemoryDatabase, tx: Transaction, wanted: Sequence[str]) -> list[Row]:
        rows = []
        for customer_id in sorted(wanted):
            # What another transaction is about to insert isn't there yet.
            if customer_id not in db.cases or (customer_id in db.unborn and db.locked(("case", customer_id), tx)):
                continue
            await db.lock(("case", customer_id), tx)
            if customer_id in db.cases:
                rows.append(dict(db.cases[customer_id]))
        return rows

    @staticmethod
    async def make(db: MemoryDatabase, tx: Transaction, wanted: Sequence[str], hashes: Sequence[int]) -> list[Row]:
        for customer_id, key_hash in zip(wanted, hashes, strict=True):
            if customer_id in db.cases and customer_id not in db.unborn:
                continue
            await db.lock(("case", customer_id), tx)
            if customer_id not in db.cases:
                db.cases[customer_id] = _Row(
                    customer_id=customer_id, state=None, waiting=None, revision=0, wakes_at=None, stuck=None,
                    key_hash=key_hash,
                )  # fmt: skip
                db.unborn.add(customer_id)
                tx.undo.append(lambda one=customer_id: (db.cases.pop(one), db.unborn.discard(one)))
                tx.at_commit.append(lambda one=customer_id: db.unborn.discard(one))
        return []

    @staticmethod
    async def remember(db: MemoryDatabase, tx: Transaction, keys: Sequence[UUID]) -> list[Row]:
        fresh = []
        for key in keys:
            await db.lock(("inbox", key), tx)
            if key not in db.inbox:
                db.inbox.add(key)
                tx.undo.append(lambda key=key: db.inbox.discard(key))
                fresh.append({"key": key})
        return fresh

    @staticmethod
    async def forget(db: MemoryDatabase, tx: Transaction, keys: Sequence[UUID]) -> list[Row]:
        for key in keys:
            await db.lock(("inbox", key), tx)
            if key in db.inbox:
                db.inbox.discard(key)
                tx.undo.append(lambda key=key: db.inbox.add(key))
        return []

    @staticmethod
    async def save(db: MemoryDatabase, tx: Transaction, *columns: Sequence[Any]) -> list[Row]:
        for customer_id, state, waiting, revision, wakes_at in zip(*columns, strict=True):
            assert json.loads(_json(state) or "")["kind"]
            news = {"state": state, "waiting": _json(waiting), "revision": revision, "wakes_at": wakes_at}
            await _update(db, tx, customer_id, news | {"stuck": None})
        return []

    @staticmethod
    async def owe(db: MemoryDatabase, tx: Transaction, *record: Any) -> list[Row]:
        _owe(db, tx, record)
        return []

    @staticmethod
    async def due(db: MemoryDatabase, tx: Transaction, now: datetime, limit: int) -> list[Row]:
        rows = [row for row in db.cases.values() if row["wakes_at"] is not None and row["wakes_at"] <= now]
        rows = [row for row in rows if not db.locked(("case", row["customer_id"]), tx)]
        rows = sorted(rows, key=lambda row: row["wakes_at"])[:limit]
        for row in rows:
            await db.lock(("case", row["customer_id"]), tx)
        return [dict(row) for row in rows]

    @staticmethod
    async def stuck(db: MemoryDatabase, tx: Transaction, customer_id: str, why: str, again: datetime) -> list[Row]:
        await _update(db, tx, customer_id, {"stuck": why, "wakes_at": again})
        return []

    @staticmethod
    async def order(
        db: MemoryDatabase,
        tx: Transaction,
        ids: Sequence[UUID],
        customers: Sequence[str],
        kinds: Sequence[str],
        bodies: Sequence[str],
    ) -> list[Row]:
        for task_id, customer_id, kind, body in zip(ids, customers, kinds, bodies, strict=True):
            row = _Row(id=task_id, customer_id=customer_id, kind=kind, body=body, due_at=db.clock(), lease=None,
                       attempts=0, failure=None, progress=None, heavy=None, ordered_at=db.clock())  # fmt: skip
            tx.at_commit.append(partial(db.tasks.setdefault, task_id, row))
        return []

    @staticmethod
    async def forget_tasks(
        db: MemoryDatabase, tx: Transaction, ids: Sequence[UUID], leases: Sequence[UUID]
    ) -> list[Row]:
        forgotten = []
        for task_id, lease in sorted(zip(ids, leases, strict=True)):
            await db.lock(("task", task_id), tx)
            row = db.tasks.get(task_id)
            if row is None or row["lease"] != lease:
                continue
            del db.tasks[task_id]
            tx.undo.append(partial(db.tasks.__setitem__, task_id, row))
            forgotten.append({"id": task_id})
        return forgotten

    @staticmethod
    async def count_buried(db: MemoryDatabase, tx: Transaction, topic: str) -> list[Row]:
        tx.at_commit.append(lambda: db.dead_letters.update([topic]))
        return []

    @staticmethod
    async def lock_lane(db: MemoryDatabase, tx: Transaction, lane: int) -> list[Row]:
        await db.lock(("lane", lane), tx)
        return []

    @staticmethod
    async def take_page(db: MemoryDatabase, tx: Transaction, lane: int, limit: int) -> list[Row]:
        seqs = sorted(seq for seq, row in db.outbox.items() if row["lane"] == lane)[:limit]
        rows = [db.outbox.pop(seq) for seq in seqs]
        tx.undo.append(lambda: db.outbox.update({row["seq"]: row for row in rows}))
        return rows

    @staticmethod
    async def claim(
        db: MemoryDatabase, tx: Transaction, lease: UUID, seconds: float, room: int, kinds: Sequence[str], *too: bool
    ) -> list[Row]:
        now = db.clock()
        rows = [row for row in db.tasks.values() if row["due_at"] <= now and row["kind"] in kinds]
        rows = [row for row in rows if too == (True,) or not row["heavy"]]
        rows = [row for row in rows if not db.locked(("task", row["id"]), tx)]
        claimed = sorted(rows, key=lambda row: row["due_at"])[:room]
        for row in claimed:
            row.update(lease=lease, due_at=now + timedelta(seconds=seconds), attempts=row["attempts"] + 1)
        return [dict(row) for row in claimed]

    @staticmethod
    async def prolong(
        db: MemoryDatabase,
        tx: Transaction,
        ids: Sequence[UUID],
        leases: Sequence[UUID],
        seconds: float,
        progress: Sequence[str | None],
    ) -> list[Row]:
        prolonged = []
        for task_id, lease, reached in sorted(zip(ids, leases, progress, strict=True), key=lambda one: one[:2]):
            await db.lock(("task", task_id), tx)
            row = db.tasks.get(task_id)
            if row is None or row["lease"] != lease:
                continue
            row.update(due_at=db.clock() + timedelta(seconds=seconds), progress=reached or row["progress"])
            prolonged.append({"id": task_id, "lease": lease})
        return prolonged

    @staticmethod
    async def still_ours(db: MemoryDatabase, _: Transaction, task_id: UUID, lease: UUID) -> list[Row]:
        row = db.tasks.get(task_id)
        return [{"id": task_id}] if row is not None and row["lease"] == lease else []

    @staticmethod
    async def give_back(
        db: MemoryDatabase,
        tx: Transaction,
        task_id: UUID,
        lease: UUID,
        failure: str | None,
        seconds: float,
        *heavy: bool,
    ) -> list[Row]:
        await db.lock(("task", task_id), tx)
        row = db.tasks.get(task_id)
        if row is not None and row["lease"] == lease:
            row.update(lease=None, due_at=db.clock() + timedelta(seconds=seconds), failure=failure or row["failure"],
                       attempts=row["attempts"] - (failure is None), heavy=row["heavy"] or True in heavy)  # fmt: skip
        return []

    @staticmethod
    async def look(db: MemoryDatabase, tx: Transaction, most: int) -> list[tuple[datetime, int]]:
        return [(db.clock(), min(len(db.outbox), most))]

    @staticmethod
    async def is_set(db: MemoryDatabase, tx: Transaction, name: str) -> list[Row]:
        return [{"set": db.paused}]


async def _update(db: MemoryDatabase, tx: Transaction, customer_id: str, news: Row) -> None:
    await db.lock(("case", customer_id), tx)
    row = db.cases[customer_id]
    before = dict(row)
    row.update(news)
    tx.undo.append(lambda: row.update(before))


def memory_process(domain: Domain[Any, Any], pool: MemoryPool, partitions: int) -> PostgresProcess[Any]:
    """Give the product's own process over *pool*."""
    return PostgresProcess(domain, pool, partitions)  # type: ignore[arg-type]
