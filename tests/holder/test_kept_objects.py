"""Objects of rows that a law keeps stay with them, are told, found by the check, and go when the rows do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.platform.scratch import scratch_database
from shared.datamap.model import parse
from shared.events.platform import Erased
from shared.holder.erasures import Entry, record
from shared.holder.pace import Pace
from shared.holder.replay import Place, replay
from shared.holder.right import RefusedError, Right
from shared.objects import ObjectStore, Refused
from shared.settings import read_settings
from tests.holder.vouchers_world import MAP, Vouchers, shop, told, vouchers_world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_world() -> AsyncIterator[Vouchers]:
    """Make one world for all: databases and buckets take longer to make than to empty."""
    async with vouchers_world() as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def world(shared_world: Vouchers) -> Vouchers:
    await shared_world.emptied()
    await shared_world.fill()
    return shared_world


GONE = {"nobody any more", "preview", "over", "a note"}
BATCHES = Pace(whole_up_to=0, batch_rows=2)
RIGHT = Right(datetime(2027, 1, 1, tzinfo=UTC), moved_clock=True)


def lawful(outcome: object, bucket: str) -> list[tuple[str, date, int]]:
    rows = [one for one in getattr(outcome, "retained", ()) if one.table == f"objects.{bucket}"]
    return sorted((one.basis, one.until, one.rows) for one in rows)


@pytest.mark.parametrize("pace", [Pace(), BATCHES])
async def test_what_a_kept_row_names_stays_in_all_versions_and_is_told(world: Vouchers, pace: Pace) -> None:
    """By law and by its last day, the latest of several; uploads go, and so does what an emptied column named."""
    before = await world.keys()
    outcome = await world.erase(pace=pace)

    assert await world.keys() == before - GONE
    assert [found async for found in world.store.unfinished(world.bucket, "")] == []
    # Two versions and an upload of what is kept: the upload goes.
    assert told(outcome, world.bucket) == {"deleted": 5, "kept": 5, "needed": 1, "shared": 1, "remaining": 0}
    assert lawful(outcome, world.bucket) == [
        ("BFL 7:2", date(2032, 12, 31), 1), ("BFL 7:2", date(2033, 12, 31), 2), ("SFL 39:13", date(2028, 12, 31), 1),
    ]  # fmt: skip
    [compared] = [one for one in outcome.bystanders if one.table.startswith("objects.")]
    assert (compared.rows_before, compared.rows_after) == (5, 5)


async def test_each_goes_when_the_last_row_that_names_it_does(world: Vouchers) -> None:
    """Not with the first of two that name it, and not while somebody else's does."""
    before = await world.keys()
    await world.erase()
    after_receipts = await world.erase(datetime(2029, 1, 1, tzinfo=UTC))
    assert await world.keys() == before - GONE - {"a receipt"}
    await world.erase(datetime(2033, 1, 1, tzinfo=UTC))
    assert await world.keys() == before - GONE - {"a receipt", "kept twice"}
    last = await world.erase(datetime(2034, 1, 1, tzinfo=UTC))

    assert told(after_receipts, world.bucket)["deleted"] == 1
    assert isinstance(last, Erased)
    assert told(last, world.bucket) == {"deleted": 3, "shared": 1, "remaining": 0}
    assert await world.keys() == {"theirs", "fjord too", "a note of fjord", "a badge", "an orphan"}
    assert await world.connection.fetchval("select count(*) from offramp.objects where key is not null") == 0


async def test_a_second_time_there_is_nothing_to_do(world: Vouchers) -> None:
    """The same is kept, and told, and nothing of it counted as deleted."""
    first, second = await world.erase(), await world.erase()

    assert lawful(first, world.bucket) == lawful(second, world.bucket)
    assert told(second, world.bucket) == {"deleted": 0, "kept": 5, "needed": 1, "shared": 1, "remaining": 0}


async def test_a_dry_run_foresees_it(world: Vouchers) -> None:
    """What would stay, and until when, is told before anything goes."""
    before = await world.keys()
    dry = await world.erase(dry_run=True)
    assert await world.keys() == before
    outcome = await world.erase()

    assert lawful(dry, world.bucket) == lawful(outcome, world.bucket)
    # Unfinished uploads are not looked for.
    assert told(dry, world.bucket) == told(outcome, world.bucket) | {"deleted": 4}


async def test_who_checks_finds_the_same_by_listing(world: Vouchers) -> None:
    """Before, all that is the customer's alone; after, what is kept and nothing else, others' as they were."""
    before = await world.survey(deleted=False)
    outcome = await world.erase()
    after = await world.survey()

    counted = told(outcome, world.bucket)
    assert before.own == counted["deleted"] + counted["kept"]
    assert (after.own, after.kept) == (0, counted["kept"])
    # Each once: eight are the customer's alone, of which four stay.
    assert ((before.objects, before.shared), (after.objects, after.shared)) == ((8, 1), (4, 0))
    assert lawful(after, world.bucket) == lawful(outcome, world.bucket)
    assert (after.others, after.fingerprint) == (before.others, before.fingerprint)
    with pytest.raises(RefusedError, match="for a moment only"):
        await world.survey(None)


