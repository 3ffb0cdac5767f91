"""A customer's rows go, all of them and nobody else's, or none at all."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from shared.clock import system_clock
from shared.datamap.model import DataMap
from shared.events.platform import Erased, NotErased
from shared.events.vocabulary import TableCount
from shared.holder.right import Right
from shared.holder.rows import erase, erase_rows, total
from shared.holder.work import Work
from tests.holder.platform_rows import LEAVING, PLATFORM, STAYING, everything, expired, others

if TYPE_CHECKING:
    from tests.holder.platform_rows import Database


async def erased(database: Database, map: DataMap = PLATFORM, right: Right | None = None) -> Erased | NotErased:
    return await erase_rows(database, map, LEAVING, right=right or expired(), now=system_clock())


async def test_nothing_of_the_customer_is_left_and_everybody_elses_rows_are_as_they_were(database: Database) -> None:
    """After a deletion the tables hold exactly what the others had, rows of nobody included (P7, promise 8)."""
    before, kept = await everything(database), await others(database)

    outcome = await erased(database)

    assert isinstance(outcome, Erased)
    assert await everything(database) == kept
    gone = {one.table: one.rows for one in outcome.deleted}
    assert gone == {name: len(before[name]) - len(kept[name]) for name in gone}
    assert all(count > 0 for count in gone.values())
    assert total(outcome.remaining) == 0
    assert all((one.before, one.rows_before) == (one.after, one.rows_after) for one in outcome.bystanders)
    assert {one.table for one in outcome.bystanders} == {table.name for table in PLATFORM.tables}


async def test_rows_of_nobody_stay(database: Database) -> None:
    """The platform's own log lines have no customer, so no customer's deletion takes them."""
    await erased(database)

    assert await database.fetchval("select count(*) from activity_log where customer_id is null") == 2


async def test_deleting_again_finds_nothing_and_says_so(database: Database) -> None:
    """A repeat is harmless: it deletes nothing and nothing is left."""
    await erased(database)
    again = await erased(database)

    assert isinstance(again, Erased)
    assert total(again.deleted) == 0


async def test_a_repeat_of_a_noted_deletion_tells_the_same_counts(database: Database) -> None:
    """A try that was cut off after its commit left its counts in the database, so the answer is the same."""
    noted = replace(expired(), deletion_id="d-1")
    first, again = await erased(database, right=noted), await erased(database, right=noted)

    assert isinstance(first, Erased)
    assert isinstance(again, Erased)
    assert total(first.deleted) > 0
    assert again.deleted == first.deleted
    assert await database.fetchval("select count(*) from offramp.deletions") == 1


async def test_progress_is_told_after_each_table(database: Database) -> None:
    """Whoever waits sees each table as it is emptied, children first."""
    told: list[TableCount] = []
    outcome = await erase_rows(database, PLATFORM, LEAVING, right=expired(), now=system_clock(), progress=told.append)

    assert isinstance(outcome, Erased)
    assert {one.table: one for one in told} == {one.table: one for one in outcome.deleted}
    assert told[-1].table == "customers"


async def test_a_dry_run_counts_the_same_and_changes_nothing(database: Database) -> None:
    """What a dry run says would go is what goes."""
    before = await everything(database)
    dry = await erase(Work(database, PLATFORM, LEAVING, expired(), system_clock, dry_run=True))
    unchanged = await everything(database) == before

    assert unchanged
    assert dry.outcome == await erased(database)


REFUSALS = {
    "the contract is active": ("update customers set status = 'active' where id = 'acme'", "contract_active"),
    "a table that nobody declared": ("create table grades (id int)", "not_declared"),
    "an owner column that is gone": ("alter table reports rename customer_id to tenant", "not_declared"),
    "a vanished table": ("drop table api_tokens", "not_declared"),
    "a row of somebody else that refers to the customer's": (
        """update users set manager_id = (select min(id) from users where customer_id = 'acme')
            where customer_id = 'fjord'""",
        "failed",
    ),
    "a trigger that keeps rows": (
        """create function keep() returns trigger language plpgsql as 'begin return null; end';
           create trigger keep before delete on feedback for each row execute function keep();
           alter table feedback drop constraint feedback_course_id_fkey, drop constraint feedback_user_id_fkey""",
        "failed",
    ),
    "a trigger that keeps rows which name their customer": (
        """create function keep() returns trigger language plpgsql as 'begin return null; end';
           create trigger keep before delete on reports for each row execute function keep();
           alter table reports drop constraint reports_customer_id_fkey""",
        "failed",
    ),
    "a trigger that changes somebody else's rows": (
        """create function spread() returns trigger language plpgsql
             as 'begin update courses set price = 1 where customer_id = ''fjord''; return old; end';
           create trigger spread before delete on reports for each row execute function spread()""",
        "failed",
    ),
    "a cascade to somebody else's rows": (
        """alter table users drop constraint users_manager_id_fkey;
           alter table users add constraint users_manager_id_fkey foreign key (manager_id) references users
                on delete cascade;
           update users set manager_id = (select min(id) from users where customer_id = 'acme')
            where id = (select max(id) from users where customer_id = 'fjord');
           delete from activity_log; delete from feedback; delete from certificates; delete from completions;
           delete from quiz_attempts; delete from enrolments; delete from api_tokens""",
        "failed",
    ),
    "a cascade that empties somebody else's column": (
        """alter table users drop constraint users_manager_id_fkey;
           alter table users add constraint users_manager_id_fkey foreign key (manager_id) references users
                on delete set null;
           update users set manager_id = (select min(id) from users where customer_id = 'acme')
            where id = (select max(id) from users where customer_id = 'fjord')""",
        "failed",
    ),
}


@pytest.mark.parametrize("obstacle", REFUSALS)
async def test_where_something_is_in_the_way_nothing_is_deleted(database: Database, obstacle: str) -> None:
    """Each obstacle is answered with its reason, and every row of every table is as it was (promise 6)."""
    change, reason = REFUSALS[obstacle]
    await database.execute(change)
    before = await everything(database)

    outcome = await erased(database, right=replace(expired(), deletion_id="d-1"))

    assert outcome == NotErased(reason=reason)
    assert await everything(database) == before
    assert await database.fetchval("select count(*) from offramp.deletions") == 0


@pytest.mark.parametrize(
    ("right", "reason"),
    [
        (Right(window_closed_at=system_clock() + timedelta(hours=1)), "window_open"),
        (Right(window_closed_at=system_clock() - timedelta(days=1), held=True), "held"),
    ],
)
async def test_without_the_right_nothing_is_deleted(database: Database, right: Right, reason: str) -> None:
    """The window and the hold are looked at again where the rows are deleted."""
    before = await everything(database)

    assert await erased(database, right=right) == NotErased(reason=reason)
    assert await everything(database) == before


async def test_a_hold_that_comes_while_rows_are_deleted_brings_them_back(database: Database) -> None:
    """The last question before the commit is whether the customer is held now."""
    before = await everything(database)

    async def held_by_now() -> bool:
        return True

    outcome = await erased(database, right=replace(expired(), still_held=held_by_now))

    assert outcome == NotErased(reason="held")
    assert await everything(database) == before


@pytest.mark.parametrize("drift", [timedelta(minutes=2), timedelta(days=-90)])
async def test_a_clock_that_jumped_deletes_nothing(database: Database, drift: timedelta) -> None:
    """A service whose clock differs from its database's doesn't know whether the window is over."""
    now: datetime = system_clock() + drift
    right = Right(window_closed_at=now - timedelta(seconds=1))

    outcome = await erase_rows(database, PLATFORM, LEAVING, right=right, now=now)

    assert outcome == NotErased(reason="clock")


async def test_a_moved_clock_is_taken_where_it_is_allowed(database: Database) -> None:
    """In a demo the months pass in seconds, and the database knows nothing of it."""
    now = system_clock() + timedelta(days=200)
    right = Right(window_closed_at=now - timedelta(days=1), moved_clock=True)

    assert isinstance(await erase_rows(database, PLATFORM, LEAVING, right=right, now=now), Erased)


async def test_a_missing_index_only_warns(database: Database) -> None:
    """A slow deletion is still a right one; the warning names the foreign key."""
    await database.execute("drop index feedback_user_id")

    erasure = await erase(Work(database, PLATFORM, LEAVING, expired(), system_clock))

    assert [(one.kind, one.place) for one in erasure.warnings] == [("foreign_key_not_indexed", "feedback.user_id")]


async def test_a_row_that_the_platform_is_writing_meanwhile_goes_too(database: Database, dsn: str) -> None:
    """A row of the customer's that was committed while the others went is deleted by a second attempt."""
    platform, watcher = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    writing = platform.transaction()
    await writing.start()
    await platform.execute(REPORT, LEAVING)
    erasing = asyncio.create_task(erased(database))
    async with asyncio.timeout(10):
        while not await watcher.fetchval(SOMEBODY_WAITS):
            pass
    await writing.commit()

    assert isinstance(await erasing, Erased)
    assert await everything(database) == await others(database)
    await platform.close()
    await watcher.close()


