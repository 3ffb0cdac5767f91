"""What a hold of a part keeps of a customer's rows, on the demo platform: just that, and what that needs (P8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
import pytest

from shared.clock import system_clock
from shared.datamap.model import MapError, parse
from shared.events.platform import Erased, ErasedInPart, HoldScope, NotErased, OfCategories, OfPersons, OfTables
from shared.events.retention import Keep
from shared.holder.pace import Pace
from shared.holder.residue import residue
from shared.holder.right import RefusedError, Right
from shared.holder.rows import erase, erase_rows, total
from shared.holder.survey import survey_rows
from shared.holder.work import Work
from tests.holder.platform_rows import LEAVING, PLATFORM, everything, expired, others
from tests.holder.test_erase_batches import elsewhere

if TYPE_CHECKING:
    from shared.datamap.model import DataMap
    from shared.events.vocabulary import TableCount
    from tests.holder.platform_rows import Database

BATCHES = Pace(whole_up_to=0, batch_rows=3)


def held(*scopes: HoldScope) -> Right:
    """Give the right to delete all but what holds of *scopes* cover."""
    keep = tuple(Keep(hold_id=f"h{number}", scope=scope) for number, scope in enumerate(scopes))
    return replace(expired(), deletion_id="d-1", keep=keep)


async def erased(
    database: Database, right: Right, map: DataMap = PLATFORM, pace: Pace | None = None
) -> Erased | ErasedInPart | NotErased:
    return await erase_rows(database, map, LEAVING, right=right, now=system_clock(), pace=pace)


def counts(rows: tuple[TableCount, ...]) -> dict[str, int]:
    return {one.table: one.rows for one in rows}


@pytest.fixture
async def somebody(database: Database) -> int:
    """Give a user of the leaving customer with a manager, enrolments and certificates."""
    found: int = await database.fetchval(SOMEBODY, LEAVING)
    return found


SOMEBODY = """
    select u.id from users u join enrolments e on e.user_id = u.id join certificates c on c.enrolment_id = e.id
     where u.customer_id = $1 and u.manager_id is not null order by u.id limit 1
"""

OF_ENROLMENTS = "select count(*) from {} t join enrolments e on e.id = t.enrolment_id where user_id = $1"
ABOUT = {
    "users": "select count(*) from users where id = $1",
    "api_tokens": "select count(*) from api_tokens where user_id = $1",
    "enrolments": "select count(*) from enrolments where user_id = $1",
    "completions": OF_ENROLMENTS.format("completions"),
    "quiz_attempts": OF_ENROLMENTS.format("quiz_attempts"),
    "certificates": OF_ENROLMENTS.format("certificates"),
    "feedback": "select count(*) from feedback where user_id = $1",
    "activity_log": "select count(*) from activity_log where user_id = $1",
}


@pytest.mark.parametrize("pace", [None, BATCHES])
async def test_what_is_about_a_person(database: Database, somebody: int, pace: Pace | None) -> None:
    """All rows about one person stay, with the organisation, the manager and the courses that they refer to."""
    about = {name: await database.fetchval(query, somebody) for name, query in ABOUT.items()}
    bosses = await database.fetchval(BOSSES, somebody)
    courses = await database.fetchval("select count(distinct course_id) from enrolments where user_id = $1", somebody)
    kept = await others(database)
    outcome = await erased(database, held(OfPersons(refs=(str(somebody),))), pace=pace)
    after = {name: await database.fetchval(query, somebody) for name, query in ABOUT.items()}

    assert isinstance(outcome, ErasedInPart)
    assert after == about
    assert {one.table: one.rows for one in outcome.held} == {name: rows for name, rows in about.items() if rows}
    assert counts(outcome.needed)["customers"] == 1
    assert counts(outcome.needed)["users"] == bosses
    assert courses <= counts(outcome.needed)["courses"]
    assert total(outcome.remaining) == 0
    assert await others(database) == kept
    left = await everything(database)
    assert {name: len(rows) - len(kept[name]) for name, rows in left.items() if len(rows) > len(kept[name])} == counts(
        outcome.kept
    )


BOSSES = """
    with recursive up (id, manager_id) as (
        select id, manager_id from users where id = $1
        union select u.id, u.manager_id from users u join up on u.id = up.manager_id
    )
    select count(*) - 1 from up
