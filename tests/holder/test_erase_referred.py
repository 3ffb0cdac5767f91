"""Objects that rows refer to go with the rows, unless somebody else's rows refer to them too."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.platform.scratch import scratch_database
from shared.clock import system_clock
from shared.datamap.model import parse
from shared.events.platform import Erased, NotErased, OfTables
from shared.events.retention import Keep
from shared.holder.commands import app as erase_app
from shared.holder.erasures import Entry, record
from shared.holder.pace import Pace
from shared.holder.referred_survey import Objects, ObjectSurvey
from shared.holder.replay import Place, replay
from shared.holder.right import RefusedError
from shared.holder.rows import erase, erase_rows
from shared.holder.work import Work
from shared.objects import ObjectStore, Refused
from shared.settings import read_settings
from tests.holder.platform_rows import expired
from tests.holder.referred_world import FILES, MAP, World, hashed, key, referred_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with referred_world() as world:
        yield world


def work(world: World, **more: Any) -> Work:
    return Work(world.connection, world.map, "acme", expired(), system_clock, objects=world.store, **more)


async def erased(world: World, **more: Any) -> Erased | NotErased:
    asked = {"right": expired(), "now": system_clock(), "objects": world.store, **more}
    return await erase_rows(world.connection, asked.pop("map", world.map), "acme", **asked)


def rows(counts: Sequence[Any]) -> dict[str, int]:
    return {one.table.partition(".")[0]: one.rows for one in counts}


ACMES = {key("only acme's"), key("acme's other"), "faces/a b.png"}
BATCHES = Pace(whole_up_to=0, batch_rows=2)


@pytest.mark.parametrize("pace", [Pace(), BATCHES])
async def test_what_only_the_customers_rows_refer_to_goes_in_all_versions(world: World, pace: Pace) -> None:
    """Versions, markers and uploads go; what others', nobody's or everybody's rows refer to stays, told as shared."""
    before = await world.keys()
    outcome = await erased(world, pace=pace)

    assert isinstance(outcome, Erased)
    assert await world.keys() == before - ACMES
    assert [found async for found, _ in world.store.unfinished(world.bucket, "")] == [key("only fjord's")]
    # Two versions and an upload; a version and a marker; a face.
    assert rows(outcome.deleted)["objects"] == 6
    assert rows(outcome.remaining)["objects"] == 0
    assert rows(outcome.shared) == {"objects": 3}
    [compared] = [one for one in outcome.bystanders if one.table.startswith("objects.")]
    assert (compared.rows_before, compared.rows_after) == (7, 7)
    assert compared.before == compared.after
    assert await world.connection.fetchval("select count(*) from offramp.objects where key is not null") == 0


async def test_a_shared_object_goes_with_the_last_customer(world: World) -> None:
    """It stays with the first, and nobody has forgotten it when the second leaves."""
    await erased(world)
    await world.connection.execute("delete from files where customer_id is null")
    outcome = await erase_rows(
        world.connection, world.map, "acme-east", right=expired(), now=system_clock(), objects=world.store
    )

    assert isinstance(outcome, Erased)
    assert key("a neighbour's too") not in await world.keys()
    assert rows(outcome.deleted)["objects"] == 1


async def test_a_dry_run_tells_the_same_and_deletes_nothing(world: World) -> None:
    """It foresees what would go and what would stay, and leaves no table behind."""
    before = await world.keys()
    dry = await erase(work(world, dry_run=True))
    left = await world.connection.fetchval("select to_regclass('offramp.objects')")

    # Unfinished uploads are not looked for.
    assert (rows(dry.outcome.deleted)["objects"], rows(dry.outcome.shared)) == (5, {"objects": 3})
    assert await world.keys() == before
    assert await world.connection.fetchval("select count(*) from files") == 9
    assert left is None


async def test_without_a_store_no_row_goes(world: World) -> None:
    """Without the rows nothing would tell any more whose the objects were."""
    assert await erased(world, objects=None) == NotErased(reason="not_declared")
    assert await world.connection.fetchval("select count(*) from files") == 9


