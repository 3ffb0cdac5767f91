"""The topics of a deletion, under a prefix of their own, and our side of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.clock import system_clock
from shared.decision import Fact
from shared.events.envelope import Record, read, write
from shared.events.event import Event
from shared.events.platform import DeletionAcknowledged
from shared.events.retention import DeletionRequested
from shared.settings import read_settings
from tests.kept_topics import make_topics

READ = ("LegalHoldPlaced", "LegalHoldReleased", "ContractRegistered", "ContractTerminated", "DeletionRequested")
TYPES = (*READ, "DeletionAcknowledged")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Topics:
    """What a holder reads and writes; *prefix* is before each name."""

    prefix: str
    producer: AIOKafkaProducer
    answers: AIOKafkaConsumer

    async def tell(self, event: Event) -> None:
        value, headers = write(Fact(uuid4().hex, "/test", system_clock(), event))
        key = event.customer_id.encode()
        await self.producer.send_and_wait(self.prefix + event.type(), value, key, headers=list(headers))

    async def answer(self) -> DeletionAcknowledged:
        async with asyncio.timeout(60):
            got = await self.answers.getone()
        record = Record(got.topic, got.partition, got.offset, got.timestamp, got.key, got.value, tuple(got.headers))
        event = read(record, self.prefix).event
        assert isinstance(event, DeletionAcknowledged)
        return event


@asynccontextmanager
async def command_topics() -> AsyncIterator[Topics]:
    """Make the topics, and take them away afterwards."""
    kafka, prefix = read_settings().kafka, f"t-{uuid4().hex[:8]}-"
    names = [prefix + one for one in TYPES]
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await make_topics(admin, names)
    await _coordinated(kafka, f"{prefix}first", names[0])
    try:
        async with (
            AIOKafkaProducer(bootstrap_servers=kafka) as producer,
            AIOKafkaConsumer(names[-1], bootstrap_servers=kafka, auto_offset_reset="earliest") as answers,
        ):
            yield Topics(prefix, producer, answers)
    finally:
        await admin.delete_topics(names)
        await admin.close()


async def _coordinated(kafka: str, group: str, topic: str) -> None:
    """Wait until groups have a coordinator: a cluster that has just begun makes it when it is asked first."""
    async with AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False) as first:
        await first.committed(TopicPartition(topic, 0))


def command(holder: str, days: int = 1, **told: Any) -> DeletionRequested:
    """Command *holder* to delete acme; another number of *days* is another command of the same deletion."""
    now = system_clock().replace(hour=0, minute=0, second=0, microsecond=0)
    return DeletionRequested(
        customer_id="acme",
        deletion_id="acme:1",
        holder=holder,
        window_closed_at=now - DAY,
        policy_version="1",
        respond_by=now + days * DAY,
        **told,
    )
