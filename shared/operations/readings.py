"""What a worker reads to measure itself: a few indexed questions to its database, and Kafka's ends of its topics."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiokafka.errors import IllegalStateError

from ..database_fates import DATABASE_OUTAGES
from ..fates import KAFKA_OUTAGES

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from asyncpg import Pool

# Whoever asks for metrics must not wait for what is measured, least of all when it is in trouble.
_PATIENCE = 2.0
# What is counted row by row is counted up to here; beyond it the exact number helps nobody.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks of one *kind* that are not done, and how many of them failed the last time."""

    kind: str
    pending: int
    failing: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What the service's database says; moments are UTC and None where there is nothing."""

    owed: int = 0
    owed_since: datetime | None = None
    due_since: datetime | None = None
    next_wake: datetime | None = None
    waiting: int = 0
    waiting_since: datetime | None = None
    stuck: int = 0
    tasks: tuple[Tasks, ...] = ()
    task_due_seconds: float = 0.0
    buried: Mapping[str, int] = field(default_factory=dict)
    paused: bool = False


async def read_stored(pool: Pool, partitions: int, now: datetime, prefix: str = "") -> Stored | None:
    """Ask the database; None when it can't be asked. *now* is the service's clock, which wake-ups go by.

    Topics are named without *prefix*.
    """
    try:
        async with asyncio.timeout(_PATIENCE), pool.acquire(timeout=_PATIENCE) as connection:
            (owed,) = await connection.fetch(_OWED, partitions, MOST)
            (wakes,) = await connection.fetch(_WAKES, now)
            (waiting,) = await connection.fetch(_WAITING, MOST)
            tasks = await connection.fetch(_TASKS, MOST)
            return Stored(
                owed=owed["number"],
                owed_since=owed["since"],
                due_since=wakes["due"],
                next_wake=wakes["next"],
                waiting=waiting["number"],
                waiting_since=waiting["since"],
                stuck=await connection.fetchval(_STUCK, MOST),
                tasks=tuple(Tasks(row["kind"], row["pending"], row["failing"]) for row in tasks),
                task_due_seconds=await connection.fetchval(_TASK_DUE),
                buried=_buried([(row["topic"], row["buried"]) for row in await connection.fetch(_BURIED)], prefix),
                paused=await connection.fetchval(_PAUSED),
            )
    except DATABASE_OUTAGES:
        return None


def _buried(counts: Iterable[tuple[str, int]], prefix: str) -> dict[str, int]:
    # A letter of an event that waited is named without the prefix, one that was just read with it.
    buried: defaultdict[str, int] = defaultdict(int)
    for topic, number in counts:
        buried[topic.removeprefix("dlq.").removeprefix(prefix)] += number
    return dict(buried)


async def read_lag(kafka: AIOKafkaConsumer, prefix: str) -> dict[str, int]:
    """Tell by topic (without *prefix*) how many events of *kafka*'s partitions it has not taken up yet.

    Asks the brokers: the consumer's own high-water mark stands still while it is paused or waits out an outage,
    which is when the lag matters. It is taken where the brokers don't answer; a partition of unknown place is left out.
    """
    assigned = kafka.assignment()
    ends = await _ends(kafka, assigned)
    places = await asyncio.gather(*[_position(kafka, where) for where in assigned])
    lag: defaultdict[str, int] = defaultdict(int)
    for where, place in zip(assigned, places, strict=True):
        end = ends.get(where, _highwater(kafka, where))
        if end is not None and place is not None:
            lag[where.topic.removeprefix(prefix)] += max(0, end - place)
    return dict(lag)


async def _ends(kafka: AIOKafkaConsumer, assigned: Collection[TopicPartition]) -> dict[TopicPartition, int]:
    if not assigned:
        return {}
    try:
        async with asyncio.timeout(_PATIENCE):
            ends: dict[TopicPartition, int] = await kafka.end_offsets(assigned)
            return ends
    except KAFKA_OUTAGES:
        return {}


async def _position(kafka: AIOKafkaConsumer, where: TopicPartition) -> int | None:
    try:
        # It waits for a place that was never asked for yet.
        async with asyncio.timeout(_PATIENCE / 10):
            place: int = await kafka.position(where)
            return place
    except (TimeoutError, IllegalStateError):
        return None


def _highwater(kafka: AIOKafkaConsumer, where: TopicPartition) -> int | None:
    # A rebalance may have taken it meanwhile, and highwater() asserts that it did not.
    known: Any = kafka.highwater(where) if where in kafka.assignment() else None
    return known if isinstance(known, int) else None


_OWED = """
-- owed: the first row of each lane by the primary key; the number counts up to a limit
select (select count(*) from (select from outbox limit $2) as bounded) as number,
       (select min(first.owed_at)
          from generate_series(0, $1::integer - 1) as lane
          cross join lateral (select owed_at from outbox where outbox.lane = lane.lane order by seq limit 1) as first
       ) as since
"""
_WAKES = """
-- wakes: two looks into one index
select (select wakes_at from cases where wakes_at <= $1 order by wakes_at limit 1) as due,
       (select wakes_at from cases where wakes_at > $1 order by wakes_at limit 1) as next
"""
_WAITING = """
-- waiting: of at most so many customers, since each row has to be read
select count(*) as number, min((one ->> 'fact')::jsonb ->> 'time')::timestamptz as since
  from (select waiting from cases where waiting is not null limit $1) as bounded
 cross join lateral jsonb_array_elements(waiting) as one
"""
_STUCK = """
-- stuck
select count(*) from (select from cases where stuck is not null limit $1) as bounded
"""
_TASKS = """
-- tasks
select kind, count(*) as pending, count(failure) as failing
  from (select kind, failure from tasks limit $1) as bounded group by kind order by kind
"""
_TASK_DUE = """
-- task_due: leases go by the database's clock
select coalesce(greatest(extract(epoch from clock_timestamp() - min(due_at)), 0), 0)::float from tasks
"""
_BURIED = """
-- buried
select topic, buried from dead_letters order by topic
"""
_PAUSED = """
-- paused
select exists (select from switches where name = 'paused')
"""
