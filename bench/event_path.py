"""The event path: the notice service's real decisions on mixed events, from Kafka to committed."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from time import perf_counter

import asyncpg
from aiokafka import AIOKafkaConsumer

from services.notice.domain import domain
from shared.consumer import Consumer
from shared.postgres import PostgresProcess
from shared.progress import Progress
from shared.settings import read_settings
from shared.switches import Switches

from .ground import NOON, PARTITIONS, database, topics
from .notices import POLICY, publish, mixed_events

class Recorder:
    """A connection that notes every statement, so that the floor can run the very same SQL."""

    def __init__(self, connection, script):
        self._connection, self._script = connection, script

    def __getattr__(self, name):
        method = getattr(self._connection, name)

        async def call(*arguments, **named):
            self._script.append((name, arguments, named))
            return await method(*arguments, **named)

        return call


class Recorded(PostgresProcess):
    script: list

    @asynccontextmanager
    async def _transaction(self):
        async with super()._transaction() as connection:
            script = []
            yield Recorder(connection, script)
            self.script.append(script)


async def consume(dsn, prefix, count, process_type=PostgresProcess):
    dom = domain(POLICY)
    async with asyncpg.create_pool(dsn, min_size=2, max_size=4) as pool:
        process = process_type(dom, pool, PARTITIONS)
        process.script = []
        kafka = AIOKafkaConsumer(
            *[prefix + one.type() for one in dom.consumes], bootstrap_servers=read_settings().kafka, group_id=f"{prefix}g{perf_counter()}",
            enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed", max_partition_fetch_bytes=4 * 2**20,
        )
        await kafka.start()
        consumer = Consumer(process, kafka, lambda: NOON, Switches(pool), Progress({}), prefix)
        while not kafka.assignment():
            await kafka.getmany(timeout_ms=10, max_records=1)
        begun, seen = perf_counter(), 0
        async def reader(number):
            nonlocal seen
            while seen < count:
                await consumer.turn(number)
                committed = [await kafka.committed(tp) for tp in kafka.assignment()]
                seen = sum(one or 0 for one in committed)
        async def reader(number):
            nonlocal seen
            while seen < count:
                await consumer.turn(number)
                seen = sum([(await kafka.position(tp)) for tp in kafka.assignment()])
        await asyncio.gather(reader(0), reader(1))
        took = perf_counter() - begun
        await kafka.stop()
        outbox = await pool.fetchval("select count(*) from outbox")
        cases = await pool.fetchval("select count(*) from cases where state is not null")
        print("  cases", cases, "owed", outbox, "inbox", await pool.fetchval("select count(*) from inbox"))
    return count / took, process.script


async def replay(dsn, script, count):
    connection = await asyncpg.connect(dsn)
    begun = perf_counter()
    for transaction in script:
        async with connection.transaction():
            for name, arguments, named in transaction:
                await getattr(connection, name)(*arguments, **named)
    took = perf_counter() - begun
    await connection.close()
    return count / took


async def main(count=300_000, rounds=2):
    types = [one.type() for one in domain(POLICY).consumes]
    async with topics(types) as prefix:
        await publish(prefix, mixed_events(count))
        async with database() as dsn:
            _, script = await consume(dsn, prefix, count, Recorded)
            print("transactions", len(script))
        for _ in range(rounds):
            async with database() as dsn:
                rate, _ = await consume(dsn, prefix, count)
                print("product", round(rate))
            async with database() as dsn:
                print("floor", round(await replay(dsn, script, count)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 300_000))
