"""Every way in which a row can lead to a customer, each read by the same predicate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.clock import system_clock
from shared.datamap.live import check
from shared.datamap.model import MapError, parse
from shared.datamap.names import relation
from shared.datamap.ownership import about, goes_with, owned_by, owned_by_another, owned_by_somebody
from shared.events.platform import Erased
from shared.holder.rows import erase_rows
from shared.holder.survey import survey_rows
from tests.holder.platform_rows import expired

if TYPE_CHECKING:
    import asyncpg

    from shared.datamap.model import DataMap

    Database = asyncpg.Connection[asyncpg.Record]

# Two customers whose ids begin alike, one of them with other ids as well.
SCHEMA = """
    create table orgs (id text primary key, slug text unique, number bigint unique);
    create table aliases (name text primary key, org text references orgs);
    create table pupils (school text, number int, org text references orgs, primary key (school, number));
    create index on pupils (org);
    create index on aliases (org);
    insert into orgs values ('a', 'alpha', 1), ('ab', 'alphabet', 2), ('b', 'beta', 3);
    insert into aliases values ('first', 'a'), ('old-a', 'a'), ('old-b', 'b');
    insert into pupils values ('x', 1, 'a'), ('x', 2, 'ab'), ('y', 1, 'b');
"""
HEAD = """
version: 1
system: ways
tenancy: rows
customers: orgs.id
ids: {slug: orgs.slug, number: orgs.number, alias: aliases.name}
tables:
  orgs: {category: user, owner: {column: id}}
  aliases: {category: user, owner: {column: org}}
  pupils: {category: user, owner: {column: org}}
"""

# The way, the table's columns, its rows by their first column, and which of them are whose.
WAYS = {
    "a column": ("{column: org}", "org text", {1: "'a'", 2: "'ab'", 3: "null"}, {"a": {1}, "ab": {2}}),
    "a column with a template": (
        "{column: ref, as: 'org:{customer}'}",
        "ref text",
        {1: "'org:a'", 2: "'org:ab'", 3: "'a'"},
        {"a": {1}, "ab": {2}},
    ),
    "a composite key": (
        "{path: [{columns: [school, pupil], to: pupils, keys: [school, number]}]}",
        "school text, pupil int",
        {1: "'x', 1", 2: "'x', 2", 3: "'y', 2", 4: "'y', null", 5: "'y', 1"},
        {"a": {1}, "ab": {2}, "b": {5}},
    ),
    "a path with a cast": (
        "{path: [{column: ref, to: orgs.number, cast: text}]}",
        "ref text",
        {1: "'1'", 2: "'2'", 3: "'none'"},
        {"a": {1}, "ab": {2}},
    ),
    "the beginning of a text": (
        "{prefix: 'org/{customer}/', of: key}",
        "key text",
        {1: "'org/a/x'", 2: "'org/ab/x'", 3: "'a/'", 4: "'org/a'", 5: "null"},
        {"a": {1}, "ab": {2}},
    ),
    "a part of a text": (
        "{part: 2, of: key, separator: '/'}",
        "key text",
        {1: "'x/a/y'", 2: "'x/ab'", 3: "'a/b'", 4: "'x'"},
        {"a": {1}, "ab": {2}, "b": {3}},
    ),
    "any part of a text": (
        "{part: any, of: path, separator: '/'}",
        "path text",
        {1: "'/a/b'", 2: "'/ab'", 3: "'/x'"},
        {"a": {1}, "ab": {2}, "b": {1}},
    ),
    "an element of an array": (
        "{element: numbers, type: bigint, by: [number]}",
        "numbers bigint[]",
        {1: "array[1, 3]", 2: "array[2]", 3: "array[9]", 4: "null"},
        {"a": {1}, "ab": {2}, "b": {1}},
    ),
    "an element that is the customer's own id": (
        "{element: orgs}",
        "orgs text[]",
        {1: "array['a', 'ab']", 2: "array['b']", 3: "'{}'"},
        {"a": {1}, "ab": {1}, "b": {2}},
    ),
    "a value inside jsonb": (
        "{json: doc, at: [tenant, id]}",
        "doc jsonb",
        {1: """'{"tenant": {"id": "a"}}'""", 2: """'{"tenant": {"id": "ab"}}'""", 3: """'{"id": "a"}'""", 4: "null"},
        {"a": {1}, "ab": {2}},
    ),
    "a number inside json": (
        "{json: doc, at: [org], stored: json, by: [number]}",
        "doc json",
        {1: """'{"org": 1}'""", 2: """'{"org": "2"}'""", 3: "'3'"},
        {"a": {1}, "ab": {2}},
    ),
    "a value in an array inside a text that may be no json": (
        "{json: doc, at: [orgs, '*', id], stored: text}",
        "doc text",
        {1: """'{"orgs": [{"id": "a"}, {"id": "b"}]}'""", 2: "'no json: a'", 3: """'{"orgs": [{"id": "ab"}]}'"""},
        {"a": {1}, "ab": {3}, "b": {1}},
    ),
    "a type and an id": (
        "{pair: [kind, ref], leads: {org: '{customer}', alias: aliases.name}}",
        "kind text, ref text",
        {1: "'org', 'a'", 2: "'alias', 'old-b'", 3: "'org', 'old-b'", 4: "'other', 'a'", 5: "null, 'a'"},
        {"a": {1}, "b": {2}},
    ),
    "any of several ids": (
        "{column: ref, by: [id, slug, alias]}",
        "ref text",
        {1: "'a'", 2: "'alpha'", 3: "'first'", 4: "'alphabet'", 5: "'old-b'", 6: "'gone'"},
        {"a": {1, 2, 3}, "ab": {4}, "b": {5}},
    ),
    "another id at the beginning of a text": (
        "{prefix: '{customer}/', of: key, by: [slug]}",
        "key text",
        {1: "'alpha/x'", 2: "'alphabet/x'", 3: "'a/x'"},
        {"a": {1}, "ab": {2}},
    ),
    "either of two columns": (
        "{any: [{column: buyer}, {column: seller}]}",
        "buyer text, seller text",
        {1: "'a', 'b'", 2: "null, 'ab'", 3: "null, null", 4: "'a', null"},
        {"a": {1, 4}, "ab": {2}, "b": {1}},
    ),
    "a condition": (
        "{sql: '{row}.low <= length({customer}) and {row}.high > length({customer}) -- by length'}",
        "low int, high int",
        {1: "2, 3", 2: "5, 9", 3: "null, null"},
        {"ab": {1}},
    ),
    "a member list": (
        "{path: [{column: ref, to: aliases.org}], several: true}",
        "ref text",
        {1: "'a'", 2: "'b'", 3: "'ab'"},
        {"a": {1}, "b": {2}},
    ),
}
CUSTOMERS = ("a", "ab", "b")


@pytest.fixture(autouse=True)
async def emptied(database: Database) -> None:
    """Take the school's tables away."""
    await database.execute("drop schema public cascade; create schema public")