async def test_who_checks_finds_half_an_upload_under_a_kept_key(world: Vouchers) -> None:
    """No row can name it, so no law keeps it."""
    await world.erase()
    await world.store._client.create_multipart_upload(Bucket=world.bucket, Key="kept")

    assert (await world.survey()).own == 1


async def test_who_checks_finds_that_a_kept_object_is_gone(world: Vouchers) -> None:
    """Then it is no longer what the holder says that it keeps."""
    outcome = await world.erase()
    versions = await world.store.versions_of(world.bucket, "a receipt")
    await world.store.delete_versions(world.bucket, [("a receipt", one) for one in versions])
    after = await world.survey()

    assert after.kept == told(outcome, world.bucket)["kept"] - 1
    assert lawful(after, world.bucket) != lawful(outcome, world.bucket)


async def test_an_object_whose_row_was_taken_from_it_is_left_and_goes_next_time(world: Vouchers) -> None:
    """Its key is noted still, so that nobody says it is gone."""
    await world.erase()
    await world.run("update vouchers set scan = null where id = 1")
    assert (await world.survey()).own == 2
    outcome = await world.erase()

    assert told(outcome, world.bucket)["deleted"] == 2
    assert "kept" not in await world.keys()
    assert (await world.survey()).own == 0


class Away(ObjectStore):
    """A store that goes away when the first object is to be deleted."""

    async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        raise ConnectionError("away")


async def test_a_try_that_was_cut_off_after_the_rows_is_taken_up(world: Vouchers) -> None:
    """What the emptied column named is noted, and what the kept rows name stays."""
    before = await world.keys()
    right = replace(RIGHT, deletion_id="d-1")
    async with Away(read_settings().s3) as away:
        with pytest.raises(ConnectionError):
            await world.erase(right=right, objects=away)
    assert await world.keys() == before
    assert await world.connection.fetchval("select count(*) from vouchers where preview is not null") == 0
    outcome = await world.erase(right=right)

    assert await world.keys() == before - GONE
    assert told(outcome, world.bucket)["kept"] == 5


class Careless(ObjectStore):
    """A store whose deletion takes one of the kept objects as well."""

    async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        return await super().delete_versions(bucket, [*some, *[one async for one in self.versions(bucket, "kept")]])


async def test_a_kept_object_that_goes_meanwhile_is_told(world: Vouchers) -> None:
    """They are counted before and after, version by version."""
    async with Careless(read_settings().s3) as careless:
        with pytest.raises(RefusedError, match="are kept changed"):
            await world.erase(objects=careless)


class Killed(ObjectStore):
    """A store to which the connection is lost right after an upload was aborted."""

    async def abort(self, bucket: str, key: str, upload_id: str) -> None:
        await super().abort(bucket, key, upload_id)
        raise ConnectionResetError


async def test_an_upload_under_a_kept_key_counts_though_its_holder_was_killed(world: Vouchers) -> None:
    """It is noted before it goes; a next deletion of the customer's counts only its own."""
    right = replace(RIGHT, deletion_id="d-1")
    async with Killed(read_settings().s3) as killed:
        with pytest.raises(ConnectionResetError):
            await world.erase(objects=killed, right=right)
    assert [found async for found in world.store.unfinished(world.bucket, "")] == []
    outcome = await world.erase(right=right)
    again = await world.erase(datetime(2029, 1, 1, tzinfo=UTC), right=replace(RIGHT, deletion_id="d-2"))

    assert told(outcome, world.bucket)["deleted"] == 5
    # The receipt's scan.
    assert told(again, world.bucket)["deleted"] == 1


class Between(ObjectStore):
    """A store during whose listing of what is to go a kept row begins to name it."""

    world: Vouchers

    async def versions_of(self, bucket: str, key: str) -> tuple[str, ...]:
        if key == "over":
            connection = await asyncpg.connect(self.world.dsn)
            await connection.execute("update vouchers set scan = 'over' where id = 5")
            await connection.close()
        return await super().versions_of(bucket, key)


async def test_a_kept_row_that_comes_to_name_an_object_keeps_it(world: Vouchers) -> None:
    """It is asked right before the object goes; the next try counts it among what stays."""
    async with Between(read_settings().s3) as between:
        between.world = world
        with pytest.raises(RefusedError, match="began to refer"):
            await world.erase(objects=between)
    assert "over" in await world.keys()
    outcome = await world.erase()

    assert ("BFL 7:2", date(2033, 12, 31), 3) in lawful(outcome, world.bucket)
    assert "over" in await world.keys()


