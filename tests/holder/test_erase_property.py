"""Whatever rows there are: the customer's go, all others stay."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.platform.scratch import scratch_database
from shared.clock import system_clock
from shared.datamap.model import parse
from shared.events.platform import Erased, NotErased
from shared.holder.rows import erase_rows
from shared.holder.survey import survey_rows
from shared.settings import read_settings
from tests.holder.platform_rows import expired

if TYPE_CHECKING:
    from tests.holder.platform_rows import Database

MAP = parse(
    b"""
version: 1
system: club
tenancy: rows
tables:
  customers:  {category: user, owner: {column: id}}
  people:     {category: user, owner: {column: customer_id}}
  things:     {category: course, owner: {path: [{column: person, to: people.id}]}}
  parts:      {category: course, owner: {path: [{column: thing, to: things.id}, {column: person, to: people.id}]}}
  notes:      {category: report, owner: {column: customer_id}}
""",
    "club.yaml",
)

# Things refer to people without a foreign key; notes have no key at all, so that equal ones can be there.
SCHEMA = """
    create table customers (id text primary key);
    create table people (id int primary key, customer_id text references customers, boss int references people);
    create table things (id int primary key, person int);
    create table parts (id int primary key, thing int references things);
    create table notes (customer_id text, body text);
"""
TABLES = ("customers", "people", "things", "parts", "notes")
CUSTOMERS = ("a", "ab", "b")


@dataclass(frozen=True)
class World:
    """Rows per table; a person, thing or part is numbered by its place."""

    people: list[tuple[str | None, int | None]]
    things: list[int | None]
    parts: list[int | None]
    notes: list[tuple[str | None, str | None]]

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        """Give the rows as they are inserted."""
        return {
            "customers": [(name,) for name in CUSTOMERS],
            "people": [(number, *person) for number, person in enumerate(self.people)],
            "things": list(enumerate(self.things)),
            "parts": list(enumerate(self.parts)),
            "notes": list(self.notes),
        }

    def owner_of_person(self, number: int | None) -> str | None:
        """Tell whose a person is; a person who is not there is nobody's."""
        return self.people[number][0] if number is not None and number < len(self.people) else None

    def owner_of_thing(self, number: int | None) -> str | None:
        """Tell whose a thing is."""
        return None if number is None else self.owner_of_person(self.things[number])

    def kept(self, customer: str) -> dict[str, list[tuple[object, ...]]]:
        """Give the rows that are not *customer*'s, worked out without any SQL."""
        rows = self.rows()
        return {
            "customers": [row for row in rows["customers"] if row[0] != customer],
            "people": [row for row in rows["people"] if row[1] != customer],
            "things": [(n, who) for n, who in enumerate(self.things) if self.owner_of_person(who) != customer],
            "parts": [(n, what) for n, what in enumerate(self.parts) if self.owner_of_thing(what) != customer],
            "notes": [row for row in rows["notes"] if row[0] != customer],
        }

    def entangled(self, customer: str) -> bool:
        """Tell whether a row that stays refers to one that goes."""
        bosses = [boss for owner, boss in self.people if owner != customer]
        return any(self.owner_of_person(boss) == customer for boss in bosses)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    owner = st.none() | st.sampled_from(CUSTOMERS)
    people: list[tuple[str | None, int | None]] = []
    for number in range(draw(st.integers(0, 6))):
        boss = draw(st.none() | st.integers(0, number)) if draw(st.booleans()) else None
        people.append((draw(owner), boss))
    # A thing may belong to a person who is not there: no foreign key forbids it.
    things = draw(st.lists(st.none() | st.integers(0, 7), max_size=6))
    parts = draw(st.lists(st.none() | st.integers(0, len(things) - 1) if things else st.none(), max_size=6))
    notes = draw(st.lists(st.tuples(owner, st.none() | st.sampled_from(["a", "b", ""])), max_size=6))
    return World(people, things, parts, notes)


@dataclass(frozen=True)
class Club:
    """The club's database, and the loop that its connection lives in."""

    runner: asyncio.Runner
    database: Database

    async def fill(self, world: World) -> None:
        """Replace all rows by those of *world*."""
        await self.database.execute(f"truncate {', '.join(TABLES)}")
        for table, rows in world.rows().items():
            await self.database.copy_records_to_table(table, records=rows)

    async def read(self) -> dict[str, Counter[tuple[object, ...]]]:
        """Read all rows."""
        found = {table: await self.database.fetch(f"select * from {table}") for table in TABLES}
        return {table: Counter(tuple(row.values()) for row in rows) for table, rows in found.items()}


@pytest.fixture(scope="module")
def club() -> Iterator[Club]:
    with asyncio.Runner() as runner:
        scratch = scratch_database(read_settings().postgres)
        database = runner.run(asyncpg.connect(runner.run(scratch.__aenter__())))
        runner.run(database.execute(SCHEMA))
        yield Club(runner, database)
        runner.run(database.close())
        runner.run(scratch.__aexit__(None, None, None))


def counted(rows: dict[str, list[tuple[object, ...]]]) -> dict[str, Counter[tuple[object, ...]]]:
    return {table: Counter(some) for table, some in rows.items()}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds(), customer=st.sampled_from(CUSTOMERS))
def test_exactly_the_customers_rows_go(club: Club, world: World, customer: str) -> None:
    """For any rows: what is left is what others and nobody own, or, where a row that stays needs one that goes, all."""

    async def scenario() -> None:
        await club.fill(world)
        outcome = await erase_rows(club.database, MAP, customer, right=expired(), now=system_clock())
        left = await club.read()
        if world.entangled(customer):
            assert outcome == NotErased(reason="failed")
            assert left == counted(world.rows())
            return
        assert isinstance(outcome, Erased)
        assert left == counted(world.kept(customer))
        assert (await survey_rows(club.database, MAP, customer)).clean

    club.runner.run(scenario())


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds(), customer=st.sampled_from(CUSTOMERS))
def test_the_survey_counts_what_the_oracle_counts(club: Club, world: World, customer: str) -> None:
    """Before a deletion the survey, by its own joins, finds exactly the customer's rows."""

    async def scenario() -> None:
        await club.fill(world)
        survey = await survey_rows(club.database, MAP, customer)
        rows, kept = world.rows(), world.kept(customer)
        assert {one.table: one.left for one in survey.tables} == {
            name: len(rows[name]) - len(kept[name]) for name in rows
        }

    club.runner.run(scenario())