async def prepared(database: Database, way: str) -> tuple[DataMap, dict[str, set[int]]]:
    """Make the table of a *way*, and give the map and whose its rows are."""
    owner, columns, rows, whose = WAYS[way]
    await database.execute(f"{SCHEMA} create table things (id int primary key, {columns})")
    for identity, values in rows.items():
        await database.execute(f"insert into things values ({identity}, {values})")
    data_map = parse(f"{HEAD}  things: {{category: course, owner: {owner}}}\n".encode(), "ways.yaml")
    return data_map, {customer: whose.get(customer, set()) for customer in CUSTOMERS}


async def found(database: Database, which: str, *arguments: str) -> set[int]:
    """Give the ids of the rows of the table for which *which* is true."""
    return {row["id"] for row in await database.fetch(f"select id from things as t where {which}", *arguments)}


@pytest.mark.parametrize("way", WAYS)
async def test_a_row_is_whose_its_way_says(database: Database, way: str) -> None:
    """Each way finds a customer's rows and no other's, tells what others have too, and what is nobody's."""
    data_map, whose = await prepared(database, way)
    things = data_map.table("things")

    assert [one for one in await check(database, data_map) if one.stops] == []
    assert await found(database, owned_by_somebody(data_map, things)) == set().union(*whose.values())
    for customer in CUSTOMERS:
        others = set().union(*(whose[other] for other in CUSTOMERS if other != customer))
        assert await found(database, owned_by(data_map, things), customer) == whose[customer]
        assert await found(database, owned_by_another(data_map, things), customer) == others
        assert await found(database, goes_with(data_map, things), customer) == whose[customer] - others


INDEXED = (
    "a column",
    "a column with a template",
    "a composite key",
    "the beginning of a text",
    "a part of a text",
    "any part of a text",
    "an element that is the customer's own id",
    "a value inside jsonb",
)


