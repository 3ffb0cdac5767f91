"""Stand-ins for Kafka's clients that stop, break and remember at any point that a test chooses."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, LeaderNotAvailableError, TopicAuthorizationFailedError

from shared.events.envelope import Record


async def _at_once() -> None:
    """Acknowledge at once."""


@dataclass
class FakeProducer:
    """Keeps what was sent, in order; *acknowledge* is awaited before Kafka's answer comes back, and may raise."""

    acknowledge: Callable[[], Awaitable[None]] = _at_once
    batch_size: int = 7
    sent: dict[tuple[str, int], list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    _lost: asyncio.Future[None] | None = None

    async def lose_first(self) -> None:
        """Give the first batch up at once, as aiokafka does when its partition has no leader for too long."""
        self._lost = asyncio.get_running_loop().create_future()
        self._lost.set_exception(LeaderNotAvailableError())

    def create_batch(self) -> FakeBatch:
        return FakeBatch(self.batch_size)

    async def send_batch(self, batch: FakeBatch, topic: str, partition: int) -> asyncio.Future[None]:
        lost, self._lost = self._lost, None
        if lost is not None:
            return lost
        self.sent[topic, partition].extend(batch.records)
        return asyncio.ensure_future(self.acknowledge())


@dataclass
class FakeBatch:
    """A batch with room for so many records."""

    room: int
    records: list[dict[str, Any]] = field(default_factory=list)

    def append(self, **record: Any) -> object:
        if len(self.records) == self.room:
            return None
        self.records.append(record)
        return record


class FakeKafka:
    """A consumer's view of Kafka: partitions that hold records, positions, and what was committed."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.log: dict[TopicPartition, list[Any]] = defaultdict(list)
        self.positions: dict[TopicPartition, int] = {}
        for record in records:
            self.say(record)
        self.committed: dict[TopicPartition, int] = {}
        self.lost: set[TopicPartition] = set()
        self.resting: set[TopicPartition] = set()
        self.commit_fails: Exception | None = None
        # After so many reads one fails.
        self.reads_left: int | None = None

    def say(self, record: Record) -> None:
        """Add *record* to its partition."""
        message = SimpleNamespace(
            topic=record.topic, partition=record.partition, offset=record.offset, timestamp=record.timestamp_ms,
            key=record.key, value=record.value, headers=record.headers,
        )  # fmt: skip
        where = TopicPartition(record.topic, record.partition)
        self.log[where].append(message)
        self.positions.setdefault(where, 0)

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int
    ) -> dict[TopicPartition, list[Any]]:
        if self.reads_left is not None:
            self.reads_left -= 1
            if self.reads_left < 0:
                self.reads_left = None
                raise TopicAuthorizationFailedError
        polled = {}
        for where in partitions or tuple(self.log):
            messages = self.log[where]
            news = [one for one in messages if one.offset >= self.positions[where]] if where not in self.resting else []
            if news:
                polled[where] = news[:max_records]
                self.positions[where] = polled[where][-1].offset + 1
        return polled

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.commit_fails is not None:
            raise self.commit_fails
        if not offsets.keys() <= self.assignment():
            raise IllegalStateError(offsets)
        self.committed.update(offsets)

    def seek(self, where: TopicPartition, offset: int) -> None:
        if where in self.lost:
            raise IllegalStateError(where)
        self.positions[where] = offset

    def assignment(self) -> set[TopicPartition]:
        return set(self.log)

    def paused(self) -> set[TopicPartition]:
        return set(self.resting)

    def pause(self, *partitions: TopicPartition) -> None:
        self.resting |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.resting -= set(partitions)
