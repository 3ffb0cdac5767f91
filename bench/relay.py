"""The relay: owed events published idempotently, in order per key, and forgotten.

Floor: aiokafka alone, partitions known beforehand, no database. Peers do the whole job from the same outbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter
from typing import Any

import asyncpg
import confluent_kafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from shared.caserows import OUTBOX_COLUMNS, OutboxRow, key_hash, owed_row, unpack_headers
from shared.events.notice import NoticeAccepted
from shared.garbage import keep_buffers
from shared.progress import Progress
from shared.relay import PAGE, Relay
from shared.settings import read_settings
from shared.worker import Place, pool_of, producer_of

from .children import Starting, alone
from .ground import NOON, PARTITIONS, database, fact, topics
from .rows import Row

EVENTS, CUSTOMERS = 300_000, 50_000
ROUNDS = 3
CONTENDERS = ("product", "floor", "librdkafka", "single")


def owed(count: int) -> Iterator[OutboxRow]:
    """Give *count* rows of an outbox, of 50,000 customers."""
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


async def fill(dsn: str, rows: list[OutboxRow]) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("truncate outbox")
    await connection.copy_records_to_table("outbox", records=rows, columns=OUTBOX_COLUMNS)
    await connection.execute("vacuum analyze outbox")
    await connection.close()


async def started() -> AIOKafkaProducer:
    keep_buffers()
    sender = producer_of(Place(read_settings().kafka, ""))
    await sender.start()
    return sender


async def product(starting: Starting, dsn: str, prefix: str) -> dict[str, Any]:
    """Publish all that is owed, as a worker does, a lane beside the other."""
    async with pool_of(Place("", dsn), "bench") as pool:
        sender = await started()
        relay = Relay(pool, sender, [asyncio.Event() for _ in range(PARTITIONS)], Progress({}), prefix)
        await starting()
        begun = perf_counter()

        async def lane(number: int) -> None:
            while await relay.publish(number):
                pass

        await asyncio.gather(*map(lane, range(PARTITIONS)))
        took = perf_counter() - begun
        await sender.stop()
    return {"seconds": took}


async def floor(starting: Starting, dsn: str, prefix: str) -> dict[str, Any]:
    """Send what lies in memory, each lane's in batches."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("delete from outbox returning lane, seq, aggregateid, payload, headers")
    await connection.close()
    lanes: list[list[tuple[bytes, bytes, Any]]] = [[] for _ in range(PARTITIONS)]
    for row in sorted(rows, key=lambda row: int(row["seq"])):
        lanes[row["lane"]].append(
            (row["aggregateid"].encode(), row["payload"], unpack_headers(row["headers"], row["payload"]))
        )
    sender = await started()

    async def lane(number: int) -> None:
        records = lanes[number]
        for at in range(0, len(records), PAGE):
            await asyncio.gather(*await batches(sender, prefix, number, records[at : at + PAGE]))

    await starting()
    begun = perf_counter()
    await asyncio.gather(*map(lane, range(PARTITIONS)))
    took = perf_counter() - begun
    await sender.stop()
    return {"seconds": took}


async def batches(sender: AIOKafkaProducer, prefix: str, lane: int, records: list[Any]) -> list[Any]:
    sent, batch = [], sender.create_batch()
    for key, value, headers in records:
        if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
            sent.append(await sender.send_batch(batch, f"{prefix}NoticeAccepted", partition=lane))
            batch = sender.create_batch()
            batch.append(key=key, value=value, timestamp=None, headers=headers)
    return [*sent, await sender.send_batch(batch, f"{prefix}NoticeAccepted", partition=lane)]


