"""The demo platform is filled from a seed, and its maps cover it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from deploy.platform import generate as platform
from deploy.platform.accounts import Accounts
from deploy.platform.customer import COLUMNS, Inventor
from deploy.platform.mailer import Inform, Mark
from deploy.platform.oulad import load as load_oulad
from deploy.platform.scratch import scratch_database
from shared.clock import system_clock
from shared.datamap.live import check
from shared.datamap.model import load
from shared.performer import Attempt
from shared.settings import read_settings

OULAD = Path(__file__).parents[3] / "shared" / "data" / "oulad"
ATTEMPT = Attempt(uuid4(), 1, system_clock)


@pytest.fixture
async def dsn() -> AsyncIterator[str]:
    """Make the platform's tables in a database of the test's own."""
    async with scratch_database(read_settings().postgres) as dsn:
        await platform.create(dsn)
        yield dsn


async def rows(dsn: str, query: str, *values: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(query, *values)
    finally:
        await connection.close()


async def test_the_map_covers_the_schema(dsn: str) -> None:
    """Every table is declared or exempt, every foreign key has an index."""
    connection = await asyncpg.connect(dsn)
    found = await check(connection, load(platform.HERE / "map.yaml"))
    await connection.close()

    assert found == ()


def test_the_same_seed_invents_the_same_customer() -> None:
    """Rows and objects are equal for one seed and differ for another."""
    one, same, other = (list(Inventor("acme", seed, Counter()).batches(3)) for seed in (7, 7, 8))

    assert one == same
    assert one != other


async def test_every_table_has_rows_and_every_object_its_place(dsn: str) -> None:
    """The counts are those that the database has; objects lie under their customer's prefix."""
    put: list[tuple[str, str]] = []

    async def remember(bucket: str, key: str, _: bytes) -> None:
        put.append((bucket, key))

    made = await platform.generate(dsn, ["acme", "fjord"], users=20, put=remember)

    assert set(made.rows) == set(COLUMNS)
    for table, count in made.rows.items():
        (row,) = await rows(dsn, f"select count(*) from {table}")
        own = 2 if table == "activity_log" else 0
        assert row["count"] == count + own > 0
    assert made.objects == len(set(put))
    assert {(bucket, key.split("/")[0]) for bucket, key in put} == {
        ("offramp-media", "acme"), ("offramp-media", "fjord")
    }  # fmt: skip


async def test_customers_can_be_added_later(dsn: str) -> None:
    """Numbers go on where they ended, and the platform's own inserts don't meet them."""
    await platform.generate(dsn, ["acme"], users=5)
    await platform.generate(dsn, ["fjord"], users=5)

    (row,) = await rows(dsn, "insert into reports (customer_id, title, figures, made_at)"
                             " values ('acme', 'x', '{}', now()) returning id")  # fmt: skip
    assert row["id"] == 7


@pytest.mark.skipif(not OULAD.is_dir(), reason="the OULAD data set is not there")
async def test_real_data_becomes_one_customers(dsn: str) -> None:
    """All 245,690 rows of the data set are there, and the second map covers both schemas."""
    await load_oulad(dsn, OULAD, "openuni")
    connection = await asyncpg.connect(dsn)
    found = await check(connection, load(platform.HERE / "map-oulad.yaml"))
    counts = [
        await connection.fetchval(f"select count(*) from {table}")
        for table in ("course", "student", "student_registration", "assessment", "student_assessment", "vle")
    ]
    await connection.close()

    assert found == ()
    assert sum(counts) == 245_690


async def test_the_last_status_counts(dsn: str) -> None:
    """Of two changes written the wrong way round the later one stays."""
    await platform.generate(dsn, ["acme"], users=1)
    accounts = Accounts(dsn)
    await accounts.mark(Mark(customer_id="acme", status="active", revision=2), ATTEMPT)
    await accounts.mark(Mark(customer_id="acme", status="ended", revision=1), ATTEMPT)

    (row,) = await rows(dsn, "select status from customers")
    assert row["status"] == "active"


async def test_a_letter_without_an_address_comes_back(dsn: str) -> None:
    """A customer that the platform doesn't know can't be told, and that is answered."""
    await platform.generate(dsn, ["acme"], users=1)
    accounts = Accounts(dsn)
    known = await accounts.inform(Inform(customer_id="acme", announcement_id="a:1"), ATTEMPT)
    unknown = await accounts.inform(Inform(customer_id="gone", announcement_id="a:1"), ATTEMPT)

    assert (known.outcome, unknown.outcome) == ("delivered", "bounced")
