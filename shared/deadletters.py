"""Dead letters: what could not be carried out, why, and how it is put back where it came from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from .errors import OperatorError
from .events.catalogue import EVENTS, INSTRUCTIONS
from .wholetopics import REQUEST_BYTES, Brokers, admin, pages, reached, reader

_log = structlog.get_logger()
_REASON = "__dlq.errors."
_PATIENCE = 10.0


class NoSuchLetterError(OperatorError):
    """There is no dead letter at the place that was asked for."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One record of ``dlq.<prefix><topic>``: the original's key, value, time and headers, and why it is there."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def service(self) -> str:
        """Name the service that buried it."""
        return self._error("group")

    @property
    def reason(self) -> str:
        """Say why; quotes no value of the record."""
        return self._error("message")

    @property
    def origin(self) -> tuple[str, int | None, int | None]:
        """Give topic, partition and offset of the original; None for what was read from a case, not from Kafka."""
        return self._error("topic"), _place(self._error("partition")), _place(self._error("offset"))

    @property
    def original_key(self) -> bytes | None:
        """Give the key that the original had; one that Postgres can't hold travels as a header, in hexadecimal."""
        packed = self._error("key")
        return bytes.fromhex(packed) if packed and self.key is None else self.key

    @property
    def original_headers(self) -> list[tuple[str, bytes | None]]:
        """Give the headers that the original had."""
        return [(name, value) for name, value in self.headers if not name.startswith(_REASON)]

    def _error(self, name: str) -> str:
        # The last one counts: it was added when the letter was made, whatever the original carried.
        found = [value for header, value in self.headers if header == _REASON + name]
        return (found[-1] or b"").decode(errors="replace") if found else ""


def _place(text: str) -> int | None:
    # A letter made of a case's waiting event has -1: it came from no place in Kafka.
    return int(text) if text.isdecimal() else None


def dead_letter_topic(place: Brokers, topic: str) -> str:
    """Name the topic of the dead letters of *topic* (without prefix)."""
    return f"dlq.{place.prefix}{topic}"


def replay_group(place: Brokers, service: str) -> str:
    """Name the consumer group whose offsets tell how far *service*'s letters were put back."""
    return f"{place.prefix}offramp.{service}.replay"


async def topics(place: Brokers) -> tuple[str, ...]:
    """Name the topics (without prefix) that have a dead-letter topic on this Kafka; raises ``OperatorError``."""
    names = {dead_letter_topic(place, topic): topic for topic in (*EVENTS, *INSTRUCTIONS)}
    async with admin(place) as asked:
        there = set(await asked.list_topics())
    return tuple(topic for name, topic in names.items() if name in there)


async def letters(place: Brokers, topic: str) -> AsyncIterator[Letter]:
    """Read all dead letters of *topic* as of now, partition by partition mixed; raises ``OperatorError``."""
    partitions = await _partitions(place, topic)
    async with reader(place, partitions) as consumer:
        async for page in _pages(consumer, topic, partitions):
            for found in page.values():
                for letter in found:
                    yield letter


async def letter(place: Brokers, topic: str, partition: int, offset: int) -> Letter:
    """Read the one dead letter at *partition* and *offset* of ``dlq.<prefix><topic>``; raises ``NoSuchLetterError``."""
    where = TopicPartition(dead_letter_topic(place, topic), partition)
    partitions = await _partitions(place, topic)
    if where not in partitions:
        raise NoSuchLetterError(f"{where.topic} has no partition {partition}: it has {len(partitions)}, from 0.")
    async with reader(place, [where]) as consumer:
        first, end = (await consumer.beginning_offsets([where]))[where], (await consumer.end_offsets([where]))[where]
        if not first <= offset < end:
            holds = f"holds the offsets {first} to {end - 1}" if end > first else "is empty"
            raise NoSuchLetterError(f"{where.topic} partition {partition} has no offset {offset}: it {holds}.")
        consumer.seek(where, offset)
        found = (await consumer.getmany(where, timeout_ms=int(_PATIENCE * 1000), max_records=1)).get(where)
    if not found or found[0].offset != offset:
        raise NoSuchLetterError(f"{where.topic} partition {partition} holds no record at offset {offset} any more.")
    return _letter(topic, found[0])


