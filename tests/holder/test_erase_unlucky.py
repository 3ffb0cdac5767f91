"""Schemas that stand in a deletion's way: it goes right, or nobody else is touched and it is said what to look at."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.platform.scratch import scratch_database
from shared.clock import system_clock
from shared.datamap.model import parse
from shared.errors import OperatorError
from shared.events.platform import Erased, OfTables
from shared.events.retention import Keep
from shared.holder.commands import app
from shared.holder.pace import Pace
from shared.holder.right import RefusedError
from shared.holder.rows import erase
from shared.holder.work import Work
from shared.settings import read_settings
from tests.holder.platform_rows import expired

if TYPE_CHECKING:
    from tests.holder.platform_rows import Database

PACES = {"whole": Pace(), "in batches": Pace(whole_up_to=0, batch_rows=3, share=1)}
SCHEMA = """
    create table customers (id text primary key);
    create table users (id int primary key, customer text not null references customers, email text);
    create index on users (customer);
    insert into customers values ('acme'), ('beta');
    insert into users select n, case n % 2 when 0 then 'acme' else 'beta' end, 'u' || n from generate_series(1, 20) n;
"""
MAP = """
version: 1
system: unlucky
tenancy: rows
tables:
  customers: {category: user, owner: {column: id}}
  users: {category: user, owner: {column: customer}}
"""
NOTES = "  notes: {category: user, owner: {column: customer}}\n"


@pytest.fixture
async def dsn() -> AsyncIterator[str]:
    """Give the address of a database with two customers."""
    async with scratch_database(read_settings().postgres) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute(SCHEMA)
        await connection.close()
        yield dsn


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """Connect to it."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def acme_goes(database: Database, pace: str, more: str = "") -> Erased:
    """Erase the customer acme by the map and *more* of it."""
    right, now = expired(), system_clock()
    work = Work(database, parse(f"{MAP}{more}".encode(), "map.yaml"), "acme", right, lambda: now, pace=PACES[pace])
    answer = (await erase(work)).outcome
    assert isinstance(answer, Erased)
    return answer


async def trigger(database: Database, body: str, when: str = "after delete on users") -> None:
    """Let *body* run for each row."""
    await database.execute(f"""
        create function f() returns trigger language plpgsql as $$ begin {body} end $$;
        create trigger watched {when} for each row execute function f();
    """)


async def users(database: Database) -> dict[str, int]:
    return {row[0]: row[1] for row in await database.fetch("select customer, count(*) from users group by 1")}


BOTH, BETAS = {"acme": 10, "beta": 10}, {"beta": 10}
BETAS_NOTES = """
    create table notes (id int primary key, customer text, about int references users {});
    create index on notes (customer);
    create index on notes (about);
    insert into notes values (1, 'beta', 2), (2, 'beta', 4);
"""
UNWATCHED = {
    "not enforced": "not enforced",
    "its triggers are off": "",
    "a cascade": "on delete cascade",
    "a null": "on delete set null",
    "a default": "on delete set default",
}


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("how", UNWATCHED)
async def test_whatever_becomes_of_who_refers_to_a_row_it_is_named(database: Database, how: str, pace: str) -> None:
    """Nobody else's row is left leading nowhere, whether or not the database would see to that."""
    if how == "not enforced" and await database.fetchval("show server_version_num") < "180000":
        pytest.skip("from PostgreSQL 18 on")
    await database.execute(BETAS_NOTES.format(UNWATCHED[how]))
    if "off" in how:
        await database.execute("alter table users disable trigger all")
    with pytest.raises(RefusedError, match=r"2 rows of notes refer by about to users \(notes_about_fkey\)"):
        await acme_goes(database, pace, NOTES)

    assert await users(database) == BOTH
    assert await database.fetchval("select count(*) from notes n join users u on u.id = n.about") == 2


async def test_nor_is_anybodys_row_left_leading_nowhere_under_a_hold(database: Database) -> None:
    """What isn't held goes as it does without one, so it is looked at as well."""
    await database.execute(BETAS_NOTES.format(""))
    await database.execute("insert into notes values (3, 'acme', null); alter table users disable trigger all")
    held = Keep(hold_id="hold-1", scope=OfTables(tables=("notes",)))
    right = replace(expired(), keep=(held,))
    work = Work(database, parse(f"{MAP}{NOTES}".encode(), "map.yaml"), "acme", right, system_clock)
    with pytest.raises(RefusedError, match="2 rows of notes refer by about to users"):
        await erase(work)

    assert await users(database) == BOTH


