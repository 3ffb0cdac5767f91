"""What the law keeps of a customer's rows: just that, emptied as the map says, until its own time has come (P8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg
import pytest

from deploy.platform.scratch import scratch_database
from shared.datamap.model import parse
from shared.events.platform import Erased, ErasedInPart, OfPersons, OfTables
from shared.events.retention import Keep
from shared.holder.pace import Pace
from shared.holder.residue import residue
from shared.holder.right import RefusedError, Right
from shared.holder.rows import erase, total
from shared.holder.survey import survey_rows
from shared.holder.work import Work
from shared.settings import read_settings

if TYPE_CHECKING:
    from shared.datamap.model import DataMap
    from shared.events.platform import HoldScope
    from tests.holder.platform_rows import Database

MAP = """
version: 1
system: shop
tenancy: rows
tables:
  customers:
    {{category: user, owner: {{column: id}}, impersonal: "the organisation", minimise: {{name: null}}}}
  users:
    category: user
    owner: {{column: customer_id}}
    person: {{column: id, type: integer}}
    minimise: {{email: null, name: "-"}}
  invoices:
    category: report
    owner: {{column: customer_id}}
    person: {{column: buyer, type: integer}}
    retain: {retain}
    minimise: {{note: null}}
  lines:
    category: report
    owner: {{path: [{{column: invoice_id, to: invoices.id}}]}}
    impersonal: "of an invoice"
    retain: {lines}
  logs:
    {{category: report, owner: {{column: customer_id}}, impersonal: "what triggers write"}}
"""
BOOKS = """{basis: "SFS 1999:1078 7:2", years: 7, time_zone: Europe/Stockholm,
             counted_from: {end_of_fiscal_year: issued_at, ending: "12-31"}, where: "{row}.status <> 'draft'"}"""
LINES = """{basis: "SFS 1999:1078 7:2", years: 7, time_zone: Europe/Stockholm, counted_from: {end_of_year: day},
             where: "{row}.text <> 'line of 4'"}"""

SCHEMA = """
    create table customers (id text primary key, name text);
    create table users (id int primary key, customer_id text not null references customers, email text,
        name text not null);
    create index on users (customer_id);
    create table invoices (id int primary key, customer_id text not null references customers,
        buyer int references users, issued_at timestamptz, status text, note text, amount numeric(10, 2));
    create index on invoices (customer_id); create index on invoices (buyer);
    create table lines (invoice_id int not null references invoices, day date, text text);
    create index on lines (invoice_id);
    create table logs (customer_id text, said text);
    create index on logs (customer_id);
    insert into customers select c, 'name of ' || c from unnest(array['acme', 'fjord']) c;
    insert into users select n, case when n < 10 then 'acme' else 'fjord' end, n || '@example.org', 'n' || n
      from generate_series(1, 19) n;
    insert into invoices values
        (1, 'acme', 1, '2020-06-01Z', 'paid', 'of 2020', 10), (2, 'acme', 2, '2026-03-01Z', 'paid', 'of 2026', 20),
        -- In Stockholm it is 2027 already.
        (3, 'acme', 3, '2026-12-31 23:30Z', 'sent', 'new year', 30), (4, 'acme', 4, '2026-05-01Z', 'draft', 'd', 40),
        (11, 'fjord', 11, '2020-06-01Z', 'paid', 'x', 1), (12, 'fjord', null, null, null, 'y', 2);
    insert into lines select id, issued_at::date, 'line of ' || id from invoices;
    insert into logs select id, 'made' from customers;