async def test_under_a_hold_that_cannot_be_told_nothing_goes(world: World) -> None:
    """It may mean any row and object, so all stay until somebody has looked."""
    keep = (Keep(hold_id="h", scope=OfTables(tables=("nothing_of_that_name",))),)
    before = await world.keys()
    assert await erased(world, right=replace(expired(), keep=keep)) == NotErased(reason="held")
    assert await world.connection.fetchval("select count(*) from files") == 9
    assert await world.keys() == before


class Away(ObjectStore):
    """A store that goes away when the first object is to be deleted."""

    async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        raise ConnectionError("away")


async def test_keys_outlive_the_rows_until_the_objects_are_gone(world: World) -> None:
    """A store that is away when the rows are gone loses no key: the next try deletes the objects, and counts all."""
    right = replace(expired(), deletion_id="d-1")
    async with Away(read_settings().s3) as away:
        with pytest.raises(ConnectionError):
            await erased(world, objects=away, right=right)
    assert await world.connection.fetchval("select count(*) from files where customer_id = 'acme'") == 0
    outcome = await erased(world, right=right)
    again = await erased(world, right=right)

    assert isinstance(outcome, Erased)
    assert isinstance(again, Erased)
    assert not ACMES & await world.keys()
    assert rows(outcome.deleted) == rows(again.deleted) == {"customers": 1, "files": 6, "avatars": 2, "objects": 6}
    assert rows(outcome.shared) == rows(again.shared) == {"objects": 3}


async def test_a_row_that_comes_to_refer_meanwhile_keeps_its_object(world: World) -> None:
    """Between the rows and the objects others go on writing: who has a new row gets to keep what it names."""
    right = replace(expired(), deletion_id="d-1")
    async with Away(read_settings().s3) as away:
        with pytest.raises(ConnectionError):
            await erased(world, objects=away, right=right)
    await world.connection.execute("insert into files values (10, 'fjord', $1, 'f', 11)", hashed("only acme's"))
    outcome = await erased(world, right=right)

    assert isinstance(outcome, Erased)
    assert key("only acme's") in await world.keys()
    assert rows(outcome.shared) == {"objects": 4}


class Late(ObjectStore):
    """A store during whose deletion somebody begins to refer to what is deleted."""

    dsn = ""

    async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        connection = await asyncpg.connect(self.dsn)
        await connection.execute("insert into files values (11, 'fjord', $1, 'f', 11)", hashed("only acme's"))
        await connection.close()
        return await super().delete_versions(bucket, some)


async def test_a_row_that_comes_in_the_very_moment_is_told(world: World) -> None:
    """It can't be prevented from here, but nobody is told that all went well."""
    async with Late(read_settings().s3) as late:
        late.dsn = world.dsn
        with pytest.raises(RefusedError, match="began to refer"):
            await erase(replace(work(world), objects=late))


class Careless(ObjectStore):
    """A store whose deletion takes a neighbour's object as well."""

    async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        theirs = [one async for one in self.versions(bucket, key("only fjord's"))]
        return await super().delete_versions(bucket, [*some, *theirs])


class Deaf(ObjectStore):
    """A store that says that it deleted, and didn't."""

    async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        return ()


@pytest.mark.parametrize(("store", "says"), [(Careless, "not the customer's are gone"), (Deaf, "still there")])
async def test_what_went_wrong_in_the_store_is_told(world: World, store: type[ObjectStore], says: str) -> None:
    """Objects are read back, and the neighbours' compared."""
    async with store(read_settings().s3) as odd:
        with pytest.raises(RefusedError, match=says):
            await erase(replace(work(world), objects=odd))


class Busy(ObjectStore):
    """A store to which somebody adds what comes before all that is there."""

    async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        await self.put(bucket, "00/0", b"new")
        return await super().delete_versions(bucket, some)


