"""Where the map and the live schema disagree, it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.datamap.live import check, columns, foreign_keys
from shared.datamap.model import parse
from shared.datamap.unowned import unowned
from tests.datamap.map_school import SCHOOL

if TYPE_CHECKING:
    import asyncpg

    from shared.datamap.model import DataMap

    Database = asyncpg.Connection[asyncpg.Record]


async def test_a_map_that_fits_has_no_findings(database: Database, school: DataMap) -> None:
    """Every table is declared or exempt, every path leads to a customer, every foreign key has an index."""
    assert await check(database, school) == ()


DRIFTS = {
    "a new table": ("create table grades (id int)", "undeclared_table", "grades"),
    "a new table in another schema": ("create schema lms; create table lms.x (id int)", "undeclared_table", "lms.x"),
    "a copy in a view": ("create materialized view v as select * from users", "undeclared_table", "v"),
    "a dropped table": ("drop table marks", "vanished_table", "marks"),
    "a dropped exempt table": ("drop table migrations", "vanished_table", "migrations"),
    "a renamed secret": ("alter table users rename password_hash to hash", "vanished_column", "users.password_hash"),
    "a renamed owner": ("alter table users rename customer_id to tenant", "owner_missing", "users.customer_id"),
    "an owner of another type": (
        "alter table users drop customer_id; alter table users add customer_id int",
        "owner_type",
        "users.customer_id",
    ),
    "a renamed step": ("alter table enrolments rename user_id to person", "path_broken", "enrolments"),
    "a path by what is not unique": (
        "alter table enrolments drop constraint enrolments_pkey cascade",
        "path_ambiguous",
        "marks",
    ),
    "a foreign key from an exempt table": (
        "alter table migrations add customer text references customers",
        "foreign_key_from_outside",
        "migrations.customer",
    ),
    "a foreign key without an index": (
        "alter table users add boss int references users",
        "foreign_key_not_indexed",
        "users.boss",
    ),
    "a new column that looks like a secret": (
        'alter table users add "apiKey" text',
        "secret_shown",
        "users.apiKey",
    ),
    "a value that lies outside its table": ("alter table marks add scan oid", "type_not_carried", "marks.scan"),
    "a name that only this database resolves": (
        "alter table marks add kind regclass[]",
        "type_not_carried",
        "marks.kind",
    ),
    "a type of an extension": (
        "create extension seg; alter table marks add range seg",
        "type_not_carried",
        "marks.range",
    ),
    "a foreign key out of the map": (
        "create table rooms (id int primary key); alter table marks add room int references rooms",
        "foreign_key_leaves",
        "marks.room",
    ),
    "a step between types that don't compare": (
        """alter table enrolments drop constraint enrolments_user_id_fkey;
        alter table enrolments alter user_id type text""",
        "path_type",
        "enrolments",
    ),
    "an owner without an index": ("drop index users_customer_id_idx", "foreign_key_not_indexed", "users.customer_id"),
    "an owner without an index or a foreign key": (
        "alter table users drop constraint users_customer_id_fkey; drop index users_customer_id_idx",
        "owner_not_indexed",
        "users.customer_id",
    ),
    "a foreign key with a partial index only": (
        "alter table users add boss int references users; create index on users (boss) where boss > 0",
        "foreign_key_not_indexed",
        "users.boss",
    ),
}


@pytest.mark.parametrize("drift", DRIFTS)
async def test_a_drift_is_found(database: Database, school: DataMap, drift: str) -> None:
    """Each way in which a schema can grow away from its map is one finding, with its place and what to do."""
    change, kind, place = DRIFTS[drift]
    await database.execute(change)

    found = await check(database, school)

    assert (kind, place) in [(one.kind, one.place) for one in found]
    assert all(one.remedy for one in found)


async def test_only_a_missing_index_is_a_mere_warning(database: Database, school: DataMap) -> None:
    """What makes a deletion slow does not stop it; everything else does."""
    await database.execute("alter table users add boss int references users; create table grades (id int)")

    stops = {one.kind: one.stops for one in await check(database, school)}

    assert stops == {"undeclared_table": True, "foreign_key_not_indexed": False}


async def test_columns_are_told_as_they_are(database: Database, school: DataMap) -> None:
    """Types are as the server writes them, and keys are known."""
    found = await columns(database, school)

    assert list(found) == ["customers", "users", "enrolments", "marks"]
    assert [(one.name, one.type, one.nullable, one.position) for one in found["marks"]] == [
        ("enrolment_id", "integer", True, 1),
        ("mark", "double precision", True, 2),
    ]
    assert [(one.key_position, one.unique) for one in found["users"]] == [(1, True), (None, False)] + [
        (None, False)
    ] * 2


async def test_foreign_keys_are_told_with_their_columns(database: Database) -> None:
    """Who refers to whom, by which columns, and whether an index serves it."""
    keys = {(key.table, key.columns, key.to_table, key.to_columns, key.indexed) for key in await foreign_keys(database)}

    assert keys == {
        ("users", ("customer_id",), "customers", ("id",), True),
        ("enrolments", ("user_id",), "users", ("id",), True),
        ("marks", ("enrolment_id",), "enrolments", ("id",), True),
    }


WHOLE = """
version: 1
system: whole
tenancy: rows
customers: customers.id
tables:
  customers: {category: user, owner: {column: id}, columns: [id]}
  events:
    category: report
    owner: {any: [{column: org}, {json: doc, at: [org]}, {prefix: "o/{customer}/", of: key}, {element: orgs}]}
    columns: [id, org, doc, key, orgs]
    coded: {shape: {sql: "{value}::text"}}
    unowned: "of the system itself"
