"""Kafka as the machine sees it: partitions in order, groups that rebalance, batches that arrive twice, late or not."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any, TypeAlias

from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    TopicAuthorizationFailedError,
)

from shared.events.envelope import Record

PARTITIONS = 3
_FAILING = 600.0
Offsets: TypeAlias = dict[TopicPartition, int]


@dataclass
class Broker:
    """All topics; *appended* is told of every record, *down* says whether it can be reached."""

    rng: Random
    appended: Callable[[Record], None]
    down: Callable[[], bool]
    log: dict[TopicPartition, list[Record]] = field(default_factory=lambda: defaultdict(list))
    groups: dict[str, Group] = field(default_factory=dict)

    def append(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Any, timestamp_ms: int
    ) -> Record:
        """Add one record."""
        records = self.log[TopicPartition(topic, partition)]
        record = Record(topic, partition, len(records), timestamp_ms, key, value, tuple(headers))
        records.append(record)
        self.appended(record)
        for group in self.groups.values():
            if topic in group.topics:
                group.ring()
        return record


class Group:
    """A consumer group: who has which partition, and what was committed."""

    def __init__(self, broker: Broker, topics: frozenset[str]) -> None:
        self.broker = broker
        self.topics = topics
        self.members: list[Consumer] = []
        self.committed: Offsets = defaultdict(int)
        broker.groups[f"group {len(broker.groups)}"] = self

    def ring(self) -> None:
        """Tell the members that there may be news."""
        for member in self.members:
            member.rung()

    def rebalance(self) -> None:
        """Deal all partitions out anew; whoever gets one starts where was last committed."""
        dealt: dict[Consumer, Offsets] = {member: {} for member in self.members}
        for topic in sorted(self.topics):
            for partition in range(PARTITIONS):
                if self.members:
                    where = TopicPartition(topic, partition)
                    dealt[self.broker.rng.choice(self.members)][where] = self.committed[where]
        for member, positions in dealt.items():
            member.positions = positions
        self.ring()


class Consumer:
    """One member's client, with what of ``AIOKafkaConsumer`` the machine uses."""

    def __init__(
        self, group: Group, gate: Callable[[str], Any], slow: Callable[[str], bool], refused: Callable[[], bool]
    ) -> None:
        self.group = group
        self.gate = gate
        # Now and then Kafka answers with an error instead of records.
        self.refused = refused
        # A topic that is slow just now gives nothing.
        self.slow = slow
        self.positions: Offsets = {}
        self.rung: Callable[[], None] = lambda: None

    def join(self) -> None:
        """Become a member."""
        self.group.members.append(self)
        self.group.rebalance()

    def leave(self) -> None:
        """Be one no longer; the others get what it had."""
        if self in self.group.members:
            self.group.members.remove(self)
            self.positions = {}
            self.group.rebalance()

    def assignment(self) -> AbstractSet[TopicPartition]:
        # A set in an order of its own, since that of hashes differs from run to run.
        return dict.fromkeys(self.positions).keys()

    def paused(self) -> set[TopicPartition]:
        return set()

    def news(self, wanted: Sequence[TopicPartition] | None = None) -> list[TopicPartition]:
        """Name those of *wanted*, or of all partitions, that have something to read, in their order."""
        log, positions = self.group.broker.log, self.positions
        # Asked more often than anything else, and hardly ever with anything to find.
        mine = positions if wanted is None else {where: positions[where] for where in wanted if where in positions}
        found = [where for where, position in mine.items() if len(log[where]) > position]
        return [where for where in found if not self.slow(where.topic)]

    async def getmany(
        self, *wanted: TopicPartition, timeout_ms: int = 0, max_records: int
    ) -> dict[TopicPartition, Any]:
        """Read some records of some partitions."""
        news = self.news(wanted)
        if not news:
            return {}
        await self.gate("kafka getmany")
        rng, log = self.group.broker.rng, self.group.broker.log
        if self.group.broker.down():
            return {}
        if self.refused():
            raise TopicAuthorizationFailedError(wanted[0].topic)
        polled = {}
        for where in self.news(news):
            if rng.random() < 0.7:
                begin = self.positions[where]
                records = log[where][begin : begin + min(rng.randint(1, 20), max_records)]
                polled[where] = [_message(record) for record in records]
                self.positions[where] = begin + len(records)
        return polled

    def seek(self, where: TopicPartition, offset: int) -> None:
        if where not in self.positions:
            raise IllegalStateError(where)
        self.positions[where] = offset

    async def commit(self, offsets: Offsets) -> None:
        """Commit what was carried out."""
        await self.gate("kafka commit")
        if self.group.broker.down():
            raise KafkaConnectionError
        for where in offsets:
            if where not in self.positions:
                raise CommitFailedError
        self.group.committed.update(offsets)


def _message(record: Record) -> Any:
    return SimpleNamespace(
        topic=record.topic, partition=record.partition, offset=record.offset, timestamp=record.timestamp_ms,
        key=record.key, value=record.value, headers=record.headers,
    )  # fmt: skip


class Batch:
    """Room for a few records."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.records: list[dict[str, Any]] = []

    def append(self, **record: Any) -> object:
        if len(self.records) == self.room:
            return None
        self.records.append(record)
        return record


class Producer:
    """What of ``AIOKafkaProducer`` the relay uses; *lossy* gives how often an answer gets lost."""

    def __init__(
        self,
        broker: Broker,
        gate: Callable[[str], Any],
        now_ms: Callable[[], int],
        lossy: Callable[[], bool],
    ) -> None:
        self.broker = broker
        self.gate = gate
        self.now_ms = now_ms
        self.lossy = lossy
        self.failing_until: dict[TopicPartition, float] = {}

    def create_batch(self) -> Batch:
        return Batch(self.broker.rng.randint(1, 5))

    async def send_batch(self, batch: Batch, topic: str, partition: int) -> asyncio.Future[None]:
        """Append the batch as one; its answer comes back, or doesn't."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.broker.down():
            raise KafkaTimeoutError
        # The batch is on its way now: a worker that dies here may have sent it, or not.
        try:
            await self.gate("kafka send")
        except BaseException:
            if self.broker.rng.random() < 0.5:
                self._append(batch, topic, partition)
            raise
        if self._fails(TopicPartition(topic, partition)):
            answer.set_exception(LeaderNotAvailableError())
            return answer
        self._append(batch, topic, partition)
        if self.lossy():
            answer.set_exception(KafkaTimeoutError())
        else:
            answer.set_result(None)
        return answer

    def _fails(self, where: TopicPartition) -> bool:
        """Tell whether a batch is given up, as aiokafka does when its partition has no leader for too long."""
        now = asyncio.get_running_loop().time()
        if self.failing_until.get(where, 0.0) <= now and self.lossy():
            self.failing_until[where] = now + _FAILING
        return self.failing_until.get(where, 0.0) > now

    def _append(self, batch: Batch, topic: str, partition: int) -> None:
        for one in batch.records:
            stamp = self.now_ms() if one["timestamp"] is None else one["timestamp"]
            self.broker.append(topic, partition, one["key"], one["value"], one["headers"], stamp)