"""


@pytest.mark.parametrize("pace", [None, BATCHES])
async def test_when_the_hold_is_over_the_rest_goes(database: Database, somebody: int, pace: Pace | None) -> None:
    """Nothing of what was kept is forgotten, and the counts of both tries are all that there was."""
    rows = sum(map(len, (await everything(database)).values())) - sum(map(len, (await others(database)).values()))
    first = await erased(
        database, held(OfPersons(refs=(str(somebody),)), OfCategories(categories=("report",))), pace=pace
    )
    again = await erased(
        database, held(OfPersons(refs=(str(somebody),)), OfCategories(categories=("report",))), pace=pace
    )
    outcome = await erased(database, replace(held(), deletion_id="d-2"), pace=pace)

    assert isinstance(first, ErasedInPart)
    assert again == first.model_copy(update={"accounted": again.accounted})  # type: ignore[union-attr]
    assert isinstance(outcome, Erased)
    assert total(first.deleted) + total(outcome.deleted) == rows
    assert await everything(database) == await others(database)


@pytest.mark.parametrize(
    ("scope", "says"),
    [
        (OfTables(tables=("userz",)), "the table userz"),
        (OfTables(tables=("users", "userz")), "the table userz"),
        (OfCategories(categories=("usr",)), "the category usr"),
        (OfPersons(refs=("999999",)), "one of the persons"),
        (OfPersons(refs=("p-7",)), "can't be compared"),
        (OfPersons(refs=()), "everything"),
        (OfTables(tables=()), "everything"),
    ],
)
async def test_what_the_map_cannot_tell_keeps_everything(database: Database, scope: HoldScope, says: str) -> None:
    """A table, a category or a person that isn't known is perhaps a mistake: nothing goes, and it is said by name."""
    before = await everything(database)
    with pytest.raises(RefusedError, match=says) as refused:
        await erase(Work(database, PLATFORM, LEAVING, held(scope), system_clock))

    assert "h0" in refused.value.details
    assert refused.value.answer == NotErased(reason="held")
    assert await everything(database) == before


async def test_a_person_of_another_customer_is_nobody_here(database: Database) -> None:
    """A hold in this customer's case that names somebody else's person is a mistake too."""
    stranger = await database.fetchval("select min(id) from users where customer_id = 'fjord'")

    assert await erased(database, held(OfPersons(refs=(str(stranger),)))) == NotErased(reason="held")


async def test_a_map_that_does_not_say_whom_a_table_is_about(database: Database, somebody: int) -> None:
    """Under a hold of persons each table has to say whom its rows are about, or that they are about nobody."""
    silent = replace(
        PLATFORM,
        tables=tuple(replace(one, person=None) if one.name == "feedback" else one for one in PLATFORM.tables),
    )

    assert await erased(database, held(OfPersons(refs=(str(somebody),))), silent) == NotErased(reason="held")
    assert isinstance(await erased(database, held(OfTables(tables=("reports",))), silent), ErasedInPart)


def test_a_table_is_about_persons_or_not() -> None:
    """Both at once is a mistake in the map, told by its place."""
    text = b"""
version: 1
system: x
tenancy: rows
tables:
  users: {category: user, owner: {column: c}, person: {column: id}, impersonal: "none"}
"""
    with pytest.raises(MapError, match=r"tables\.users.*not both"):
        parse(text, "map")


async def test_two_holds_of_the_same_rows(database: Database) -> None:
    """Each is named with what it covers; the rows count once."""
    outcome = await erased(database, held(OfTables(tables=("reports",)), OfCategories(categories=("report",))))

    assert isinstance(outcome, ErasedInPart)
    reports, logs = counts(outcome.kept)["reports"], counts(outcome.kept)["activity_log"]
    assert {(one.hold_id, one.table, one.rows) for one in outcome.held} == {
        ("h0", "reports", reports),
        ("h1", "reports", reports),
        ("h1", "activity_log", logs),
    }


async def test_a_row_that_is_written_late_under_a_hold_stays(database: Database, dsn: str) -> None:
    """What the platform writes into a held table while a large deletion runs is held as well."""
    reports = await database.fetchval("select count(*) from reports where customer_id = $1", LEAVING)
    written: list[TableCount] = []

    def told(one: TableCount) -> None:
        if not written:
            elsewhere(
                dsn, "insert into reports (customer_id, title, figures, made_at) values ('acme', 'x', '{}', now())"
            )
        written.append(one)

    outcome = await erase_rows(
        database, PLATFORM, LEAVING, right=held(OfTables(tables=("reports",))), now=system_clock(), progress=told,
        pace=BATCHES,
    )  # fmt: skip

    assert isinstance(outcome, ErasedInPart)
    assert counts(outcome.kept)["reports"] == reports + 1


