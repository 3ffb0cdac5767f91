"""Under a hold of a part just the objects of rows that stay do; what came too late to be told apart stays as well."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from deploy.platform.scratch import scratch_database
from shared.datamap.model import parse
from shared.events.platform import Erased, ErasedInPart, HoldScope, OfCategories, OfPersons, OfTables
from shared.events.retention import Keep
from shared.holder.commands import app as erase_app
from shared.holder.erasures import Entry, Spared, record
from shared.holder.pace import Pace
from shared.holder.replay import Place, replay
from shared.holder.right import RefusedError, Right
from shared.objects import ObjectStore, Refused
from shared.settings import read_settings
from tests.holder.vouchers_world import MAP, Vouchers, told, vouchers_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

RIGHT = Right(datetime(2027, 1, 1, tzinfo=UTC), moved_clock=True)
BATCHES = Pace(whole_up_to=0, batch_rows=1)
# No law; a voucher is about its buyer.
FREE = re.sub(r"    (retain|minimise):.*\n", "", MAP).replace("PLACE", "")
FREE = re.sub(r"(customers|notes): \{category: (\w+),", r"\1: {category: \2, impersonal: nobody's,", FREE)
FREE = FREE.replace("users: {category: user,", "users: {category: user, person: {column: id, type: integer},")
FREE = FREE.replace(
    "vouchers:\n    category: report", "vouchers:\n    person: {column: buyer, type: integer}\n    category: report"
)
FREE = FREE.replace("receipts:\n    category: report", "receipts:\n    impersonal: nobody's\n    category: report")
ACMES = {"buyer", "nobody any more", "kept", "preview", "over", "kept twice", "a receipt", "a note"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_world() -> AsyncIterator[Vouchers]:
    """Make one world for all: databases and buckets take longer to make than to empty."""
    async with vouchers_world() as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def lawful(shared_world: Vouchers) -> Vouchers:
    await shared_world.emptied()
    await shared_world.fill()
    return shared_world


@pytest.fixture
def world(lawful: Vouchers) -> Vouchers:
    """Give it without any law."""
    return replace(lawful, map=parse(FREE.replace("BUCKET", lawful.bucket).encode(), "shop.yaml"))


def keep(scope: HoldScope | str, hold_id: str = "h") -> tuple[Keep, ...]:
    scope = OfTables(tables=(scope,)) if isinstance(scope, str) else scope
    return (Keep(hold_id=hold_id, scope=scope, basis="BFL 7:2"),)


def under(kept: tuple[Keep, ...]) -> Right:
    return replace(RIGHT, keep=kept)


def held(outcome: Erased | ErasedInPart, bucket: str) -> dict[str, int]:
    assert isinstance(outcome, ErasedInPart)
    return {one.hold_id: one.rows for one in outcome.held if one.table == f"objects.{bucket}"}


async def uploads(world: Vouchers) -> set[str]:
    return {key async for key, _ in world.store.unfinished(world.bucket, "")}


async def add(world: Vouchers, row: str, *keys: str) -> None:
    await world.run(f"insert into {row}")
    await world.put(*keys)


SCOPES: list[tuple[HoldScope, set[str], int, int]] = [
    # With an earlier version and half an upload of what is kept.
    (OfTables(tables=("notes",)), {"kept", "a note"}, 4, 0),
    (OfTables(tables=("customers",)), set(), 0, 0),
    (OfTables(tables=("vouchers",)), {"kept", "preview", "over", "kept twice", "buyer"}, 6, 1),
    (OfCategories(categories=("report",)), {"kept", "preview", "over", "kept twice", "a receipt", "buyer"}, 7, 1),
    (OfPersons(refs=("1",)), {"kept", "preview", "buyer"}, 5, 0),
    (OfTables(tables=("BUCKET",)), ACMES, 10, 0),
    (OfTables(tables=("objects.BUCKET",)), ACMES, 10, 0),
]


@pytest.mark.parametrize("pace", [Pace(), BATCHES])
@pytest.mark.parametrize(("scope", "stays", "by_hold", "needed"), SCOPES)
async def test_what_no_held_row_names_goes(
    world: Vouchers, scope: HoldScope, stays: set[str], by_hold: int, needed: int, pace: Pace
) -> None:
    """What held rows name, and those that they need, stays with all versions and uploads; a dry run foresees it."""
    if isinstance(scope, OfTables):
        scope = OfTables(tables=(scope.tables[0].replace("BUCKET", world.bucket),))
    right, before = under(keep(scope)), await world.survey(deleted=False)
    everything = await world.keys()
    dry = await world.erase(right=right, dry_run=True)
    assert await world.keys() == everything
    outcome = await world.erase(right=right, pace=pace)
    after = await world.survey(keep=keep(scope))

    assert await world.keys() == everything - ACMES | stays
    assert await uploads(world) == stays & {"kept"}
    counted = told(outcome, world.bucket)
    assert (counted["kept"], counted["needed"], counted["remaining"]) == (by_hold + needed, needed, 0)
    assert held(outcome, world.bucket) == ({"h": by_hold} if by_hold else {})
    foreseen = told(dry, world.bucket)
    # Unfinished uploads are not looked for.
    assert foreseen["kept"] == counted["kept"] - len(stays & {"kept"})
    assert (after.own, after.kept) == (0, counted["kept"])
    assert before.own == counted["deleted"] + counted["kept"]
    assert (after.others, after.fingerprint) == (before.others, before.fingerprint)


async def test_its_release_lets_the_rest_go(world: Vouchers) -> None:
    """The next deletion takes rows, objects and uploads."""
    first = await world.erase(right=under(keep("notes")))
    last = await world.erase()

    assert isinstance(last, Erased)
    assert not ACMES & await world.keys()
    assert not await uploads(world)
    assert told(first, world.bucket)["deleted"] + told(last, world.bucket)["deleted"] == 10


async def test_two_holds_of_one_object(world: Vouchers) -> None:
    """It is counted at each, and in all once; it goes with the last."""
    both = (*keep("notes", "one"), *keep("vouchers", "other"))
    outcome = await world.erase(right=under(both))
    assert held(outcome, world.bucket) == {"one": 4, "other": 6}
    assert told(outcome, world.bucket)["kept"] == 8
    await world.erase(right=under(keep("notes", "one")))

    assert await world.keys() & ACMES == {"kept", "a note"}


async def test_a_hold_beside_a_law(lawful: Vouchers) -> None:
    """Each says what it keeps; what the law would empty stays as it is, and names its object still."""
    right = under((*keep("notes", "one"), *keep(OfTables(tables=("receipts",)), "other")))
    dry = await lawful.erase(right=right, dry_run=True)
    outcome = await lawful.erase(right=right)
    after = await lawful.survey(keep=right.keep)

    assert ACMES & await lawful.keys() == {"kept", "a note", "kept twice", "a receipt", "buyer"}
    assert held(outcome, lawful.bucket) == {"one": 4, "other": 2}
    assert isinstance(outcome, ErasedInPart)
    law = {(one.basis, one.until): one.rows for one in outcome.retained if one.table.startswith("objects.")}
    # Half an upload of what the hold keeps stays, and isn't only held.
    assert law == {
        ("SFL 39:13", date(2028, 12, 31)): 1, ("BFL 7:2", date(2032, 12, 31)): 1, ("BFL 7:2", date(2033, 12, 31)): 3,
    }  # fmt: skip
    assert await uploads(lawful) == {"kept"}
    assert (after.own, after.kept) == (0, told(outcome, lawful.bucket)["kept"])
    assert {(one.basis, one.until): one.rows for one in after.retained} == law
    assert told(dry, lawful.bucket)["kept"] == told(outcome, lawful.bucket)["kept"] - 1


async def test_what_a_held_row_names_is_not_emptied_for_a_law(lawful: Vouchers) -> None:
    """A preview goes with its column where only the law keeps the row."""
    right = under(keep("vouchers"))
    dry = await lawful.erase(right=right, dry_run=True)
    outcome = await lawful.erase(right=right)
    assert "preview" in await lawful.keys()
    assert told(dry, lawful.bucket)["kept"] == told(outcome, lawful.bucket)["kept"] - 1
    await lawful.erase()

    assert "preview" not in await lawful.keys()
    assert not await uploads(lawful)


class Away(ObjectStore):
    """A store that goes away when the first object is to be deleted."""

    async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        raise ConnectionError("away")


async def cut_off(world: Vouchers, right: Right = RIGHT) -> None:
    """Delete the rows alone."""
    async with Away(read_settings().s3) as away:
        with pytest.raises(ConnectionError):
            await world.erase(objects=away, right=right)


async def test_a_hold_that_comes_while_objects_go_is_told_what_it_saved(
    world: Vouchers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of them its rows named nobody can tell any more, so that all stay that are left; then they go."""
    monkeypatch.setattr("shared.holder.referred.BATCH", 3)
    right, came = replace(RIGHT, deletion_id="d-1"), [False]

    async def still_held() -> bool:
        return came[0]

    class Coming(ObjectStore):
        async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
            came[0] = True
            return await super().delete_versions(bucket, some)

    async with Coming(read_settings().s3) as coming:
        with pytest.raises(RefusedError, match="held") as refused:
            await world.erase(objects=coming, right=replace(right, still_held=still_held))
    left = await world.keys() & ACMES
    assert len(left) == 5
    assert [one.rows for one in refused.value.saved if one.table.startswith("objects.")] == [5]
    too_late = sum(one.rows for one in refused.value.deleted if one.table.startswith("objects."))
    # As it is begun again with the hold.
    kept = keep("notes")
    outcome, after = await world.erase(right=replace(right, keep=kept)), await world.survey(keep=kept)
    saved = told(outcome, world.bucket)["kept"]

    assert await world.keys() & ACMES == left
    assert isinstance(outcome, ErasedInPart)
    assert held(outcome, world.bucket) == {"h": saved}
    assert told(outcome, world.bucket)["deleted"] == too_late
    assert (after.own, after.kept) == (0, saved)
    # Without the hold it is all left, and goes.
    assert (await world.survey()).own == saved
    last = await world.erase(right=replace(right, deletion_id="d-2"))
    assert told(last, world.bucket)["deleted"] == saved
    assert not ACMES & await world.keys()


