"""What the topics of holds and contracts say that the holder's own cases don't know yet, read before it deletes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaTimeoutError, for_code

from ..contracts import Contracts, registered, terminated
from ..events.envelope import Record, Unreadable, read
from ..events.notice import ContractTerminated
from ..events.platform import ContractRegistered, LegalHoldPlaced, LegalHoldReleased
from ..holds import Hold, Holds, placed
from ..holds import released as released_from

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from contextlib import AbstractAsyncContextManager

_TOPICS = (LegalHoldPlaced, LegalHoldReleased, ContractRegistered, ContractTerminated)
# Seconds in which Kafka has to give what it says it has.
_PATIENCE = 10.0


# A hold that nobody can read holds everything, from the beginning on.
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

News: TypeAlias = LegalHoldPlaced | LegalHoldReleased | ContractRegistered | ContractTerminated | Hold


class Heard(Protocol):
    """Tells what was published."""

    async def since(self, customer_id: str) -> tuple[News, ...]:
        """Give what was published up to now and may not be known to the holder's cases yet."""
        ...


class Published(Protocol):
    """Where holds are published; ``HoldTopics`` is one."""

    def opened(self) -> AbstractAsyncContextManager[Heard]:
        """Connect for as long as one deletion lasts."""
        ...


@dataclass(frozen=True, slots=True)
class HoldTopics:
    """The topics on *kafka* that the *group* reads holds and contracts from, with the *prefix* of this platform."""

    kafka: str
    group: str
    prefix: str = ""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Tails]:
        """Connect; raises KafkaError, an outage like any other."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka, enable_auto_commit=False, isolation_level="read_committed"
        )
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(consumer.stop)
            await consumer.start()
            stack.push_async_callback(admin.close)
            await admin.start()
            coordinator = await admin.find_coordinator(self.group)
            yield Tails(consumer, admin, self.group, coordinator, self.prefix)


class KeptHoldTopics:
    """The same *topics* with one connection for the holder's life, open inside ``async with``.

    Connecting took longer than a small customer's deletion. What is kept is the connection alone: which partitions
    there are and where they end is asked each time. Whatever goes wrong closes it, and the next one connects anew.
    """

    def __init__(self, topics: HoldTopics) -> None:
        self.topics = topics
        self._alone = asyncio.Lock()
        self._connection = AsyncExitStack()
        self._tails: Tails | None = None

    async def __aenter__(self) -> Self:
        """Wait with connecting until something is to be deleted: a holder starts without Kafka, too."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self._close()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[KeptHoldTopics]:
        """Give what is kept."""
        yield self

    async def since(self, customer_id: str) -> tuple[News, ...]:
        """Give what ``Tails`` gives, to one deletion after the other; raises KafkaError."""
        async with self._alone:
            try:
                tails = self._tails or await self._connect()
                return await tails.since(customer_id)
            except BaseException:
                # Also if it is interrupted: nobody knows in which state that leaves a client.
                await self._close()
                raise

    async def _connect(self) -> Tails:
        self._tails = tails = await self._connection.enter_async_context(self.topics.opened())
        return tails

    async def _close(self) -> None:
        self._tails = None
        await self._connection.aclose()


@dataclass(frozen=True, slots=True)
class Tails:
    """What lies between the place up to which the holder's cases know these topics, and their ends."""

    consumer: AIOKafkaConsumer
    admin: AIOKafkaAdminClient
    group: str
    coordinator: int
    prefix: str

    async def since(self, customer_id: str) -> tuple[News, ...]:
        """Read on to where the topics end now; what can't be read and may be this customer's is a hold of everything.

        All partitions are looked at, since a record written by hand may lie in any. Raises KafkaError.
        """
        partitions = await self._partitions()
        ends: dict[TopicPartition, int] = await self.consumer.end_offsets(partitions)
        starts = await self._starts(partitions)
        behind = [where for where in partitions if starts[where] < ends[where]]
        if not behind:
            return ()
        self.consumer.assign(behind)
        for where in behind:
            self.consumer.seek(where, starts[where])
        news: list[News] = []
        while left := [where for where in behind if await self.consumer.position(where) < ends[where]]:
            found = [self._read(message, customer_id) for message in await self._more(left)]
            news += [one for one in found if one is not None]
        # Nothing is fetched ahead for the next time, which looks from where the group is by then.
        self.consumer.unsubscribe()
        return tuple(news)

    async def _partitions(self) -> tuple[TopicPartition, ...]:
        """Ask which there are: an operator may have added some. A topic that isn't known is no empty one."""
        described = await self.admin.describe_topics([self.prefix + event.type() for event in _TOPICS])
        for topic in described:
            if topic["error_code"]:
                raise for_code(topic["error_code"])(topic["topic"])
        return tuple(
            TopicPartition(topic["topic"], one["partition"]) for topic in described for one in topic["partitions"]
        )

    async def _starts(self, partitions: tuple[TopicPartition, ...]) -> dict[TopicPartition, int]:
        """Give the places that the holder's group has committed: its cases know all that lies before them."""
        committed = await self.admin.list_consumer_group_offsets(self.group, self.coordinator, list(partitions))
        known = {where: committed[where].offset for where in partitions if committed[where].offset >= 0}
        fresh = [where for where in partitions if where not in known]
        first = await self.consumer.beginning_offsets(fresh) if fresh else {}
        return {**known, **first}

    async def _more(self, left: list[TopicPartition]) -> list[Any]:
        polled = await self.consumer.getmany(*left, timeout_ms=int(_PATIENCE * 1000))
        if not polled:
            raise KafkaTimeoutError(f"Kafka gave nothing of {left[0].topic} for {_PATIENCE:.0f} s")
        return [message for messages in polled.values() for message in messages]

    def _read(self, message: Any, customer_id: str) -> News | None:
        if message.key not in (None, customer_id.encode()):
            return None
        topic = message.topic.removeprefix(self.prefix)
        record = Record(
            topic, message.partition, message.offset, message.timestamp, message.key, message.value, message.headers
        )
        try:
            event = read(record).event
        except Unreadable:
            return Hold(f"unreadable:{topic}:{message.partition}:{message.offset}", placed_at=_LONG_AGO)
        if isinstance(event, _TOPICS) and event.customer_id == customer_id:
            return event
        return None


def with_news(known: Holds, news: Iterable[News]) -> Holds:
    """Take *news* into the *known* holds; what was known already stays as it is."""
    for one in news:
        match one:
            case LegalHoldPlaced():
                known = placed(known, one)
            case LegalHoldReleased():
                known = released_from(known, one)
            case Hold():
                known = (*known, one)
    return known


def with_contracts(known: Contracts, news: Iterable[News]) -> Contracts:
    """Take *news* into the *known* contracts."""
    for one in news:
        match one:
            case ContractRegistered():
                known = registered(known, one) or known
            case ContractTerminated():
                known = terminated(known, one) or known
    return known


class Unpublished:
    """For whom there are no topics: what the holder's own cases know is all there is."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Unpublished]:
        """Connect to nothing."""
        yield self

    async def since(self, customer_id: str) -> tuple[News, ...]:  # noqa: ARG002
        """Give nothing."""
        return ()
