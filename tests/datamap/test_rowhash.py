"""A row is hashed column by column, and still as no other row is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.datamap.fingerprint import measuring, rest_of, settle
from shared.datamap.model import DataMap, parse
from shared.datamap.rowhash import columns, hashed

if TYPE_CHECKING:
    from shared.datamap.fingerprint import Rows
    from tests.datamap.test_map_rows import Database

# Values that could be taken for each other's, for a length, for a NULL, or for the comma between them.
ODD = """
    create type mood as enum ('', ',', 'null', 'a,b', '!1');
    create domain short as varchar(9);
    create table odd (
        a text, b varchar(9), n int, m bigint, j jsonb, e mood, l text[], s short, p char(4), f numeric, q int4range
    );
    insert into odd (a, b)
    select a, b from unnest(array[null, '', ',', '1', '1,', '!1', '!2', ',1', '0,', 'a', 'a,a', '0', '!11']) a,
                     unnest(array[null, '', ',', '1', '1,', '!1', '!2', ',1', '0,', 'a', 'a,a', '0', '!11']) b;
    insert into odd (n, m, p)
    select n, m, p from unnest(array[null, 0, 1, -1, 8191, 2147483647]) n,
                        unnest(array[null, 0, 1, -1, 8191, 4294967296, 4294967297, -4294967296]) m,
                        unnest(array[null, '', '1', '!4']::char(4)[]) p;
    insert into odd (j, e, l, s)
    select j, e, l, s from unnest(array[null, 'null', '""', '","', '1', '[1, 1]', '{"a": ","}']::jsonb[]) j,
                           unnest(array[null, '', ',', 'null', 'a,b', '!1']::mood[]) e,
                           (values (null), ('{}'), ('{NULL}'), ('{""}'), ('{",", a}'), ('{"a,b"}')) ls (w),
                           lateral (select w::text[] as l) ll,
                           unnest(array[null, '', ',', '""', '(', '!8']) s;
    insert into odd (f, q, s)
    select f, q, s from unnest(array[null, 1, 1.0, 1.00, 'nan', -1]::numeric[]) f,
                        unnest(array[null, 'empty', '[1,2)', '(,)', '[1,)']::int4range[]) q,
                        unnest(array[null, '', '()']) s;
"""
ROWS = """
    select count(*), count(distinct whole) as rows, count(distinct (line, first)) as by_one,
           count(distinct (line, second)) as by_other, count(distinct hashtextextended(line, first)) as first,
           count(distinct hashtextextended(line, second)) as second
      from (select (t.*)::text as whole, {line} as line, {first} as first, {second} as second from odd t) rows
"""


def mapped(*tables: str) -> DataMap:
    """Declare *tables* whose column ``a`` is the customer."""
    head = "version: 1\nsystem: s\ntenancy: rows\ntables:\n"
    return parse(
        (head + "".join(f"  {name}: {{category: user, owner: {{column: a}}}}\n" for name in tables)).encode(), "s"
    )


async def stood(database: Database, declared: DataMap) -> dict[str, tuple[Rows, Rows]]:
    """Measure all rows of every table, and those that aren't acme's."""
    async with database.transaction():
        await settle(database)
        measured = await measuring(database, declared)
        return {
            one.name: (await measured.rows(one), await measured.rows(one, rest_of(declared, one), "acme"))
            for one in declared.tables
        }


async def test_no_row_is_hashed_as_another(database: Database) -> None:
    """Each of the two hashes keeps apart whatever a column could say, NULL and nothing, and what stands beside it."""
    await database.execute(ODD)
    async with database.transaction():
        await settle(database)
        row = hashed((await columns(database, mapped("odd")))["odd"], "t")
        found = await database.fetchrow(ROWS.format(line=row.line, first=row.seeds[0], second=row.seeds[1]))

    assert found["count"] > 1500
    assert {*found.values()} - {found["count"]} == {found["rows"]}


@pytest.mark.parametrize(
    "change",
    [
        # Each value is there as often as before, in another row.
        "update pairs set m = 5 - m",
        "update pairs set a = case a when 'x' then 'y' else 'x' end",
        # Hashes of Postgres' own fold these into one.
        "update pairs set m = 4294967296 * m where n = 1",
    ],
)
async def test_it_sees_values_that_changed_places(database: Database, change: str) -> None:
    """The sum is one of rows, not of columns."""
    await database.execute("create table pairs (a text, n int, m bigint); insert into pairs values ('x', 1, 2)")
    await database.execute("insert into pairs values ('y', 2, 3)")
    before = await stood(database, mapped("pairs"))
    await database.execute(change)

    assert await stood(database, mapped("pairs")) != before


@pytest.mark.parametrize(
    ("kind", "was", "becomes"),
    [("int", "1", "2"), ("text", "'x'", "'y'"), ("numeric", "1.0", "1.00"), ("bool[]", "'{t}'", "'{f}'")],
)
async def test_a_table_may_have_more_columns_than_a_function_takes(
    database: Database, kind: str, was: str, becomes: str
) -> None:
    """A change of the last of as many as a table may have, and a NULL in place of it, where the stack is small."""
    await database.execute("set max_stack_depth = '1MB'")
    await database.execute(f"create table wide (a text, {', '.join(f'c{place} {kind}' for place in range(1599))})")
    await database.execute("insert into wide values ('x'), ('y')")
    seen = []
    for value in (was, becomes, "null"):
        await database.execute(f"update wide set c1598 = {value} where a = 'y'")
        seen.append(await stood(database, mapped("wide")))

    assert seen[0] != seen[1] != seen[2] != seen[0]


async def test_columns_that_play_no_part_may_change(database: Database, school: DataMap) -> None:
    """All others are compared as ever."""
    marks = school.table("marks")

    async def without_mark() -> Rows:
        async with database.transaction():
            await settle(database)
            return await (await measuring(database, school)).rows(marks, without=("mark",))

    before = await without_mark()
    await database.execute("update marks set mark = 17")
    assert await without_mark() == before
    await database.execute("update marks set enrolment_id = 13 where enrolment_id = 12")
    assert await without_mark() != before


async def test_a_type_with_a_name_of_postgres_own_is_taken_for_what_it_is(database: Database) -> None:
    """An enum called uuid may hold commas."""
    await database.execute("create schema odd; create type odd.uuid as enum (',', ',,'); create table x (a text)")
    await database.execute("alter table x add one odd.uuid, add other odd.uuid; insert into x values ('b', ',', ',,')")
    before = await stood(database, mapped("x"))
    await database.execute("update x set one = other, other = one")

    assert await stood(database, mapped("x")) != before