async def replayed_to(place: Brokers, service: str, topic: str) -> dict[int, int]:
    """Tell for each partition up to which offset (exclusive) *service*'s letters of *topic* were put back."""
    name = dead_letter_topic(place, topic)
    async with admin(place) as asked:
        marks = await asked.list_consumer_group_offsets(replay_group(place, service))
    return {where.partition: mark.offset for where, mark in marks.items() if where.topic == name}


async def replay(
    place: Brokers,
    service: str,
    topic: str,
    partition: int | None = None,
    offset: int | None = None,
    *,
    dry_run: bool = False,
) -> int:
    """Put *service*'s dead letters of *topic* back: the one at *partition* and *offset*, or all since the last time.

    Key, value, time and headers are the original's, so that it is the same event again and whoever has carried it
    out knows it. Gives how many were put back; none, with a warning, if there is no such letter. Raises KafkaError.
    """
    try:
        if partition is None or offset is None:
            return await _replay_all(place, service, topic, dry_run=dry_run)
        found = await letter(place, topic, partition, offset)
    except NoSuchLetterError as error:
        _log.warning("nothing to put back", why=str(error), service=service)
        return 0
    if found.service != service:
        _log.warning("not this service's dead letter", service=service, buried_by=found.service)
        return 0
    if not dry_run:
        async with _producer(place) as producer:
            await _put_back(place, producer, [found])
    return 1


async def _replay_all(place: Brokers, service: str, topic: str, *, dry_run: bool) -> int:
    count = 0
    group = replay_group(place, service)
    partitions = await _partitions(place, topic)
    async with reader(place, partitions, group) as consumer, _producer(place) as producer:
        async for page in _pages(consumer, topic, partitions):
            own = [one for found in page.values() for one in found if one.service == service]
            count += len(own)
            if dry_run:
                continue
            await _put_back(place, producer, own)
            # Only now: whoever is cut off before begins with these again, and the inbox knows them.
            await consumer.commit({where: found[-1].offset + 1 for where, found in page.items() if found})
    return count


async def _put_back(place: Brokers, producer: AIOKafkaProducer, found: Sequence[Letter]) -> None:
    sent = [await _send(place, producer, one) for one in found if one.original_key is not None or one.value is not None]
    await asyncio.gather(*sent)
    if len(sent) < len(found):
        _log.warning("records with neither key nor value were left out; they say nothing", count=len(found) - len(sent))


async def _send(place: Brokers, producer: AIOKafkaProducer, one: Letter) -> asyncio.Future[Any]:
    topic = place.prefix + one.topic
    sent: asyncio.Future[Any] = await producer.send(
        topic,
        one.value,
        one.original_key,
        # The key chooses its partition, as ever; without one, where it was before.
        partition=await _old_partition(producer, topic, one) if one.original_key is None else None,
        timestamp_ms=None if one.timestamp_ms < 0 else one.timestamp_ms,
        headers=one.original_headers,
    )
    return sent


async def _old_partition(producer: AIOKafkaProducer, topic: str, one: Letter) -> int | None:
    partition = one.origin[1]
    return partition if partition in await producer.partitions_for(topic) else None


async def _pages(
    consumer: AIOKafkaConsumer, topic: str, partitions: Sequence[TopicPartition]
) -> AsyncIterator[Mapping[TopicPartition, Sequence[Letter]]]:
    async for page in pages(consumer, partitions):
        yield {where: [_letter(topic, record) for record in records] for where, records in page.items()}


def _letter(topic: str, record: Any) -> Letter:
    return Letter(
        topic, record.partition, record.offset, record.timestamp, record.key, record.value, tuple(record.headers)
    )


async def _partitions(place: Brokers, topic: str) -> list[TopicPartition]:
    name = dead_letter_topic(place, topic)
    async with admin(place) as asked:
        described = (await asked.describe_topics([name]))[0]
    if described["error_code"]:
        raise NoSuchLetterError(f"there is no topic {name}: check the name of the topic, or run offramp topics apply.")
    return sorted(TopicPartition(name, one["partition"]) for one in described["partitions"])


@asynccontextmanager
async def _producer(place: Brokers) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=place.kafka, enable_idempotence=True, max_request_size=REQUEST_BYTES, linger_ms=5
    )
    async with reached(place, producer):
        yield producer
