"""After a restore: what was erased is back, nothing is served from it, a replay erases it again."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.platform.generate import HERE
from deploy.platform.scratch import scratch_database
from shared.clock import system_clock
from shared.errors import OperatorError
from shared.events.platform import Erased, LegalHoldPlaced, OfTables
from shared.events.retention import Keep
from shared.holder import app as holder
from shared.holder import replay as replaying
from shared.holder import rows as rows_of_holder
from shared.holder.commands import app
from shared.holder.declaration import PostgresHolder
from shared.holder.erasures import NOTHING, Entry, RestoredError, entries, record
from shared.holder.perform import Eraser
from shared.performer import Attempt
from shared.postgres_tool import postgres_tool
from shared.settings import read_settings
from tests.holder.command_topics import Topics, command_topics
from tests.holder.platform_rows import LEAVING, STAYING, everything, others
from tests.holder.test_hold_topics import looked_at
from tests.holder.test_holder_perform import DAY, task
from tests.scenarios.phrases import contract

if TYPE_CHECKING:
    from typer.testing import Result

    from shared.holder.rows import Erasure
    from shared.holder.work import Work


def eraser(platform: str, own: str) -> Eraser:
    """Give the holder's performer, with *own* as its database and so as its ledger."""
    settings = replace(read_settings(), own_dsns=MappingProxyType({"platform": platform, "holder": own}))
    database = PostgresHolder("platform-database", DAY, "holder", HERE / "map.yaml", "platform")
    return Eraser("holder", {"platform-database": database}, settings, moved_clock=False)


async def erase(platform: str, own: str) -> None:
    ended = await eraser(platform, own)(task("platform-database"), Attempt(uuid4(), 1, system_clock))
    assert isinstance(ended.answer, Erased)


@pytest.fixture
async def restored(dsn: str, postgres: str, tmp_path: Path) -> AsyncIterator[str]:
    """Dump the platform, erase a customer in it, restore the dump into another database, and give its address."""
    dump = tmp_path / "platform.dump"
    _tool("pg_dump", "--format=custom", f"--file={dump}", dsn)
    await erase(dsn, postgres)
    async with scratch_database(read_settings().postgres) as restored:
        _tool("pg_restore", "--no-owner", f"--dbname={restored}", str(dump))
        yield restored


