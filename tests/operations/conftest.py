"""Topics of the test's own on the real Kafka, and what reads and writes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from counting import DOMAIN, NOW, PARTITIONS, SERVICE
from kafka_records import Records

from shared.settings import read_settings
from shared.worker import Place, Worker, open_worker
from tests.kept_topics import make_topics


@pytest.fixture
async def place(postgres: str) -> AsyncIterator[Place]:
    """Give topics and a database of the test's own; the clock stands still."""
    prefix = f"t-{uuid4().hex[:8]}."
    events = [event.type() for event in DOMAIN.consumes]
    names = [f"{kind}{prefix}{event}" for event in events for kind in ("", "dlq.")]
    admin = AIOKafkaAdminClient(bootstrap_servers=read_settings().kafka)
    await admin.start()
    try:
        await make_topics(admin, names, PARTITIONS)
        yield Place(read_settings().kafka, postgres, prefix, lambda: NOW)
        await admin.delete_topics(names)
    finally:
        await admin.close()


@pytest.fixture
async def producer(place: Place) -> AsyncIterator[AIOKafkaProducer]:
    """Give a producer such as any platform service has."""
    client = AIOKafkaProducer(bootstrap_servers=place.kafka, enable_idempotence=True)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


@pytest.fixture
def records(place: Place) -> Records:
    """Give a reader of whole topics."""
    return Records(place)


@pytest.fixture
async def worker(place: Place) -> AsyncIterator[Worker]:
    """Give a worker that works."""
    async with open_worker(SERVICE, place) as opened:
        working = asyncio.create_task(opened.run())
        try:
            yield opened
        finally:
            opened.stop()
            await working
