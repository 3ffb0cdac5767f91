"""The peer of the storm: procrastinate, thirty jobs at once, each of which moves and owes one case."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import asyncpg
import procrastinate

from .children import Starting

_AT_ONCE = 30


async def work(starting: Starting, dsn: str, jobs: int) -> dict[str, Any]:
    """Carry out *jobs* jobs, all due."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn, max_size=10))
    async with app.open_async(), asyncpg.create_pool(dsn, min_size=10, max_size=_AT_ONCE) as pool:
        await app.schema_manager.apply_schema_async()

        @app.task(name="wake")
        async def wake(customer_id: str) -> None:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(_MOVE, customer_id)
                await connection.execute(_OWE, customer_id)

        for at in range(0, jobs, 1000):
            numbers = range(at + 1, min(at + 1000, jobs) + 1)
            await wake.batch_defer_async(*[{"customer_id": f"c{number}"} for number in numbers])
        await starting()
        begun = perf_counter()
        await app.run_worker_async(wait=False, concurrency=_AT_ONCE, install_signal_handlers=False)
        took = perf_counter() - begun
        assert await pool.fetchval("select count(*) from outbox") == jobs
    return {"seconds": took}


_MOVE = "update cases set wakes_at = null, revision = revision + 1 where customer_id = $1"
_OWE = """
insert into outbox (lane, id, aggregatetype, aggregateid, type, payload, owed_at)
values (0, gen_random_uuid(), 'ContractTerminated', $1, 'ContractTerminated', '{}', now())
"""
