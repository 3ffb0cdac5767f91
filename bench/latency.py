"""Latency: NoticeReceived produced → NoticeAccepted consumed, through a real worker process, at three rates.

Floor: a message produced, consumed, and one commit in Postgres behind it, by the same clients at the same rate.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.stack.topic_broker import apply_topics, remove_topics
from deploy.stack.topics import declared_topics
from shared.clock import system_clock
from shared.decision import Fact
from shared.events.envelope import write
from shared.events.platform import AutomaticRenewal, CalendarDays, ContractRegistered, NoticeReceived, Vouched
from shared.identity import derived
from shared.settings import read_settings

from .children import Starting, alone
from .ground import database
from .rows import Row
from .workers import peak, worker

# Events a second, and for how many seconds in each of the rounds.
RATES = {1: 10.0, 100: 5.0, 1000: 5.0}
ROUNDS = 3
# The worker gives no word: seconds between two looks.
_LOOK = 0.05


@asynccontextmanager
async def clients(to: str, topic: str) -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaConsumer]]:
    """Give a producer that knows *to*, and a consumer of all of *topic* from now on."""
    kafka = read_settings().kafka
    sender = AIOKafkaProducer(bootstrap_servers=kafka)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="latest")
    await sender.start()
    await consumer.start()
    try:
        # The first event doesn't wait for the broker to say where the topic is.
        await sender.partitions_for(to)
        partitions = await sender.partitions_for(topic)
        consumer.assign([TopicPartition(topic, one) for one in partitions])
        await consumer.seek_to_end()
        for one in consumer.assignment():
            await consumer.position(one)
        yield sender, consumer
    finally:
        await consumer.stop()
        await sender.stop()


async def product(starting: Starting, prefix: str, rate: int, seconds: float, start: int) -> dict[str, Any]:
    """Send notices of customers *start* and on, and wait for the answers; milliseconds each took."""

    async def send(sender: AIOKafkaProducer, number: int) -> None:
        await sender.send(f"{prefix}NoticeReceived", **_notice(number))

    async with clients(f"{prefix}NoticeReceived", f"{prefix}NoticeAccepted") as (sender, consumer):
        await starting()
        return {"took": await measured(sender, consumer, send, rate, seconds, start)}


async def floor(starting: Starting, prefix: str, rate: int, seconds: float, start: int, dsn: str) -> dict[str, Any]:
    """Send to a topic that is read here and by nobody else, and commit a row for whatever was read at once."""
    topic = f"{prefix}NoticeRejected"
    connection = await asyncpg.connect(dsn)
    await connection.execute("create table if not exists floor (n bigint)")

    async def send(sender: AIOKafkaProducer, number: int) -> None:
        await sender.send(topic, **_notice(number))

    async def commit() -> None:
        await connection.execute("insert into floor values (1)")

    async with clients(topic, topic) as (sender, consumer):
        await starting()
        took = await measured(sender, consumer, send, rate, seconds, start, commit)
    await connection.close()
    return {"took": took}


async def measured(
    sender: AIOKafkaProducer,
    consumer: AIOKafkaConsumer,
    send: Callable[[AIOKafkaProducer, int], Awaitable[None]],
    rate: int,
    seconds: float,
    start: int,
    commit: Callable[[], Awaitable[None]] | None = None,
) -> list[float]:
    """Send at *rate* for *seconds*, whatever comes back when; give each event's milliseconds."""
    sent: dict[bytes, float] = {}
    took: list[float] = []
    count = max(int(rate * seconds), 1)

    async def hear() -> None:
        while len(took) < count:
            polled = await consumer.getmany(timeout_ms=1000)
            if polled and commit is not None:
                await commit()
            now = perf_counter()
            took.extend((now - sent[one.key]) * 1000 for found in polled.values() for one in found)

    hearing = asyncio.create_task(hear())
    begun = perf_counter()
    for number in range(count):
        # The rate is what is set.
        await asyncio.sleep(max(begun + number / rate - perf_counter(), 0))
        sent[_customer(start + number).encode()] = perf_counter()
        await send(sender, start + number)
    async with asyncio.timeout(60):
        await hearing
    return took


