"""A burst of late notices: 100,000 customers who come a day too late, from Kafka to answered and committed.

Floor: the statements that one such run made, played again without Kafka and without deciding anything. Others' answers
meanwhile are measured beside two whole workers, whose relays publish what the burst is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import asyncpg

from services.notice.domain import domain
from shared.clock import system_clock
from shared.decision import Fact
from shared.events.platform import NoticeReceived

from .children import Answer, alone, child
from .event_path import committed, timed
from .ground import NOON, database, fact, topics
from .latency import noticing, percentile, register, stage
from .notices import POLICY, publish
from .rows import Row
from .storm import contract, fill, text_of, walked

NOTICES = 100_000
ROUNDS = 3
# Other customers' notices a second meanwhile, for as long as the burst takes at so many a second.
RATE, PACE = 20, 8_000
# The worker gives no word: seconds between two looks.
_LOOK = 0.1


def burst(count: int, now: datetime, first: int = 1, name: str = "c") -> Iterator[Fact]:
    """Give late notices of *count* customers, all received just before *now*."""
    for number in range(first, first + count):
        late = NoticeReceived(
            customer_id=f"{name}{number}", contract_id="k", notice_id="late", channel="email",
            received_at=now - timedelta(minutes=1),
        )  # fmt: skip
        yield fact(late, number)


def missed(now: datetime) -> str:
    """Give a case whose last day for notice was a fortnight before *now*."""
    end = now.date() + timedelta(days=16)
    return text_of(walked(now, now - timedelta(days=100), contract(end - timedelta(days=364), end)).state)


async def run(scale: float = 1.0) -> list[Row]:
    """Measure with *scale* times 100,000 notices, and with a tenth of that."""
    count = max(int(NOTICES * scale), 100)
    few = max(count // 10, 50)
    with TemporaryDirectory() as folder:
        script = str(Path(folder) / "statements")
        await answered(count, 1, script=script)
        rates: dict[str, list[float]] = {"product": [], "floor": []}
        peaks: dict[str, list[float]] = {"product": [], "few": []}
        for _ in range(ROUNDS if count >= 1_000 else 1):
            for name, number in (("few", few), ("product", count)):
                rate, answers = await answered(number, 2)
                peaks[name] += [one.memory_mib for one in answers]
                if name == "product":
                    rates[name].append(rate)
            rates["floor"].append(await replayed(script, count))
    p99, took = await answered_meanwhile(count)
    middle = {name: median(found) for name, found in rates.items()}
    memory, unit = max(peaks["product"]), f"late notices/s of {count:,}, 2 workers"
    ratio = middle["product"] / middle["floor"]
    return [
        Row("late notices", middle["product"], unit, "same SQL, 1 connection", ratio, ">= 0.8", memory),
        Row("late notices", memory, "MiB", f"peak at {few:,}", memory / max(peaks["few"]), "~1", memory),
        Row("late notices", p99, "ms p99 of others' answers", f"1 s, while {took:.1f} s of burst", p99 / 1000, "<= 1"),
    ]


async def answered(count: int, workers: int, **named: Any) -> tuple[float, list[Answer]]:
    """Let *workers* answer a burst of *count*; notices a second until their offsets are committed."""
    async with published(count) as (prefix, dsn):
        seconds, answers = await timed(
            "bench.event_path:product", workers, dsn=dsn, prefix=prefix, count=count, **named
        )
        await check(dsn, count)
    return count / seconds, answers


async def replayed(script: str, count: int) -> float:
    async with database() as dsn:
        await fill(dsn, count, missed(NOON), missed(NOON))
        seconds, _ = await timed("bench.event_path:floor", dsn=dsn, script=script, connections=1)
        await check(dsn, count)
    return count / seconds


@asynccontextmanager
async def published(count: int) -> AsyncIterator[tuple[str, str]]:
    """Give a prefix with the burst on its topics, and a database that knows the contracts."""
    async with topics([one.type() for one in domain(POLICY).consumes]) as prefix, database() as dsn:
        await fill(dsn, count, missed(NOON), missed(NOON))
        await publish(prefix, burst(count, NOON))
        yield prefix, dsn


async def check(dsn: str, count: int) -> None:
    """Each notice is answered once, as late, with the day for which it stands."""
    connection = await asyncpg.connect(dsn)
    query = "select count(*), count(distinct aggregateid) from outbox where convert_from(payload, 'UTF8') like $1"
    assert tuple(await connection.fetchrow(query, '%"reason":"late"%"stands_until":"%')) == (count, count)
    assert await connection.fetchval("select count(*) from inbox") == count
    await connection.close()


async def answered_meanwhile(count: int) -> tuple[float, float]:
    """Let *count* late notices arrive at once at two real workers; p99 of other customers' answers, and the seconds."""
    async with AsyncExitStack() as stack:
        prefix, dsn = await stack.enter_async_context(stage())
        for _ in range(2):
            await stack.enter_async_context(noticing(prefix, dsn, stack.enter_context(TemporaryDirectory())))
        probes = max(count // PACE * RATE, RATE)
        # The burst's customers have numbers of their own: those from 0 on are the others'.
        await register(prefix, dsn, probes + 1)
        now = system_clock()
        await fill(dsn, count, missed(now), missed(now), name="s")
        await alone("bench.latency:product", prefix=prefix, rate=1, seconds=1, start=0)
        connection = await asyncpg.connect(dsn)
        stack.push_async_callback(connection.close)
        probing = await stack.enter_async_context(
            child("bench.latency:product", prefix=prefix, rate=RATE, seconds=probes / RATE, start=1)
        )
        # It sends its first when the burst begins.
        await probing.ready()
        begun = perf_counter()
        await probing.go()
        await publish(prefix, burst(count, now, name="s"))
        await committed(prefix, count + probes + 1 + probes + 1)
        while await connection.fetchval("select exists (select from outbox)"):
            await asyncio.sleep(_LOOK)
        took = perf_counter() - begun
        answer = await probing.answer()
    return percentile(answer.figures["took"], 99), took
