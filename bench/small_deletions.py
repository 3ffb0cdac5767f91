"""Small deletions: what a holder needs for a customer of eleven rows, one after the other, and what of it is Kafka's.

Floor: the same holder that doesn't read the hold topics, one that connects for each deletion, four bare DELETEs.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import asyncpg

from deploy.platform.scratch import scratch_database
from shared.clock import system_clock
from shared.events.platform import Erased
from shared.holder.declaration import PostgresHolder
from shared.holder.heard import HoldTopics, KeptHoldTopics, Published, Unpublished
from shared.holder.perform import Eraser
from shared.holder.tasks import Erase
from shared.performer import Attempt
from shared.settings import read_settings

from .children import Starting, alone
from .deletion_contenders import DECLARED, MAP
from .ground import database, topics
from .rows import Row

CUSTOMERS = 500
ROUNDS = 3
HOLDS = ("LegalHoldPlaced", "LegalHoldReleased", "ContractRegistered", "ContractTerminated")
DAY = timedelta(days=1)
CONTENDERS = ("product", "anew", "deaf", "bare")


async def product(starting: Starting, **ground: Any) -> dict[str, Any]:
    """Delete as the holder does."""
    async with KeptHoldTopics(hold_topics(ground["prefix"])) as kept:
        return await erased(starting, published=kept, **ground)


async def anew(starting: Starting, **ground: Any) -> dict[str, Any]:
    """Connect to Kafka for each deletion."""
    return await erased(starting, published=hold_topics(ground["prefix"]), **ground)


async def deaf(starting: Starting, **ground: Any) -> dict[str, Any]:
    """Delete by what the holder's own cases know of holds."""
    return await erased(starting, published=Unpublished(), **ground)


def hold_topics(prefix: str) -> HoldTopics:
    return HoldTopics(read_settings().kafka, f"{prefix}offramp.holder", prefix)


async def erased(
    starting: Starting, published: Published, own: str, platform: str, folder: str, count: int, **_: Any
) -> dict[str, Any]:
    settings = replace(read_settings(), own_dsns=MappingProxyType({"platform": platform, "holder": own}))
    holder = PostgresHolder("database", DAY, "holder", Path(folder) / "map.yaml", "platform")
    eraser = Eraser("holder", {"database": holder}, settings, moved_clock=False, published=published)
    # What is made once, in the database and here, is no customer's.
    await one(eraser, count)
    await starting()
    begun = perf_counter()
    for number in range(count):
        await one(eraser, number)
    return {"seconds": perf_counter() - begun}


async def one(eraser: Eraser, number: int) -> None:
    now = system_clock()
    order = Erase(
        customer_id=f"c{number}",
        deletion_id=f"c{number}:1",
        holder="database",
        window_closed_at=now - DAY,
        respond_by=now + DAY,
        map_sha256=MAP.sha256,
    )
    ended = await eraser(order, Attempt(uuid4(), 1, system_clock))
    assert isinstance(ended.answer, Erased), ended.answer


async def bare(starting: Starting, platform: str, count: int, **_: Any) -> dict[str, Any]:
    """Delete the same rows by statements that somebody has put in order, in one transaction a customer."""
    connection = await asyncpg.connect(platform)
    await starting()
    begun = perf_counter()
    for number in range(count):
        async with connection.transaction():
            for statement in _BARE:
                await connection.execute(statement, f"c{number}")
    took = perf_counter() - begun
    await connection.close()
    return {"seconds": took}


async def run(scale: float = 1.0) -> list[Row]:
    """Delete *scale* times 500 customers with each contender in turn; milliseconds a deletion."""
    count = max(int(CUSTOMERS * scale), 5)
    took: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    peaks = []
    for _ in range(ROUNDS if count >= 50 else 1):
        for name in CONTENDERS:
            seconds, memory = await measured(name, count)
            took[name].append(seconds / count * 1000)
            peaks += [memory] if name == "product" else []
    middle = {name: median(found) for name, found in took.items()}
    ours, unit = middle["product"], f"ms a deletion of 11 rows, {count} customers"
    versus = {
        "deaf": ("hold topics not read", "<= 10 ms more"),
        "anew": ("a connection for each deletion", "-"),
        "bare": ("bare DELETEs", "-"),
    }
    return [
        Row("small deletions", ours, unit, f"{says}: {middle[name]:.1f} ms", ours / middle[name], goal, max(peaks))
        for name, (says, goal) in versus.items()
    ]


async def measured(name: str, count: int) -> tuple[float, float]:
    """Let contender *name* delete *count* customers; seconds, and its peak of memory."""
    admin = read_settings().postgres
    async with database() as own, scratch_database(admin) as platform, topics(HOLDS) as prefix:
        connection = await asyncpg.connect(platform)
        # One more, for the first look.
        await connection.execute(TABLES.format(count=count + 1))
        await connection.execute("vacuum analyze")
        with TemporaryDirectory() as folder:
            (Path(folder) / "map.yaml").write_bytes(DECLARED)
            ground = {"own": own, "platform": platform, "prefix": prefix, "folder": folder, "count": count}
            answer = await alone(f"{__name__}:{name}", **ground)
        assert await connection.fetchval("select count(*) from results") == (6 if name == "bare" else 0)
        await connection.close()
    return float(answer.figures["seconds"]), answer.memory_mib


TABLES = """
    create table customers (id text primary key, name text not null);
    create table users (id bigint primary key, customer_id text not null references customers, name text not null);
    create table enrolments (id bigint primary key, user_id bigint not null references users, course text not null);
    create table results (id bigint primary key, enrolment_id bigint not null references enrolments, score int);
    insert into customers select 'c' || n, 'Customer ' || n from generate_series(0, {count} - 1) n;
    insert into users select n, 'c' || n, 'User ' || n from generate_series(0, {count} - 1) n;
    insert into enrolments select n, n / 3, 'Course ' || n from generate_series(0, {count} * 3 - 1) n;
    insert into results select n, n / 2, n from generate_series(0, {count} * 6 - 1) n;
    create index on users (customer_id);
    create index on enrolments (user_id);
    create index on results (enrolment_id);
"""
_OURS = "select id from users where customer_id = $1"
_BARE = (
    f"delete from results where enrolment_id in (select id from enrolments where user_id in ({_OURS}))",
    f"delete from enrolments where user_id in ({_OURS})",
    "delete from users where customer_id = $1",
    "delete from customers where id = $1",
)