async def librdkafka(starting: Starting, dsn: str, prefix: str) -> dict[str, Any]:
    """Do the same job with librdkafka: read a page, send it, wait, delete."""
    sender = confluent_kafka.Producer(
        {
            "bootstrap.servers": read_settings().kafka,
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
        }
    )

    async def send(page: list[asyncpg.Record]) -> None:
        failed: list[object] = []
        for row in page:
            sender.produce(
                f"{prefix}NoticeAccepted",
                value=row["payload"],
                key=row["aggregateid"],
                partition=row["lane"],
                headers=unpack_headers(row["headers"], row["payload"]),
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
            sender.poll(0)
        sender.flush()
        assert not failed

    return await page_by_page(starting, dsn, send)


async def single(starting: Starting, dsn: str, prefix: str) -> dict[str, Any]:
    """Do the same job with a ``send()`` for every event, as one writes it first: aiokafka finds the partition."""
    sender = AIOKafkaProducer(bootstrap_servers=read_settings().kafka, enable_idempotence=True)
    await sender.start()

    async def send(page: list[asyncpg.Record]) -> None:
        sent = [
            await sender.send(
                f"{prefix}NoticeAccepted",
                row["payload"],
                key=row["aggregateid"].encode(),
                headers=unpack_headers(row["headers"], row["payload"]),
            )
            for row in page
        ]
        await asyncio.gather(*sent)

    taken = await page_by_page(starting, dsn, send)
    await sender.stop()
    return taken


async def page_by_page(starting: Starting, dsn: str, send: Callable[[list[asyncpg.Record]], Any]) -> dict[str, Any]:
    connection = await asyncpg.connect(dsn)
    # As a worker of ours does.
    keep_buffers()
    await starting()
    begun = perf_counter()
    while page := await connection.fetch(_PAGE, PAGE):
        await send(page)
        await connection.execute(_DELETE, [row["lane"] for row in page], [row["seq"] for row in page])
    took = perf_counter() - begun
    await connection.close()
    return {"seconds": took}


async def run(scale: float = 1.0) -> list[Row]:
    """Publish *scale* times 300,000 events with each contender in turn; ``send()`` a fifth of them."""
    rows = list(owed(max(int(EVENTS * scale), 1000)))
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    peaks = []
    for _ in range(ROUNDS):
        for name in CONTENDERS:
            given = rows[: len(rows) // 5] if name == "single" else rows
            rate, memory = await published(name, given)
            rates[name].append(rate)
            peaks += [memory] if name == "product" else []
    middle = {name: median(found) for name, found in rates.items()}

    def beside(name: str, versus: str, goal: str) -> Row:
        return Row(
            "relay",
            middle["product"],
            f"events/s of {len(rows):,}",
            versus,
            middle["product"] / middle[name],
            goal,
            max(peaks),
        )

    return [
        beside("floor", "aiokafka send_batch, no database", ">= 0.5"),
        beside("librdkafka", "librdkafka, same job", ">= 0.8"),
        beside("single", "send() per event, same job", ">= 4"),
    ]


async def published(name: str, rows: list[OutboxRow]) -> tuple[float, float]:
    """Let contender *name* publish *rows*; events per second and its peak of memory."""
    async with database() as dsn, topics(["NoticeAccepted"]) as prefix:
        await fill(dsn, rows)
        answer = await alone(f"{__name__}:{name}", dsn=dsn, prefix=prefix)
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("select count(*) from outbox") == 0
        await connection.close()
        assert await arrived(f"{prefix}NoticeAccepted") == len(rows)
    return len(rows) / float(answer.figures["seconds"]), answer.memory_mib


async def arrived(topic: str) -> int:
    """Count what is in *topic*."""
    kafka = AIOKafkaConsumer(bootstrap_servers=read_settings().kafka)
    await kafka.start()
    ends = await kafka.end_offsets([TopicPartition(topic, lane) for lane in range(PARTITIONS)])
    await kafka.stop()
    return sum(ends.values())


_PAGE = """
-- page: of all lanes, in order of each
select seq, lane, aggregateid, payload, headers from outbox order by lane, seq limit $1
"""
_DELETE = """
-- delete
delete from outbox using unnest($1::smallint[], $2::bigint[]) as sent (lane, seq)
 where outbox.lane = sent.lane and outbox.seq = sent.seq
"""
