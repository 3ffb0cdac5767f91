"""The consumer: reads events in batches of any mix, and commits offsets only after the database has committed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from .clock import Clock
from .events.envelope import Record, Unreadable, read
from .fates import OUTAGES
from .loop import Loop
from .process import Process
from .progress import Progress
from .settlement import Arrival, Buried
from .switches import Switches

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

Polled: TypeAlias = dict[TopicPartition, list[Any]]
_log = structlog.get_logger()
BATCH = 2000
_POLL_MS = 200
# Seconds; a commit of offsets costs Kafka as much as an event, and what a crash repeats the inbox knows.
_COMMIT_EVERY = 0.2
# While no partition is assigned to a reader.
_IDLE_SECONDS = 0.1


class Consumer:
    """Hands what it reads to *process*; during an outage it reads the same again, and the lag shows it.

    Offsets are committed once there is nothing more to read, while there is every so often, and at the end.

    *readers* share the assigned partitions by number, so that one decides while the other waits for the database;
    a customer's topics all have it in the same partition, so its events stay with one reader.
    """

    def __init__(
        self,
        process: Process,
        kafka: AIOKafkaConsumer,
        clock: Clock,
        switches: Switches,
        progress: Progress,
        prefix: str = "",
        readers: int = 2,
    ) -> None:
        self._process = process
        self._kafka = kafka
        self._clock = clock
        self._switches = switches
        self._prefix = prefix
        self._readers = readers
        # What the database has committed and Kafka has not been told; and when it is next told, by the loop's clock.
        self._done: dict[TopicPartition, int] = {}
        self._commit_from = 0.0
        self._loops = [
            Loop(f"consumer {reader}", partial(self.turn, reader), progress, _IDLE_SECONDS) for reader in range(readers)
        ]

    async def run(self) -> None:
        """Read until ``stop``."""
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(loop.run())
        try:
            await self._commit()
        except OUTAGES as outage:
            _log.info("last offsets not committed, so these are read again", outage=type(outage).__name__)

    def stop(self) -> None:
        """Finish and commit the batches under way, then end."""
        for loop in self._loops:
            loop.stop()

    async def turn(self, reader: int = 0) -> bool:
        """Read one batch of *reader*'s partitions, carry it out, then commit its offsets, now or a little later."""
        await self._obey_switch()
        mine = self._share(reader)
        if not mine:
            return False
        polled: Polled = {}
        try:
            await self._poll(mine, polled)
            if polled:
                await self._carry_out(polled)
        except OUTAGES:
            self._read_again(polled)
            raise
        self._done |= {partition: messages[-1].offset + 1 for partition, messages in polled.items()}
        if not polled or asyncio.get_running_loop().time() >= self._commit_from:
            await self._commit()
        return True

    async def _poll(self, mine: Sequence[TopicPartition], polled: Polled) -> None:
        """Read all of *mine* at the same pace, up to a batch, into *polled*: what fails half-way is read again.

        getmany alone empties one partition after the other, so while a lag is worked off whole topics run ahead of
        each other: four events in ten came before what they were about, and each of those waits and is read again.
        """
        # One record, to be told that there are some.
        polled |= await self._kafka.getmany(*mine, timeout_ms=_POLL_MS, max_records=1)
        room, hungry = BATCH - 1, list(mine) if polled else []
        while room > 0 and hungry:
            share, at_hand, hungry = max(room // len(hungry), 1), hungry, []
            for partition in at_hand:
                found = (await self._kafka.getmany(partition, max_records=share)).get(partition)
                if found:
                    polled.setdefault(partition, []).extend(found)
                    room -= len(found)
                    if len(found) == share:
                        hungry.append(partition)

    def _share(self, reader: int) -> list[TopicPartition]:
        """Choose *reader*'s partitions: by place among those we have; two workers may have the odd and the even."""
        assigned = self._kafka.assignment()
        numbers = sorted({partition.partition for partition in assigned})[reader :: self._readers]
        return [partition for partition in assigned if partition.partition in numbers]

    async def _carry_out(self, polled: Polled) -> None:
        arrivals, unreadable = [], []
        # By the broker's time, so that topics don't overtake each other within a batch; a partition keeps its order.
        for message in merge(*polled.values(), key=attrgetter("timestamp")):
            record = _record(message, self._prefix)
            try:
                arrivals.append(Arrival(read(record), record))
            except Unreadable as error:
                unreadable.append(Buried(str(error), record, None))
        await self._process.arrivals(arrivals, unreadable, self._clock())

    def _read_again(self, polled: Polled) -> None:
        for partition, messages in polled.items():
            try:
                self._kafka.seek(partition, messages[0].offset)
            except IllegalStateError:
                # Taken from us meanwhile: whoever has it now starts where we last committed.
                _log.info("partition went to another worker", topic=partition.topic, partition=partition.partition)

    async def _commit(self) -> None:
        """Commit what was carried out and no more: commit() without arguments would take in what was only fetched."""
        self._commit_from = asyncio.get_running_loop().time() + _COMMIT_EVERY
        assigned = self._kafka.assignment()
        done = {partition: offset for partition, offset in self._done.items() if partition in assigned}
        try:
            if done:
                await self._kafka.commit(done)
        except (CommitFailedError, IllegalStateError):
            # A rebalance: another worker reads these again, and the inbox knows them.
            _log.info("offsets not committed, the partitions went to another worker")
        # The other reader may have carried out more meanwhile, also of partitions that we knew nothing of.
        assigned = self._kafka.assignment()
        self._done = {
            where: offset for where, offset in self._done.items() if where in assigned and done.get(where) != offset
        }

    async def _obey_switch(self) -> None:
        paused = await self._switches.paused()
        assigned, resting = self._kafka.assignment(), self._kafka.paused()
        if paused and assigned - resting:
            self._kafka.pause(*assigned)
        elif not paused and resting:
            self._kafka.resume(*resting)


def _record(message: Any, prefix: str) -> Record:
    # A prefix is where this platform's topics are on this broker, not part of what was said.
    return Record(
        message.topic.removeprefix(prefix),
        message.partition,
        message.offset,
        message.timestamp,
        message.key,
        message.value,
        message.headers,
    )
