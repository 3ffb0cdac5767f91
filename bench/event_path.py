"""The event path: the notice service's real decisions on mixed events, from Kafka to committed.

Floor: the statements that one such run made, played again without Kafka and without deciding anything.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from services.notice.domain import domain
from shared.consumer import Consumer
from shared.postgres import PostgresProcess
from shared.progress import Progress
from shared.settings import read_settings
from shared.switches import Switches
from shared.worker import Place, consumer_of, pool_of

from .children import Answer, Starting, alone, child
from .ground import NOON, PARTITIONS, database, topics
from .notices import POLICY, mixed_events, publish
from .rows import Row

EVENTS, CUSTOMERS = 300_000, 50_000
ROUNDS = 3
# Neither Kafka nor Postgres gives word: seconds between two looks.
_LOOK = 0.02


class Recorder:
    """A connection that notes every statement, so that the floor can run the very same SQL."""

    def __init__(self, connection: Any, script: list[Any]) -> None:
        self._connection, self._script = connection, script

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            self._script.append((name, arguments, named))
            return await method(*arguments, **named)

        return call


class Recorded(PostgresProcess[Any]):
    """The machine's process, noting what it says to the database."""

    script: list[Any]

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Any]:
        async with super()._transaction() as connection:
            statements: list[Any] = []
            yield Recorder(connection, statements)
            # By reader: what two of them did at once the floor may do at once, too.
            self.script.append((id(asyncio.current_task()), statements))


class HoldBack(ConsumerRebalanceListener):  # type: ignore[misc] - aiokafka has no types
    """Fetch nothing before the clock runs: the consumer's first turn lets go of what is paused."""

    def __init__(self, kafka: AIOKafkaConsumer) -> None:
        self._kafka = kafka
        self.assigned = asyncio.Event()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Nothing was done with them yet."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Pause them."""
        self._kafka.pause(*assigned)
        if assigned:
            self.assigned.set()


@asynccontextmanager
async def joined(prefix: str) -> AsyncIterator[tuple[AIOKafkaConsumer, HoldBack]]:
    """Join the service's group as a worker does."""
    place = Place(read_settings().kafka, "", prefix)
    names = [prefix + one.type() for one in domain(POLICY).consumes]
    kafka = consumer_of(place, "notice", names)
    hold = HoldBack(kafka)
    kafka.subscribe(names, listener=hold)
    await kafka.start()
    try:
        yield kafka, hold
    finally:
        await kafka.stop()


async def product(starting: Starting, dsn: str, prefix: str, count: int, script: str = "") -> dict[str, Any]:
    """Read until the group has committed *count* events; with *script* note the statements there."""
    async with pool_of(Place("", dsn), "bench") as pool, joined(prefix) as (kafka, hold):
        process = (Recorded if script else PostgresProcess)(domain(POLICY), pool, PARTITIONS)
        if isinstance(process, Recorded):
            process.script = []
        consumer = Consumer(process, kafka, lambda: NOON, Switches(pool), Progress({}), prefix)
        await hold.assigned.wait()
        await starting()
        running = asyncio.create_task(consumer.run())
        await committed(prefix, count)
        consumer.stop()
        await running
        if isinstance(process, Recorded):
            Path(script).write_bytes(pickle.dumps(process.script))
    return {}


async def committed(prefix: str, count: int) -> None:
    """Return as soon as the group's committed offsets come to *count*."""
    admin = AIOKafkaAdminClient(bootstrap_servers=read_settings().kafka)
    await admin.start()
    try:
        while True:
            offsets = await admin.list_consumer_group_offsets(f"{prefix}offramp.notice")
            if sum(one.offset for one in offsets.values()) >= count:
                return
            await asyncio.sleep(_LOOK)
    finally:
        await admin.close()


async def floor(starting: Starting, dsn: str, script: str, connections: int) -> dict[str, Any]:
    """Play *script* again: as it came on one connection, or each reader's part on its own."""
    transactions = pickle.loads(Path(script).read_bytes())
    readers = sorted({reader for reader, _ in transactions})
    lanes = [[one for reader, one in transactions if connections == 1 or reader == mine] for mine in readers]
    async with AsyncExitStack() as stack:
        opened = [await asyncpg.connect(dsn) for _ in range(connections)]
        for one in opened:
            stack.push_async_callback(one.close)
        await starting()
        await asyncio.gather(*map(play, opened, lanes))
    return {}


