"""The ground of one scenario: topics, databases, a clock and worker processes of its own on the real servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from deploy.demo.ground import BEGINNING, Customers, Ground
from deploy.demo.watch import Watch
from deploy.stack.databases import prepare_databases
from deploy.stack.topic_broker import apply_topics, remove_topics
from deploy.stack.topics import declared_topics
from shared.deadletters import Letter, letters
from shared.events.envelope import Record
from shared.events.event import Event
from shared.settings import Settings, service_database
from shared.worker import Place
from tests.scenarios.workers import Worker, command

# Every customer's topics have as many, by deploy/topics.yaml.
PARTITIONS = 4


@dataclass
class Scene:
    """Where one scenario takes place, and what its tests look at it with."""

    ground: Ground
    producer: AIOKafkaProducer
    admin: AIOKafkaAdminClient
    started: list[Worker] = field(default_factory=list)
    # Variables by which a scenario declares other holders than the demo platform's.
    declared: dict[str, str] = field(default_factory=dict)

    # -- who works here

    async def start(self, service: str) -> Worker:
        """Start one more worker of *service*; it is ended with the scene."""
        folder = self.ground.folder / "logs" / f"{len(self.started)}"
        # What a worker leaves in its state folder goes with the scene's.
        home = {"OFFRAMP_HOME": str(self.ground.folder / "home")}
        worker = await Worker.start(service, self.ground.environment() | self.declared | home, folder)
        self.started.append(worker)
        return worker

    async def ready(self, service: str) -> Worker:
        """Start one more worker of *service* and wait until it has its share of the work."""
        worker = await self.start(service)
        await worker.ready()
        return worker

    async def command(self, *arguments: str, given: bytes = b"") -> tuple[int, str]:
        """Run ``offramp`` with *arguments* as an operator would; gives exit code and output."""
        return await command(self.ground.environment() | self.declared, *arguments, given=given)

    # -- what is said here

    async def say(self, topic: str, key: str, value: bytes, headers: list[tuple[str, bytes]] | None = None) -> None:
        """Put a record into *topic*, named without prefix."""
        await self.producer.send_and_wait(self.ground.prefix + topic, value, key.encode(), headers=headers)

    async def publish(self, *events: Event) -> None:
        """Say *events* as a person with Kafka's own tools would: JSON, a key, no headers."""
        for event in events:
            await self.say(event.type(), event.customer_id, event.model_dump_json().encode())

    async def instruct(self, instruction: str, **values: object) -> None:
        """Say an operator's *instruction* to the notice service by hand."""
        await self.say(instruction, "notice", json.dumps({"service": "notice", **values}).encode())

    @asynccontextmanager
    async def hearing(self, *kinds: type[Event]) -> AsyncIterator[Watch]:
        """Hear every event of *kinds*, from the first one on; other topics may hold what can't be read."""
        consumer = AIOKafkaConsumer(
            *(self.ground.prefix + kind.type() for kind in kinds),
            bootstrap_servers=self.ground.settings.kafka,
            auto_offset_reset="earliest",
        )
        async with consumer:
            watch = Watch(consumer, self.producer, self.ground.prefix, lambda _: None)
            reading = asyncio.create_task(watch.read_on())
            try:
                yield watch
            finally:
                reading.cancel()
                await asyncio.wait((reading,))

    # -- what is there

    async def records(self, *topics: str) -> list[Record]:
        """Read *topics* (without prefix) whole, as they are now: each partition in its order."""
        names = {self.ground.prefix + topic: topic for topic in topics}
        where = [TopicPartition(name, number) for name in names for number in range(PARTITIONS)]
        found: list[Record] = []
        async with AIOKafkaConsumer(
            bootstrap_servers=self.ground.settings.kafka, auto_offset_reset="earliest"
        ) as kafka:
            kafka.assign(where)
            ends = await kafka.end_offsets(where)
            await kafka.seek_to_beginning()
            while any([await kafka.position(one) < ends[one] for one in where]):
                for messages in (await kafka.getmany(timeout_ms=1000)).values():
                    found += [_record(one, names[one.topic]) for one in messages]
        return found

    async def ends(self, *topics: str) -> dict[tuple[str, int], int]:
        """Tell where *topics* (without prefix) end."""
        where = [TopicPartition(self.ground.prefix + topic, number) for topic in topics for number in range(PARTITIONS)]
        async with AIOKafkaConsumer(bootstrap_servers=self.ground.settings.kafka) as kafka:
            found = await kafka.end_offsets(where)
        return {(one.topic.removeprefix(self.ground.prefix), one.partition): found[one] for one in where}

    async def committed(self, service: str) -> dict[tuple[str, int], int]:
        """Tell how far *service* has committed its offsets, by topic (without prefix) and partition."""
        marks = await self.admin.list_consumer_group_offsets(self.group(service))
        return {(one.topic.removeprefix(self.ground.prefix), one.partition): mark.offset for one, mark in marks.items()}

    def group(self, service: str) -> str:
        """Name the consumer group of *service*."""
        return f"{self.ground.prefix}offramp.{service}"

    async def letters(self, topic: str) -> list[Letter]:
        """Read all dead letters of *topic*."""
        place = Place(self.ground.settings.kafka, "", self.ground.prefix)
        return [one async for one in letters(place, topic)]

    async def ask(self, service: str, question: str, *values: object) -> Any:
        """Ask *service*'s database for one value."""
        ((value,),) = await self.rows(service, question, *values)
        return value

    async def rows(self, service: str, question: str, *values: object) -> list[Any]:
        """Ask *service*'s database for rows."""
        connection = await asyncpg.connect(self.ground.dsns[service])
        try:
            rows: list[Any] = await connection.fetch(question, *values)
            return rows
        finally:
            await connection.close()

    async def order(self, statement: str) -> None:
        """Carry out *statement* as the server's administrator."""
        await _administer(self.ground.settings.postgres, statement)