@pytest.mark.parametrize("way", INDEXED)
async def test_the_index_that_the_check_names_serves_the_way(database: Database, way: str) -> None:
    """With the index that the check asks for, a customer's rows are found by it and not by reading the table."""
    data_map, _ = await prepared(database, way)
    things = data_map.table("things")
    (missing,) = [one for one in await check(database, data_map) if one.place.startswith("things.")]
    await database.execute(missing.remedy.removeprefix("Run: "))
    await database.execute("set enable_seqscan = off")
    which = owned_by(data_map, things, customer="'a'")
    plan = await database.fetch(f"explain select id from things as t where {which}")

    assert missing.kind == "owner_not_indexed"
    assert not any("Seq Scan on things" in row[0] for row in plan)
    assert await found(database, owned_by(data_map, things), "a")


async def test_a_shared_row_goes_with_the_last_of_its_customers(database: Database) -> None:
    """As long as one of a row's customers is still there it stays, for each it is exported, and then it goes."""
    data_map, _ = await prepared(database, "either of two columns")
    things = data_map.table("things")
    before = await found(database, goes_with(data_map, things), "a")
    await database.execute("delete from aliases; delete from pupils; delete from orgs where id = 'b'")

    assert before == {4}
    assert await found(database, owned_by(data_map, things), "a") == {1, 4}
    assert await found(database, goes_with(data_map, things), "a") == {1, 4}


async def test_a_deletion_leaves_what_others_have_too(database: Database) -> None:
    """Really deleted: with one customer only its own rows go, with the last one the rest, and each is clean after."""
    data_map, _ = await prepared(database, "either of two columns")
    left = []
    for customer in ("a", "b"):
        outcome = await erase_rows(database, data_map, customer, right=expired(), now=system_clock())
        assert isinstance(outcome, Erased)
        assert (await survey_rows(database, data_map, customer)).clean
        left.append(await found(database, "true"))

    assert left == [{1, 2, 3}, {2, 3}]


async def test_what_leads_through_a_shared_row_is_shared_too(database: Database) -> None:
    """A person in two customers keeps its posts until the last of them leaves."""
    await database.execute(f"""{SCHEMA}
        create table people (id int primary key);
        create table members (person int references people, org text references orgs);
        create table posts (id int primary key, person int references people);
        insert into people values (1), (2), (3);
        insert into members values (1, 'a'), (1, 'b'), (2, 'a'), (3, 'b');
        insert into posts values (10, 1), (20, 2), (30, 3);
    """)
    text = f"""{HEAD}
  members: {{category: user, owner: {{column: org}}}}
  people: {{category: user, owner: {{path: [{{column: id, to: members.person}}], several: true}}}}
  posts: {{category: course, owner: {{path: [{{column: person, to: people.id}}]}}}}
"""
    data_map = parse(text.encode(), "people.yaml")
    posts = data_map.table("posts")
    query = f"select id from {relation('posts')} as t where "

    assert [row["id"] for row in await database.fetch(query + owned_by(data_map, posts), "a")] == [10, 20]
    assert [row["id"] for row in await database.fetch(query + goes_with(data_map, posts), "a")] == [20]
    assert [one.kind for one in await check(database, data_map) if one.stops] == []


async def test_a_row_is_about_a_person_by_a_way_of_its_own(database: Database) -> None:
    """Where the whole database is one customer's, its rows still lead to single persons, and nothing is another's."""
    await database.execute("""
        create table users (id bigint primary key, name text);
        create table posts (id int primary key, author bigint, body text);
        create table settings (name text primary key, value text);
        insert into users values (1, 'one'), (2, 'two');
        insert into posts values (10, 1, 'x'), (20, 2, 'y'), (30, null, 'z');
        insert into settings values ('customer', 'acme');
    """)
    data_map = parse(
        b"""
version: 1
system: club
tenancy: {database: {query: "select value from settings where name = 'customer'"}}
tables:
  users: {category: user, person: {column: id, type: bigint}}
  posts: {category: course, person: {path: [{column: author, to: users.id}]}}
  settings: {category: course}
""",
        "club.yaml",
    )
    posts = data_map.table("posts")
    query = "select id from posts as t where "

    assert [row["id"] for row in await database.fetch(query + about(data_map, posts), "1")] == [10]
    assert len(await database.fetch(query + owned_by(data_map, posts), "acme")) == 3
    assert await database.fetch(query + owned_by(data_map, posts), "fjord") == []
    with pytest.raises(ValueError, match="settings names no way to a person"):
        about(data_map, data_map.table("settings"))


