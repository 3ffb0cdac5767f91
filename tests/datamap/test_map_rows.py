"""Whose a row is, and whether a set of rows has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
from pydantic import TypeAdapter

from shared.datamap.fingerprint import BY_COLUMNS, BY_TEXT, Method, Rows, measuring, own_of, rest_of, settle
from shared.datamap.model import DataMap, parse
from shared.datamap.ownership import owned_by, quoted, relation
from shared.events.vocabulary import Fingerprint

if TYPE_CHECKING:
    Database = asyncpg.Connection[asyncpg.Record]


# However small a table is, workers read it.
SEVERAL_WORKERS = """
    set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
    set min_parallel_table_scan_size = 0; set enable_indexscan = off; set enable_bitmapscan = off
"""
LAUNCHED = "select parallel_workers_launched from pg_stat_database where datname = current_database()"


BY_EITHER = pytest.mark.parametrize("method", [BY_TEXT, BY_COLUMNS])


async def measured(
    database: Database, map: DataMap, customer: str = "acme", method: Method = BY_COLUMNS
) -> dict[str, tuple[Rows, Rows]]:
    """Measure own rows and others' of every table."""
    async with database.transaction():
        await settle(database)
        by = await measuring(database, map, method)
        return {
            table.name: (
                await by.rows(table, own_of(map, table), customer),
                await by.rows(table, rest_of(map, table), customer),
            )
            for table in map.tables
        }


async def test_a_row_is_owned_once_by_whom_its_path_leads_to(database: Database, school: DataMap) -> None:
    """Rows are neither doubled by a path nor lost; whatever leads to no customer is somebody else's."""
    counts = {name: (own.count, others.count) for name, (own, others) in (await measured(database, school)).items()}

    assert counts == {"customers": (1, 1), "users": (2, 2), "enrolments": (2, 3), "marks": (3, 3)}


async def test_every_step_of_a_path_counts(database: Database) -> None:
    """A path may lead through a table that is nobody's itself; whose the row is, its last step says."""
    await database.execute("create table seats (id int primary key, user_id int references users)")
    await database.execute("create table badges (seat_id int references seats, body text)")
    await database.execute("insert into seats values (1, 1), (3, 3), (9, null)")
    await database.execute("insert into badges values (1, 'a'), (3, 'b'), (9, 'c'), (null, 'd')")
    hotel = parse(
        b"version: 1\nsystem: s\ntenancy: rows\ntables:\n"
        b"  users: {category: user, owner: {column: customer_id}}\n"
        b"  seats: {exempt: 'furniture'}\n"
        b"  badges: {category: user, owner: {path: [\n"
        b"    {column: seat_id, to: seats.id}, {column: user_id, to: users.id}]}}\n",
        "hotel.yaml",
    )

    own, others = (await measured(database, hotel))["badges"]

    assert (own.count, others.count) == (1, 3)


async def test_a_literal_can_stand_for_the_customer(database: Database, school: DataMap) -> None:
    """A COPY takes no parameters, so the predicate takes a quoted literal too."""
    which = owned_by(school, school.table("marks"), "m", "'acme'")

    assert await database.fetchval(f"select count(*) from marks as m where {which}") == 3


async def test_names_are_quoted(database: Database) -> None:
    """A table or column with a quote, a capital or a reserved word in its name is only a name."""
    await database.execute('create schema "Odd"; create table "Odd"."select" ("O""wner" text, "t" text)')
    await database.execute("""insert into "Odd"."select" values ('acme', 'x'), ('fjord', 'y')""")
    odd = parse(
        b"version: 1\nsystem: s\ntenancy: rows\ntables:\n  Odd.select: {category: user, owner: {column: 'O\"wner'}}\n",
        "odd.yaml",
    )

    assert quoted('a"b') == '"a""b"'
    assert relation("Odd.select") == '"Odd"."select"'
    ((own, others),) = (await measured(database, odd)).values()
    assert (own.count, others.count) == (1, 1)


@pytest.mark.parametrize(
    ("sql_type", "word", "customer"),
    [
        ("uuid", "uuid", "6f1c7b0e-4b53-4f6e-9e43-0f7a3f1c2d11"),
        ("bigint", "bigint", "4711"),
        ("varchar(20)", "text", "acme"),
    ],
)
async def test_a_customer_may_be_a_number(database: Database, sql_type: str, word: str, customer: str) -> None:
    """The customer's id is a text in our events, whatever type the system has for it."""
    await database.execute(f"create table x (owner {sql_type}); insert into x values ('{customer}'), (null)")
    head = "version: 1\nsystem: s\ntenancy: rows\ntables:\n"
    text = f"{head}  x: {{category: user, owner: {{column: owner, type: {word}}}}}\n"

    ((own, others),) = (await measured(database, parse(text.encode(), "x.yaml"), customer)).values()

    assert (own.count, others.count) == (1, 1)