async def test_what_the_deletion_itself_writes_under_a_hold_stays(database: Database) -> None:
    """A trigger that notes each row that goes in a held table adds to what is held; nothing of it is deleted."""
    await database.execute("""
        create function told() returns trigger language plpgsql
            as 'begin insert into reports (customer_id, title, figures, made_at)
                       values (''acme'', ''x'', ''{}'', now());
                return null; end';
        create trigger told after delete on certificates for each row execute function told()
    """)
    reports = await database.fetchval("select count(*) from reports where customer_id = $1", LEAVING)
    outcome = await erased(database, held(OfTables(tables=("reports",))))

    assert isinstance(outcome, ErasedInPart)
    assert counts(outcome.kept)["reports"] == reports + counts(outcome.deleted)["certificates"]
    assert counts(outcome.deleted)["reports"] == 0


async def test_a_trigger_that_changes_a_kept_row_stops_it(database: Database) -> None:
    """A kept row is as untouched as another customer's."""
    await database.execute("""
        create function noted() returns trigger language plpgsql
            as 'begin update reports set title = title || ''!'' where customer_id = ''acme''; return old; end';
        create trigger noted after delete on certificates execute function noted()
    """)
    before = await everything(database)
    outcome = await erased(database, held(OfTables(tables=("reports",))))

    assert outcome == NotErased(reason="failed")
    assert await everything(database) == before


async def test_others_may_refer_to_what_is_kept(database: Database) -> None:
    """A row of somebody else's that refers to a kept row is no obstacle; one that refers to a row that goes is."""
    await database.execute("""
        update users set manager_id = (select min(id) from users where customer_id = 'acme')
         where id = (select max(id) from users where customer_id = 'fjord')
    """)
    kept = await erased(database, held(OfTables(tables=("users",))))
    gone = await erased(database, held(OfTables(tables=("reports",))))

    assert isinstance(kept, ErasedInPart)
    assert isinstance(gone, NotErased)
    assert gone.reason == "failed"


async def test_the_search_for_residues_knows_what_was_kept(database: Database) -> None:
    """A kept row that names the customer is told, and stops nothing; a copy does."""
    await erased(database, held(OfTables(tables=("reports",))))
    await database.execute("create table copies as select id from customers where id = 'acme'")
    found = await residue(database, PLATFORM, (LEAVING,), LEAVING)

    assert {(one.table, one.whose) for one in found} == {
        ("copies", "nobody"),
        ("customers", "own"),
        ("reports", "own"),
    }


@pytest.fixture
async def reader(dsn: str) -> AsyncIterator[Database]:
    """Connect so that nothing can be written."""
    connection = await asyncpg.connect(dsn, server_settings={"default_transaction_read_only": "on"})
    yield connection
    await connection.close()


async def test_the_survey_counts_what_had_to_stay_by_another_way(
    database: Database, reader: Database, somebody: int
) -> None:
    """It only reads, finds exactly the kept rows, and everybody else's as the holder said; a lost row shows."""
    right = held(OfPersons(refs=(str(somebody),)))
    outcome = await erased(database, right)
    survey = await survey_rows(reader, PLATFORM, LEAVING, right.keep)
    unheld = await survey_rows(reader, PLATFORM, LEAVING)
    await database.execute("delete from certificates where serial = (select min(serial::text)::uuid from certificates c"
                           " join enrolments e on e.id = c.enrolment_id where user_id = $1)", somebody)  # fmt: skip
    less = await survey_rows(reader, PLATFORM, LEAVING, right.keep)

    assert isinstance(outcome, ErasedInPart)
    assert survey.clean
    assert {one.table: one.kept for one in survey.tables if one.kept} == counts(outcome.kept)
    stands = {one.table: (one.standing.count, one.standing.fingerprint) for one in survey.tables}
    assert stands == {one.table: (one.rows_after, one.after) for one in outcome.bystanders}
    assert not unheld.clean
    assert {one.table: one.kept for one in less.tables if one.kept} != counts(outcome.kept)


async def test_a_row_that_no_hold_keeps_is_left_over(database: Database, somebody: int) -> None:
    """What came back besides the kept rows is no part of them."""
    right = held(OfPersons(refs=(str(somebody),)))
    await erased(database, right)
    await database.execute(
        "insert into reports (customer_id, title, figures, made_at) values ('acme', 'x', '{}', now())"
    )
    survey = await survey_rows(database, PLATFORM, LEAVING, right.keep)

    assert [(one.table, one.left - one.kept) for one in survey.tables if one.left > one.kept] == [("reports", 1)]
    assert not survey.clean
