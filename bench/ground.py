"""The ground that a benchmark stands on: a database, topics and events of its own, gone afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.decision import Fact
from shared.events.event import Event
from shared.identity import derived
from shared.migrate import migrate
from shared.settings import read_settings

PARTITIONS = 4
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@asynccontextmanager
async def database() -> AsyncIterator[str]:
    """Give the URL of an empty database with the machine's tables."""
    admin = read_settings().postgres
    name = f"bench_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(admin)
    try:
        await connection.execute(f"create database {name}")
        dsn = f"{admin.rsplit('/', 1)[0]}/{name}"
        own = await asyncpg.connect(dsn)
        await migrate(own)
        await own.close()
        yield dsn
    finally:
        await connection.execute(f"drop database if exists {name} with (force)")
        await connection.close()


@asynccontextmanager
async def topics(types: Sequence[str]) -> AsyncIterator[str]:
    """Make topics for *types* under a prefix of their own, and give the prefix."""
    prefix = f"bench-{uuid4().hex[:8]}-"
    admin = AIOKafkaAdminClient(bootstrap_servers=read_settings().kafka)
    await admin.start()
    names = [prefix + one for one in types]
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
        await _known(names)
        yield prefix
    finally:
        await admin.delete_topics(names)
        await admin.close()


def fact(event: Event, number: int) -> Fact:
    """Wrap *event* as the *number*-th fact of a benchmark."""
    return Fact(derived("bench", number), "/bench", NOON, event)


async def _known(names: Sequence[str]) -> None:
    """Wait until the broker leads every partition; a producer would begin with warnings."""
    async with asyncio.timeout(30):
        admin = AIOKafkaAdminClient(bootstrap_servers=read_settings().kafka)
        await admin.start()
        while not all(_led(one) for one in await admin.describe_topics(list(names))):
            # The broker gives no word of it.
            await asyncio.sleep(0.05)
        await admin.close()


def _led(described: dict[str, Any]) -> bool:
    partitions = described["partitions"]
    return len(partitions) == PARTITIONS and all(one["leader"] >= 0 and not one["error_code"] for one in partitions)
