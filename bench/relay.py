"""The relay: owed events published idempotently, in order per key, and forgotten."""

from __future__ import annotations

import asyncio
from itertools import groupby
from time import perf_counter

import asyncpg
import confluent_kafka
from aiokafka import AIOKafkaProducer

from shared.caserows import OUTBOX_COLUMNS, key_hash, owed_row, unpack_headers
from shared.events.notice import NoticeAccepted
from shared.progress import Progress
from shared.relay import PAGE, Relay
from shared.settings import read_settings

from .ground import NOON, PARTITIONS, database, fact, topics

CUSTOMERS = 50_000


def owed(count: int):
    hashes = [key_hash(f"c{n}") for n in range(CUSTOMERS)]
    for n in range(count):
        customer = n % CUSTOMERS
        event = NoticeAccepted(
            customer_id=f"c{customer}",
            contract_id=f"k{customer}",
            notice_id=f"n{n}",
            received_at=NOON,
            last_day_for_notice=NOON.date(),
            period_end=NOON.date(),
            terminates_at=NOON,
        )
        yield owed_row(fact(event, n), hashes[customer] % PARTITIONS, NOON)


def producer() -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=read_settings().kafka, enable_idempotence=True, max_batch_size=2**19, max_request_size=2**22
    )


async def fill(dsn, rows):
    connection = await asyncpg.connect(dsn)
    await connection.execute("truncate outbox")
    await connection.copy_records_to_table("outbox", records=rows, columns=OUTBOX_COLUMNS)
    await connection.execute("vacuum analyze outbox")
    await connection.close()


async def product(dsn, prefix, rows):
    await fill(dsn, rows)
    async with asyncpg.create_pool(dsn, min_size=4, max_size=8) as pool:
        sender = producer()
        await sender.start()
        relay = Relay(pool, sender, PARTITIONS, asyncio.Event(), Progress({}), prefix)
        begun = perf_counter()

        async def lane(number):
            while await relay.publish_page(number):
                pass

        await asyncio.gather(*map(lane, range(PARTITIONS)))
        took = perf_counter() - begun
        await sender.stop()
        assert await pool.fetchval("select count(*) from outbox") == 0
    return len(rows) / took


async def floor(_, prefix, rows):
    sender = producer()
    await sender.start()
    lanes = [[row for row in rows if row[0] == lane] for lane in range(PARTITIONS)]
    ready = [[(r[3].encode(), r[5], [(k, v) for k, v in unpack_headers(r[6])]) for r in lane] for lane in lanes]
    begun = perf_counter()

    async def lane(number):
        records = ready[number]
        for at in range(0, len(records), PAGE):
            sent = []
            batch = sender.create_batch()
            for key, value, headers in records[at : at + PAGE]:
                if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                    sent.append(await sender.send_batch(batch, prefix + "NoticeAccepted", partition=number))
                    batch = sender.create_batch()
                    batch.append(key=key, value=value, timestamp=None, headers=headers)
            sent.append(await sender.send_batch(batch, prefix + "NoticeAccepted", partition=number))
            await asyncio.gather(*sent)

    await asyncio.gather(*map(lane, range(PARTITIONS)))
    took = perf_counter() - begun
    await sender.stop()
    return len(rows) / took


async def librdkafka(dsn, prefix, rows):
    await fill(dsn, rows)
    connection = await asyncpg.connect(dsn)
    sender = confluent_kafka.Producer(
        {
            "bootstrap.servers": read_settings().kafka,
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    begun = perf_counter()
    while True:
        page = await connection.fetch(
            "select seq, lane, aggregateid, payload, headers from outbox order by lane, seq limit 5000"
        )
        if not page:
            break
        failed = []
        for row in page:
            sender.produce(
                prefix + "NoticeAccepted",
                value=row["payload"],
                key=row["aggregateid"],
                partition=row["lane"],
                headers=unpack_headers(row["headers"]),
                on_delivery=lambda e, m: failed.append(e) if e else None,
            )
            sender.poll(0)
        sender.flush()
        assert not failed
        await connection.execute(
            "delete from outbox using unnest($1::smallint[], $2::bigint[]) as sent (lane, seq) where outbox.lane = sent.lane and outbox.seq = sent.seq",
            [r["lane"] for r in page],
            [r["seq"] for r in page],
        )
    took = perf_counter() - begun
    await connection.close()
    return len(rows) / took


async def single(_, prefix, rows):
    rows = rows[: len(rows) // 5]
    sender = producer()
    await sender.start()
    begun = perf_counter()
    sent = []
    for row in rows:
        sent.append(
            await sender.send(prefix + "NoticeAccepted", row[5], key=row[3].encode(), headers=unpack_headers(row[6]))
        )
    await asyncio.gather(*sent)
    took = perf_counter() - begun
    await sender.stop()
    return len(rows) / took


async def main(count=300_000, rounds=2):
    rows = list(owed(count))
    async with database() as dsn, topics(["NoticeAccepted"]) as prefix:
        for _ in range(rounds):
            for contender in (floor, product, librdkafka, single):
                print(contender.__name__, round(await contender(dsn, prefix, rows)))


if __name__ == "__main__":
    asyncio.run(main())