@asynccontextmanager
async def scene(settings: Settings, folder: Path, *owners: str) -> AsyncIterator[Scene]:
    """Set a scene for the services in *owners*, beginning on 10 May 2027, and leave nothing of it behind."""
    owners = (*owners, "exporter_scratch") if "exporter" in owners else owners
    run = uuid4().hex[:8]
    prefix, suffix = f"t-{run}-", f"_t_{run}"
    topics = [topic for topic in declared_topics(prefix) if _concern(owners, (*topic.readers, *topic.writers))]
    async with AsyncExitStack() as closing:
        closing.push_async_callback(_drop, settings, owners, suffix)
        dsns = await prepare_databases(settings.postgres, suffix, settings.role_password, owners)
        closing.push_async_callback(remove_topics, settings.kafka, prefix)
        await apply_topics(settings.kafka, topics)
        customers = Customers(*(f"{name}-{run}" for name in Customers().all()))
        ground = Ground(run, folder, prefix, dsns, settings, customers, None)
        ground.move_to(BEGINNING)
        producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, enable_idempotence=True)
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
        closing.push_async_callback(producer.stop)
        closing.push_async_callback(admin.close)
        await producer.start()
        await admin.start()
        (folder / "logs").mkdir()
        made = Scene(ground, producer, admin)
        try:
            yield made
        finally:
            await asyncio.gather(*(worker.stop() for worker in made.started))


def _concern(owners: tuple[str, ...], principals: tuple[str, ...]) -> bool:
    # Making hundreds of topics takes seconds; a service looks at its own only.
    ours = {f"User:offramp-{owner}" for owner in owners}
    return "retention" in owners or not ours.isdisjoint(principals)


async def _drop(settings: Settings, owners: tuple[str, ...], suffix: str) -> None:
    for owner in owners:
        name = service_database(owner, suffix)
        await _administer(settings.postgres, f'drop database if exists "{name}" with (force)')
        await _administer(settings.postgres, f'drop role if exists "{name}"')


async def _administer(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _record(message: Any, topic: str) -> Record:
    return Record(
        topic, message.partition, message.offset, message.timestamp, message.key, message.value, message.headers
    )
