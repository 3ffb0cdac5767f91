"""The search for a customer's identifiers finds copies that no map and no foreign key knows of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.clock import system_clock
from shared.datamap.model import parse
from shared.events.platform import Erased
from shared.holder.residue import Mention, residue
from shared.holder.rows import erase_rows
from tests.holder.platform_rows import LEAVING, PLATFORM, expired

if TYPE_CHECKING:
    from tests.holder.platform_rows import Database


@pytest.fixture(autouse=True)
async def erased(database: Database) -> None:
    """Begin where a deletion has ended."""
    assert isinstance(await erase_rows(database, PLATFORM, LEAVING, right=expired(), now=system_clock()), Erased)


async def found(database: Database, *identifiers: str) -> list[Mention]:
    return list(await residue(database, PLATFORM, identifiers or (LEAVING,)))


async def test_after_a_deletion_nobody_names_the_customer(database: Database) -> None:
    """The neighbour "acme-east", whose id begins alike, is not taken for it."""
    assert await found(database) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", "acme"),
        ("text", "Dear ACME, thank you."),
        ("text", "written aCMe"),
        ("varchar(80)", "see acme/logo.png"),
        ("jsonb", '{"tenant": {"id": "acme"}}'),
        ("json", '["acme", 1]'),
        ("text[]", "{x,acme}"),
        ("tsvector", "acme:1 left:2"),
        ("word", "acme"),
        ("words", "{x,acme}"),
        ("pair", "(1,acme)"),
        ("pair[]", '{"(1,acme)",null}'),
    ],
)
async def test_a_copy_in_a_table_that_nobody_declared_is_found(database: Database, column: str, value: str) -> None:
    """In whatever column, under whatever name, as a word of whatever text."""
    await database.execute(
        "create domain word as text; create domain words as word[]; create type pair as (a int, b word)"
    )
    await database.execute(f"create table crm_sync (note {column})")
    await database.execute(f"insert into crm_sync values ('{value}')")

    assert await found(database) == [Mention("crm_sync", "note", 1, "nobody")]


async def test_a_copy_in_a_table_of_an_odd_name_is_found(database: Database) -> None:
    """One that looks like a schema's and a table's, with another table that is called so; one with quotes."""
    await database.execute("""
        create schema crm;
        create table crm.sync as select 'none' as note;
        create table "crm.sync" as select 'acme' as note;
        create table "Say ""hi"".now" as select 'acme' as note
    """)

    assert await found(database) == [
        Mention('"Say ""hi"".now"', "note", 1, "nobody"),
        Mention('"crm.sync"', "note", 1, "nobody"),
    ]


async def test_a_copy_in_the_last_of_very_many_columns_is_found(database: Database) -> None:
    """As many as Postgres has room for."""
    columns = ", ".join(f"n{number} text" for number in range(1_590))
    await database.execute(f"create table wide ({columns}); insert into wide (n1589) values ('acme')")

    assert await found(database) == [Mention("wide", "n1589", 1, "nobody")]


async def test_a_materialized_view_that_was_never_filled_is_passed_over(database: Database) -> None:
    """It holds no row, and Postgres lets nobody read it: that must not stop the search."""
    await database.execute("create materialized view empty as select 'acme' as id with no data")

    assert await found(database) == []


async def test_another_identifier_is_looked_for_too(database: Database) -> None:
    """A uuid by which a billing system knows the customer, in a column of that type."""
    number = "6f1c0c2e-58a5-4b7e-9d5e-0d6c1f0a7b11"
    await database.execute("create table invoices (tenant uuid)")
    await database.execute(f"insert into invoices values ('{number}')")

    assert await found(database, LEAVING, number) == [Mention("invoices", "tenant", 1, "nobody")]


async def test_a_name_that_is_not_ascii_is_found_as_it_is_usually_written(database: Database) -> None:
    """Small, large, and with a capital."""
    await database.execute("create table notes as select unnest(array['ærø', 'Ærø says', 'an ÆRØ', 'Æro']) as note")

    assert [one.rows for one in await found(database, "Ærø")] == [3]


async def test_where_a_row_names_it_in_one_column_the_others_are_not_counted(database: Database) -> None:
    """Each column is counted for itself, whatever stands beside it."""
    await database.execute("create table notes as select 'acme' as one, 'none' as other")
    await database.execute("insert into notes values ('none', 'acmes'), ('none', 'Acme'), ('x', 'ACME')")

    assert [(one.column, one.rows) for one in await found(database)] == [("one", 1), ("other", 2)]


async def test_a_materialized_view_that_was_not_refreshed_is_found(database: Database) -> None:
    """It is a copy, made before the deletion."""
    await database.execute("create table source as select 'acme' as id")
    await database.execute("create materialized view digest as select * from source")
    await database.execute("delete from source")

    assert await found(database) == [Mention("digest", "id", 1, "nobody")]


async def test_somebody_elses_words_are_theirs(database: Database) -> None:
    """A course of another customer's that speaks of it is told and stops nothing; a row of nobody's stops."""
    await database.execute("update courses set title = 'As seen at acme' where id = (select min(id) from courses)")
    await database.execute("update activity_log set action = 'acme left' where customer_id is null")
    mentions = await found(database)

    assert [(one.table, one.column, one.stops) for one in mentions] == [
        ("activity_log", "action", True),
        ("courses", "title", False),
    ]


@pytest.mark.parametrize("text", ["acme-east", "acmes", "pacme", "acme.com", "acme_x"])
async def test_another_word_is_not_it(database: Database, text: str) -> None:
    """A name is a whole word."""
    await database.execute("create table notes as select $1::text as note".replace("$1", f"'{text}'"))

    assert await found(database) == []


async def test_a_percent_sign_is_a_letter_like_any_other(database: Database) -> None:
    """What an identifier is made of never widens the search."""
    await database.execute("create table notes as select unnest(array['100% sure', '100 sure', 'a_b', 'axb']) as note")

    assert [one.rows for one in await found(database, "100%", "a_b")] == [2]


@pytest.mark.parametrize("identifiers", [("",), ("acme", "")])
async def test_nothing_is_no_identifier(database: Database, identifiers: tuple[str, ...]) -> None:
    """It would be found in every row."""
    with pytest.raises(ValueError, match="at least one character"):
        await residue(database, PLATFORM, identifiers)


async def test_what_stands_in_another_customer_s_schema_is_that_one_s(database: Database) -> None:
    """Where each has a schema of its own, only tables outside all of them can be copies."""
    own = parse(SCHEMAS, "map.yaml").of("acme")
    await database.execute("""
        drop schema public cascade; create schema public;
        create schema c_acme; create table c_acme.notes (note text);
        create schema c_other; create table c_other.notes as select 'ask acme' as note;
        create schema crm; create table crm.notes as select 'acme' as note
    """)
    found = {(one.table, one.whose) for one in await residue(database, own, ("acme",))}

    assert found == {("c_other.notes", "somebody"), ("crm.notes", "nobody")}


SCHEMAS = b"""
version: 1
system: platform
tenancy: {schema: "c_{customer}"}
tables:
  notes: {category: user, impersonal: notes}
"""
TYPES = "create domain word as text; create domain words as word[]; create type pair as (a int, b word)"