async def test_a_database_may_be_called_after_its_customer(database: Database) -> None:
    """The database's name says whose all of it is, and of a database with another name nothing is anybody's."""
    name = await database.fetchval("select current_database()")
    await database.execute("create table users (id int primary key); insert into users values (1), (2)")
    text = "version: 1\nsystem: club\ntenancy: {database: '%s'}\ntables: {users: {category: user}}\n"
    right = parse((text % "t_{customer}").encode(), "club.yaml")
    wrong = parse((text % "club_{customer}").encode(), "club.yaml")
    query = "select id from users as t where "

    assert len(await database.fetch(query + owned_by(right, right.tables[0]), name.removeprefix("t_"))) == 2
    assert await database.fetch(query + owned_by(right, right.tables[0]), "acme") == []
    assert await database.fetch(query + owned_by(wrong, wrong.tables[0]), name.removeprefix("t_")) == []


async def test_a_customer_may_have_a_schema_of_its_own(database: Database) -> None:
    """Read for a customer the map's tables are those of its schema; other customers' schemas are no part of it."""
    for customer in ("acme", "fjord"):
        await database.execute(f'create schema "t_{customer}"; create table "t_{customer}".users (id int primary key)')
        await database.execute(f'insert into "t_{customer}".users values (1), (2)')
    text = b"version: 1\nsystem: club\ntenancy: {schema: 't_{customer}'}\ntables: {users: {category: user}}\n"
    data_map = parse(text, "club.yaml")
    bound = data_map.of("acme")
    (users,) = bound.tables

    assert users.name == "t_acme.users"
    assert [one.kind for one in await check(database, bound)] == []
    assert (
        len(await database.fetch(f"select id from {relation(users.name)} as t where {owned_by(bound, users)}", "acme"))
        == 2
    )
    assert (
        await database.fetch(f"select id from {relation(users.name)} as t where {owned_by(bound, users)}", "fjord")
        == []
    )
    with pytest.raises(ValueError, match="has to be read for one customer"):
        owned_by(data_map, data_map.tables[0])


MISTAKES = {
    "a prefix that another id may begin with": ("{prefix: 'org-{customer}-', of: key}", "owner.prefix"),
    "a prefix without an end": ("{prefix: 'org/{customer}', of: key}", "owner.prefix"),
    "a separator that is part of ids": ("{part: 1, of: key, separator: '-'}", "owner.separator"),
    "an id that the map doesn't know": ("{column: ref, by: [nick]}", "owner.by"),
    "a condition without the customer": ("{sql: '{row}.x = 1'}", "owner.sql"),
    "half a composite step": ("{path: [{columns: [a, b], to: pupils, keys: [school]}]}", "owner.path.0"),
    "a step to a table without a column": ("{path: [{column: a, to: pupils}]}", "owner.path.0"),
    "a pair that leads to nobody": ("{pair: [k, r], leads: {x: nowhere.id}}", "owner.path"),
    "one way only under any": ("{any: [{column: a}]}", "owner.any"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_way_that_could_miss_is_refused(mistake: str) -> None:
    """A way that might take in another customer's rows, or end nowhere, is an error at its place."""
    owner, where = MISTAKES[mistake]

    with pytest.raises(MapError) as caught:
        parse(f"{HEAD}  things: {{category: course, owner: {owner}}}\n".encode(), "ways.yaml")

    assert caught.value.where == f"tables.things.{where}"


def test_what_is_nobodys_is_said_to_be_shared() -> None:
    """A shared table is no exempt one: its reason is told as it is, and no customer owns it."""
    data_map = parse(f"{HEAD}  countries: {{shared: 'a list for all'}}\n".encode(), "ways.yaml")

    assert data_map.shared == {"countries": "a list for all"}
    assert data_map.without_owner == {"countries": "a list for all"}


def test_a_map_with_undecided_tables_is_no_map() -> None:
    """What a draft left open stops everything that would use the map."""
    with pytest.raises(MapError, match=r"tables\.things: 1 tables are undecided; here: two ways") as caught:
        parse(f"{HEAD}  things: {{undecided: 'two ways'}}\n".encode(), "ways.yaml")

    assert "exempt or shared" in caught.value.remedy