"""


def shop(retain: str = BOOKS, lines: str = LINES) -> DataMap:
    return parse(MAP.format(retain=retain, lines=lines).encode(), "shop.yaml")


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """Make a shop with invoices of two customers."""
    async with scratch_database(read_settings().postgres) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute(SCHEMA)
        yield connection
        await connection.close()


def day(year: int, month: int = 6, of_month: int = 1) -> datetime:
    return datetime(year, month, of_month, tzinfo=UTC)


LEFT = day(2027, 6)
BATCHES = Pace(whole_up_to=0, batch_rows=2)


async def erased(
    database: Database, now: datetime = LEFT, map: DataMap | None = None, pace: Pace | None = None, *scopes: HoldScope
) -> Erased | ErasedInPart:
    keep = tuple(Keep(hold_id=f"h{number}", scope=scope) for number, scope in enumerate(scopes))
    right = Right(day(2027), moved_clock=True, keep=keep)
    work = Work(database, map or shop(), "acme", right, lambda: now, pace=pace or Pace())
    return (await erase(work)).outcome


async def ids(database: Database, table: str = "invoices") -> list[int]:
    query = f"select id from {table} where customer_id = 'acme' order by id"
    return [row["id"] for row in await database.fetch(query)]


async def others(database: Database) -> list[str]:
    found = []
    for table in ("customers", "users", "invoices", "logs"):
        column = "id" if table == "customers" else "customer_id"
        found += await database.fetch(f"select (t.*)::text as line from {table} t where {column} = 'fjord' order by 1")
    found += await database.fetch("select (t.*)::text as line from lines t where invoice_id > 10 order by 1")
    return [row["line"] for row in found]


@pytest.mark.parametrize("pace", [None, BATCHES])
async def test_what_a_law_keeps_stays_with_what_it_needs_and_nothing_else(
    database: Database, pace: Pace | None
) -> None:
    """A draft is no voucher; whom no kept invoice names goes; others' rows are as they were."""
    before = await others(database)
    outcome = await erased(database, pace=pace)

    assert isinstance(outcome, ErasedInPart)
    assert await ids(database) == [1, 2, 3]
    assert await ids(database, "users") == [1, 2, 3]
    assert await database.fetchval("select count(*) from logs where customer_id = 'acme'") == 0
    assert [
        (one.table, one.basis, str(one.until), one.rows) for one in outcome.retained if one.table == "invoices"
    ] == [
        ("invoices", "SFS 1999:1078 7:2", "2027-12-31", 1),
        ("invoices", "SFS 1999:1078 7:2", "2033-12-31", 1),
        ("invoices", "SFS 1999:1078 7:2", "2034-12-31", 1),
    ]
    assert {one.table: one.rows for one in outcome.needed} == {"customers": 1, "users": 3}
    assert {one.table: one.rows for one in outcome.kept} == {"customers": 1, "users": 3, "invoices": 3, "lines": 3}
    assert {one.table: one.rows for one in outcome.deleted} == {
        "customers": 0, "users": 6, "invoices": 1, "lines": 1, "logs": 1,
    }  # fmt: skip
    assert total(outcome.remaining) == 0
    assert outcome.held == ()
    assert await others(database) == before


async def test_kept_rows_are_emptied_and_nothing_else_of_them_is_changed(database: Database) -> None:
    """Notes and e-mail addresses go, amounts and days stay; a second time there is nothing to do."""
    amounts = await database.fetch("select id, issued_at, amount, buyer from invoices where id < 4 order by id")
    outcome = await erased(database)
    again = await erased(database)

    assert isinstance(outcome, ErasedInPart)
    assert {one.table: one.rows for one in outcome.minimised} == {"customers": 1, "invoices": 3, "users": 3}
    kept = await database.fetch(
        "select note, email, u.name from invoices i join users u on u.id = buyer where i.id < 4"
    )
    assert {tuple(row) for row in kept} == {(None, None, "-")}
    assert await database.fetch("select id, issued_at, amount, buyer from invoices where id < 4 order by id") == amounts
    assert await database.fetchval("select name from customers where id = 'acme'") is None
    assert isinstance(again, ErasedInPart)
    assert (again.kept, again.minimised, total(again.deleted)) == (outcome.kept, outcome.minimised, 0)


@pytest.mark.parametrize(
    ("now", "stay"),
    [
        (datetime(2027, 12, 31, 22, 59, tzinfo=UTC), [1, 2, 3]),
        (datetime(2027, 12, 31, 23, 0, tzinfo=UTC), [2, 3]),
        (datetime(2033, 12, 31, 23, 0, tzinfo=UTC), [3]),
        (datetime(2034, 12, 31, 22, 59, tzinfo=UTC), [3]),
    ],
)
async def test_each_row_goes_when_its_own_time_has_come(database: Database, now: datetime, stay: list[int]) -> None:
    """To the end of the last day, as clocks go in the map's time zone."""
    await erased(database)
    outcome = await erased(database, now)

    assert isinstance(outcome, ErasedInPart)
    assert await ids(database) == await ids(database, "users") == stay


