"""The peer of the event path: a plain Faust agent that hands the very same batches to the very same transaction."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any
from uuid import uuid4

import asyncpg
import faust

from services.notice.domain import domain
from shared.events.envelope import Record, read
from shared.postgres import PostgresProcess
from shared.settings import read_settings
from shared.settlement import Arrival

from .children import Starting
from .ground import NOON, PARTITIONS
from .notices import POLICY


async def agent(starting: Starting, dsn: str, prefix: str, count: int, batch: int) -> dict[str, Any]:
    """Take *batch* events at a time; the clock runs from the first that is handled, in Faust's favour."""
    async with asyncpg.create_pool(dsn, min_size=2, max_size=4) as pool:
        process = PostgresProcess(domain(POLICY), pool, PARTITIONS)
        app = faust.App(
            f"{prefix}faust-{uuid4().hex[:6]}",
            broker=f"kafka://{read_settings().kafka}",
            store="memory://",
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            consumer_auto_offset_reset="earliest",
        )
        names = [prefix + one.type() for one in domain(POLICY).consumes]
        topic = app.topic(*names, key_serializer="raw", value_serializer="raw", key_type=bytes, value_type=bytes)
        seen, times, done = 0, [0.0], asyncio.Event()

        @app.agent(topic, concurrency=1)
        async def hear(stream: Any) -> None:
            nonlocal seen
            async for events in stream.noack_take(batch, within=1):
                times[0] = times[0] or perf_counter()
                await process.arrivals([_arrival(one.message, prefix) for one in events], [], NOON)
                for one in events:
                    await stream.ack(one)
                seen += len(events)
                if seen >= count:
                    done.set()
                    return

        await starting()
        await app.start()
        await done.wait()
        took = perf_counter() - times[0]
        # Its shutdown waits for tasks that ended; the parent ends the process.
        return {"rate": seen / took}


def _arrival(message: Any, prefix: str) -> Arrival:
    headers = message.headers or {}
    pairs = tuple(headers.items() if isinstance(headers, dict) else headers)
    topic = message.topic.removeprefix(prefix)
    moment = round((message.timestamp or 0) * 1000)
    record = Record(topic, message.partition, message.offset, moment, message.key, message.value, pairs)
    return Arrival(read(record), record)
