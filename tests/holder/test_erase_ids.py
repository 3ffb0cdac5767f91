"""Ids that a column's type takes for the same, and that may be two customers': nobody goes with somebody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

import asyncpg
import pytest

from deploy.platform.scratch import scratch_database
from services.exporter.archive.faults import MapDisagreesError
from services.exporter.archive.snapshot import snapshot
from shared.clock import system_clock
from shared.datamap.commands import connected
from shared.datamap.model import MapError, parse
from shared.events.platform import Erased, NotErased
from shared.holder.pace import Pace
from shared.holder.rows import erase_rows
from shared.holder.survey import survey_rows
from shared.settings import read_settings
from tests.holder.platform_rows import expired

if TYPE_CHECKING:
    from shared.datamap.model import DataMap
    from tests.holder.platform_rows import Database

UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
PACES = {"whole": Pace(), "in batches": Pace(whole_up_to=0, batch_rows=1)}


@pytest.fixture
async def dsn() -> AsyncIterator[str]:
    """Give the address of an empty database."""
    async with scratch_database(read_settings().postgres) as dsn:
        yield dsn


@pytest.fixture
async def empty(dsn: str) -> AsyncIterator[Database]:
    """Connect to it."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def notes(database: Database, written: str, customers: list[str], named: str | None = None) -> DataMap:
    """Make a table of notes whose owner is of the type *written*, three of each customer, and their map."""
    await database.execute(f"create table notes (id serial primary key, customer {written})")
    await database.execute("create index on notes (customer)")
    for customer in customers:
        await database.execute(
            f"insert into notes (customer) select $1::text::{written} from generate_series(1, 3)", customer
        )
    owner = f"{{column: customer, type: {named or written}}}"
    return mapped(owner)


def mapped(owner: str) -> DataMap:
    head = "version: 1\nsystem: notes\ntenancy: rows\ntables:\n"
    return parse(f"{head}  notes: {{category: user, owner: {owner}}}\n".encode(), "notes.yaml")


async def owners(database: Database) -> dict[str, int]:
    return {
        row[0]: row[1]
        for row in await database.fetch("select trim(customer::text), count(*) from notes group by 1 order by 1")
    }


@pytest.mark.parametrize("kind", ["smallint", "integer", "bigint", "numeric"])
@pytest.mark.parametrize("customer", ["007", "7_0", "0x7", "-0", "7.", "1e1", "0b1", " 7", "+7", "acme", ""])
async def test_a_number_in_another_spelling_is_nobodys(empty: Database, kind: str, customer: str) -> None:
    """A database reads 007 and 0x7 as 7, and 7_0 as 70; but these are ids of other customers, if of any."""
    map = await notes(empty, kind, ["7", "70", "0", "10", "1"])  # noqa: A001
    before = await owners(empty)
    with pytest.raises(MapError, match=r"no customer's|another customer"):
        await erase_rows(empty, map, customer, right=expired(), now=system_clock())
    with pytest.raises(MapError):
        await survey_rows(empty, map, customer)

    assert await owners(empty) == before


async def test_a_number_goes_by_its_own_spelling(empty: Database) -> None:
    """A template may have zeros in it: what is compared is the whole."""
    await notes(empty, "integer", ["7", "1007", "-7"])
    for owner, customer in (
        ("{column: customer, type: integer, as: '1{customer}'}", "007"),
        ("{column: customer, type: integer}", "-7"),
    ):
        answer = await erase_rows(empty, mapped(owner), customer, right=expired(), now=system_clock())
        assert isinstance(answer, Erased)

    assert await owners(empty) == {"7": 3}


@pytest.mark.parametrize("pace", PACES)
async def test_a_text_of_fixed_length_is_compared_whole(empty: Database, pace: str) -> None:
    """The type "character" alone is one of a single letter; customer "a" isn't customer "acme"."""
    map = await notes(empty, "character(9)", ["a", "acme", "acme-east"], "character")  # noqa: A001
    answer = await erase_rows(empty, map, "acme", right=expired(), now=system_clock(), pace=PACES[pace])

    assert isinstance(answer, Erased)
    assert await owners(empty) == {"a": 3, "acme-east": 3}


@pytest.mark.parametrize("pace", PACES)
async def test_a_step_by_texts_of_fixed_length_compares_them_whole(empty: Database, pace: str) -> None:
    """So it is where a path compares keys as "character": what hangs on "b" isn't that of "beta"."""
    await empty.execute(
        "create table teams (id text primary key, customer text not null);"
        "create table notes (id serial primary key, customer char(9) not null);"
        "create index on notes (customer);"
        "insert into teams values ('beta', 'acme'), ('b', 'other');"
        "insert into notes (customer) values ('b'), ('beta');"
    )
    path = "{path: [{column: customer, to: teams.id, cast: character}]}"
    head = "version: 1\nsystem: notes\ntenancy: rows\ntables:\n  teams: {category: user, owner: {column: customer}}\n"
    map = parse(f"{head}  notes: {{category: user, owner: {path}}}\n".encode(), "notes.yaml")  # noqa: A001
    answer = await erase_rows(empty, map, "acme", right=expired(), now=system_clock(), pace=PACES[pace])

    assert isinstance(answer, Erased)
    assert await owners(empty) == {"b": 1}


