"""A draft proposes what it can tell, says how sure it is, and leaves open what it can't."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.datamap.draft.draft import Order, draft
from shared.datamap.live import check
from shared.datamap.model import MapError, parse, parse_draft
from shared.datamap.names import relation
from shared.datamap.ownership import owned_by
from shared.datamap.rules import Epoch
from shared.datamap.unowned import unowned
from shared.errors import OperatorError
from tests.datamap.odd_schema import ACME, ACMES, SCHEMA

if TYPE_CHECKING:
    import asyncpg

    from shared.datamap.model import DataMap

    Database = asyncpg.Connection[asyncpg.Record]

CUSTOMERS = Order("rows", customer_table="customers", user_table="users")


@pytest.fixture(autouse=True)
async def emptied(database: Database) -> None:
    """Take the school's tables away."""
    await database.execute("drop schema public cascade; create schema public")


async def drafted(database: Database, schema: str, order: Order = CUSTOMERS) -> tuple[DataMap, str]:
    """Make the *schema*, and give the draft, read and as text."""
    await database.execute(schema)
    text = await draft(database, order)
    return parse_draft(text.encode(), "draft.yaml"), text


async def test_a_schema_with_everything_in_it_is_drafted_and_checked(database: Database) -> None:
    """Rings, composite keys, partitions, odd names and types: each row is found, and only what has no owner is open."""
    found, text = await drafted(database, SCHEMA)
    decided = parse(text.replace("{undecided:", "{shared:").encode(), "decided.yaml")
    rows = {
        table.name: await database.fetchval(
            f"select count(*) from {relation(table.name)} as t where {owned_by(decided, table)}", ACME
        )
        for table in decided.tables
    }

    assert set(found.undecided) == {"countries", "copies"}
    assert "materialised view" in found.undecided["copies"]
    assert rows == ACMES
    assert [one for one in await check(database, decided) if one.stops] == []
    assert [one async for one in unowned(database, decided)] == []


async def test_a_table_as_wide_as_postgres_has_them_is_drafted(database: Database) -> None:
    """1,590 columns, three questions about each: more than one statement may ask."""
    columns = ", ".join(f"n{number} bigint" for number in range(1_588))
    schema = f"""
        create table customers (id text primary key);
        create table wide (at bigint, owner text references customers, {columns});
        insert into customers values ('a');
        insert into wide values (1760000000, 'a');
    """
    found, _ = await drafted(database, schema, Order("rows", customer_table="customers"))

    assert [table.coded for table in found.tables if table.name == "wide"] == [{"at": Epoch("seconds", zero=False)}]


@pytest.mark.parametrize("end", ["\n", "\r", "\x85", "\u2028"])
async def test_a_name_with_lines_in_it_stays_in_its_place(database: Database, end: str) -> None:
    """What would end a comment or a key and go on as part of the map is written as a code."""
    name = f"t{end}version: 2"
    schema = f"""
        create table customers (id text primary key);
        create table "{name}" (id int, owner text);
        alter table "{name}" add constraint "{end}  x: {{exempt: x}}" foreign key (owner) references customers;
    """
    found, text = await drafted(database, schema, Order("rows", customer_table="customers"))

    assert {table.name for table in found.tables} == {"customers", name}
    assert not any(line.startswith(("version: 2", "  x:")) for line in text.splitlines())


async def test_secrets_and_times_are_proposed(database: Database) -> None:
    """What looks like a secret by its name or from within is left out, and numbers that are times are said to be."""
    found, _ = await drafted(
        database,
        "create table customers (id int primary key, hidden text, made bigint, made_ms bigint, number bigint,"
        ' "privateKey" text, session_token uuid, keywords text);'
        "insert into customers values (1, '-----BEGIN RSA PRIVATE KEY-----', 1767225600, 1767225600000, 17)",
        Order("rows", customer_table="customers"),
    )
    (customers,) = found.tables

    assert set(customers.left_out) == {"hidden", "privateKey", "session_token"}
    assert customers.coded == {"made": Epoch("seconds", zero=False), "made_ms": Epoch("milliseconds", zero=False)}


WITHOUT_KEYS = """
    create table lms_customers (id int primary key);
    create table lms_users (id int primary key, customerid int);
    create table lms_posts (id int primary key, userid int, subject int);
    create table lms_subjects (id int primary key, customer int);
    create table lms_likes (id int primary key, userid int);
    create table lms_words (id int primary key, word text);
    insert into lms_customers select generate_series(1, 5);
    insert into lms_users select g, 1 + g % 5 from generate_series(101, 160) g;
    insert into lms_posts select g, 101 + g % 60, 1 + g % 20 from generate_series(1, 200) g;
    insert into lms_subjects select g, 1 + g % 5 from generate_series(1, 20) g;
    insert into lms_likes select g, 9000 + g from generate_series(1, 200) g;
"""


async def test_without_foreign_keys_names_types_and_values_decide(database: Database) -> None:
    """A column whose values are keys of the table that it is called like leads there; one whose aren't, doesn't."""
    order = Order("rows", customer_table="lms_customers", user_table="lms_users")
    found, text = await drafted(database, WITHOUT_KEYS, order)

    assert {table.name for table in found.tables} == {"lms_customers", "lms_users", "lms_posts", "lms_subjects"}
    assert set(found.undecided) == {"lms_likes", "lms_words"}
    assert "60 of 60 sampled values are keys there" in text
    assert "0 of 200 sampled values are keys there" in found.undecided["lms_likes"]


async def test_a_draft_with_undecided_tables_does_not_pass_the_check(database: Database) -> None:
    """What is undecided stops export and deletion, and the check names it, table by table."""
    found, text = await drafted(database, WITHOUT_KEYS, Order("rows", customer_table="lms_customers"))
    told = {one.place for one in await check(database, found) if one.kind == "undecided" and one.stops}

    assert told == set(found.undecided) != set()
    with pytest.raises(MapError, match="undecided"):
        parse(text.encode(), "draft.yaml")


async def test_one_schema_for_each_customer_is_drafted_from_one_of_them(database: Database) -> None:
    """The tables are written without the schema, and the map fits every customer's."""
    tables = (
        "create table {0}.users (id int primary key); create table {0}.posts (id int, user_id int references {0}.users)"
    )
    schemas = ";".join(f"create schema c_{name}; {tables.format(f'c_{name}')}" for name in ("acme", "fjord"))
    found, _ = await drafted(database, schemas, Order("schema", user_table="users", named="c_{customer}"))

    assert {table.name for table in found.tables} == {"users", "posts"}
    assert [one.kind for one in await check(database, found.of("acme")) if one.stops] == []
    assert [one.kind for one in await check(database, found.of("fjord")) if one.stops] == []


async def test_a_customer_table_that_is_not_there_is_a_sentence(database: Database) -> None:
    """No trace, but which name was wrong."""
    with pytest.raises(OperatorError, match="there is no table clients"):
        await drafted(database, WITHOUT_KEYS, Order("rows", customer_table="clients"))
