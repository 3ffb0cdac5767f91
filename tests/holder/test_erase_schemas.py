"""Whatever the schema: all of the customer's rows go and no other, or nothing does and it is said why."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from deploy.platform.scratch import scratch_database
from shared.clock import system_clock
from shared.events.platform import Erased, NotErased
from shared.holder.pace import Pace
from shared.holder.rows import erase_rows
from shared.settings import read_settings
from tests.holder.foreign_key_worlds import CUSTOMERS, World, read, worlds
from tests.holder.platform_rows import expired

if TYPE_CHECKING:
    from tests.holder.platform_rows import Database

# OFFRAMP_SCHEMAS=500 for a long look.
SCHEMAS = int(os.environ.get("OFFRAMP_SCHEMAS", "60"))
PACES = (Pace(), Pace(whole_up_to=0, batch_rows=2))


@dataclass(frozen=True)
class Ground:
    """A database that is made anew for each example, and the loop that its connection lives in."""

    runner: asyncio.Runner
    database: Database


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with asyncio.Runner() as runner:
        scratch = scratch_database(read_settings().postgres)
        database = runner.run(asyncpg.connect(runner.run(scratch.__aenter__())))
        runner.run(database.execute("set client_min_messages = error"))
        yield Ground(runner, database)
        runner.run(database.close())
        runner.run(scratch.__aexit__(None, None, None))


@settings(max_examples=SCHEMAS, deadline=None, suppress_health_check=list(HealthCheck))
@given(world=worlds(), customer=st.sampled_from(CUSTOMERS[:2]), pace=st.sampled_from(PACES))
def test_any_schema(ground: Ground, world: World, customer: str, pace: Pace) -> None:
    """Rings, keys to oneself, composite keys, every action, partitions and audits: zero left, the others as they were.

    Where a row that stays refers to one that goes, nothing goes.
    """

    async def scenario() -> None:
        database = ground.database
        await database.execute(world.ddl())
        before = await read(database, world)
        outcome = await erase_rows(database, world.map(), customer, right=expired(), now=system_clock(), pace=pace)
        left = await read(database, world)

        if world.entangled(customer):
            event("entangled")
            assert outcome == NotErased(reason="failed")
            assert left == before
            return
        event("erased" if left != before else "nothing to erase")
        assert isinstance(outcome, Erased)
        assert left == world.kept(customer)
        assert await database.fetchval("select count(*) from audit where owner = $1", customer) == 0

    ground.runner.run(scenario())