@pytest.mark.parametrize("pace", PACES)
async def test_a_key_that_is_not_watched_is_no_obstacle_by_itself(database: Database, pace: str) -> None:
    """Only rows that somebody would miss are."""
    await database.execute(BETAS_NOTES.format(""))
    await database.execute("update notes set about = 1; alter table users disable trigger all")
    await acme_goes(database, pace, NOTES)

    assert await users(database) == BETAS


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("body", ["delete from rates where n = old.id", "update rates set n = 0 where n = old.id"])
async def test_what_all_customers_share_is_touched_by_no_deletion(database: Database, body: str, pace: str) -> None:
    """A trigger that changes such rows stops it; one that only adds some, or writes what is exempt, doesn't."""
    await database.execute("create table rates (n int); insert into rates values (2), (18)")
    await trigger(database, f"{body}; return old;")
    with pytest.raises(RefusedError, match=r"share were changed: rates .*these triggers write: users\.watched"):
        await acme_goes(database, pace, "  rates: {shared: all use it}\n")
    before = await database.fetchval("select array_agg(n order by n) from rates")
    stood = await users(database)
    await acme_goes(database, pace, "  rates: {exempt: a counter}\n")

    assert before == [2, 18]
    assert stood == BOTH
    assert await users(database) == BETAS


@pytest.mark.parametrize("pace", PACES)
async def test_what_is_only_added_to_shared_rows_is_no_damage(database: Database, pace: str) -> None:
    """It may be a tombstone; whether it names the customer is looked for afterwards."""
    await database.execute("create table rates (n int)")
    await trigger(database, "insert into rates values (old.id); return old;")
    await acme_goes(database, pace, "  rates: {shared: all use it}\n")

    assert await users(database) == BETAS


@pytest.mark.parametrize("pace", PACES)
async def test_tables_may_be_called_anything(database: Database, pace: str) -> None:
    """With a dot or a quote in a name, who refers to whom is known all the same."""
    await database.execute("""
        create schema "s.x";
        create table "s.x"."a""b" (id int primary key, customer text);
        create table "c.d" (id int primary key, customer text, a int not null references "s.x"."a""b");
        create index on "s.x"."a""b" (customer);
        create index on "c.d" (customer);
        create index on "c.d" (a);
        insert into "s.x"."a""b" select id, customer from users;
        insert into "c.d" select id, customer, id from users;
    """)
    odd = ['"s.x"."a""b"', '"c.d"']
    answer = await acme_goes(
        database, pace, "".join(f"  '{name}': {{category: user, owner: {{column: customer}}}}\n" for name in odd)
    )

    assert [await database.fetchval(f"select count(*) from {name}") for name in odd] == [10, 10]
    # Its batches could be accounted for: the counters' names are the map's.
    assert answer.accounted == (0 if pace == "whole" else 13)


@pytest.mark.parametrize("pace", PACES)
async def test_rows_that_a_trigger_holds_back_are_counted_and_it_is_named(database: Database, pace: str) -> None:
    """Nothing says that none was deleted where batches went before."""
    await database.execute("alter table users drop constraint users_customer_fkey")
    await trigger(database, "if old.id = 8 then return null; end if; return old;", "before delete on users")
    with pytest.raises(RefusedError, match=r"users \(1 were left or written\).*triggers write: users\.watched") as told:
        await acme_goes(database, pace)

    assert "nothing was deleted" not in str(told.value)
    assert sum(one.rows for one in told.value.deleted) == (0 if pace == "whole" else 10)


async def test_what_a_trigger_raises_is_told_with_its_place_and_what_went(
    dsn: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who reads it at night has to know whether anything is gone."""
    monkeypatch.setattr("shared.holder.commands.Pace", lambda **_: PACES["in batches"])
    (tmp_path / "map.yaml").write_text(MAP)
    await trigger(database, "if old.id = 8 then raise 'not this one'; end if; return old;", "before delete on users")
    command = ["--map", str(tmp_path / "map.yaml"), "--dsn", dsn, "--customer", "acme", "--yes"]
    result = await asyncio.to_thread(CliRunner().invoke, app, command)

    assert isinstance(result.exception, OperatorError)
    assert str(result.exception).startswith(
        "3 rows are deleted for good, and no more: the database stopped it: not this"
    )
    assert "function f() line 1" in str(result.exception)
    assert await users(database) == {"acme": 7, "beta": 10}


async def test_whoever_stops_it_is_told_what_went(dsn: str, database: Database, tmp_path: Path) -> None:
    """Ctrl-C ends it with 130, and with a sentence."""
    (tmp_path / "map.yaml").write_text(MAP)
    await trigger(database, "perform pg_sleep(60); return old;", "before delete on users")
    command = ["erase", "--map", str(tmp_path / "map.yaml"), "--dsn", dsn, "--customer", "acme", "--yes"]
    offramp = Path(sys.executable).with_name("offramp")
    running = await asyncio.create_subprocess_exec(str(offramp), *command, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(30):
        while not await database.fetchval(SLEEPS):
            await asyncio.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = await running.communicate()

    assert running.returncode == 130
    assert "stopped: at least 0 rows are deleted for good; run again" in said.decode()
    assert await users(database) == BOTH


SLEEPS = "select exists (select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database())"