@pytest.fixture(autouse=True)
def declared(dsn: str, postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands find the holder's own database; which platform they find is each test's business."""
    monkeypatch.setenv("OFFRAMP_HOLDER_DSN", postgres)
    monkeypatch.setenv("OFFRAMP_PLATFORM_DSN", dsn)


def _tool(name: str, *arguments: str) -> None:
    subprocess.run([str(postgres_tool(name)), *arguments], check=True, capture_output=True)


async def replay(*arguments: str) -> Result:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["replay", *arguments])
    if isinstance(result.exception, OperatorError):
        raise result.exception
    return result


async def rows(database: str) -> tuple[object, object]:
    connection = await asyncpg.connect(database)
    try:
        return await everything(connection), await others(connection)
    finally:
        await connection.close()


async def test_the_drill(topics: Topics, restored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dump, delete, restore, start: refused; replay; clean; and then it starts."""
    monkeypatch.setenv("OFFRAMP_PLATFORM_DSN", restored)
    back, without = await rows(restored)
    with pytest.raises(RestoredError, match="1 deletions are not in it"):
        await asyncio.to_thread(holder.refuse_if_restored)
    dry = await replay("--dry-run", "--json")
    still_back = await rows(restored)
    result = await replay("--json")
    everything_now, others_now = await rows(restored)
    await asyncio.to_thread(holder.refuse_if_restored)

    assert back != without
    assert still_back == (back, without)
    assert [(one["customer"], one["refused"]) for one in json.loads(result.output)] == [(LEAVING, None)]
    assert json.loads(dry.output) == json.loads(result.output)
    assert result.exit_code == 0
    assert everything_now == others_now == without


async def test_what_was_kept_stays_in_a_replay(
    topics: Topics, dsn: str, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger remembers what a hold kept: a replay deletes no kept row early, and the rest with its own entry."""
    dump = tmp_path / "platform.dump"
    _tool("pg_dump", "--format=custom", f"--file={dump}", dsn)
    keep = (Keep(hold_id="h", scope=OfTables(tables=("reports",))),)
    in_part = task("platform-database").model_copy(update={"keep": keep})
    await eraser(dsn, postgres)(in_part, Attempt(uuid4(), 1, system_clock))
    async with (
        scratch_database(read_settings().postgres) as restored,
        scratch_database(read_settings().postgres) as later,
    ):
        _tool("pg_restore", "--no-owner", f"--dbname={restored}", str(dump))
        monkeypatch.setenv("OFFRAMP_PLATFORM_DSN", restored)
        with pytest.raises(RestoredError):
            await asyncio.to_thread(holder.refuse_if_restored)
        first = await replay("--json")
        replayed, original = await rows(restored), await rows(dsn)
        await erase(dsn, postgres)
        _tool("pg_restore", "--no-owner", f"--dbname={later}", str(dump))
        monkeypatch.setenv("OFFRAMP_PLATFORM_DSN", later)
        second = await replay("--json")
        gone = await rows(later)

    assert first.exit_code == second.exit_code == 0
    assert replayed == original
    assert replayed[0]["reports"] != replayed[1]["reports"]  # type: ignore[index]
    assert [bool(one["rows"]) for one in json.loads(second.output)] == [True, True]
    assert gone[0] == gone[1]


async def test_a_ledger_of_before_is_read(dsn: str, postgres: str) -> None:
    """One in which nobody has written since rows could be kept has kept none."""
    await erase(dsn, postgres)
    ledger = await asyncpg.connect(postgres)
    await ledger.execute("alter table erasures drop column spared")
    read = await entries(ledger, "platform-database")
    await record(ledger, replace(read[0], deletion_id="another"))
    again = await entries(ledger, "platform-database")
    await ledger.close()

    assert [one.spared for one in (*read, *again)] == [NOTHING] * 3


async def test_a_holder_that_runs_serves_a_restored_database_no_more(restored: str, postgres: str) -> None:
    """The next deletion that it is ordered finds it out, whoever's it is."""
    with pytest.raises(RestoredError):
        await eraser(restored, postgres)(
            task("platform-database").model_copy(update={"customer_id": STAYING[0]}), Attempt(uuid4(), 1, system_clock)
        )


async def test_where_nothing_was_restored_a_holder_starts(dsn: str, postgres: str) -> None:
    """Before the first erasure, and after one."""
    await asyncio.to_thread(holder.refuse_if_restored)
    await erase(dsn, postgres)
    await asyncio.to_thread(holder.refuse_if_restored)

    assert "0 deletions were missing" in (await replay()).output


async def test_a_dump_from_the_middle_of_a_deletion_is_older_too(dsn: str, postgres: str) -> None:
    """What was begun in the dump and finished after it is not finished in it."""
    await erase(dsn, postgres)
    connection = await asyncpg.connect(dsn)
    await connection.execute("update offramp.deletions set finished_at = null")
    await connection.close()

    with pytest.raises(RestoredError):
        await asyncio.to_thread(holder.refuse_if_restored)


async def test_a_customer_that_has_come_back_is_told_and_left_only_by_name(
    topics: Topics, restored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard objects, so an operator decides; what is decided is kept."""
    monkeypatch.setenv("OFFRAMP_PLATFORM_DSN", restored)
    connection = await asyncpg.connect(restored)
    await connection.execute("update customers set status = 'active' where id = $1", LEAVING)
    await connection.close()
    refused = await replay()
    with pytest.raises(RestoredError):
        await asyncio.to_thread(holder.refuse_if_restored)
    left = await replay("--leave", LEAVING)
    await asyncio.to_thread(holder.refuse_if_restored)

    assert refused.exit_code == 1
    assert "contract_active" in refused.output
    assert left.exit_code == 0
    assert (await rows(restored))[0] != (await rows(restored))[1]


async def test_on_a_plain_database_the_ledger_is_another_one(dsn: str, postgres: str) -> None:
    """Without Kafka or a holder: ``erase --ledger`` writes it, ``erase replay --ledger`` reads it."""
    plain = ["--map", str(HERE / "map.yaml"), "--dsn", dsn, "--ledger", postgres]
    erased = await asyncio.to_thread(CliRunner().invoke, app, [*plain, "--customer", LEAVING, "--yes"])
    connection = await asyncpg.connect(dsn)
    await connection.execute("drop schema offramp cascade")
    await connection.execute(
        "insert into customers (id, name, time_zone, created_at, status) values ('acme', '', 'UTC', now(), 'ended')"
    )
    await connection.close()
    result = await replay(*plain, "--json")

    assert erased.exit_code == 0
    assert [one["rows"] for one in json.loads(result.output)] == [1]
    assert await rows(dsn) == ((await rows(dsn))[1],) * 2


async def test_a_plain_deletion_does_not_hide_that_one_before_it_is_missing(restored: str, postgres: str) -> None:
    """The newest entry tells whether a database was restored, so none is made in one that was."""
    plain = [
        "--map",
        str(HERE / "map.yaml"),
        "--dsn",
        restored,
        "--ledger",
        postgres,
        "--customer",
        STAYING[0],
        "--yes",
    ]
    connection = await asyncpg.connect(postgres)
    await connection.execute("update erasures set holder = 'platform'")
    await connection.close()
    before = await rows(restored)
    result = await asyncio.to_thread(CliRunner().invoke, app, [*plain, "--customer", STAYING[0]])

    assert isinstance(result.exception, RestoredError)
    assert await rows(restored) == before


async def test_a_ledger_that_is_not_there_is_no_empty_one(dsn: str) -> None:
    """Whoever names the wrong database is not told that nothing came back."""
    with pytest.raises(OperatorError, match="no erasure ledger"):
        await replay("--map", str(HERE / "map.yaml"), "--dsn", dsn, "--ledger", dsn)


async def test_a_contract_that_was_published_stops_a_replay(
    restored: str, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system's own guard doesn't know counts as well: the rows may be those of the new contract."""
    monkeypatch.setenv("OFFRAMP_PLATFORM_DSN", restored)
    before = await rows(restored)
    await topics.tell(contract(LEAVING))
    result = await replay("--json")
    untouched = await rows(restored) == before
    left = await replay("--leave", LEAVING)

    assert result.exit_code == 1
    assert [one["refused"].split(":")[0] for one in json.loads(result.output)] == ["contract_active"]
    assert untouched
    assert left.exit_code == 0


async def test_a_database_is_not_served_while_one_of_many_is_refused(
    topics: Topics, restored: str, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The customer who was erased last goes all the same, and it is served when somebody has decided of the other."""
    monkeypatch.setenv("OFFRAMP_PLATFORM_DSN", restored)
    connection = await asyncpg.connect(postgres)
    await record(connection, Entry("platform-database", "newest", STAYING[0], system_clock() - timedelta(days=1)))
    await connection.close()
    database = await asyncpg.connect(restored)
    await database.execute("update customers set status = 'active' where id = $1", LEAVING)
    await database.execute("update customers set status = 'ended' where id = $1", STAYING[0])
    refused = await replay()
    there = await database.fetchval("select count(*) from users where customer_id = $1", STAYING[0])
    with pytest.raises(RestoredError):
        await asyncio.to_thread(holder.refuse_if_restored)
    left = await replay("--leave", LEAVING)
    await asyncio.to_thread(holder.refuse_if_restored)
    await database.close()

    assert (refused.exit_code, left.exit_code) == (1, 0)
    assert there == 0


@pytest.fixture
async def topics(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Topics]:
    """Make topics of which nobody reads anything, and let commands find them."""
    async with command_topics() as found:
        monkeypatch.setenv("OFFRAMP_TOPIC_PREFIX", found.prefix)
        yield found


def hold() -> LegalHoldPlaced:
    placed_at = system_clock() - timedelta(minutes=1)
    return LegalHoldPlaced(customer_id=LEAVING, hold_id="h", basis="BFL 7:2", placed_by="s:1", placed_at=placed_at)


async def test_a_hold_that_was_published_stops_a_replay(
    restored: str, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may have run to read it: a restore is when services stand still."""
    monkeypatch.setenv("OFFRAMP_PLATFORM_DSN", restored)
    before = await rows(restored)
    await topics.tell(hold())
    result = await replay("--json")

    assert result.exit_code == 1
    assert [one["refused"].split(":")[0] for one in json.loads(result.output)] == ["held"]
    assert await rows(restored) == before


async def test_a_hold_that_is_published_during_a_replay_stops_it(
    restored: str, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked once more right before anything is for good."""
    monkeypatch.setenv("OFFRAMP_PLATFORM_DSN", restored)
    before = await rows(restored)

    async def meanwhile(work: Work) -> Erasure:
        await topics.tell(hold())
        return await rows_of_holder.erase(work)

    monkeypatch.setattr(replaying, "erase", meanwhile)
    [place] = [replace(one, published=looked_at(topics)) for one in replaying.declared()]
    [again] = await replaying.replay(place)

    assert (again.refused or "").startswith("held")
    assert await rows(restored) == before


async def test_without_kafka_nothing_is_erased_again(restored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can tell what is held, and the operator is told so; where nothing came back nobody needs to."""
    before = await rows(restored)
    monkeypatch.setenv("OFFRAMP_KAFKA", "127.0.0.1:1")
    nothing_back = await replay()
    monkeypatch.setenv("OFFRAMP_PLATFORM_DSN", restored)
    with pytest.raises(OperatorError, match="Kafka does not tell which holds were published"):
        await replay()

    assert nothing_back.exit_code == 0
    assert await rows(restored) == before