async def test_in_the_end_nothing_is_left(database: Database) -> None:
    """With the last day over the deletion is a whole one."""
    before = await others(database)
    await erased(database)
    outcome = await erased(database, datetime(2034, 12, 31, 23, 0, tzinfo=UTC))

    assert isinstance(outcome, Erased)
    assert await ids(database) == await ids(database, "users") == []
    assert not [one for one in await residue(database, shop(), ("acme",)) if one.stops]
    assert await others(database) == before


@pytest.mark.parametrize(
    ("fiscal_year", "until"),
    [
        ('{end_of_fiscal_year: issued_at, ending: "12-31"}', ["2027-12-31", "2033-12-31", "2034-12-31"]),
        ('{end_of_fiscal_year: issued_at, ending: "04-30"}', ["2028-12-31", "2033-12-31", "2034-12-31"]),
        ('{end_of_fiscal_year: issued_at, ending: "02-28"}', ["2028-12-31", "2034-12-31", "2034-12-31"]),
        ("{end_of_year: issued_at}", ["2027-12-31", "2033-12-31", "2034-12-31"]),
        ("{day: issued_at}", ["2027-06-01", "2033-03-01", "2034-01-01"]),
    ],
)
async def test_from_when_the_years_are_counted(database: Database, fiscal_year: str, until: list[str]) -> None:
    """From the end of the calendar year in which the fiscal year ended, of the year, or from the day itself."""
    books = BOOKS.replace('{end_of_fiscal_year: issued_at, ending: "12-31"}', fiscal_year)
    outcome = await erased(database, LEFT, shop(books))

    assert isinstance(outcome, ErasedInPart)
    told = {row: str(one.until) for row, one in enumerate(one for one in outcome.retained if one.table == "invoices")}
    assert sorted({*told.values()}) == sorted({*until})


@pytest.mark.parametrize(
    "strange",
    [
        "issued_at = null",
        "issued_at = 'infinity'",
        "issued_at = '-infinity'",
        "issued_at = '1970-01-01Z'",
        "issued_at = '0001-01-01Z'",
        "issued_at = '9999-12-31Z'",
        "status = null",
    ],
)
async def test_a_date_that_is_missing_or_strange_stops_the_deletion_by_name(database: Database, strange: str) -> None:
    """It is never taken for one that is over, nor is a condition that gives neither yes nor no taken for no."""
    await database.execute(f"update invoices set {strange} where id = 1")
    before = await database.fetch("select (i.*)::text from invoices i order by 1")
    for pace in (Pace(), BATCHES):
        with pytest.raises(RefusedError, match="invoices: 1 rows, and until when SFS 1999:1078 7:2 keeps them"):
            await erased(database, day(2100), pace=pace)

    assert await database.fetch("select (i.*)::text from invoices i order by 1") == before
    assert await database.fetchval("select count(*) from users where customer_id = 'acme'") == 9


async def test_a_hold_wins_nothing_that_it_covers_or_needs_is_emptied(database: Database) -> None:
    """What a hold keeps stays as it is, though a law keeps it as well; the rest that a law keeps is emptied."""
    outcome = await erased(database, LEFT, None, None, OfPersons(refs=("2",)))

    assert isinstance(outcome, ErasedInPart)
    notes = await database.fetch("select id, note from invoices where customer_id = 'acme' order by id")
    assert [tuple(row) for row in notes] == [(1, None), (2, "of 2026"), (3, None)]
    users = await database.fetch("select id, email from users where customer_id = 'acme' order by id")
    assert [tuple(row) for row in users] == [(1, None), (2, "2@example.org"), (3, None)]
    # The organisation is needed by what the hold keeps.
    assert await database.fetchval("select name from customers where id = 'acme'") == "name of acme"
    assert {(one.table, one.rows) for one in outcome.held} == {("users", 1), ("invoices", 1)}
    assert sum(one.rows for one in outcome.retained if one.table == "invoices") == 3


async def test_what_a_hold_needs_stays_as_it_is_though_a_law_keeps_it_too(database: Database) -> None:
    """Held lines need their invoices, and those their buyers: of none of them is anything emptied."""
    query = "select (i.*)::text, (u.*)::text from invoices i join users u on u.id = buyer order by 1"
    before = await database.fetch(query)
    await erased(database, LEFT, None, None, OfTables(tables=("lines",)))

    assert await database.fetch(query) == before


