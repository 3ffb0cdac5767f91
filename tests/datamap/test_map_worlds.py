"""Whatever schema there is: the map finds whose a row is, the check what is nobody's, and a draft is a map."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings

from deploy.platform.scratch import scratch_database
from shared.datamap.draft.draft import Order, draft
from shared.datamap.live import check
from shared.datamap.model import parse, parse_draft
from shared.datamap.names import relation
from shared.datamap.ownership import goes_with, owned_by
from shared.datamap.unowned import unowned
from shared.settings import read_settings
from tests.datamap.schema_worlds import CUSTOMERS, World, ddl, name_of, worlds, written

if TYPE_CHECKING:
    from collections.abc import Iterator

    Database = asyncpg.Connection[asyncpg.Record]

CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[asyncio.Runner, Database]]:
    """Give a database that lives as long as the module, and the loop of its connection."""
    with asyncio.Runner() as runner:
        scratch = scratch_database(read_settings().postgres)
        database = runner.run(asyncpg.connect(runner.run(scratch.__aenter__())))
        yield runner, database
        runner.run(database.close())
        runner.run(scratch.__aexit__(None, None, None))


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(world=worlds())
def test_every_row_is_whose_the_oracle_says(place: tuple[asyncio.Runner, Database], world: World) -> None:
    """For any tables, names, keys and rows each customer has its own rows, and what the check calls nobody's is."""
    runner, database = place

    async def scenario() -> None:
        await database.execute(ddl(world))
        data_map = parse(written(world).encode(), "world.yaml")
        assert [one for one in await check(database, data_map) if one.stops] == []
        nobodys = {one.place: one.says async for one in unowned(database, data_map)}
        for number, drawn in enumerate(world.tables):
            owners = [world.owner(number, row) for row in range(len(drawn.rows))]
            table = data_map.table(name_of(drawn))
            for customer in CUSTOMERS:
                for which in (owned_by(data_map, table), goes_with(data_map, table)):
                    query = f"select count(*) from {relation(table.name)} as t where {which}"
                    assert await database.fetchval(query, customer) == owners.count(customer)
            said = nobodys.get(table.name, "0 rows belong to no customer")
            assert said == f"{owners.count(None)} rows belong to no customer"

    runner.run(scenario())


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(world=worlds())
def test_every_draft_is_a_map(place: tuple[asyncio.Runner, Database], world: World) -> None:
    """For any schema: what foreign keys lead to a customer is decided, and with the rest shared the draft fits."""
    runner, database = place

    async def scenario() -> None:
        await database.execute(ddl(world))
        text = await draft(database, Order("rows", customer_table="customers"))
        found = parse_draft(text.encode(), "draft.yaml")
        decided = parse(text.replace("{undecided: ", "{shared: ").encode(), "decided.yaml")
        led = {0}
        for number, drawn in enumerate(world.tables[1:], start=1):
            if drawn.declared and led.intersection(drawn.parents):
                led.add(number)
        assert {table.name for table in found.tables} == {name_of(world.tables[number]) for number in led}
        assert [one for one in await check(database, decided) if one.stops] == []

    runner.run(scenario())
