"""One worker of one service: the composition root of the machine, without the shell that hosts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from .clock import Clock, system_clock
from .consumer import Consumer
from .decision import Domain
from .garbage import keep_buffers
from .migrate import migrate
from .performer import Performance, Performer
from .postgres import PostgresProcess
from .progress import Progress
from .relay import Relay
from .switches import Switches
from .waker import Waker

if TYPE_CHECKING:
    from asyncpg import Pool

_log = structlog.get_logger()
# Seconds after which a part that didn't get through its loop counts as stuck.
_LIMITS = {"consumer 0": 60.0, "consumer 1": 60.0, "waker": 60.0, "performer": 60.0, "relay 0": 120.0}
_REQUEST_BYTES = 4 * 2**20
# One batch of each partition is under way: small enough that Kafka takes it while the next one is built.
_BATCH_BYTES = 2**18
# For each of two clients, within the ten seconds between SIGTERM and SIGKILL.
_CLOSE_SECONDS = 1.5


class TopicsMissingError(Exception):
    """The topics that the service reads aren't there, or don't all have the same number of partitions."""


@dataclass(frozen=True)
class Place:
    """Where a worker finds what it stands on; *clock* is the one that decisions are made by."""

    kafka: str
    dsn: str
    prefix: str = ""
    clock: Clock = system_clock


@dataclass(frozen=True)
class Service:
    """What makes a worker a worker of one service; what is *kept* is open for as long as the worker."""

    domain: Domain[Any, Any]
    performances: Sequence[Performance] = ()
    migrations: Sequence[Path] = ()
    at_once: int = 2
    kept: Sequence[AbstractAsyncContextManager[object]] = ()


@dataclass
class Worker:
    """Everything of one worker, open and ready to ``run``."""

    service: Service
    place: Place
    pool: Pool
    process: PostgresProcess[Any]
    consumer: Consumer
    relay: Relay
    waker: Waker
    performer: Performer
    progress: Progress
    switches: Switches
    kafka: AIOKafkaConsumer
    partitions: int

    async def run(self) -> None:
        """Work until ``stop``; an error that is no outage ends all parts and is raised."""
        async with asyncio.TaskGroup() as parts:
            relaying = parts.create_task(self.relay.run())
            async with asyncio.TaskGroup() as group:
                for part in (self.consumer, self.waker, self.performer):
                    group.create_task(part.run())
            # What the last batches owe is published before we go; a crash would leave it to the next worker.
            self.relay.stop()
            await relaying

    def stop(self) -> None:
        """Finish what is under way, then end."""
        for part in (self.consumer, self.waker, self.performer):
            part.stop()


@asynccontextmanager
async def open_worker(service: Service, place: Place) -> AsyncIterator[Worker]:
    """Connect, migrate, and join the service's group; everything is closed again at the end.

    Raises TopicsMissingError, or an outage of Kafka or Postgres.
    """
    keep_buffers()
    async with AsyncExitStack() as stack:
        name = service.domain.name
        for one in service.kept:
            await stack.enter_async_context(one)
        pool = await stack.enter_async_context(pool_of(place, name))
        async with pool.acquire() as connection:
            await migrate(connection, *service.migrations)
        producer = await _started(stack, producer_of(place))
        topics = [place.prefix + event.type() for event in service.domain.consumes]
        partitions = await _partitions(producer, topics)
        kafka = await _started(stack, consumer_of(place, name, topics))
        yield _worker(service, place, pool, producer, kafka, partitions)


def _worker(
    service: Service, place: Place, pool: Pool, producer: AIOKafkaProducer, kafka: AIOKafkaConsumer, partitions: int
) -> Worker:
    progress, switches = Progress(dict(_LIMITS)), Switches(pool)
    process: PostgresProcess[Any] = PostgresProcess(service.domain, pool, partitions)
    relay = Relay(pool, producer, process.owed, progress, place.prefix)
    waker = Waker(process, pool, place.clock, system_clock, progress, published=relay.published)
    performances = {one.task.kind(): one for one in service.performances}
    return Worker(
        service=service,
        place=place,
        pool=pool,
        process=process,
        consumer=Consumer(process, kafka, place.clock, switches, progress, place.prefix),
        relay=relay,
        waker=waker,
        performer=Performer(
            service.domain.name,
            process,
            pool,
            performances,
            place.clock,
            process.ordered,
            progress,
            service.at_once,
            may_wake=waker.may_wake,
        ),
        progress=progress,
        switches=switches,
        kafka=kafka,
        partitions=partitions,
    )


def pool_of(place: Place, name: str) -> Pool:
    """Make the pool of service *name*."""
    return asyncpg.create_pool(
        place.dsn,
        min_size=2,
        max_size=16,
        reset=_keep_session,
        server_settings={"application_name": f"offramp {name}"},
    )


async def _keep_session(_: object) -> None:
    """Spare five statements whenever a connection goes back: we change nothing of a session, only transactions.

    What a transaction left behind asyncpg rolls back itself.
    """


def producer_of(place: Place) -> AIOKafkaProducer:
    """Make the producer that the relay sends with."""
    return AIOKafkaProducer(
        bootstrap_servers=place.kafka,
        enable_idempotence=True,
        max_batch_size=_BATCH_BYTES,
        max_request_size=_REQUEST_BYTES,
    )


def group_of(prefix: str, name: str) -> str:
    """Name the consumer group of service *name*."""
    return f"{prefix}offramp.{name}"


def consumer_of(place: Place, name: str, topics: Sequence[str]) -> AIOKafkaConsumer:
    """Make the consumer of service *name*, one of its group."""
    return AIOKafkaConsumer(
        *topics,
        bootstrap_servers=place.kafka,
        group_id=group_of(place.prefix, name),
        enable_auto_commit=False,
        # A new service reads what was said before it came.
        auto_offset_reset="earliest",
        # Other services may use transactions; what they took back was never said.
        isolation_level="read_committed",
        max_partition_fetch_bytes=_REQUEST_BYTES,
    )


async def _started(stack: AsyncExitStack, client: Any) -> Any:
    stack.push_async_callback(_stopped, client)
    await client.start()
    return client


async def _stopped(client: Any) -> None:
    """Stop *client*, but not for as long as it waits for a Kafka that is away: what it holds is owed still."""
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await client.stop()
    except TimeoutError:
        _log.warning("a client of Kafka's did not close in time", client=type(client).__name__)


async def _partitions(producer: AIOKafkaProducer, topics: Sequence[str]) -> int:
    counts: dict[str, int] = {}
    for topic in topics:
        try:
            counts[topic] = len(await producer.partitions_for(topic))
        except KafkaError as error:
            msg = f"topic {topic} is not there ({type(error).__name__}); run: offramp topics apply"
            raise TopicsMissingError(msg) from error
    if len(set(counts.values())) != 1:
        msg = f"all topics need the same number of partitions, but have {counts}; run: offramp topics check"
        raise TopicsMissingError(msg)
    return counts[topics[0]]