async def play(connection: asyncpg.Connection, transactions: Sequence[Any]) -> None:
    for statements in transactions:
        async with connection.transaction():
            for name, arguments, named in statements:
                await getattr(connection, name)(*arguments, **named)


async def timed(target: str, workers: int = 1, **arguments: Any) -> tuple[float, list[Answer]]:
    """Give the seconds from the word "go" to the last child's answer."""
    async with AsyncExitStack() as stack:
        children = [await stack.enter_async_context(child(target, **arguments)) for _ in range(workers)]
        for one in children:
            await one.ready()
        begun = perf_counter()
        for one in children:
            await one.go()
        answers = [await one.answer() for one in children]
        return perf_counter() - begun, answers


async def run(scale: float = 1.0) -> list[Row]:
    """Measure on *scale* times 300,000 events: one worker and two, beside the same SQL and beside Faust."""
    count, customers = max(int(EVENTS * scale), 60), max(int(CUSTOMERS * scale), 10)
    few, fewer = max(count // 5, 60), max(count // 50, 60)
    with TemporaryDirectory() as folder:
        script = str(Path(folder) / "statements")
        await consumed(count, customers, workers=1, script=script)
        rates: dict[str, list[float]] = {name: [] for name in ("one", "two", "floor 1", "floor 2", "faust", "single")}
        peaks = []
        for _ in range(ROUNDS):
            for name, workers in (("two", 2), ("one", 1)):
                rate, answers = await consumed(count, customers, workers=workers)
                rates[name].append(rate)
                peaks += [one.memory_mib for one in answers]
                rates[f"floor {workers}"].append(await replayed(script, count, workers))
            rates["faust"].append(await faust(few, customers, 1000))
            rates["single"].append(await faust(fewer, customers, 1))
    middle = {name: median(found) for name, found in rates.items()}
    pair, unit = (f"events/s of {count:,}, {workers}" for workers in ("2 workers", "1 worker"))
    two, one, memory = middle["two"], middle["one"], max(peaks)
    return [
        Row(
            "event path",
            two,
            pair,
            "same SQL, 1 connection",
            two / middle["floor 1"],
            ">= 0.80",
            memory,
        ),
        Row("event path", two, pair, "same SQL, 2 connections", two / middle["floor 2"], "", memory),
        Row(
            "event path",
            one,
            unit,
            "same SQL, 1 connection",
            one / middle["floor 1"],
            ">= 0.80",
            memory,
        ),
        Row("event path", one, unit, f"Faust agent, same SQL, {few:,}", one / middle["faust"], ">= 4", memory),
        Row(
            "event path",
            one,
            unit,
            f"Faust, a transaction an event, {fewer:,}",
            one / middle["single"],
            ">= 20",
            memory,
        ),
    ]


async def consumed(count: int, customers: int, workers: int, **named: Any) -> tuple[float, list[Answer]]:
    """Let *workers* read *count* events from topics of their own into a database of its own; events per second."""
    async with published(count, customers) as prefix, database() as dsn:
        seconds, answers = await timed(f"{__name__}:product", workers, dsn=dsn, prefix=prefix, count=count, **named)
        await check(dsn, count)
    return count / seconds, answers


async def replayed(script: str, count: int, connections: int) -> float:
    async with database() as dsn:
        seconds, _ = await timed(f"{__name__}:floor", dsn=dsn, script=script, connections=connections)
        await check(dsn, count)
    return count / seconds


async def faust(count: int, customers: int, batch: int) -> float:
    async with published(count, max(min(customers, count // 6), 1)) as prefix, database() as dsn:
        answer = await alone("bench.faust_peer:agent", dsn=dsn, prefix=prefix, count=count // 6 * 6, batch=batch)
    return float(answer.figures["rate"])


@asynccontextmanager
async def published(count: int, customers: int) -> AsyncIterator[str]:
    async with topics([one.type() for one in domain(POLICY).consumes]) as prefix:
        await publish(prefix, mixed_events(count, customers))
        yield prefix


async def check(dsn: str, count: int) -> None:
    """Whoever lost or doubled something has no rate."""
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("select count(*) from inbox") == count
    await connection.close()