async def test_what_neighbours_add_meanwhile_pushes_none_out_of_the_sample(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large bucket, which never stands still, what was there before is looked for."""
    monkeypatch.setattr("shared.holder.referred.COMPARED", 2)
    monkeypatch.setattr("shared.holder.referred.BATCH", 1)
    async with Busy(read_settings().s3) as busy:
        outcome = (await erase(replace(work(world), objects=busy))).outcome

    assert isinstance(outcome, Erased)
    assert outcome.sampled


@pytest.mark.parametrize("times", [1, 2])
async def test_a_hold_that_comes_before_the_objects_saves_them(world: World, times: int) -> None:
    """Their keys stay noted, for when it is released."""
    asked: list[bool] = []

    async def held_after_the_rows() -> bool:
        asked.append(True)
        # Asked before the rows' commit, before an upload is aborted, before objects go.
        return len(asked) > times

    outcome = await erased(world, right=replace(expired(), still_held=held_after_the_rows))

    assert isinstance(outcome, NotErased)
    assert outcome.reason == "held"
    assert rows(outcome.saved) == {"objects": 3}
    assert rows(outcome.deleted)["files"] == 6
    # The upload that was aborted is gone.
    assert rows(outcome.deleted).get("objects", 0) == times - 1
    assert await world.keys() >= ACMES
    assert isinstance(await erased(world), Erased)
    assert not ACMES & await world.keys()


async def test_who_comes_back_before_the_objects_went_keeps_them(world: World) -> None:
    """The guard is asked again for the objects."""
    async with Away(read_settings().s3) as away:
        with pytest.raises(ConnectionError):
            await erased(world, objects=away)
    await world.connection.execute("insert into customers values ('acme', 'active')")
    outcome = await erased(world)

    assert isinstance(outcome, NotErased)
    assert outcome.reason == "contract_active"
    assert await world.keys() >= ACMES


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("https://cdn.example/own/fjord/secret.png", "another customer's by its prefix"),
        ("https://cdn.example/faces/../own/fjord/x", "no object's key"),
        ("https://cdn.example/", "no object's key"),
        ("https://cdn.example/%ff", "no object's key"),
        ("https://elsewhere.example/x", "elsewhere"),
    ],
)
async def test_what_a_value_may_not_name_stops_it_before_the_first_row(world: World, value: str, says: str) -> None:
    """Values are somebody's input: another customer's object, or a path, is never taken for the customer's own."""
    await world.store.put(world.bucket, "own/fjord/secret.png", b"x")
    await world.connection.execute("update avatars set url = $1 where id = 1", value)
    before = await world.keys()

    with pytest.raises(RefusedError, match=says):
        await erase(work(world))
    assert await world.connection.fetchval("select count(*) from avatars") == 3
    # With a reason in the map such values are passed over.
    said = 'url: "https://cdn.example/"', 'url: "https://cdn.example/", missing: typed in, elsewhere: typed in'
    assert isinstance(await erased(world, map=world.mapped(*said)), Erased)
    assert await world.keys() == before - {key("only acme's"), key("acme's other")}


async def test_what_lies_under_the_own_prefix_is_the_buckets_holders(world: World) -> None:
    """It is deleted, and counted, once."""
    await world.store.put(world.bucket, "own/acme/a.png", b"x")
    await world.connection.execute("update avatars set url = 'https://cdn.example/own/acme/a.png' where id = 1")
    outcome = await erased(world)

    assert isinstance(outcome, Erased)
    assert rows(outcome.deleted)["objects"] == 5
    assert "own/acme/a.png" in await world.keys()


@pytest.fixture
async def locking(world: World) -> AsyncIterator[World]:
    """Make a bucket with object lock."""
    bucket = f"{world.bucket}-l"
    await world.store._client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    yield replace(world, bucket=bucket, map=replace(world, bucket=bucket).mapped("version: 1", "version: 1"))
    await world.store.delete_versions(bucket, [one async for one in world.store.versions(bucket, "")])


async def test_what_is_locked_stays_and_the_answer_says_until_when(locking: World) -> None:
    """All else goes, and the locked one's key is kept for when the lock has ended."""
    end = (system_clock() + timedelta(seconds=3)).replace(microsecond=0)
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": end}
    await locking.store._client.put_object(Bucket=locking.bucket, Key=key("only acme's"), Body=b"x", **lock)
    await locking.put("acme's other")
    outcome = await erased(locking)
    while system_clock() <= end:
        await asyncio.sleep(0.2)

    assert isinstance(outcome, NotErased)
    assert (outcome.reason, outcome.until) == ("failed", end)
    assert rows(outcome.saved) == {"objects": 1}
    assert await locking.keys() == {key("only acme's")}
    assert isinstance(await erased(locking), Erased)
    assert await locking.keys() == set()


async def test_it_ends_the_same_wherever_it_is_killed(world: World) -> None:
    """Killed at its first statement or request, the next at its fourth, and so on: the last one counts it all."""
    before = await world.keys()
    arguments = [sys.executable, "-m", "tests.holder.killed_referred", world.dsn, world.bucket]
    process = await asyncio.create_subprocess_exec(
        *arguments, cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    counted, killed = said.decode().split()

    assert process.returncode == 0
    assert int(killed) > 10
    # 6 files, 2 avatars, the customer; 5 versions and the upload.
    assert int(counted) == 15
    assert await world.keys() == before - ACMES


async def looked_at(world: World, *, deleted: bool) -> Objects:
    async with world.connection.transaction(isolation="repeatable_read", readonly=True):
        survey = ObjectSurvey(world.connection, world.map, "acme", world.store)
        [found] = await (survey.after() if deleted else survey.before())
    return found


async def test_who_checks_sees_the_same_before_and_nothing_after(world: World) -> None:
    """Before, what the deletion will count; after, nothing of the customer's, and the others' as they were."""
    before = await looked_at(world, deleted=False)
    await erased(world)
    after = await looked_at(world, deleted=True)

    assert before.own == 6
    # Of which one lies under a marker, one has two versions, and one is an upload; three are others', too.
    assert (before.objects, before.shared) == (2, 3)
    assert (after.objects, after.shared) == (0, 0)
    assert (after.own, after.others, after.fingerprint) == (0, before.others, before.fingerprint)


async def test_who_checks_finds_what_was_left_and_what_came_back(world: World) -> None:
    """The keys are forgotten, and still known; an object to which somebody's row refers by now is that row's."""
    await erased(world)
    await world.put("only acme's")
    left = await looked_at(world, deleted=True)
    await world.connection.execute("insert into files values (12, 'fjord', $1, 'f', 11)", hashed("only acme's"))
    theirs = await looked_at(world, deleted=True)

    assert (left.own, theirs.own) == (1, 0)
    assert theirs.others == left.others + 1


async def test_who_checks_finds_objects_whose_rows_are_gone(world: World) -> None:
    """A holder that forgot the objects has noted them at least."""
    async with Away(read_settings().s3) as away:
        with pytest.raises(ConnectionError):
            await erased(world, objects=away)

    assert (await looked_at(world, deleted=True)).own == 5


class Between(ObjectStore):
    """A store during whose listing, before anything is deleted, somebody writes a row."""

    dsn, write = "", ""

    async def versions_of(self, bucket: str, key: str) -> tuple[str, ...]:
        connection = await asyncpg.connect(self.dsn)
        await connection.execute(f"{self.write} on conflict do nothing")
        await connection.close()
        return await super().versions_of(bucket, key)


async def test_who_comes_back_right_before_an_object_goes_keeps_it(world: World) -> None:
    """The guard is asked in the transaction that ends with the object's being gone."""
    async with Between(read_settings().s3) as between:
        between.dsn, between.write = world.dsn, "insert into customers values ('acme', 'active')"
        outcome = await erased(world, objects=between)

    assert isinstance(outcome, NotErased)
    assert outcome.reason == "contract_active"
    assert await world.keys() >= ACMES


async def test_it_is_asked_again_right_before_an_object_goes(world: World) -> None:
    """What nobody referred to when the rows went may be somebody's by now."""
    async with Between(read_settings().s3) as between:
        named = hashed("only acme's")
        between.dsn, between.write = world.dsn, f"insert into files values (11, 'fjord', '{named}')"
        outcome = await erased(world, objects=between)

    assert isinstance(outcome, Erased)
    assert key("only acme's") in await world.keys()
    assert rows(outcome.shared) == {"objects": 4}


@pytest.mark.parametrize("pace", [Pace(), BATCHES])
async def test_what_a_trigger_deletes_is_noted_too(world: World, pace: Pace) -> None:
    """The row goes without a statement of ours."""
    await world.connection.execute("""
        create function gone() returns trigger language plpgsql as $$ begin
            delete from avatars where customer_id = old.customer_id;
            delete from files where customer_id = old.customer_id;
            return null;
        end $$;
        -- Of both, since which is emptied first is not for a test to know.
        create trigger gone after delete on files for each row execute function gone();
        create trigger gone after delete on avatars for each row execute function gone();
    """)
    outcome = await erased(world, pace=pace)

    assert isinstance(outcome, Erased)
    assert not ACMES & await world.keys()


SCHEMAS = """
version: 1
system: school
tenancy: {schema: "tenant_{customer}"}
tables:
  files: {category: course, media: {hash: {bucket: BUCKET, key: "{value[0:2]}/{value}"}}}
"""


async def test_other_customers_schemas_are_asked_too(world: World) -> None:
    """Where each has a schema, the neighbour's row is in another table of the same name."""
    await world.connection.execute("""
        create schema tenant_acme; create schema "tenant_acme-east";
        create table tenant_acme.files as select id, hash from files where customer_id = 'acme';
        create table "tenant_acme-east".files as select id, hash from files where customer_id = 'acme-east';
        drop table avatars, files, badges, customers;
    """)
    before = await world.keys()
    outcome = await erased(world, map=parse(SCHEMAS.replace("BUCKET", world.bucket).encode(), "map.yaml"))

    assert isinstance(outcome, Erased)
    assert rows(outcome.shared) == {"objects": 1}
    assert before - await world.keys() == {key(text) for _, whose, text in FILES if whose == "acme"} - {
        key("a neighbour's too")
    }


async def test_what_other_databases_may_refer_to_is_not_deleted_by_one(world: World) -> None:
    """By database nobody can ask the others, so the map has to say it, or nothing goes."""
    name = world.dsn.rpartition("/t_")[2]
    await world.connection.execute("drop table avatars, badges, customers cascade")
    text = SCHEMAS.replace("BUCKET", world.bucket).replace('schema: "tenant_', 'database: "t_')
    alone = text.replace("{bucket", "{alone: one customer only, bucket")
    asked = {"right": expired(), "now": system_clock(), "objects": world.store}
    refused = await erase_rows(world.connection, parse(text.encode(), "map.yaml"), name, **asked)
    kept = await world.keys()
    went = await erase_rows(world.connection, parse(alone.encode(), "map.yaml"), name, **asked)

    assert refused == NotErased(reason="not_declared")
    assert key("only acme's") in kept
    assert isinstance(went, Erased)
    assert key("only acme's") not in await world.keys()


async def test_the_command_deletes_them_too(world: World, tmp_path: Path) -> None:
    """``offramp erase`` takes the store of the environment, and says what stays as shared."""
    file = tmp_path / "map.yaml"
    file.write_text(MAP.replace("BUCKET", world.bucket))
    arguments = ["--map", str(file), "--dsn", world.dsn, "--customer", "acme", "--yes"]
    said = await asyncio.to_thread(CliRunner().invoke, erase_app, arguments)

    assert said.exit_code == 0, said.output
    assert f"3 of objects.{world.bucket} stay: others' rows refer to them too" in said.output
    assert not ACMES & await world.keys()


async def test_a_restored_database_is_erased_again_with_its_objects(world: World) -> None:
    """The rows are back, the ledger knows, and what they refer to goes again."""
    names = ("customers", "files", "avatars")
    saved = {name: await world.connection.fetch(f"select * from {name} where true") for name in names}
    right = replace(expired(), deletion_id="d-1")
    await erased(world, right=right)
    async with scratch_database(read_settings().postgres) as kept:
        ledger = await asyncpg.connect(kept)
        await record(ledger, Entry("school", "d-1", "acme", right.window_closed_at))
        await ledger.close()
        await world.connection.execute("drop schema offramp cascade; truncate customers, files, avatars")
        for name in names:
            await world.connection.copy_records_to_table(name, records=[tuple(row) for row in saved[name]])
        await world.put("only acme's")
        found = await replay(Place("school", world.map, world.dsn, kept, published=None))

    assert [one.refused for one in found] == [None]
    assert not ACMES & await world.keys()
