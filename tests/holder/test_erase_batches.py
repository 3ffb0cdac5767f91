"""A large customer's rows go in batches: each for good, and what stops them is said with the counts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
import pytest

from shared.clock import system_clock
from shared.events.platform import Erased, NotErased
from shared.holder.pace import Pace
from shared.holder.rows import erase_rows, total
from tests.holder.platform_rows import LEAVING, PLATFORM, everything, expired, others

if TYPE_CHECKING:
    from shared.events.vocabulary import TableCount
    from shared.holder.right import Right
    from tests.holder.platform_rows import Database

BATCHES = Pace(whole_up_to=0, batch_rows=10)


async def erased(
    database: Database, right: Right | None = None, progress: Callable[[TableCount], None] = lambda _: None
) -> Erased | NotErased:
    right = right or replace(expired(), deletion_id="d-1")
    return await erase_rows(
        database, PLATFORM, LEAVING, right=right, now=system_clock(), progress=progress, pace=BATCHES
    )


async def rows_of(database: Database) -> int:
    everybody, kept = await everything(database), await others(database)
    return sum(len(rows) for rows in everybody.values()) - sum(len(rows) for rows in kept.values())


@pytest.fixture
async def second(dsn: str) -> AsyncIterator[Database]:
    """Connect once more."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def test_in_batches_the_same_rows_go_as_at_once(database: Database) -> None:
    """Nothing of the customer is left, everybody else's rows are as they were, and each batch was accounted for."""
    rows, kept = await rows_of(database), await others(database)
    told: list[TableCount] = []

    outcome = await erased(database, progress=told.append)

    assert isinstance(outcome, Erased)
    assert await everything(database) == kept
    assert total(outcome.deleted) == total(told) == rows
    assert max(one.rows for one in told) <= BATCHES.batch_rows
    assert outcome.accounted >= rows // BATCHES.batch_rows


async def test_a_hold_that_comes_half_way_saves_what_is_left(database: Database) -> None:
    """The answer says what it came too late for and what it saved; after its release the rest goes."""
    rows = await rows_of(database)
    asked: list[bool] = []

    async def held_by_the_fourth_batch() -> bool:
        asked.append(True)
        return len(asked) > 3

    right = replace(expired(), deletion_id="d-1", still_held=held_by_the_fourth_batch)
    held = await erased(database, right)
    saved = await rows_of(database)
    after = await erased(database)

    assert isinstance(held, NotErased)
    assert held.reason == "held"
    assert 0 < total(held.deleted) <= 3 * BATCHES.batch_rows
    assert (total(held.deleted) + total(held.saved), total(held.saved)) == (rows, saved)
    assert isinstance(after, Erased)
    assert total(after.deleted) == rows


async def test_what_an_earlier_try_deleted_is_told(database: Database) -> None:
    """A try that was cut off and one that a hold stops before it begins are one answer: what went is not forgotten."""
    asked: list[bool] = []

    async def cut_off() -> bool:
        asked.append(True)
        if len(asked) > 3:
            raise ConnectionError
        return False

    with pytest.raises(ConnectionError):
        await erased(database, replace(expired(), deletion_id="d-1", still_held=cut_off))
    left = await rows_of(database)
    held = await erased(database, replace(expired(), deletion_id="d-1", held=True))

    assert isinstance(held, NotErased)
    assert held.reason == "held"
    assert total(held.deleted) > 0
    assert total(held.saved) == left


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            "create table later (id bigint references users); insert into later select min(id) from users",
            "not_declared",
        ),
        ("update customers set status = 'active' where id = 'acme'", "contract_active"),
    ],
)
async def test_what_changes_meanwhile_stops_the_next_batch(
    database: Database, dsn: str, change: str, reason: str
) -> None:
    """A foreign key from a table that nobody declared, or a customer who comes back: each batch looks again."""
    told: list[TableCount] = []

    def changed(one: TableCount) -> None:
        if not told:
            elsewhere(dsn, change)
        told.append(one)

    outcome = await erased(database, progress=changed)

    assert isinstance(outcome, NotErased)
    assert outcome.reason == reason
    assert total(outcome.deleted) == total(told) == told[0].rows


async def test_a_foreign_key_among_declared_tables_that_comes_meanwhile_is_followed(
    database: Database, dsn: str
) -> None:
    """The order is worked out anew: feedback now has to go before the quiz attempts, and a ring is no obstacle."""
    told: list[TableCount] = []

    def changed(one: TableCount) -> None:
        if not told:
            elsewhere(dsn, "alter table courses add author bigint references users")
            elsewhere(
                dsn, "update courses c set author = (select min(id) from users u where u.customer_id = c.customer_id)"
            )
            elsewhere(dsn, "alter table users add favourite bigint references courses")
            elsewhere(
                dsn,
                "update users u set favourite = (select min(id) from courses c where c.customer_id = u.customer_id)",
            )
        told.append(one)

    outcome = await erased(database, progress=changed)

    assert isinstance(outcome, Erased)
    assert await rows_of(database) == 0


SPITEFUL = """
    create function spread() returns trigger language plpgsql
        as 'begin update courses set price = 1 where customer_id = ''fjord''; return old; end';
    create trigger spread before delete on reports for each row execute function spread()
"""
COUNTING = """
    alter table courses add enrolled int not null default 0;
    create function counted() returns trigger language plpgsql
        as 'begin update courses set enrolled = enrolled - 1 where id = old.course_id; return old; end';
    create trigger counted before delete on enrolments for each row execute function counted()
"""


