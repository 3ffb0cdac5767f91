"""A real database that nobody had seen: drafted, checked with the map that was made of the draft, and exported."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import zipfile
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha1
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
import yaml
from typer.testing import CliRunner

from services.exporter.archive.build import Order, Sources, build
from services.exporter.archive.kept import KeptFile
from services.exporter.archive.proof import prove
from services.exporter.archive.sink import FileSink
from services.exporter.commands import app as export_app
from shared.clock import system_clock
from shared.datamap.commands import app
from shared.datamap.live import check
from shared.datamap.model import load, load_draft, parse
from shared.datamap.names import relation
from shared.datamap.ownership import about, goes_with, owned_by
from shared.datamap.unowned import unowned
from shared.events.platform import Erased
from shared.holder.referred_survey import ObjectSurvey
from shared.holder.right import Right
from shared.holder.rows import erase, erase_rows
from shared.holder.work import Work
from shared.objects import ObjectStore
from shared.settings import read_settings
from tests.datamap.moodle import MAP, content_store, moodle_database, needs_moodle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from shared.datamap.model import DataMap

    Database = asyncpg.Connection[asyncpg.Record]

pytestmark = needs_moodle


@pytest.fixture(scope="module")
def moodle() -> Iterator[str]:
    """Restore Moodle once for all tests here, which only read it."""
    with asyncio.Runner() as runner:
        scratch = moodle_database()
        yield runner.run(scratch.__aenter__())
        runner.run(scratch.__aexit__(None, None, None))


@pytest.fixture
async def database(moodle: str) -> AsyncIterator[Database]:
    """Connect to it."""
    connection = await asyncpg.connect(moodle)
    yield connection
    await connection.close()


def named_as(moodle: str, bucket: str = "moodle-files") -> DataMap:
    """Give Moodle's map for a database with the name of this one, whose customer is the rest of it."""
    text = MAP.read_text().replace('"moodle_{customer}"', '"t_{customer}"').replace("moodle-files", bucket)
    return parse(text.encode(), "moodle.yaml")


def customer_of(moodle: str) -> str:
    """Give the customer that a database of this name is of."""
    return moodle.rsplit("/t_", 1)[1]


async def test_a_draft_finds_what_is_about_a_person(moodle: str, tmp_path: Path) -> None:
    """Without a foreign key the tables that carry a user's id are found; all that can't be told stop the check."""
    file = tmp_path / "draft.yaml"
    drafting = ["draft", "--dsn", moodle, "--tenancy", "database", "--user-table", "mdl_user", "--out", str(file)]
    drafted = await asyncio.to_thread(CliRunner().invoke, app, drafting)
    checked = await asyncio.to_thread(CliRunner().invoke, app, ["check", "--map", str(file), "--dsn", moodle])
    found = load_draft(file)
    people = {table.name for table in found.tables if table.person}

    assert (drafted.exit_code, checked.exit_code) == (0, 1)
    assert len(found.tables) + len(found.undecided) == 494
    assert 0 < len(found.undecided) < 40
    assert all(f"undecided at {name}: " in checked.output for name in found.undecided)
    assert {"mdl_quiz_attempts", "mdl_forum_posts", "mdl_grade_grades", "mdl_logstore_standard_log"} <= people
    assert {"mdl_feedback_value", "mdl_scorm_scoes_value", "mdl_question_attempt_step_data"} <= people
    assert not {"mdl_quiz", "mdl_course", "mdl_forum"} & people
    assert {"password", "secret"} <= set(found.table("mdl_user").left_out)
    assert "value" in found.table("mdl_config_plugins").left_out


async def test_the_map_that_was_made_of_it_fits(database: Database) -> None:
    """All 494 tables and every column are declared, and no finding is left, not even a warning."""
    data_map = load(MAP)

    assert len(data_map.tables) + len(data_map.exempt) == 494
    assert await check(database, data_map) == ()


