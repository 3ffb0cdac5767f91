"""The relay: publishes what the outbox owes, in order per key, then forgets it.

For each lane (= partition) one transaction takes the lane's lock, deletes a page of rows, sends them, and commits
when Kafka has them all: nothing is lost by a crash, a repeat has the same ids, and nobody overtakes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from .caserows import unpack_headers
from .loop import Loop
from .progress import Progress

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer
    from asyncpg import Pool, Record

PAGE = 5000
# Only what a crashed worker left behind waits for this; our own commits ring the bell.
_LOOKOUT = 0.5
_PATIENCE = 60.0
# How often it says that it is still waiting for Kafka.
_SLICE = 10.0


class Relay:
    """Publishes for one service; *owed* rings for each lane, and *prefix* stands before every topic's name."""

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
        self._loops = [
            Loop(f"relay {lane}", partial(self.publish_page, lane), progress, _LOOKOUT, bell)
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

    async def publish_page(self, lane: int) -> bool:
        """Publish up to a page of *lane*; tell whether there may be more."""
        async with self._pool.acquire(timeout=_PATIENCE) as connection, connection.transaction():
            await connection.execute(_LOCK_LANE, lane)
            rows = await connection.fetch(_TAKE_PAGE, lane, PAGE)
            if rows:
                await self._send(lane, sorted(rows, key=itemgetter("seq")))
        return len(rows) == PAGE

    async def _send(self, lane: int, rows: Sequence[Record]) -> None:
        """Send *rows*, each topic's in order, and return when Kafka has acknowledged all of them."""
        by_topic = sorted(rows, key=itemgetter("aggregatetype"))  # stable, so a topic's rows stay in order
        sending = {
            asyncio.create_task(self._send_in_order(self._prefixed(topic), lane, list(records)))
            for topic, records in groupby(by_topic, key=itemgetter("aggregatetype"))
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
        for batch in self._batches(records):
            acknowledged = await self._producer.send_batch(batch, topic, partition=lane)
            await acknowledged

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


def _append(batch: Any, record: Record) -> object:
    key = record["aggregateid"]
    return batch.append(
        key=None if key is None else key.encode("latin-1"),
        value=record["payload"],
        timestamp=record["timestamp_ms"],
        headers=unpack_headers(record["headers"], record["payload"]),
    )


_LOCK_LANE = """
-- lock_lane: one relay at a time sends for a lane; taken before the page's snapshot
select pg_advisory_xact_lock(hashtext('offramp.relay'), $1)
"""
_TAKE_PAGE = """
-- take_page: no cursor, since a lower seq may become visible later; that is never the same customer's
delete from outbox
 where lane = $1
   and seq <= (select max(seq) from (select seq from outbox where lane = $1 order by seq limit $2) as page)
returning seq, aggregatetype, aggregateid, payload, headers, timestamp_ms
"""
