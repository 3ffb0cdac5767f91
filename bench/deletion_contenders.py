"""Who deletes in the benchmark, each in a process of its own: ``python -m bench.deletion_contenders NAME DSN``."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from statistics import quantiles
from time import perf_counter
from typing import Any

import asyncpg

from shared.clock import system_clock
from shared.datamap.fingerprint import measuring, settle
from shared.datamap.model import parse
from shared.holder.pace import Pace
from shared.holder.residue import residue
from shared.holder.right import Right
from shared.holder.rows import erase, total
from shared.holder.work import Work

DECLARED = b"""
version: 1
system: bench
tenancy: rows
guard: "select 'active' from customers where id = $1 and name = 'active'"
tables:
  customers:  {category: user, owner: {column: id}}
  users:      {category: user, owner: {column: customer_id}}
  enrolments: {category: course, owner: {path: [{column: user_id, to: users.id}]}}
  results:    {category: course, owner: {path: [{column: enrolment_id, to: enrolments.id}]}}
"""
MAP = parse(DECLARED, "bench")
NAMES = ("results", "enrolments", "users", "customers")


async def product(dsn: str, share: float = 1.0) -> dict[str, Any]:
    """In batches, each with the right to delete looked at, the counts noted, and the bystanders compared at the end."""
    connection, own = await asyncpg.connect(dsn), await asyncpg.connect(dsn)

    async def still_held() -> bool:
        return bool(await own.fetchval("select false"))

    right = Right(system_clock(), still_held=still_held, deletion_id="bench")
    began = perf_counter()
    # Zero: in batches however small a trial of the benchmark is.
    work = Work(connection, MAP, "acme", right, system_clock, pace=Pace(whole_up_to=0, share=share))
    outcome = (await erase(work)).outcome
    seconds = perf_counter() - began
    assert outcome.accounted > 0
    return {"seconds": seconds, "rows": total(outcome.deleted)}


async def half(dsn: str) -> dict[str, Any]:
    return await product(dsn, 0.5)


async def scans_by_one(dsn: str) -> dict[str, Any]:
    """Read as ``scans`` does, without parallel workers, as where others are to be left time."""
    return await scans(f"{dsn}?options=-c%20max_parallel_workers_per_gather%3D0")


async def bare(dsn: str) -> dict[str, Any]:
    """Three statements that somebody has put in order, and the customer's own row; one transaction each."""
    connection = await asyncpg.connect(dsn)
    rows, began = 0, perf_counter()
    for statement in BARE:
        rows += int((await connection.execute(statement)).removeprefix("DELETE "))
    return {"seconds": perf_counter() - began, "rows": rows}


async def others(dsn: str) -> dict[str, Any]:
    """Read and write another customer's rows until SIGTERM, one transaction after the other with short pauses."""
    connection = await asyncpg.connect(dsn)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    users = await connection.fetchval("select count(*) from users")
    times: list[float] = []
    print("ready", flush=True)
    # A percentile of a handful would say nothing, however short the deletion was.
    while not stop.is_set() or len(times) < 200:
        user = random.randrange(users // 2) * 2 + 1
        began = perf_counter()
        async with connection.transaction():
            await connection.fetch("select * from enrolments where user_id = $1", user)
            await connection.execute("update users set name = name || '' where id = $1", user)
        times.append(perf_counter() - began)
        # Users think; without a pause they would be the load.
        await asyncio.sleep(0.002)
    return {"p99": quantiles(times, n=100)[98]}


async def scans(dsn: str) -> dict[str, Any]:
    """Read all tables once each way: counted, copied out as text, hashed, searched; the second time counts.

    Each with the workers that the server gives it: a COPY and the search have none.
    """
    connection = await asyncpg.connect(dsn)
    found: dict[str, float] = {}
    for _ in range(2):
        for name, scan in (("bare", _counted), ("copy", _copied), ("hashes", _hashed), ("residue", _searched)):
            began = perf_counter()
            await scan(connection)
            found[name] = perf_counter() - began
    return found


async def _counted(connection: Any) -> None:
    for name in NAMES:
        await connection.fetchval(f"select count(*) from {name}")


async def _copied(connection: Any) -> None:
    for name in NAMES:
        await connection.execute(f"copy {name} to '/dev/null'")


async def _hashed(connection: Any) -> None:
    async with connection.transaction():
        await settle(connection)
        measured = await measuring(connection, MAP)
        for table in MAP.tables:
            await measured.rows(table)


async def _searched(connection: Any) -> None:
    await residue(connection, MAP, ("a-customer-that-is-not-there",))


async def django(dsn: str) -> dict[str, Any]:
    from bench.django_peer import delete  # noqa: PLC0415 - only the environment of the benchmarks has it

    # In a thread: Django refuses to wait for a database where an event loop runs.
    return await asyncio.to_thread(delete, dsn)


async def sqlalchemy(dsn: str) -> dict[str, Any]:
    from bench.sqlalchemy_peer import delete  # noqa: PLC0415 - only the environment of the benchmarks has it

    return delete(dsn)


OURS = "select id from users where customer_id = 'acme'"
BARE = (
    f"delete from results where enrolment_id in (select id from enrolments where user_id in ({OURS}))",
    f"delete from enrolments where user_id in ({OURS})",
    "delete from users where customer_id = 'acme'",
    "delete from customers where id = 'acme'",
)
CONTENDERS = {one.__name__: one for one in (product, half, bare, others, scans, scans_by_one, django, sqlalchemy)}

if __name__ == "__main__":
    print(json.dumps(asyncio.run(CONTENDERS[sys.argv[1]](sys.argv[2]))))
