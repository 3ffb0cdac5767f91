"""The performer of a holder: declared holders, real rows and objects, the holder's own knowledge of holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from deploy.platform.generate import HERE
from shared.clock import system_clock
from shared.datamap.document import CUSTOMER
from shared.datamap.model import load
from shared.events.platform import (
    Erased,
    ErasedInPart,
    HoldScope,
    LegalHoldPlaced,
    NotErased,
    OfCategories,
    OfPersons,
    OfTables,
)
from shared.events.retention import Keep
from shared.events.vocabulary import TableCount
from shared.holder.declaration import PostgresHolder, S3Holder
from shared.holder.domain import Holding
from shared.holder.held import Knowledge, Standing
from shared.holder.ledger import note, prepare
from shared.holder.pace import Pace
from shared.holder.perform import Eraser
from shared.holder.tasks import Erase
from shared.holds import Holds, placed
from shared.objects import ObjectStore
from shared.performer import Attempt
from shared.settings import Settings, read_settings
from shared.statecodec import StateCodec
from tests.holder.platform_rows import LEAVING, everything, others

if TYPE_CHECKING:
    import asyncpg

    from tests.holder.platform_rows import Database

DAY = timedelta(days=1)


MAP = load(HERE / "map.yaml").sha256


def task(holder: str, map_sha256: str | None = MAP) -> Erase:
    now = system_clock()
    return Erase(
        customer_id=LEAVING,
        deletion_id="acme:1",
        holder=holder,
        window_closed_at=now - DAY,
        respond_by=now + DAY,
        map_sha256=map_sha256,
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


@pytest.mark.parametrize("named", ["0" * 64, None])
async def test_nothing_goes_by_another_map_than_the_command_names(
    eraser: Eraser, database: Database, named: str | None
) -> None:
    """The answer tells which one is run, since nobody has looked at what would go by it; none named is another one."""
    before = await everything(database)

    ended = await eraser(task("database", named), Attempt(uuid4(), 1, system_clock))

    assert ended.answer == NotErased(reason="not_declared", map_sha256=MAP)
    assert await everything(database) == before


@pytest.mark.parametrize("holder", ["database", "media"])
async def test_an_order_that_is_out_of_date_deletes_nothing(eraser: Eraser, database: Database, holder: str) -> None:
    """It was given in time, and taken up after an outage in which the customer may have come back and left again."""
    before = await everything(database)
    order = task(holder).model_copy(update={"respond_by": system_clock()})

    ended = await eraser(order, Attempt(uuid4(), 2, system_clock))

    assert ended.answer == NotErased(reason="failed")
    assert await everything(database) == before
    assert isinstance((await eraser(task(holder), Attempt(uuid4(), 1, system_clock))).answer, Erased)


async def test_what_went_by_the_former_map_is_told_with_the_refusal(eraser: Eraser, database: Database) -> None:
    """The map changed between two tries of one command: what the first deleted is gone, and has to be counted."""
    order = task("database")
    await prepare(database)
    await note(database, order.noted_as, (TableCount(table="users", rows=2),))

    ended = await eraser(order.model_copy(update={"map_sha256": "0" * 64}), Attempt(uuid4(), 2, system_clock))

    assert isinstance(ended.answer, NotErased)
    assert ended.answer.map_sha256 == MAP
    assert [(one.table, one.rows) for one in ended.answer.deleted] == [("users", 2)]


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


def hold(hold_id: str = "h", **changes: Any) -> LegalHoldPlaced:
    values: dict[str, Any] = {"basis": "BFL 7:2", "placed_by": "s:1", "placed_at": system_clock(), **changes}
    return LegalHoldPlaced(customer_id=LEAVING, hold_id=hold_id, **values)


class HeldMeanwhile(Eraser):
    """An eraser that hears of a hold when it asks for the second time."""

    async def _standing(self, known: Knowledge, customer_id: str, now: datetime) -> Standing:
        asked.append(customer_id)
        return Standing(placed((), news[0]) if len(asked) > 1 else ())


asked: list[str] = []
news: list[LegalHoldPlaced] = []


def heard_late(eraser: Eraser, event: LegalHoldPlaced, **changes: Any) -> Eraser:
    asked.clear()
    news[:] = [event]
    return HeldMeanwhile(eraser.name, {**eraser.holders, **changes}, eraser.settings, moved_clock=False)


@pytest.mark.parametrize("holder", ["database", "media"])
async def test_a_hold_that_came_during_the_deletion_stops_it(eraser: Eraser, database: Database, holder: str) -> None:
    """The performer asks again before anything is for good."""
    before = await everything(database)

    ended = await heard_late(eraser, hold())(task(holder), Attempt(uuid4(), 1, system_clock))

    assert ended.answer == NotErased(reason="held")
    assert set(asked) == {LEAVING}
    assert await everything(database) == before


async def test_what_a_hold_of_a_part_that_came_meanwhile_does_not_cover_goes(
    eraser: Eraser, database: Database
) -> None:
    """Nothing was for good yet, so all of the part is kept, and the answer names the hold and its basis."""
    late = heard_late(eraser, hold(scope=OfTables(tables=("reports",))))
    ended = await late(task("database"), Attempt(uuid4(), 1, system_clock))

    assert isinstance(ended.answer, ErasedInPart)
    [held] = ended.answer.held
    assert (held.table, held.hold_id, held.basis) == ("reports", "h", "BFL 7:2")
    assert [(one.table, one.rows) for one in ended.answer.needed] == [("customers", 1)]
    left, kept = await everything(database), await others(database)
    assert {name for name in left if left[name] != kept[name]} == {"customers", "reports"}


async def test_a_large_deletion_tells_what_the_hold_came_too_late_for(eraser: Eraser, database: Database) -> None:
    """Batches that went before the hold are in the counts; what of its part was still there is kept."""
    before = len((await everything(database))["reports"]) - len((await others(database))["reports"])
    small = replace(eraser.holders["database"], pace=Pace(whole_up_to=0, batch_rows=2))  # type: ignore[type-var]
    late = heard_late(eraser, hold(scope=OfTables(tables=("reports",))), database=small)

    async def late_enough(known: Knowledge, customer_id: str, now: datetime) -> Standing:
        asked.append(customer_id)
        gone = await database.fetchval("select count(*) < $2 from reports where customer_id = $1", LEAVING, before)
        return Standing(placed((), news[0]) if gone else ())

    object.__setattr__(late, "_standing", late_enough)
    ended = await late(task("database"), Attempt(uuid4(), 1, system_clock))

    assert isinstance(ended.answer, ErasedInPart)
    told = {one.table: one.rows for one in ended.answer.deleted}
    assert 0 < told["reports"] < before
    assert [(one.table, one.rows) for one in ended.answer.held] == [("reports", before - told["reports"])]


async def test_the_wider_of_what_is_told_and_what_is_known_wins(
    eraser: Eraser, database: Database, pool: asyncpg.Pool
) -> None:
    """The command names one part, the holder's own case another of the same hold; both stay."""
    await know(pool, hold(scope=OfTables(tables=("reports",))))
    keep = (Keep(hold_id="h", scope=OfTables(tables=("feedback",))),)
    order = task("database").model_copy(update={"keep": keep, "holds": ("h",)})
    ended = await eraser(order, Attempt(uuid4(), 1, system_clock))

    assert isinstance(ended.answer, ErasedInPart)
    assert {one.table for one in ended.answer.held} == {"reports", "feedback"}


