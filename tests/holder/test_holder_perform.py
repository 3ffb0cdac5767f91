"""The performer of a holder: declared holders, real rows and objects, the holder's own knowledge of holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from deploy.platform.generate import HERE
from shared.clock import system_clock
from shared.datamap.document import CUSTOMER
from shared.events.platform import Erased, LegalHoldPlaced, NotErased
from shared.holder.declaration import PostgresHolder, S3Holder
from shared.holder.domain import Holding
from shared.holder.perform import Eraser
from shared.holder.tasks import Erase
from shared.holds import placed
from shared.objects import ObjectStore
from shared.performer import Attempt
from shared.settings import Settings, read_settings
from shared.statecodec import StateCodec
from tests.holder.platform_rows import LEAVING, everything, others

if TYPE_CHECKING:
    import asyncpg

    from tests.holder.platform_rows import Database

DAY = timedelta(days=1)


def task(holder: str) -> Erase:
    now = system_clock()
    return Erase(
        customer_id=LEAVING, deletion_id="acme:1", holder=holder, window_closed_at=now - DAY, respond_by=now + DAY
    )


@pytest.fixture
async def eraser(dsn: str, postgres: str) -> AsyncIterator[Eraser]:
    """Declare the platform's copy and a bucket of its own; the holder's own cases are in a third database."""
    settings: Settings = read_settings()
    settings = replace(settings, own_dsns=MappingProxyType({"platform": dsn, "holder": postgres}))
    bucket = f"t-{uuid4().hex[:12]}"
    database = PostgresHolder("database", DAY, "holder", HERE / "map.yaml", "platform")
    media = S3Holder("media", DAY, "holder", bucket, f"{CUSTOMER}/")
    async with ObjectStore(settings.s3) as store:
        await store.ensure_bucket(bucket)
        for key in ("acme/a", "acme/a", "fjord/a"):
            await store.put(bucket, key, b"x")
        yield Eraser("holder", {"database": database, "media": media}, settings, moved_clock=False)
        await store.delete_all_versions(bucket, "fjord/")


async def test_rows_go_by_the_declared_map(eraser: Eraser, database: Database) -> None:
    """The outcome names its command, and a second try tells the same counts."""
    order = task("database")
    first = await eraser(order, Attempt(uuid4(), 1, system_clock))
    again = await eraser(order, Attempt(uuid4(), 2, system_clock))

    assert isinstance(first.answer, Erased)
    assert first == again
    assert (first.deletion_id, first.holder, first.respond_by) == (order.deletion_id, order.holder, order.respond_by)
    assert await everything(database) == await others(database)


async def test_objects_go_by_the_declared_prefix(eraser: Eraser) -> None:
    """Two versions of the customer's object go; the neighbour's stays."""
    ended = await eraser(task("media"), Attempt(uuid4(), 1, system_clock))

    assert isinstance(ended.answer, Erased)
    assert [one.rows for one in ended.answer.deleted] == [2]
    assert [one.rows_after for one in ended.answer.bystanders] == [1]


@pytest.mark.parametrize("holder", ["database", "media"])
async def test_a_hold_that_came_after_the_order_stops_it(
    eraser: Eraser, pool: asyncpg.Pool, database: Database, holder: str
) -> None:
    """The performer asks the holder's own case, not the order that was made before."""
    before = await everything(database)
    placing = LegalHoldPlaced(
        customer_id=LEAVING, hold_id="h", basis="BFL 7:2", placed_by="s:1", placed_at=system_clock()
    )
    state = StateCodec[Holding](Holding).dump(Holding(holds=placed((), placing)))
    await pool.execute("insert into cases (customer_id, state, key_hash) values ($1, $2::jsonb, 0)", LEAVING, state)

    ended = await eraser(task(holder), Attempt(uuid4(), 1, system_clock))

    assert ended.answer == NotErased(reason="held")
    assert await everything(database) == before


class HeldMeanwhile(Eraser):
    """An eraser whose customer is held by the time that it asks again."""

    async def _held(self, own: Database, customer_id: str, now: datetime) -> bool:
        first = not asked
        asked.append(customer_id)
        return not first


asked: list[str] = []


@pytest.mark.parametrize("holder", ["database", "media"])
async def test_a_hold_that_came_during_the_deletion_stops_it(eraser: Eraser, database: Database, holder: str) -> None:
    """The performer asks again before anything is for good."""
    asked.clear()
    before = await everything(database)
    late = HeldMeanwhile(eraser.name, eraser.holders, eraser.settings, moved_clock=False)

    ended = await late(task(holder), Attempt(uuid4(), 1, system_clock))

    assert ended.answer == NotErased(reason="held")
    assert asked == [LEAVING, LEAVING]
    assert await everything(database) == before


async def test_a_bucket_that_refuses_is_answered(eraser: Eraser) -> None:
    """Waiting doesn't help there, so nobody is left waiting for an answer."""
    gone = S3Holder("media", DAY, "holder", "t-no-such-bucket", f"{CUSTOMER}/")
    ended = await replace(eraser, holders={"media": gone})(task("media"), Attempt(uuid4(), 1, system_clock))

    assert ended.answer == NotErased(reason="failed")


async def test_a_map_that_cant_be_read_deletes_nothing(eraser: Eraser, database: Database) -> None:
    """A missing map is answered, and the operator finds the sentence in the log."""
    before = await everything(database)
    lost = PostgresHolder("database", DAY, "holder", Path("gone.yaml"), "platform")

    ended = await replace(eraser, holders={"database": lost})(task("database"), Attempt(uuid4(), 1, system_clock))

    assert ended.answer == NotErased(reason="not_declared")
    assert await everything(database) == before