async def test_what_it_calls_about_a_person_is(database: Database) -> None:
    """Each attempt at a question is about exactly one user, though three tables lie between the two."""
    data_map = load(MAP)
    attempts = data_map.table("mdl_question_attempts")
    query = f"select count(*) from {relation(attempts.name)} as t where {about(data_map, attempts)}"
    found = [
        await database.fetchval(query, str(user["id"])) for user in await database.fetch("select id from mdl_user")
    ]

    assert sum(found) == await database.fetchval("select count(*) from mdl_question_attempts") > 1_000


async def test_a_customers_rows_are_exported(moodle: str, tmp_path: Path) -> None:
    """The archive has every row of every declared table, the meaning of codes beside them, and no secret."""
    file = tmp_path / "moodle.yaml"
    whole = MAP.read_text().replace('"moodle_{customer}"', '"t_{customer}"')
    # What the files' table refers to is handed over by other means here.
    file.write_text(re.sub(r"(?m)^ *media: \{contenthash.*\n", "", whole))
    arguments = [
        "--map",
        str(file),
        "--dsn",
        moodle,
        "--customer",
        customer_of(moodle),
        "--to",
        str(tmp_path),
        "--json",
    ]
    result = await asyncio.to_thread(CliRunner().invoke, export_app, arguments)
    report = json.loads(result.stdout)
    connection = await asyncpg.connect(moodle)
    rows = {name: await connection.fetchval(f"select count(*) from {relation(name)}") for name in report["tables"]}
    await connection.close()
    (archive,) = tmp_path.glob("*.zip")
    answers = _read(archive, "csv/course/mdl_feedback_value.csv")
    completed = _read(archive, "csv/course/mdl_feedback_completed.csv")

    assert report["tables"] == rows
    assert sum(rows.values()) > 40_000
    assert {row["value_meaning"] for row in answers} >= {"Poor", "OK", "Good", "Excellent"}
    assert all(bool(row["userid_meaning"]) == (row["anonymous_response"] == "2") for row in completed)
    assert not {"password", "secret"} & set(_read(archive, "csv/user/mdl_user.csv")[0])
    assert b"PRIVATE KEY-----" not in b"".join(_bytes(archive))


@asynccontextmanager
async def filedir(customer: str) -> AsyncIterator[tuple[ObjectStore, str]]:
    """Put Moodle's content store into a bucket, beside another customer's."""
    bucket = f"t-{uuid4().hex[:12]}"
    async with ObjectStore(read_settings().s3) as store:
        await store.ensure_bucket(bucket)
        for name, body in content_store():
            await store.put(bucket, f"{customer}/{name}", body)
        await store.put(bucket, "another/filedir/da/39/da39a3ee5e6b4b0d3255bfef95601890afd80709", b"")
        yield store, bucket
        await store.delete_all_versions(bucket, f"{customer}/")
        await store.delete_all_versions(bucket, "another/")
        await store.remove_bucket(bucket)


async def test_its_files_are_exported_as_its_rows_name_them(database: Database, moodle: str, tmp_path: Path) -> None:
    """Of 909 rows each finds in the archive the file of its own digest, under a readable name."""
    async with filedir(customer_of(moodle)) as (store, bucket):
        order = Order(customer_of(moodle), "e-1", named_as(moodle, bucket), system_clock())
        report = await build(Sources(partial(_connected, moodle), store), order, FileSink(tmp_path / "a.zip"))
        await prove(report, KeptFile(tmp_path / "a.zip"), None)
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        links = list(csv.DictReader(io.StringIO(opened.read("e-1/data/media_references.csv").decode())))
        read = {one["path"]: sha1(opened.read(f"e-1/data/{one['path']}")).hexdigest() for one in links}  # noqa: S324
    named = {json.loads(one["row"])["id"]: read[one["path"]] for one in links}

    assert report.media_objects == len(read) == 344
    assert named == {row["id"]: row["contenthash"] for row in await database.fetch("select * from mdl_files")}
    assert {"bigfile0.dat", "questions.js"} <= {one["path"].rpartition("/")[2] for one in links}