async def know(pool: asyncpg.Pool, *placings: LegalHoldPlaced) -> None:
    """Let the holder's own case know of holds."""
    holds: Holds = ()
    for one in placings:
        holds = placed(holds, one)
    state = StateCodec[Holding](Holding).dump(Holding(holds=holds))
    await pool.execute("insert into cases (customer_id, state, key_hash) values ($1, $2::jsonb, 0)", LEAVING, state)


async def test_a_table_of_another_system(eraser: Eraser, database: Database, pool: asyncpg.Pool) -> None:
    """What whoever commands knows to be elsewhere keeps nothing here; else it may be a mistake, and all stays."""
    await know(pool, hold(scope=OfTables(tables=("invoices",))))
    refused = await eraser(task("database"), Attempt(uuid4(), 1, system_clock))
    told = task("database").model_copy(update={"holds": ("h",)})
    ended = await eraser(told, Attempt(uuid4(), 1, system_clock))

    assert refused.answer == NotErased(reason="held")
    assert isinstance(ended.answer, Erased)
    assert await everything(database) == await others(database)


@pytest.mark.parametrize(
    ("scope", "category", "answer"),
    [
        (OfTables(tables=("BUCKET",)), None, ErasedInPart),
        (OfTables(tables=("BUCKET", "users")), None, NotErased),
        (OfTables(tables=("users",)), None, NotErased),
        (OfCategories(categories=("course",)), "course", ErasedInPart),
        (OfCategories(categories=("user",)), "course", Erased),
        (OfCategories(categories=("user",)), None, NotErased),
        (OfCategories(categories=("usr",)), "course", NotErased),
        (OfPersons(refs=("p-1",)), "course", NotErased),
    ],
)
async def test_objects_stay_all_or_none(eraser: Eraser, scope: HoldScope, category: Any, answer: type) -> None:
    """A hold covers a whole bucket, by its name or its declared category; what can't be told keeps everything."""
    media = replace(eraser.holders["media"], category=category)  # type: ignore[type-var]
    assert isinstance(media, S3Holder)
    if isinstance(scope, OfTables):
        scope = OfTables(tables=tuple(name.replace("BUCKET", media.bucket) for name in scope.tables))
    order = task("media").model_copy(update={"keep": (Keep(hold_id="h", scope=scope),)})
    ended = await replace(eraser, holders={"media": media})(order, Attempt(uuid4(), 1, system_clock))

    assert isinstance(ended.answer, answer)
    async with ObjectStore(eraser.settings.s3) as store:
        left = await store.count_left(media.bucket, "acme/")
    assert left == (0 if answer is Erased else 2)
    if isinstance(ended.answer, ErasedInPart):
        assert [(one.rows, one.hold_id) for one in ended.answer.held] == [(2, "h")]
    elif isinstance(ended.answer, NotErased):
        assert ended.answer == NotErased(reason="held")


async def test_a_hold_elsewhere_does_not_stop_the_objects(eraser: Eraser, pool: asyncpg.Pool) -> None:
    """One that came meanwhile, too, if it can't concern them."""
    await know(pool, hold(scope=OfTables(tables=("users",))))
    ended = await eraser(task("media").model_copy(update={"holds": ("h",)}), Attempt(uuid4(), 1, system_clock))

    assert isinstance(ended.answer, Erased)


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