async def test_a_hold_of_somebody_whose_rows_are_gone_is_told_what_it_saved(
    world: Vouchers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom it names nobody finds any more, so nothing goes: neither what is left of the objects nor anything else."""
    monkeypatch.setattr("shared.holder.referred.BATCH", 3)
    right, went = replace(RIGHT, deletion_id="d-1"), list[int]()

    class Once(ObjectStore):
        async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
            if went:
                raise ConnectionError("away")
            went.append(len(some))
            return await super().delete_versions(bucket, some)

    async with Once(read_settings().s3) as once:
        with pytest.raises(ConnectionError):
            await world.erase(objects=once, right=right)
    left = await world.keys() & ACMES
    with pytest.raises(RefusedError, match="one of the persons") as refused:
        await world.erase(right=replace(right, keep=keep(OfPersons(refs=("1",)))))

    assert await world.keys() & ACMES == left
    table = f"objects.{world.bucket}"
    assert [one.rows for one in refused.value.saved if one.table == table] == [len(left)]
    # With half an upload.
    assert [one.rows for one in refused.value.deleted if one.table == table] == [went[0] + 1]


async def test_what_goes_before_the_eyes_of_a_hold_goes_with_its_objects(world: Vouchers) -> None:
    """Only what went before it came is in doubt; what a row named that had gone, and one that goes now, as well."""
    await cut_off(world)
    await world.run("insert into customers values ('acme')")
    await add(world, "notes values (8, 'acme', 'late'), (9, 'acme', 'over')", "late")
    await add(world, "receipts values (8, 'acme', null, 'held')", "held")
    outcome = await world.erase(right=under(keep("receipts")))

    assert await world.keys() & {*ACMES, "late", "held"} == {*ACMES, "held"}
    assert held(outcome, world.bucket) == {"h": 10}


async def test_what_went_under_a_hold_that_knew_of_it_goes_next_time(world: Vouchers) -> None:
    """A try that was cut off is taken up: neither was it covered then nor is it in doubt now."""
    right = under(keep("receipts"))
    await cut_off(world, right)
    await world.erase(right=under((replace_basis(*right.keep),)))

    assert await world.keys() & ACMES == {"kept twice", "a receipt"}


def replace_basis(one: Keep) -> Keep:
    return one.model_copy(update={"basis": "another"})


async def test_a_hold_that_was_placed_again_for_more_is_another_one(world: Vouchers) -> None:
    """By its name alone it would be taken for the one that had spared nothing."""
    await cut_off(world, under(keep("receipts")))
    wider = OfTables(tables=("receipts", "notes"))
    await world.erase(right=under(keep(wider)))

    assert await world.keys() >= ACMES


async def test_by_another_map_a_hold_may_cover_other_rows(world: Vouchers) -> None:
    """Whom a voucher is about was told by its buyer, and is by its own number now."""
    two = keep(OfPersons(refs=("2",)))
    await cut_off(world, under(two))
    text = FREE.replace("person: {column: buyer", "person: {column: id").replace("BUCKET", world.bucket)
    other = replace(world, map=parse(text.encode(), "shop.yaml"))
    await other.erase(right=under(two))

    assert await world.keys() >= ACMES


async def test_of_several_rows_each_has_to_have_gone_before_the_eyes_of_a_hold(world: Vouchers) -> None:
    """The first went under another hold than the second."""
    await cut_off(world, under(keep("receipts")))
    await world.run("insert into notes values (9, 'acme', 'over')")
    await world.erase(right=under(keep("vouchers")))

    assert "over" in await world.keys()


async def test_what_a_held_row_named_once_stays_though_it_names_it_no_more(world: Vouchers) -> None:
    """Somebody took the reference away, not the hold."""
    await world.erase(right=under(keep("notes")))
    await world.run("update notes set file = null where id = 2")
    outcome, after = await world.erase(right=under(keep("notes"))), await world.survey(keep=keep("notes"))

    assert "a note" in await world.keys()
    assert (after.own, after.kept) == (0, told(outcome, world.bucket)["kept"])
    await world.erase()
    assert not ACMES & await world.keys()


async def test_what_a_former_release_noted_is_in_doubt(world: Vouchers) -> None:
    """It wrote down of no object under which holds its row had gone."""
    await cut_off(world, under(keep("receipts")))
    await world.run("alter table offramp.objects drop column spared")
    doubted = await world.survey(keep=keep("receipts"))
    await world.run("insert into notes values (9, 'acme', 'over')")
    outcome = await world.erase(right=under(keep("receipts")))

    assert (doubted.own, doubted.kept) == (0, 9)
    assert await world.keys() >= ACMES
    assert told(outcome, world.bucket)["kept"] == 9


async def test_a_row_of_several_customers_may_be_meant(world: Vouchers) -> None:
    """It stays with the others, and so does under a hold what it names as this one's."""
    await world.run("""
        alter table receipts add payer text, drop constraint receipts_customer_id_fkey;
        update receipts set payer = 'fjord' where id = 2
    """)
    either = "owner: {any: [{column: customer_id}, {column: payer}]}"
    first, _, rest = FREE.replace("BUCKET", world.bucket).partition("receipts:")
    rest = rest.replace('"{value}"', '"{customer}/{value}"', 1).replace("owner: {column: customer_id}", either, 1)
    several = replace(world, map=parse(f"{first}receipts:{rest}".encode(), "shop.yaml"))
    await world.put("acme/a receipt", "acme/kept twice")
    assert held(await several.erase(right=under(keep("receipts")), dry_run=True), world.bucket) == {"h": 2}
    outcome = await several.erase(right=under(keep("receipts")))
    after = await several.survey(keep=keep("receipts"))

    assert {"acme/a receipt", "acme/kept twice"} <= await world.keys()
    assert held(outcome, world.bucket) == {"h": 2}
    assert (after.own, after.kept) == (0, 2)
    await several.erase()
    assert not {"acme/a receipt", "acme/kept twice"} & await world.keys()


class Careless(ObjectStore):
    """A store whose deletion takes half an upload of a held object as well."""

    async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        async for key, upload in self.unfinished(bucket, ""):
            await self.abort(bucket, key, upload)
        return await super().delete_versions(bucket, some)


async def test_a_held_upload_that_goes_meanwhile_is_told(world: Vouchers) -> None:
    """Uploads of what is held are counted before and after, too."""
    async with Careless(read_settings().s3) as careless:
        with pytest.raises(RefusedError, match="are kept changed"):
            await world.erase(objects=careless, right=under(keep("notes")))


class Between(ObjectStore):
    """A store during whose listing of what is to go a held row begins to name it."""

    world: Vouchers

    async def versions_of(self, bucket: str, key: str) -> tuple[str, ...]:
        if key == "over":
            connection = await asyncpg.connect(self.world.dsn)
            await connection.execute("update notes set file = 'over' where id = 2")
            await connection.close()
        return await super().versions_of(bucket, key)


async def test_a_held_row_that_comes_to_name_an_object_keeps_it(world: Vouchers) -> None:
    """It is asked right before the object goes."""
    async with Between(read_settings().s3) as between:
        between.world = world
        with pytest.raises(RefusedError, match="began to refer"):
            await world.erase(objects=between, right=under(keep("notes")))

    assert "over" in await world.keys()


async def test_what_a_replay_keeps_again(world: Vouchers) -> None:
    """What was kept then is kept again with its objects, until the entry comes by which it went."""
    spared = Entry("shop", "d-8", "acme", datetime(2026, 1, 1, tzinfo=UTC), Spared(keep=keep("notes")))
    async with scratch_database(read_settings().postgres) as ledger:
        kept = await asyncpg.connect(ledger)
        await record(kept, spared)
        place = Place("shop", world.map, world.dsn, ledger, published=None)
        first = await replay(place)
        between = await world.keys()
        await record(kept, Entry("shop", "d-9", "acme", datetime(2026, 1, 1, tzinfo=UTC)))
        last = await replay(place)
        await kept.close()

    assert [one.refused for one in (*first, *last)] == [None, None]
    assert between & ACMES == {"kept", "a note"}
    assert not ACMES & await world.keys()


async def test_the_command_keeps_them(world: Vouchers, tmp_path: Path) -> None:
    """``offramp erase --keep`` spares what the named part refers to, says so, and doesn't call it done."""
    file = tmp_path / "map.yaml"
    file.write_text(FREE.replace("BUCKET", world.bucket))
    arguments = ["--map", str(file), "--dsn", world.dsn, "--customer", "acme", "--yes", "--keep", "table:notes"]
    said = await asyncio.to_thread(CliRunner().invoke, erase_app, arguments)

    assert said.exit_code == 3, said.output
    assert re.search(rf"kept: objects.{world.bucket} +4  table:notes", said.output)
    assert f"1 of objects.{world.bucket} stay: others' rows refer to them too" in said.output
    assert await world.keys() & ACMES == {"kept", "a note"}


KEYS = st.sampled_from(["a", "b", "c", "d", "e"])
WHO = st.sampled_from(["acme", "acme", "fjord"])
TABLES = st.sampled_from(["vouchers", "receipts", "notes", "badges"])
HELD = st.lists(st.sampled_from(["vouchers", "receipts", "notes"]), max_size=2, unique=True)


@settings(max_examples=20, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(
    rows=st.lists(st.tuples(TABLES, WHO, KEYS), min_size=2, max_size=9),
    more=st.lists(st.tuples(TABLES, WHO, KEYS), max_size=4),
    turns=st.lists(st.tuples(HELD, st.booleans()), min_size=1, max_size=3),
)
async def test_nothing_goes_that_a_hold_may_mean(
    shared_world: Vouchers,
    rows: list[tuple[str, str, str]],
    more: list[tuple[str, str, str]],
    turns: list[tuple[list[str], bool]],
) -> None:
    """Whatever is held in turn, and cut off: what no standing row names goes, nor one named before its hold came."""
    world = replace(shared_world, map=parse(FREE.replace("BUCKET", shared_world.bucket).encode(), "shop.yaml"))
    await world.emptied()
    await world.put("a", "b", "c", "d", "e")
    there, standing = {"a", "b", "c", "d", "e"}, list[tuple[str, str, str]]()
    # Of each of acme's keys that is noted: what was held whenever a row with it went.
    went: dict[str, list[set[str]]] = {}
    for turn, (holding, cut) in enumerate(turns):
        await world.run("insert into customers values ('acme') on conflict do nothing")
        for number, row in enumerate(more if turn else rows, 100 * turn + 1):
            await _insert(world, *row, number)
            standing.append(row)
        for row in [one for one in standing if one[1] == "acme" and one[0] not in {*holding, "badges"}]:
            standing.remove(row)
            went.setdefault(row[2], []).append(set(holding))
        right = under(tuple(one for table in holding for one in keep(table, f"of-{table}")))
        if cut:
            await _try(world, right)
            continue
        outcome, after = await world.erase(right=right), await world.survey(keep=right.keep)
        others = {key for table, who, key in standing if who != "acme" or table == "badges"}
        named = {key for _, _, key in standing}
        doubted = {key for key, times in went.items() if any(not set(holding) <= then for then in times)}
        there -= {*went} - named - doubted
        assert await world.keys() == there
        assert (after.own, after.kept) == (0, told(outcome, world.bucket).get("kept", 0))
        went = {key: times for key, times in went.items() if key not in others and key in named | doubted}


async def _try(world: Vouchers, right: Right) -> None:
    async with Away(read_settings().s3) as away:
        try:
            await world.erase(objects=away, right=right)
        except ConnectionError:
            return


async def _insert(world: Vouchers, table: str, who: str, key: str, number: int) -> None:
    values = {
        "vouchers": f"({number}, '{who}', null, null, '{key}', null)",
        "receipts": f"({number}, '{who}', null, '{key}')",
        "notes": f"({number}, '{who}', '{key}')",
        "badges": f"({number}, '{key}')",
    }[table]
    await world.run(f"insert into {table} values {values}")
