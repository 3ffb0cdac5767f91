"""The relay: publishes what the outbox owes, in order per key, then forgets it.

For each lane (= partition) one transaction takes the lane's lock, deletes a page of rows, sends them, and commits
when Kafka has them all: nothing is lost by a crash, a repeat has the same ids, and nobody overtakes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from .caserows import unpack_headers
from .loop import Loop
from .progress import Progress

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer
    from asyncpg import Connection, Pool, Record
    from asyncpg.pool import PoolConnectionProxy

    AnyConnection = Connection | PoolConnectionProxy

PAGE = 5000
# Pages in one transaction: each but the first is read while the one before is sent, and a crash repeats them all. Each
# has to step over those before it, which are gone only at the end.
RUN = 4
# Only what a crashed worker left behind waits for this; our own commits ring the bell.
_LOOKOUT = 0.5
_PATIENCE = 60.0
# Seconds in which the producer gets a batch under way before this thread is busy with building the next one.
_GIVE_WAY = 0.001
# How often it says that it is still waiting for Kafka.
_SLICE = 10.0
_topic = itemgetter("aggregatetype")


class Relay:
    """Publishes for one service; *owed* rings for each lane, and *prefix* stands before every topic's name.

    *published* is rung whenever less is owed than before.
    """

    def __init__(
        self,
        pool: Pool,
        producer: AIOKafkaProducer,
        owed: Sequence[asyncio.Event],
        progress: Progress,
        prefix: str = "",
    ) -> None:
        self._pool = pool
        self._producer = producer
        self._progress = progress
        self._prefix = prefix
        self.published = asyncio.Event()
        self._loops = [
            Loop(f"relay {lane}", partial(self.publish, lane), progress, _LOOKOUT, bell)
            for lane, bell in enumerate(owed)
        ]

    async def run(self) -> None:
        """Publish until ``stop``."""
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(loop.run())

    def stop(self) -> None:
        """Finish the pages under way, then end."""
        for loop in self._loops:
            loop.stop()

    async def publish(self, lane: int) -> bool:
        """Publish up to a run of pages of *lane*, reading one while the one before is sent; tell whether more may be.

        It is one transaction, since whoever reads on must hold the lane's lock and not see what is being sent.
        """
        more = some = False
        async with self._pool.acquire(timeout=_PATIENCE) as connection, connection.transaction():
            await connection.execute(_LOCK_LANE, lane)
            rows = await _take(connection, lane)
            some = bool(rows)
            for left in reversed(range(RUN)):
                if not rows:
                    break
                more = len(rows) == PAGE
                async with self._sending(lane, rows):
                    rows = await _take(connection, lane) if more and left else []
        if some:
            self.published.set()
        return more

    @asynccontextmanager
    async def _sending(self, lane: int, rows: Sequence[Record]) -> AsyncIterator[None]:
        """Send *rows* beside what is inside, and wait until Kafka has them."""
        sending = asyncio.create_task(self._send(lane, rows))
        try:
            yield
            await sending
        finally:
            sending.cancel()

    async def _send(self, lane: int, rows: Sequence[Record]) -> None:
        """Send *rows*, each topic's in order, and return when Kafka has acknowledged all of them."""
        by_topic = sorted(rows, key=_topic)  # stable, so a topic's rows stay in order
        sending = {
            asyncio.create_task(self._send_in_order(self._prefixed(topic), lane, list(records)))
            for topic, records in groupby(by_topic, key=_topic)
        }
        try:
            await self._acknowledged(lane, sending)
        finally:
            for one in sending:
                one.cancel()

    async def _acknowledged(self, lane: int, sending: set[asyncio.Task[None]]) -> None:
        """Wait until Kafka has all, however long it is away: a broker's outage is not a relay that is stuck."""
        while sending:
            done, sending = await asyncio.wait(sending, timeout=_SLICE, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
            if not done:
                self._progress.made(f"relay {lane}", "Kafka has not acknowledged")

    async def _send_in_order(self, topic: str, lane: int, records: Sequence[Record]) -> None:
        """Send one topic's *records*, a batch once Kafka has the one before: then nothing overtakes what failed."""
        # A batch is built while Kafka takes the one before. The answer is the producer's: it ends if that is cancelled.
        acknowledged: asyncio.Future[Any] | None = None
        for batch in self._batches(records):
            if acknowledged is not None:
                await asyncio.shield(acknowledged)
            acknowledged = await self._producer.send_batch(batch, topic, partition=lane)
            await asyncio.sleep(_GIVE_WAY)
        if acknowledged is not None:
            await asyncio.shield(acknowledged)

    def _batches(self, records: Sequence[Record]) -> Iterator[Any]:
        batch = self._producer.create_batch()
        for record in records:
            if _append(batch, record) is None:
                yield batch
                batch = self._producer.create_batch()
                # A first record is taken whatever its size; Kafka itself refuses one that is too large.
                _append(batch, record)
        yield batch

    def _prefixed(self, topic: str) -> str:
        """Name the topic on this broker; a dead letter's own topic is named as it was read, prefix and all."""
        dead, name = ("dlq.", topic[4:]) if topic.startswith("dlq.") else ("", topic)
        return dead + self._prefix + name.removeprefix(self._prefix)


async def _take(connection: AnyConnection, lane: int) -> list[Record]:
    rows = await connection.fetch(_TAKE_PAGE, lane, PAGE)
    return sorted(rows, key=itemgetter("seq"))


def _append(batch: Any, record: Record) -> object:
    key = record["aggregateid"]
    return batch.append(
        key=None if key is None else key.encode("latin-1"),
        value=record["payload"],
        timestamp=record["timestamp_ms"],
        headers=unpack_headers(record["headers"], record["payload"]),
    )


_LOCK_LANE = """
-- lock_lane: one relay at a time sends for a lane; taken before the page's snapshot. A crash of the server may forget
-- that rows were deleted, and only that: what they came from was durable before anybody saw it. They are sent again.
select pg_advisory_xact_lock(hashtext('offramp.relay'), $1), set_config('synchronous_commit', 'off', true)
"""
_TAKE_PAGE = """
-- take_page: no cursor, not even behind this run's last page: a lower seq may have become visible since, and a higher
-- one of the same customer with it
delete from outbox
 where lane = $1
   and seq <= (select max(seq) from (select seq from outbox where lane = $1 order by seq limit $2) as page)
returning seq, aggregatetype, aggregateid, payload, headers, timestamp_ms
"""