def _customer(number: int) -> str:
    return f"c{number}"


def _record(number: int, event: Any) -> dict[str, Any]:
    value, headers = write(Fact(derived(type(event).__name__, number), "/bench", system_clock(), event))
    return {"value": value, "key": _customer(number).encode(), "headers": list(headers)}


def _notice(number: int) -> dict[str, Any]:
    return _record(
        number,
        NoticeReceived(
            customer_id=_customer(number), contract_id="k", notice_id="n", channel="email", received_at=system_clock()
        ),
    )


def _contract(number: int, today: date) -> dict[str, Any]:
    return _record(
        number,
        ContractRegistered(
            customer_id=_customer(number),
            contract_id="k",
            revision=1,
            period_start=today - timedelta(days=30),
            period_end=today + timedelta(days=300),
            time_zone="Europe/Stockholm",
            renewal=AutomaticRenewal(months=12),
            notice=CalendarDays(days=30),
            notice_channels=("email",),
            authority=Vouched(),
        ),
    )


async def register(prefix: str, dsn: str, count: int) -> None:
    """Let the worker know *count* contracts, and wait until it does."""
    sender = AIOKafkaProducer(bootstrap_servers=read_settings().kafka, linger_ms=20)
    await sender.start()
    today = system_clock().date()
    for number in range(count):
        await sender.send(f"{prefix}ContractRegistered", **_contract(number, today))
    await sender.stop()
    connection = await asyncpg.connect(dsn)
    async with asyncio.timeout(120):
        while await connection.fetchval("select count(*) from cases") < count:
            await asyncio.sleep(_LOOK)
    await connection.close()


@asynccontextmanager
async def stage() -> AsyncIterator[tuple[str, str]]:
    """Give a prefix with all declared topics, and an empty database."""
    prefix = f"bench-{uuid4().hex[:8]}-"
    kafka = read_settings().kafka
    await apply_topics(kafka, declared_topics(prefix))
    try:
        async with database() as dsn:
            yield prefix, dsn
    finally:
        await remove_topics(kafka, prefix)


def noticing(prefix: str, dsn: str, home: str) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """Start a worker of the notice service, which lives in *home*."""
    environment = {"OFFRAMP_TOPIC_PREFIX": prefix, "OFFRAMP_NOTICE_DSN": dsn, "OFFRAMP_HOME": home}
    return worker("notice", environment, Path(home))


async def run(scale: float = 1.0) -> list[Row]:
    """Measure each rate in rounds, product and floor in turn."""
    took: dict[tuple[str, int], list[float]] = {}
    plan = [(rate, max(seconds * scale, 1.0)) for _ in range(ROUNDS) for rate, seconds in RATES.items()]
    customers = sum(max(int(rate * seconds), 1) for rate, seconds in plan) + 1
    with TemporaryDirectory() as home:
        async with stage() as (prefix, dsn), noticing(prefix, dsn, home) as process:
            await register(prefix, dsn, customers)
            start = 1
            await alone(f"{__name__}:product", prefix=prefix, rate=1, seconds=1, start=0)
            for rate, seconds in plan:
                given = {"prefix": prefix, "rate": rate, "seconds": seconds, "start": start}
                answer = await alone(f"{__name__}:product", **given)
                took.setdefault(("product", rate), []).extend(answer.figures["took"])
                answer = await alone(f"{__name__}:floor", **given, dsn=dsn)
                took.setdefault(("floor", rate), []).extend(answer.figures["took"])
                start += max(int(rate * seconds), 1)
            memory = peak(process.pid)
    return [row for rate in RATES for row in compared(rate, took["product", rate], took["floor", rate], memory)]


def compared(rate: int, product: Sequence[float], floor: Sequence[float], memory: float) -> list[Row]:
    versus = f"produce, consume, commit: {{:.1f}} ms, {rate}/s"
    rows = []
    for name, percent, goal in (("p50", 50, "<= 3"), ("p99", 99, "<= 5")):
        ours, theirs = percentile(product, percent), percentile(floor, percent)
        rows.append(Row("latency", ours, f"ms {name} at {rate}/s", versus.format(theirs), ours / theirs, goal, memory))
    return rows


def percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]
