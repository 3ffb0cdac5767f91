"""An outage is not a poison message: nothing is half-written, nothing is buried, and then it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaConnectionError, KafkaError
from msgspec.structs import replace

from shared.consumer import Consumer
from shared.database_fates import DATABASE_OUTAGES
from shared.postgres import PostgresProcess
from shared.progress import Progress
from shared.switches import Switches
from tests.machine.fakes import FakeKafka
from tests.machine.toy import NOON, PURSE, Broken, Earned, fact, record_of

CUSTOMERS = ["a", "b", "c"]


@asynccontextmanager
async def held_up(pool: asyncpg.Pool, table: str) -> AsyncIterator[None]:
    """Let everybody who reads or writes *table* wait."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"lock table {table} in access exclusive mode")
        yield


KILL, CANCEL = "pg_terminate_backend(pid, 5000)", "pg_cancel_backend(pid)"


async def kill_who_waits(pool: asyncpg.Pool, how: str = KILL) -> None:
    """End the session that waits for a lock, as a failing server or network would; or only its statement."""
    async with asyncio.timeout(10):
        while not await pool.fetchval(
            f"select count({how}) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0)


async def everything(pool: asyncpg.Pool) -> list[list[Any]]:
    tables = ("cases", "inbox", "outbox", "tasks", "dead_letters")
    return [await pool.fetch(f"select * from {name} order by 1") for name in tables]


def consumer(pool: asyncpg.Pool, kafka: FakeKafka) -> Consumer:
    return Consumer(PostgresProcess(PURSE, pool, 3), kafka, lambda: NOON, Switches(pool), Progress({}))


def kafka_with_news() -> FakeKafka:
    earned = [record_of(fact(Earned(customer_id=name, amount=1)), place) for place, name in enumerate(CUSTOMERS)]
    return FakeKafka([*earned, record_of(fact(Broken(customer_id="a")), 0)])


@pytest.mark.parametrize("how", [KILL, CANCEL])
@pytest.mark.parametrize("table", ["cases", "inbox", "outbox", "dead_letters"])
async def test_killed_in_transaction(pool: asyncpg.Pool, table: str, how: str) -> None:
    """Whatever statement of the transaction is cut off, there is no trace of it, and the next try does it all."""
    kafka = kafka_with_news()
    one = consumer(pool, kafka)
    before = await everything(pool)
    async with held_up(pool, table):
        turn = asyncio.create_task(one.turn())
        await kill_who_waits(pool, how)
        with pytest.raises(DATABASE_OUTAGES):
            await turn

    assert await everything(pool) == before
    assert kafka.committed == {}
    await one.turn()
    assert await pool.fetchval("select count(*) from outbox where type = 'Balanced'") == 3
    assert await pool.fetchval("select count(*) from outbox where type = 'dlq.Broken'") == 1
    assert kafka.committed == {TopicPartition("Earned", 0): 3, TopicPartition("Broken", 0): 1}


async def test_offsets_after_commit(pool: asyncpg.Pool) -> None:
    """Offsets are committed only when the database has committed: while it hasn't, none are."""
    kafka = kafka_with_news()
    async with held_up(pool, "outbox"):
        turn = asyncio.create_task(consumer(pool, kafka).turn())
        async with asyncio.timeout(10):
            while not await pool.fetchval(
                "select exists (select from pg_stat_activity"
                " where datname = current_database() and wait_event_type = 'Lock')"
            ):
                await asyncio.sleep(0)
        assert kafka.committed == {}
    await turn

    assert len(kafka.committed) == 2


async def test_offsets_not_committed(pool: asyncpg.Pool) -> None:
    """If the offsets are lost, by a rebalance or an outage, the repeat changes nothing."""
    kafka = kafka_with_news()
    kafka.commit_fails = CommitFailedError()
    await consumer(pool, kafka).turn()
    before = await everything(pool)
    kafka.positions = dict.fromkeys(kafka.log, 0)
    kafka.commit_fails = KafkaConnectionError()
    with pytest.raises(KafkaConnectionError):
        await consumer(pool, kafka).turn()

    assert await everything(pool) == before


EARNED, BROKEN = TopicPartition("Earned", 0), TopicPartition("Broken", 0)


def say_more(kafka: FakeKafka) -> None:
    """Let both topics have one event more."""
    kafka.say(record_of(fact(Earned(customer_id="a", amount=1)), 3))
    kafka.say(record_of(fact(Broken(customer_id="a")), 1))


async def test_offsets_now_and_then(pool: asyncpg.Pool) -> None:
    """While one batch follows the other offsets are committed now and then, and all once there is nothing more."""
    kafka = kafka_with_news()
    one = consumer(pool, kafka)
    await one.turn()
    say_more(kafka)
    await one.turn()
    assert kafka.committed == {EARNED: 3, BROKEN: 1}
    await one.turn()

    assert kafka.committed == {EARNED: 4, BROKEN: 2}


async def test_offsets_at_the_end(pool: asyncpg.Pool) -> None:
    """Who is told to stop commits the offsets of what it has carried out, so that nobody reads it again."""
    kafka = kafka_with_news()
    one = consumer(pool, kafka)
    await one.turn()
    say_more(kafka)
    await one.turn()
    one.stop()
    await one.run()

    assert kafka.committed == {EARNED: 4, BROKEN: 2}


async def test_offsets_of_both_readers(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one reader carries out while the other one's offsets are being committed is committed too."""
    kafka = kafka_with_news()
    one, commit = consumer(pool, kafka), kafka.commit

    async def meanwhile(offsets: dict[TopicPartition, int]) -> None:
        monkeypatch.setattr(kafka, "commit", commit)
        kafka.say(replace(record_of(fact(Earned(customer_id="b", amount=1)), 0), partition=1))
        await one.turn(1)
        await commit(offsets)

    monkeypatch.setattr(kafka, "commit", meanwhile)
    await one.turn(0)
    await one.turn(0)

    assert kafka.committed == {EARNED: 3, BROKEN: 1, TopicPartition("Earned", 1): 1}


async def test_offsets_of_a_partition_that_went(pool: asyncpg.Pool) -> None:
    """A partition that went to another worker before its offsets were committed doesn't keep the others' back."""
    kafka = kafka_with_news()
    one = consumer(pool, kafka)
    await one.turn()
    say_more(kafka)
    await one.turn()
    del kafka.log[EARNED]
    await one.turn()

    assert kafka.committed == {EARNED: 3, BROKEN: 2}


async def test_partition_taken(pool: asyncpg.Pool) -> None:
    """A partition that went to another worker during the outage is that worker's; the rest is read again."""
    kafka = kafka_with_news()
    kafka.lost = {TopicPartition("Broken", 0)}
    async with held_up(pool, "cases"):
        turn = asyncio.create_task(consumer(pool, kafka).turn())
        await kill_who_waits(pool)
        with pytest.raises(DATABASE_OUTAGES):
            await turn

    assert kafka.positions == {TopicPartition("Earned", 0): 0, TopicPartition("Broken", 0): 1}


async def test_paused(pool: asyncpg.Pool) -> None:
    """While the switch is set nothing is read, and afterwards everything is."""
    kafka = kafka_with_news()
    await Switches(pool).pause("maintenance", NOON)
    await consumer(pool, kafka).turn()
    assert kafka.committed == {}
    await Switches(pool).resume()

    await consumer(pool, kafka).turn()
    assert len(kafka.committed) == 2


@pytest.mark.parametrize("reads", [0, 1, 2, 3])
async def test_reading_fails(pool: asyncpg.Pool, reads: int) -> None:
    """If Kafka fails after part of a batch was read, that part is read again, and nothing is passed over."""
    kafka = kafka_with_news()
    kafka.reads_left = reads
    one = consumer(pool, kafka)
    for _ in range(4):
        with suppress(KafkaError):
            await one.turn()

    assert await pool.fetchval("select count(*) from outbox where type = 'Balanced'") == 3
    assert await pool.fetchval("select count(*) from outbox where type = 'dlq.Broken'") == 1
    assert kafka.committed == {TopicPartition("Earned", 0): 3, TopicPartition("Broken", 0): 1}