async def test_it_goes_whole_with_its_files() -> None:
    """Nothing is left of 494 tables and 344 files; what no row knew stays, for its owner to find."""
    async with moodle_database() as dsn, filedir(customer_of(dsn)) as (store, bucket):
        connection = await asyncpg.connect(dsn)
        data_map, customer, right = named_as(dsn, bucket), customer_of(dsn), Right(system_clock())
        dry = await erase(Work(connection, data_map, customer, right, system_clock, dry_run=True, objects=store))
        outcome = await erase_rows(connection, data_map, customer, right=right, now=system_clock(), objects=store)
        rows = await connection.fetchval("select count(*) from mdl_files")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            [seen] = await ObjectSurvey(connection, data_map, customer, store).after()
        await connection.close()

    assert isinstance(outcome, Erased)
    assert outcome.deleted == dry.outcome.deleted
    deleted = {one.table: one.rows for one in outcome.deleted}
    assert (deleted["mdl_files"], deleted[f"objects.{bucket}"]) == (909, 344)
    # Another customer's, and one of the customer's own to which no row refers any more.
    assert (rows, seen.own, seen.others) == (0, 0, 2)


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Database]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


def _read(archive: Path, name: str) -> list[dict[str, str]]:
    with zipfile.ZipFile(archive) as whole:
        (path,) = [one for one in whole.namelist() if one.endswith(name)]
        return list(csv.DictReader(io.StringIO(whole.read(path).decode())))


def _bytes(archive: Path) -> list[bytes]:
    with zipfile.ZipFile(archive) as whole:
        return [whole.read(name) for name in whole.namelist()]


async def test_another_customer_has_nothing_in_it(database: Database, moodle: str) -> None:
    """A database that isn't called after the customer holds nothing of it, neither to export nor to delete."""
    data_map = named_as(moodle)
    for table in data_map.tables[:20]:
        for which in (owned_by(data_map, table), goes_with(data_map, table)):
            query = f"select count(*) from {relation(table.name)} as t where {which}"
            assert await database.fetchval(query, "acme") == 0


async def test_by_rows_each_user_is_a_customer(database: Database) -> None:
    """The same ways serve where each user is the customer; rows that no user owns are found, not guessed."""
    data_map = parse(_by_rows().encode(), "moodle-by-rows.yaml")
    found = [one.place async for one in unowned(database, data_map)]
    users = [row["id"] for row in await database.fetch("select id from mdl_user")]
    posts = data_map.table("mdl_forum_posts")
    query = f"select count(*) from mdl_forum_posts as t where {owned_by(data_map, posts)}"
    counts = [await database.fetchval(query, str(user)) for user in users]

    assert [one for one in await check(database, data_map) if one.stops] == []
    assert sum(counts) == await database.fetchval("select count(*) from mdl_forum_posts")
    assert set(found) == WITHOUT_A_USER


# Tables with rows of the system itself, whose user is 0, or of a course and of no user.
WITHOUT_A_USER = {
    "mdl_config_log",
    "mdl_context",
    "mdl_context.contextlevel",
    "mdl_files",
    "mdl_logstore_standard_log",
    "mdl_my_pages",
    "mdl_repository_instances",
    "mdl_task_adhoc",
    "mdl_task_log",
    "mdl_upgrade_log",
}


def _by_rows() -> str:
    document = yaml.safe_load(MAP.read_text())
    document |= {"tenancy": "rows", "customers": "mdl_user.id"}
    for name, table in document["tables"].items():
        if "person" in table:
            table["owner"] = table.pop("person")
        elif "exempt" not in table:
            document["tables"][name] = {"shared": "all users of a course have it in common"}
    return yaml.safe_dump(document, sort_keys=False)