@BY_EITHER
async def test_a_fingerprint_ignores_the_order_of_rows(database: Database, school: DataMap, method: Method) -> None:
    """Rewriting a table in another order changes nothing."""
    before = await measured(database, school, method=method)
    await database.execute("create table copy as select * from marks order by mark desc; truncate marks")
    await database.execute("insert into marks select * from copy; drop table copy")

    assert await measured(database, school, method=method) == before


@BY_EITHER
@pytest.mark.parametrize(
    "change",
    [
        "update marks set mark = mark + 1 where enrolment_id = 12",
        "update marks set mark = 0 where mark is null",
        "delete from marks where enrolment_id is null",
        "insert into marks values (12, 'nan')",
        "update marks set enrolment_id = 13 where enrolment_id = 12",
        "update users set t = t || ' ' where id = 3",
        # The table has a column of the same name as the alias that the query uses.
        "update users set password_hash = 'changed' where id = 3",
    ],
)
async def test_a_fingerprint_sees_every_change_of_others_rows(
    database: Database, school: DataMap, change: str, method: Method
) -> None:
    """A changed, lost, added or doubled row of somebody else or of nobody is seen; the customer's own stay the same."""
    if change.startswith("update marks set mark = mark + 1"):
        await database.execute("update marks set mark = 1 where enrolment_id = 12")
    before = await measured(database, school, method=method)
    await database.execute(change)
    after = await measured(database, school, method=method)

    assert [own for own, _ in after.values()] == [own for own, _ in before.values()]
    assert [others for _, others in after.values()] != [others for _, others in before.values()]


@BY_EITHER
async def test_two_equal_rows_do_not_cancel_out(database: Database, school: DataMap, method: Method) -> None:
    """A pair of equal rows leaves a trace: the sum grows where an exclusive or would not."""
    before = await measured(database, school, method=method)
    await database.execute("insert into marks values (12, 7), (12, 7)")

    assert (await measured(database, school, method=method))["marks"][1].fingerprint != before["marks"][1].fingerprint


@BY_EITHER
async def test_a_fingerprint_does_not_depend_on_the_session(dsn: str, school: DataMap, method: Method) -> None:
    """Sessions with other settings for dates, floats, intervals and bytes agree, so they can be compared."""
    odd = {"extra_float_digits": "-15", "datestyle": "German", "timezone": "Asia/Tokyo", "bytea_output": "escape",
           "intervalstyle": "iso_8601"}  # fmt: skip
    plain, strange = await asyncpg.connect(dsn), await asyncpg.connect(dsn, server_settings=odd)
    try:
        await plain.execute(
            "alter table marks add at timestamptz default now(), add i interval default '36:00'",
        )
        await plain.execute(
            "alter table marks add b bytea default '\\xff'",
        )

        assert await measured(plain, school, method=method) == await measured(strange, school, method=method)
    finally:
        await plain.close()
        await strange.close()


@BY_EITHER
async def test_workers_side_by_side_find_the_same(database: Database, school: DataMap, method: Method) -> None:
    """Where the server has cores to spare, it reads a table with several processes: the same sum, in any order."""
    alone = await measured(database, school, method=method)
    await database.execute("select pg_stat_force_next_flush()")
    before = await database.fetchval(LAUNCHED)
    await database.execute(SEVERAL_WORKERS)

    by = await measuring(database, school, method)
    planned = await database.fetch(f"explain {by.query(school.table('marks'))}")
    assert "Partial Aggregate" in str(planned)
    assert await measured(database, school, method=method) == alone
    await database.execute("select pg_stat_force_next_flush()")
    assert await database.fetchval(LAUNCHED) - before >= 2 * len(school.tables)


async def test_a_fingerprint_fits_into_an_event(database: Database, school: DataMap) -> None:
    """The text is what the events call a fingerprint."""
    own, _ = (await measured(database, school))["marks"]

    assert TypeAdapter(Fingerprint).validate_python(own.fingerprint) == own.fingerprint


async def test_rows_hidden_by_a_policy_are_an_error(database: Database, school: DataMap) -> None:
    """Rows that the role may not see would look like deleted ones, so hiding them fails."""
    await database.execute("alter table marks enable row level security; alter table marks force row level security")
    role = f"t_{await database.fetchval('select current_database()')}"
    await database.execute(f"create role {role}; grant all on all tables in schema public to {role}")
    try:
        await database.execute(f"set role {role}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await measured(database, school)
    finally:
        await database.execute(f"reset role; drop owned by {role}; drop role {role}")