async def test_what_only_a_hold_kept_is_emptied_or_gone_when_it_is_over(database: Database) -> None:
    """The next deletion does what the hold forbade."""
    await erased(database, LEFT, None, None, OfTables(tables=("invoices",)))
    assert await database.fetchval("select count(*) from invoices where note is not null and id < 10") == 4
    await erased(database)

    assert await ids(database) == [1, 2, 3]
    assert await database.fetchval("select count(*) from invoices where note is not null and id < 10") == 0


async def test_what_a_trigger_writes_of_the_emptied_values_goes_too(database: Database) -> None:
    """An audit of the update would have the address still."""
    await database.execute(
        """
        create function audit() returns trigger language plpgsql as
            $$ begin insert into logs values (old.customer_id, old.email); return new; end $$;
        create trigger audit after update on users for each row execute function audit();
        """
    )
    outcome = await erased(database)

    assert isinstance(outcome, ErasedInPart)
    assert await database.fetchval("select count(*) from logs where customer_id = 'acme'") == 0


@pytest.mark.parametrize(
    "trigger",
    [
        "if tg_op = 'UPDATE' then new.note = 'again'; end if; return new;",
        "if tg_op = 'UPDATE' then new.amount = 0; end if; return new;",
        "return null;",
    ],
)
async def test_a_trigger_that_changes_a_kept_row_undoes_it_all(database: Database, trigger: str) -> None:
    """What has to be emptied is, and all else of a kept row is as it was; or nothing is done."""
    await database.execute(
        f"create function meddle() returns trigger language plpgsql as $$ begin {trigger} end $$;"
        "create trigger meddle before update on invoices for each row execute function meddle();"
    )
    before = await database.fetch("select (i.*)::text from invoices i order by 1")
    with pytest.raises(RefusedError, match=r"changed|emptied|emptying"):
        await erased(database)

    assert await database.fetch("select (i.*)::text from invoices i order by 1") == before


async def test_a_value_that_the_table_refuses_undoes_it_all(database: Database) -> None:
    """A check or a length may forbid the constant: it is said, and nothing is gone."""
    await database.execute("alter table users add check (name <> '-')")
    with pytest.raises(RefusedError, match="users_name_check"):
        await erased(database)

    assert await database.fetchval("select count(*) from users where customer_id = 'acme'") == 9


async def test_the_survey_knows_what_the_law_keeps(database: Database) -> None:
    """Counted by another way; what is kept is no residue before its time, and is one after it."""
    await erased(database)

    assert (await survey_rows(database, shop(), "acme", now=LEFT)).clean
    assert not (await survey_rows(database, shop(), "acme", now=day(2029))).clean
    with pytest.raises(RefusedError, match="for a moment only"):
        await survey_rows(database, shop(), "acme")


async def test_the_search_for_residues_tells_kept_rows_apart(database: Database) -> None:
    """The customer's id stands in its invoices: as it must."""
    await erased(database)
    found = await residue(database, shop(), ("acme",), "acme")

    assert {(one.table, one.whose) for one in found} == {("customers", "own"), ("invoices", "own"), ("users", "own")}


async def test_a_dry_run_shows_it_and_changes_nothing(database: Database) -> None:
    """The same answer, rolled back."""
    before = await database.fetch("select (i.*)::text from invoices i order by 1")
    right = Right(day(2027), moved_clock=True)
    dry = await erase(Work(database, shop(), "acme", right, lambda: LEFT, dry_run=True))

    assert await database.fetch("select (i.*)::text from invoices i order by 1") == before
    assert dry.outcome == await erased(database)


async def test_a_date_that_gets_lost_meanwhile_keeps_its_row(database: Database) -> None:
    """Dates are looked at first; a batch that meets a row without one later keeps it, whatever the year."""
    await database.execute("update invoices set issued_at = null where id = 1")
    await database.execute("update invoices set status = null where id = 2")
    retain = shop().table("invoices").retain
    assert retain is not None
    kept = await database.fetch(
        f"select id from invoices i where {retain.kept('i', day(2100))} and id < 10 order by id"
    )

    assert [row["id"] for row in kept] == [1]
    kept = await database.fetch(
        f"select id from invoices i where {retain.kept('i', day(2027))} and id < 10 order by id"
    )
    assert [row["id"] for row in kept] == [1, 2, 3]
