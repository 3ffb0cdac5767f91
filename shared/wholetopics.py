"""Reads whole topics as they stand, for whoever looks after them: an operator's view, not a service's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from .errors import OperatorError

_PAGE = 500
_PATIENCE = 10.0
# What a broker takes at most, and a little more.
REQUEST_BYTES = 4 * 2**20

Page: TypeAlias = Mapping[TopicPartition, Sequence[Any]]


class Brokers(Protocol):
    """Where Kafka is (*kafka*, ``host:port`` or several with commas) and what stands before every topic's name."""

    @property
    def kafka(self) -> str:
        """The brokers' addresses."""

    @property
    def prefix(self) -> str:
        """What stands before every topic's and group's name."""


async def pages(consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> AsyncIterator[Page]:
    """Read on to where *partitions* end now, page by page; what comes meanwhile is for the next time.

    Raises ``OperatorError`` where a broker stops giving what it has.
    """
    ends = await consumer.end_offsets(partitions)
    places = await _positions(consumer, partitions)
    while any(places[where] < ends[where] for where in partitions):
        polled = await consumer.getmany(timeout_ms=int(_PATIENCE * 1000), max_records=_PAGE)
        before, places = places, await _positions(consumer, partitions)
        if places == before:
            raise OperatorError(f"Kafka gave nothing of {partitions[0].topic} for {_PATIENCE:.0f} s: look at its log.")
        yield {
            where: [record for record in records if record.offset < ends[where]] for where, records in polled.items()
        }


async def _positions(consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    return {where: await consumer.position(where) for where in partitions}


@asynccontextmanager
async def reader(
    place: Brokers, partitions: Sequence[TopicPartition], group: str | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer on *partitions*, where *group* left off, else at the start; raises ``OperatorError``."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=place.kafka,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=REQUEST_BYTES,
    )
    async with reached(place, consumer):
        # Assigned by hand: two operators at once then do the work twice, which harms nobody, instead of neither.
        consumer.assign(partitions)
        yield consumer


@asynccontextmanager
async def admin(place: Brokers) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open a client for questions to the brokers; raises ``OperatorError``."""
    client = AIOKafkaAdminClient(bootstrap_servers=place.kafka)
    async with reached(place, client, stop="close"):
        yield client


@asynccontextmanager
async def reached(place: Brokers, client: Any, stop: str = "stop") -> AsyncIterator[None]:
    """Start *client* and end it; raises ``OperatorError`` where nobody answers."""
    try:
        try:
            await client.start()
        except KafkaConnectionError as error:
            msg = f"Kafka does not answer at {place.kafka}: check OFFRAMP_KAFKA, and whether it runs."
            raise OperatorError(msg) from error
        yield
    finally:
        await getattr(client, stop)()