REPORT = "insert into reports (customer_id, title, figures, made_at) values ($1, 'x', '{}', now())"
SOMEBODY_WAITS = """
    select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')
"""


async def test_what_others_write_meanwhile_is_no_damage(database: Database, dsn: str) -> None:
    """The comparison is made inside one snapshot, so a platform in use doesn't stop a deletion."""

    async def write() -> None:
        platform = await asyncpg.connect(dsn)
        await platform.execute(REPORT, STAYING[0])
        await platform.close()

    def the_platform_writes_on(_: TableCount) -> None:
        # Between the two fingerprints, and committed before the deletion goes on.
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(asyncio.run, write()).result()

    outcome = await erase_rows(
        database, PLATFORM, LEAVING, right=expired(), now=system_clock(), progress=the_platform_writes_on
    )

    assert isinstance(outcome, Erased)
    assert await database.fetchval("select count(*) from reports where title = 'x'") == len(PLATFORM.tables)


async def test_others_are_still_there_when_two_deletions_run_side_by_side(database: Database, dsn: str) -> None:
    """Two customers' deletions don't see each other's rows go as damage."""
    await database.execute("update customers set status = 'ended'")
    second = await asyncpg.connect(dsn)
    other = STAYING[0]

    async def another_leaves_meanwhile() -> bool:
        outcome = await erase_rows(second, PLATFORM, other, right=expired(), now=system_clock())
        return not isinstance(outcome, Erased)

    outcome = await erased(database, right=replace(expired(), still_held=another_leaves_meanwhile))
    await second.close()

    assert isinstance(outcome, Erased)
    assert [row["id"] for row in await database.fetch("select id from customers")] == [STAYING[1]]