async def test_a_batch_that_touches_somebody_else_is_undone(database: Database) -> None:
    """The database's own counters show it, the batch is rolled back, and so is the whole transaction that follows."""
    await database.execute(SPITEFUL)
    kept = await others(database)
    outcome = await erased(database)

    assert isinstance(outcome, NotErased)
    assert outcome.reason == "failed"
    assert "reports" in {one.table for one in outcome.saved if one.rows}
    assert await others(database) == kept


async def test_a_trigger_that_writes_to_the_customers_own_rows_is_no_damage(database: Database) -> None:
    """What no batch can judge, a whole transaction does: it compares the others' rows themselves."""
    await database.execute(COUNTING)
    outcome = await erased(database)

    assert isinstance(outcome, Erased)
    assert await everything(database) == await others(database)


async def test_a_truncate_by_a_trigger_is_seen(database: Database) -> None:
    """It empties a table without counting its rows, but the table's file is another one then."""
    await database.execute(TRUNCATING)
    kept = await others(database)
    outcome = await erased(database)

    assert isinstance(outcome, NotErased)
    assert await others(database) == kept


TRUNCATING = """
    create function emptied() returns trigger language plpgsql as 'begin truncate reports; return null; end';
    create trigger emptied after delete on api_tokens execute function emptied()
"""


async def test_a_deadlock_is_got_over(database: Database, second: Database) -> None:
    """A batch that loses a deadlock is tried again when the other transaction has had its way."""
    await second.execute("set deadlock_timeout = '10s'")
    first, last = await second.fetchrow("select min(id), max(id) from reports where customer_id = 'acme'")  # type: ignore[misc]
    writing = second.transaction()
    await writing.start()
    await second.execute(TITLE, last)
    erasing = asyncio.create_task(erased(database))
    async with asyncio.timeout(10):
        while not await second.fetchval(WAITS):
            pass
        await second.execute(TITLE, first)
    await writing.commit()

    assert isinstance(await erasing, Erased)
    assert await everything(database) == await others(database)


TITLE = "update reports set title = 'new' where id = $1"
WAITS = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')"


async def test_two_holders_at_once_delete_each_row_once(database: Database, second: Database) -> None:
    """Started twice by mistake, both give the same answer, and its counts are right."""
    rows = await rows_of(database)
    one, other = await asyncio.gather(erased(database), erased(second))

    assert isinstance(one, Erased)
    assert isinstance(other, Erased)
    assert one.deleted == other.deleted
    assert total(one.deleted) == rows


async def test_killed_at_any_statement_it_goes_on_where_it_was(database: Database, dsn: str) -> None:
    """Whichever statement is the last of a process, the next one finishes, with all rows counted once."""
    rows = await rows_of(database)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.holder.killed", dsn, LEAVING, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    deleted, killed = map(int, output.split())

    assert child.returncode == 0
    assert killed > 25
    assert deleted == rows
    assert await everything(database) == await others(database)


async def test_killed_at_any_statement_what_is_held_is_kept(database: Database, dsn: str) -> None:
    """Whichever statement is the last of a process, the held rows and what they refer to are there in the end."""
    rows, kept = await rows_of(database), await others(database)
    reports = await database.fetch("select (r.*)::text from reports r where customer_id = $1 order by 1", LEAVING)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.holder.killed", dsn, LEAVING, "reports", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    deleted, killed = map(int, output.split())
    left = await everything(database)

    assert child.returncode == 0
    assert killed > 25
    # The customer's own row is the only one that reports need.
    assert deleted == rows - len(reports) - 1
    assert {name: len(some) - len(kept[name]) for name, some in left.items() if some != kept[name]} == {
        "customers": 1,
        "reports": len(reports),
    }
    assert reports == await database.fetch(
        "select (r.*)::text from reports r where customer_id = $1 order by 1", LEAVING
    )


def elsewhere(dsn: str, statement: str) -> None:
    """Run *statement* on another connection, and wait for it."""

    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(statement)
        await connection.close()

    with ThreadPoolExecutor(1) as other:
        other.submit(asyncio.run, run()).result()


def test_half_of_the_time_is_left_to_others_unless_somebody_says_so() -> None:
    """A deletion has days to end; whoever waits for the same database meanwhile has not."""
    assert Pace().rest(0.25) == 0.25
    assert Pace(share=1).rest(0.25) == 0


@pytest.mark.parametrize("share", [1.0, 0.9])
async def test_who_leaves_time_to_others_leaves_them_the_other_cores(database: Database, share: float) -> None:
    """The scans that compare everybody else's rows run in several processes only where nobody is to be spared."""
    await database.execute(MANY_ROWS_OF_OTHERS)
    pace = replace(BATCHES, batch_rows=1_000, share=share)

    outcome = await erase_rows(database, PLATFORM, LEAVING, right=expired(), now=system_clock(), pace=pace)

    assert isinstance(outcome, Erased)
    await database.execute("select pg_stat_force_next_flush()")
    launched = await database.fetchval(
        "select parallel_workers_launched from pg_stat_database where datname = current_database()"
    )
    assert (launched > 0) == (share == 1)


# Longer than any table of the catalogue, so that workers read nothing else.
MANY_ROWS_OF_OTHERS = """
    insert into activity_log (customer_id, user_id, action, happened_at)
    select null, null, repeat('x', 200), now() from generate_series(1, 20000);
    analyze activity_log;
    set min_parallel_table_scan_size = '3MB'; set parallel_setup_cost = 0; set parallel_tuple_cost = 0
"""