"""
EVENTS = """
    drop schema public cascade; create schema public; create extension seg;
    create table customers (id text primary key);
    create table events (id int, org text, doc jsonb, key text, orgs text[], shape seg) partition by range (id);
"""


async def test_a_column_that_the_map_does_not_name_is_found(database: Database) -> None:
    """Where the map names a table's columns, one that is new is no part of it, and one that is gone is missed."""
    await database.execute(EVENTS)
    before = {one.place for one in await check(database, parse(WHOLE.encode(), "whole.yaml")) if one.stops}
    await database.execute("alter table customers add mail text; alter table events drop key")
    found = {(one.kind, one.place) for one in await check(database, parse(WHOLE.encode(), "whole.yaml")) if one.stops}

    assert before == {"events.shape"}
    assert {("undeclared_column", "customers.mail"), ("vanished_column", "events.key")} < found


async def test_an_index_that_is_missing_is_named_so_that_it_can_be_made(database: Database) -> None:
    """Each statement that the check gives can be run as it stands, and afterwards the check is silent."""
    await database.execute(EVENTS)
    data_map = parse(WHOLE.replace("columns: [id, org,", "columns: [id, shape, org,").encode(), "whole.yaml")
    found = [one for one in await check(database, data_map) if not one.stops]
    for one in found:
        await database.execute(one.remedy.removeprefix("Run: "))

    assert {one.place for one in found} == {"events.org", "events.doc", "events.key", "events.orgs"}
    assert not any("concurrently" in one.remedy for one in found)
    assert await check(database, data_map) == ()


async def test_an_index_of_an_ordinary_table_is_made_without_a_lock(database: Database, school: DataMap) -> None:
    """The statement lets others write meanwhile, and what it makes is what was missing."""
    await database.execute("drop index users_customer_id_idx")
    (found,) = await check(database, school)
    await database.execute(found.remedy.removeprefix("Run: "))

    assert "create index concurrently on" in found.remedy
    assert await check(database, school) == ()


async def test_a_condition_that_the_server_refuses_is_a_finding(database: Database) -> None:
    """A condition in the map's own SQL is read by the server, which names what is wrong; the transaction goes on."""
    owner = '{sql: "{row}.nowhere = {customer}"}'
    text = f"""version: 1
system: s
tenancy: rows
customers: customers.id
tables:
  customers: {{category: user, owner: {{column: id}}}}
  users: {{category: user, owner: {owner}, leave_out: {{password_hash: secret}}}}
  enrolments: {{exempt: x}}
  marks: {{exempt: x}}
  migrations: {{exempt: x}}
"""
    await database.execute("alter table enrolments drop constraint enrolments_user_id_fkey")
    async with database.transaction():
        found = await check(database, parse(text.encode(), "s.yaml"))
        still = await database.fetchval("select 1")

    assert [one.kind for one in found if one.stops] == ["owner_refused"]
    assert "nowhere does not exist" in found[-1].says
    assert still == 1


async def test_rows_that_nobody_owns_are_found(database: Database, school: DataMap) -> None:
    """Rows with no owner, or with one who is no customer, are counted; a table that says why it has them is left."""
    listed = SCHOOL.replace(b"tenancy: rows", b"tenancy: rows\ncustomers: customers.id")
    explained = listed.replace(b"marks:       {", b"marks:       {unowned: 'of trials', ")
    found = [one async for one in unowned(database, parse(explained, "school.yaml"))]

    assert [(one.place, one.says) for one in found] == [
        ("users", "1 rows belong to no customer"),
        ("enrolments", "2 rows belong to no customer"),
    ]
    assert [one.place async for one in unowned(database, school)] == ["users", "enrolments", "marks"]


async def test_a_type_that_leads_nowhere_is_named(database: Database) -> None:
    """Of a polymorphic pair the types that the map doesn't know are told."""
    await database.execute("create table notes (kind text, ref int); insert into notes values ('user', 1), ('room', 1)")
    pair = b"  notes: {category: user, owner: {pair: [kind, ref], leads: {user: users.id}}}\n"
    found = [one async for one in unowned(database, parse(SCHOOL + pair, "school.yaml"))]

    assert ("unknown_type", "notes.kind", "its types room lead nowhere") in [(o.kind, o.place, o.says) for o in found]