async def test_a_place_with_the_customers_id_stays_as_well(world: Vouchers) -> None:
    """No other's row can mean it, but the customer's own kept one does."""
    await world.run("delete from receipts where id = 1; update vouchers set scan = null where id = 3")
    await world.put("acme/a receipt", "acme/old")
    await world.run("insert into receipts values (3, 'acme', '2019-01-01', 'old')")
    of_one = replace(world, map=shop(world.bucket, "{customer}/"))
    outcome = await of_one.erase()

    assert "acme/a receipt" in await world.keys()
    assert "acme/old" not in await world.keys()
    assert ("SFL 39:13", date(2028, 12, 31), 1) in lawful(outcome, world.bucket)
    assert (await of_one.survey()).own == 0


async def test_a_row_of_several_customers_stops_it_where_its_place_is_one_customers(world: Vouchers) -> None:
    """The row stays with the others, and nobody could tell why its object does."""
    await world.run("alter table receipts add payer text; update receipts set payer = 'fjord' where id = 2")
    first, _, rest = MAP.replace("BUCKET", world.bucket).replace("PLACE", "{customer}/").partition("receipts:")
    either = "owner: {any: [{column: customer_id}, {column: payer}]}"
    text = f"{first}receipts:{rest.replace('owner: {column: customer_id}', either, 1)}"
    several = replace(world, map=parse(text.encode(), "shop.yaml"))
    before = await world.keys()
    with pytest.raises(RefusedError, match="several customers'"):
        await several.erase()

    assert await world.keys() == before
    assert await world.connection.fetchval("select count(*) from notes where customer_id = 'acme'") == 2


async def test_a_restored_database_is_cleared_again_and_the_kept_objects_spared(world: Vouchers) -> None:
    """The drill deletes by the same rules: what a law keeps then, with its objects, stays."""
    await world.run("update vouchers set day = current_date where id in (1, 3)")
    before = await world.keys()
    async with scratch_database(read_settings().postgres) as ledger:
        kept = await asyncpg.connect(ledger)
        await record(kept, Entry("shop", "d-9", "acme", datetime(2026, 1, 1, tzinfo=UTC)))
        await kept.close()
        again = await replay(Place("shop", world.map, world.dsn, ledger, published=None))

    # By the clock of the machine.
    assert [one.refused for one in again] == [None]
    assert {"kept", "kept twice", "buyer"} <= await world.keys() < before


KEYS = st.sampled_from(["a", "b", "c", "d", "e"])
YEARS = st.sampled_from([2015, 2024, 2025, 2026])
WHO = st.sampled_from(["acme", "acme", "fjord"])
TABLES = st.sampled_from(["vouchers", "receipts", "notes", "badges"])
Row = tuple[str, str, int, str, str]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    rows=st.lists(st.tuples(TABLES, WHO, YEARS, KEYS, KEYS), min_size=2, max_size=9),
    years=st.lists(st.sampled_from([2027, 2028, 2029, 2033, 2034]), min_size=1, max_size=3).map(sorted),
)
async def test_an_object_goes_just_when_no_row_is_left_that_names_it(
    shared_world: Vouchers, rows: list[Row], years: list[int]
) -> None:
    """Whatever rows there are, whoever has them: what was acme's and no standing row names is gone, all else stays."""
    await _a_case(shared_world, rows, years)


async def _a_case(world: Vouchers, rows: list[Row], years: list[int]) -> None:
    await world.emptied()
    await world.put("a", "b", "c", "d", "e")
    named = set()
    for number, (table, who, year, scan, preview) in enumerate(rows):
        day = f"'{year}-05-05'"
        values = {
            "vouchers": f"({number}, '{who}', null, {day}, '{scan}', '{preview}')",
            "receipts": f"({number}, '{who}', {day}, '{scan}')",
            "notes": f"({number}, '{who}', '{scan}')",
            "badges": f"({number}, '{scan}')",
        }[table]
        await world.run(f"insert into {table} values {values}")
        if who == "acme" and table != "badges":
            named |= {scan, *([preview] if table == "vouchers" else [])}
    for year in years:
        now = datetime(year, 6, 1, tzinfo=UTC)
        outcome, after = await world.erase(now), await world.survey(now)
        standing = await _standing(world)
        assert await world.keys() == {"a", "b", "c", "d", "e"} - (named - standing)
        assert (after.own, after.kept) == (0, told(outcome, world.bucket).get("kept", 0))
        assert lawful(after, world.bucket) == lawful(outcome, world.bucket)


async def _standing(world: Vouchers) -> set[str]:
    """Name what any row names that is there."""
    found = await world.connection.fetch("""
        select scan from vouchers union select preview from vouchers union select scan from receipts
        union select file from notes union select file from badges
    """)
    return {row["scan"] for row in found} - {None}
