"""Sees every event of a run as it passes, and waits for those that the story expects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.decision import Fact
from shared.events.catalogue import EVENTS
from shared.events.envelope import Record, read
from shared.events.event import Event

E = TypeVar("E", bound=Event)
_PATIENCE = 45.0


class StoryError(Exception):
    """The story did not go as it has to."""


class Watch:
    """Reads all topics of *prefix*; *on_fact* is told of each event once, in the order in which it was seen."""

    def __init__(
        self, kafka: AIOKafkaConsumer, producer: AIOKafkaProducer, prefix: str, on_fact: Callable[[Fact], None]
    ) -> None:
        self._kafka = kafka
        self._producer = producer
        self._prefix = prefix
        self._on_fact = on_fact
        self._seen: dict[str, Fact] = {}
        self._news = asyncio.Condition()

    async def publish(self, event: Event) -> None:
        """Publish *event* as a person with Kafka's own tools would: JSON, a key, no headers."""
        await self._producer.send_and_wait(
            self._prefix + event.type(), event.model_dump_json().encode(), key=event.customer_id.encode()
        )

    async def expect(
        self, kind: type[E], customer: str, count: int = 1, such: Callable[[E], bool] = lambda _: True
    ) -> E:
        """Wait for the *count*-th event of *kind* about *customer*, *such* as it has to be, or raise StoryError."""

        def found() -> list[E]:
            return [event for event in self.all(kind, customer) if such(event)]

        try:
            async with asyncio.timeout(_PATIENCE), self._news:
                await self._news.wait_for(lambda: len(found()) >= count)
        except TimeoutError:
            raise StoryError(f"{kind.type()} for {customer} did not come within {_PATIENCE:.0f} s") from None
        return found()[count - 1]

    def all(self, kind: type[E], customer: str) -> list[E]:
        """Give the events of *kind* about *customer* so far."""
        events = (fact.event for fact in self._seen.values())
        return [event for event in events if isinstance(event, kind) and event.customer_id == customer]

    async def read_on(self) -> None:
        """Read until cancelled."""
        while True:
            for messages in (await self._kafka.getmany(timeout_ms=100)).values():
                for one in messages:
                    record = Record(
                        one.topic, one.partition, one.offset, one.timestamp, one.key, one.value, one.headers
                    )
                    await self._take(read(record, self._prefix))

    async def _take(self, fact: Fact) -> None:
        if fact.id in self._seen:
            return
        async with self._news:
            self._seen[fact.id] = fact
            self._on_fact(fact)
            self._news.notify_all()


@asynccontextmanager
async def watching(kafka: str, prefix: str, on_fact: Callable[[Fact], None]) -> AsyncIterator[Watch]:
    """Watch all topics of *prefix* while the block lasts."""
    topics = [prefix + name for name in EVENTS]
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=kafka, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True)
    async with consumer, producer:
        watch = Watch(consumer, producer, prefix, on_fact)
        reading = asyncio.create_task(watch.read_on())
        try:
            yield watch
        finally:
            reading.cancel()
            await asyncio.wait((reading,))
