"""Reminders: a million contracts whose last day for notice is told on the same morning, by two workers.

Floor: one SQL statement that moves the cases and owes as many announcements without deciding anything.
"""

from __future__ import annotations

from datetime import date
from statistics import median

import asyncpg

from .event_path import timed
from .ground import database
from .rows import Row
from .storm import BEFORE, MIDNIGHT, contract, fill, grown, text_of

CASES = 1_000_000
ROUNDS = 3


def reminded() -> str:
    """Give a case whose deadline for notice is told at ``MIDNIGHT``, a day ahead; what was to be told earlier was."""
    return text_of(grown(MIDNIGHT, BEFORE, contract(date(2025, 12, 3), date(2026, 12, 2))))


async def run(scale: float = 0.1) -> list[Row]:
    """Measure with *scale* times a million cases, and with a tenth of that."""
    count = max(int(CASES * scale), 2_000)
    few = max(count // 10, 1_000)
    rates: dict[str, list[float]] = {"product": [], "floor": [], "few": []}
    peaks: dict[str, list[float]] = {"product": [], "floor": [], "few": []}
    for _ in range(ROUNDS if 10_000 <= count <= 200_000 else 1):
        plan = (
            ("few", "storm:product", 2, few),
            ("product", "storm:product", 2, count),
            ("floor", "storm:floor", 1, count),
        )
        for name, target, workers, cases in plan:
            rate, memory = await told(target, cases, workers)
            rates[name].append(rate)
            peaks[name].append(memory)
    middle = {name: median(found) for name, found in rates.items()}
    memory, unit = max(peaks["product"]), f"reminders/s of {count:,}, 2 workers"
    ratio, per_case = middle["product"] / middle["floor"], middle["few"] / middle["product"]
    return [
        Row("reminders", middle["product"], unit, "one SQL statement", ratio, ">= 0.8", memory),
        Row("reminders", 1e6 / middle["product"], "µs/reminder", f"cost at {few:,}", per_case, "0.85 to 1.15", memory),
        Row("reminders", memory, "MiB", f"peak at {few:,}", memory / max(peaks["few"]), "~1", memory),
    ]


async def told(target: str, cases: int, workers: int) -> tuple[float, float]:
    """Tell *cases* customers with *workers*; announcements a second until all are owed, and the peak of memory."""
    async with database() as dsn:
        text = reminded()
        await fill(dsn, cases, text, text)
        named = {"statement": "reminders"} if target == "storm:floor" else {}
        _, answers = await timed(f"bench.{target}", workers, dsn=dsn, midnight=MIDNIGHT.isoformat(), **named)
        await check(dsn, cases)
    took = max(one.figures["seconds"] for one in answers)
    return cases / took, max(one.memory_mib for one in answers)


async def check(dsn: str, cases: int) -> None:
    """Each customer is told once, and nobody is due any more."""
    connection = await asyncpg.connect(dsn)
    query = "select count(distinct aggregateid), count(*) from outbox where type = 'DeadlineApproaching'"
    assert tuple(await connection.fetchrow(query)) == (cases, cases)
    assert not await connection.fetchval("select count(*) from cases where wakes_at <= $1", MIDNIGHT)
    await connection.close()
