"""Whatever leads a row to its customer: it goes with the last customer that it has, and with nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import asyncpg
import pytest

from deploy.platform.scratch import scratch_database
from shared.clock import system_clock
from shared.datamap.model import parse
from shared.events.platform import Erased
from shared.holder.pace import Pace
from shared.holder.rows import erase_rows
from shared.settings import read_settings
from tests.datamap.test_map_ways import CUSTOMERS, WAYS, prepared
from tests.holder.platform_rows import expired

if TYPE_CHECKING:
    from tests.holder.platform_rows import Database

PACES = {"whole": Pace(), "in batches": Pace(whole_up_to=0, batch_rows=1)}


@pytest.fixture
async def empty() -> AsyncIterator[Database]:
    """Connect to a database with nothing in it."""
    async with scratch_database(read_settings().postgres) as dsn:
        connection = await asyncpg.connect(dsn)
        yield connection
        await connection.close()


async def ids(database: Database, table: str, column: str = "id") -> set[object]:
    return {row[0] for row in await database.fetch(f"select {column} from {table}")}


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("way", WAYS)
async def test_every_way(empty: Database, way: str, pace: str) -> None:
    """One customer after the other leaves; a row stays as long as one of its customers does, or if it has none."""
    data_map, whose = await prepared(empty, way)
    there = await ids(empty, "things")
    staying = list(CUSTOMERS)
    for leaving in CUSTOMERS:
        staying.remove(leaving)
        outcome = await erase_rows(empty, data_map, leaving, right=expired(), now=system_clock(), pace=PACES[pace])
        there -= whose[leaving] - set().union(*(whose[one] for one in staying))

        assert isinstance(outcome, Erased)
        assert await ids(empty, "things") == there
        assert await ids(empty, "orgs") == set(staying)


async def test_a_condition_that_looks_elsewhere(empty: Database) -> None:
    """Rows that only a condition in SQL finds go first, while what it looks at still stands, in batches too."""
    await empty.execute("""
        create table orgs (id text primary key);
        create table a_codes (code int primary key, org text references orgs);
        create index on a_codes (org);
        create table z_marks (id int primary key, code int);
        insert into orgs values ('a'), ('b');
        insert into a_codes values (1, 'a'), (2, 'b');
        insert into z_marks values (10, 1), (20, 2), (11, 1);
    """)
    await empty.execute("create index on z_marks (code)")
    data_map = parse(_LOOKING.encode(), "looking.yaml")
    outcome = await erase_rows(empty, data_map, "a", right=expired(), now=system_clock(), pace=PACES["in batches"])

    assert isinstance(outcome, Erased)
    assert await ids(empty, "z_marks") == {20}
    assert await ids(empty, "a_codes", "code") == {2}


_LOOKING = """
version: 1
system: looking
tenancy: rows
customers: orgs.id
tables:
  orgs: {category: user, owner: {column: id}}
  a_codes: {category: user, owner: {column: org}}
  z_marks:
    category: course
    owner: {sql: "exists (select from a_codes c where c.code = {row}.code and c.org = {customer})"}
"""
