"""The check afterwards finds what a deletion left, by another way than the one that deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.clock import system_clock
from shared.events.platform import Erased
from shared.holder.rows import erase_rows
from shared.holder.survey import survey_rows
from tests.holder.platform_rows import LEAVING, PLATFORM, everything, expired

if TYPE_CHECKING:
    from tests.holder.platform_rows import Database


async def test_before_a_deletion_everything_is_left(database: Database) -> None:
    """Each table shows the customer's rows, and none of them is without an owner."""
    survey = await survey_rows(database, PLATFORM, LEAVING)

    assert not survey.clean
    assert all(table.left > 0 for table in survey.tables)
    assert all(table.orphans == 0 for table in survey.tables)


async def test_after_a_deletion_nothing_is_left_and_the_rest_is_what_the_holder_said(database: Database) -> None:
    """The survey's fingerprints of what stands are the holder's of the bystanders."""
    outcome = await erase_rows(database, PLATFORM, LEAVING, right=expired(), now=system_clock())

    survey = await survey_rows(database, PLATFORM, LEAVING)

    assert isinstance(outcome, Erased)
    assert survey.clean
    stands = {table.table: (table.standing.count, table.standing.fingerprint) for table in survey.tables}
    assert stands == {one.table: (one.rows_after, one.after) for one in outcome.bystanders}


async def test_a_row_that_came_back_is_found(database: Database) -> None:
    """A late writer or a restored backup shows."""
    await erase_rows(database, PLATFORM, LEAVING, right=expired(), now=system_clock())
    await database.execute("insert into customers (id, name, time_zone, created_at) values ('acme', '', 'UTC', now())")

    survey = await survey_rows(database, PLATFORM, LEAVING)

    assert [(table.table, table.left) for table in survey.tables if table.left] == [("customers", 1)]


async def test_a_copy_in_a_table_that_nobody_declared_is_found(database: Database) -> None:
    """A column named as the one that names customers elsewhere is looked at in every undeclared table."""
    await database.execute("create table backup_of_users as select * from users")

    survey = await survey_rows(database, PLATFORM, LEAVING)

    assert survey.elsewhere == (("backup_of_users", 12),)


async def test_rows_whose_way_to_the_customer_is_gone_are_told(database: Database) -> None:
    """Where no foreign key forbids it, a deletion in the wrong order would leave rows that nobody owns any more."""
    await database.execute("alter table api_tokens drop constraint api_tokens_user_id_fkey")
    await database.execute("update api_tokens set user_id = -1")

    survey = await survey_rows(database, PLATFORM, LEAVING)

    assert {table.table: table.orphans for table in survey.tables if table.orphans} == {"api_tokens": 3}


async def test_a_survey_changes_nothing(database: Database) -> None:
    """It reads only."""
    before = await everything(database)
    await survey_rows(database, PLATFORM, LEAVING)

    assert await everything(database) == before
