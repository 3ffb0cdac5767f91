"""Both processes pass the one suite: the real one, and the same code over the simulation's database."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from shared import performer
from shared.postgres import PostgresProcess
from tests.machine.conformance import PARTITIONS, Conformance, Shop
from tests.machine.toy import NOON, PURSE
from tests.simulation.memory import MemoryDatabase, MemoryPool, memory_process

_TABLES = {
    "cases": """
        select customer_id, state::text, waiting::text, revision, wakes_at, stuck, key_hash from cases order by 1
    """,
    "inbox": "select key from inbox order by key",
    "outbox": "select * from outbox order by seq",
    "tasks": "select id, customer_id, kind, body::text, due_at, lease, attempts, failure from tasks order by id",
    "dead_letters": "select topic, buried from dead_letters order by topic",
}


_NO_STATE = '{"kind": "of another release"}'


class PostgresRows:
    """Looks into a real database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def table(self, name: str) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._pool.fetch(_TABLES[name])]

    async def claim(self, lease: UUID, seconds: float) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._pool.fetch(*(performer._CLAIM, lease, seconds, 10, ["Job"], True))]

    async def spoil(self, customer_id: str) -> None:
        await self._pool.execute("update cases set state = $2 where customer_id = $1", customer_id, _NO_STATE)


class MemoryRows:
    """Looks into a simulated one."""

    def __init__(self, pool: MemoryPool) -> None:
        self._pool = pool

    async def table(self, name: str) -> list[dict[str, Any]]:
        database = self._pool.database
        return {
            "cases": [dict(row) for _, row in sorted(database.cases.items())],
            "inbox": [{"key": key} for key in sorted(database.inbox)],
            "outbox": [dict(row) for _, row in sorted(database.outbox.items())],
            "tasks": [dict(row) for _, row in sorted(database.tasks.items())],
            "dead_letters": [{"topic": topic, "buried": n} for topic, n in sorted(database.dead_letters.items())],
        }[name]

    async def claim(self, lease: UUID, seconds: float) -> list[dict[str, Any]]:
        async with self._pool.acquire() as connection:
            return await connection.fetch(*(performer._CLAIM, lease, seconds, 10, ["Job"], True))

    async def spoil(self, customer_id: str) -> None:
        self._pool.database.cases[customer_id]["state"] = _NO_STATE


class TestPostgres(Conformance):
    """On a real Postgres."""

    @pytest.fixture
    def shop(self, pool: asyncpg.Pool) -> Shop:
        return Shop(PostgresProcess(PURSE, pool, PARTITIONS), PostgresRows(pool))


class TestMemory(Conformance):
    """In memory."""

    @pytest.fixture
    def shop(self) -> Shop:
        pool = MemoryPool(MemoryDatabase(lambda: NOON))
        return Shop(memory_process(PURSE, pool, PARTITIONS), MemoryRows(pool))