@pytest.mark.parametrize("pace", PACES)
async def test_small_and_large_letters_that_a_type_takes_for_the_same_stop(empty: Database, pace: str) -> None:
    """Whether ACME is acme nobody here can tell; where nobody is called so, acme goes."""
    await empty.execute("create extension citext")
    map = await notes(empty, "citext", ["acme", "ACME", "beta"])  # noqa: A001
    refused = await erase_rows(empty, map, "acme", right=expired(), now=system_clock(), pace=PACES[pace])
    before = await owners(empty)
    other = await erase_rows(empty, map, "beta", right=expired(), now=system_clock(), pace=PACES[pace])

    assert isinstance(refused, NotErased)
    assert (refused.reason, refused.deleted) == ("failed", ())
    assert before == {"acme": 3, "ACME": 3, "beta": 3}
    assert isinstance(other, Erased)
    assert await owners(empty) == {"acme": 3, "ACME": 3}


async def test_so_does_another_id_by_which_a_customer_goes(empty: Database) -> None:
    """A customer called "acme" in such a column isn't one that is called "ACME" there."""
    await empty.execute(
        "create extension citext;"
        "create table customers (id text primary key, slug text not null);"
        "create table notes (id serial primary key, customer citext not null);"
        "create index on notes (customer);"
        "insert into customers values ('1', 'acme'), ('2', 'ACME'), ('3', 'beta');"
        "insert into notes (customer) values ('acme'), ('ACME'), ('beta');"
    )
    tables = (
        "ids: {slug: customers.slug}\ncustomers: customers.id\ntables:\n"
        "  customers: {category: user, owner: {column: id}}\n"
        "  notes: {category: user, owner: {column: customer, type: citext, by: [slug]}}\n"
    )
    map = parse(f"version: 1\nsystem: notes\ntenancy: rows\n{tables}".encode(), "notes.yaml")  # noqa: A001
    refused = await erase_rows(empty, map, "1", right=expired(), now=system_clock())
    other = await erase_rows(empty, map, "3", right=expired(), now=system_clock())

    assert isinstance(refused, NotErased)
    assert (refused.reason, refused.deleted) == ("failed", ())
    assert isinstance(other, Erased)
    assert await owners(empty) == {"acme": 1, "ACME": 1}


async def test_nor_is_anybody_given_another_ones_rows(dsn: str, empty: Database) -> None:
    """An export stops as well, and names the column."""
    await empty.execute("create extension citext")
    map = await notes(empty, "citext", ["acme", "ACME"])  # noqa: A001

    with pytest.raises(MapDisagreesError, match=r"notes\.customer.*another customer"):
        async with snapshot(partial(connected, dsn), map, "acme"):
            pass
    with pytest.raises(MapError):
        async with snapshot(partial(connected, dsn), mapped("{column: customer, type: integer}"), "007"):
            pass


async def test_a_uuid_may_be_written_in_large_letters(empty: Database) -> None:
    """It is the same id (RFC 9562): it is found by the check afterwards, and it goes."""
    map = await notes(empty, "uuid", [UUID])  # noqa: A001
    before = await survey_rows(empty, map, UUID.upper())
    answer = await erase_rows(empty, map, UUID.upper(), right=expired(), now=system_clock())
    with pytest.raises(MapError):
        await erase_rows(empty, map, UUID.replace("-", ""), right=expired(), now=system_clock())

    assert before.tables[0].left == 3
    assert isinstance(answer, Erased)
    assert await owners(empty) == {}


@pytest.mark.parametrize(("kind", "there"), [("numeric(10,2)", "7.00"), ("numeric", "7.0")])
async def test_a_number_with_decimals_is_found_by_the_check(empty: Database, kind: str, there: str) -> None:
    """The check must not take 7.00 for nobody's because it isn't written as 7."""
    map = await notes(empty, kind, [there], "numeric")  # noqa: A001
    found = await survey_rows(empty, map, "7")

    assert found.tables[0].left == 3
    assert not found.clean


async def test_no_id_is_nobodys(empty: Database) -> None:
    """Rows with an empty owner are perhaps everybody's, and no customer's."""
    map = await notes(empty, "text", ["acme", ""])  # noqa: A001
    with pytest.raises(MapError, match="no customer's"):
        await erase_rows(empty, map, "", right=expired(), now=system_clock())

    assert await owners(empty) == {"": 3, "acme": 3}
