"""What tells whose a kept row is, or whom it is about, is kept with it, so that all is found when the hold is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
import pytest

from deploy.platform.scratch import scratch_database
from shared.clock import system_clock
from shared.datamap.model import parse
from shared.events.platform import Erased, ErasedInPart, HoldScope, OfPersons, OfTables
from shared.events.retention import Keep
from shared.holder.pace import Pace
from shared.holder.rows import erase_rows
from shared.holder.survey import survey_rows
from shared.settings import read_settings
from tests.holder.platform_rows import expired

if TYPE_CHECKING:
    from tests.holder.platform_rows import Database

PACES = {"whole": Pace(), "in batches": Pace(whole_up_to=0, batch_rows=1)}

# No foreign key says what the map does.
SCHEMA = """
    create table orgs (id text primary key, slug text);
    create table people (id int primary key, org text);
    create table seats (id int primary key, org text, who int);
    create table logs (id int primary key, org text, seat int);
    create table marks (id int primary key, seat text);
    create table tags (id int primary key, slug text);
    create table plain (id int primary key, org text);
    insert into orgs values ('a', 'aa'), ('b', 'bb');
    insert into people values (1, 'a'), (2, 'a'), (3, 'b');
    insert into seats values (10, 'a', 1), (20, 'a', 2), (30, 'b', 3);
    insert into logs values (100, 'a', 10), (200, 'a', 20), (300, 'b', 30);
    insert into marks values (1000, '10'), (2000, '20'), (3000, '30');
    insert into tags values (7, 'aa'), (8, 'bb');
    insert into plain values (1, 'a'), (2, 'b')
"""
MAP = parse(
    b"""
version: 1
system: ways
tenancy: rows
customers: orgs.id
ids: {slug: orgs.slug}
tables:
  orgs: {category: user, owner: {column: id}, impersonal: "an organisation"}
  people: {category: user, owner: {column: org}, person: {column: id, type: integer}}
  seats: {category: user, owner: {column: org}, impersonal: "a place to sit"}
  logs:
    category: report
    owner: {column: org}
    person: {path: [{column: seat, to: seats.id}, {column: who, to: people.id}]}
  marks: {category: course, owner: {path: [{column: seat, to: seats.id, cast: text}]}, impersonal: "of a seat"}
  tags: {category: course, owner: {column: slug, by: [slug]}, impersonal: "of an organisation"}
  plain: {category: course, owner: {column: org}, impersonal: "of an organisation"}
""",
    "ways.yaml",
)


@pytest.fixture
async def ways() -> AsyncIterator[Database]:
    """Connect to a database in which only the map leads from row to row."""
    async with scratch_database(read_settings().postgres) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute(SCHEMA)
        yield connection
        await connection.close()


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize(
    ("scope", "left"),
    [
        # Seat 10 says of log 100 whom it is about.
        (OfPersons(refs=("1",)), {"people": {1, 3}, "seats": {10, 30}, "logs": {100, 300}, "orgs": {"b"}}),
        # A way with a cast tells nothing of single rows, so all seats are kept.
        (OfTables(tables=("marks",)), {"marks": {1000, 2000, 3000}, "seats": {10, 20, 30}, "orgs": {"b"}}),
        # The other id is read from the customer's own row.
        (OfTables(tables=("tags",)), {"tags": {7, 8}, "orgs": {"a", "b"}}),
        # Nothing is needed, so nothing but it stays.
        (OfTables(tables=("plain",)), {"plain": {1, 2}, "orgs": {"b"}}),
    ],
)
async def test_the_way_stays(ways: Database, pace: str, scope: HoldScope, left: dict[str, set[object]]) -> None:
    """Twice the same is kept, another way finds the same, and after the hold all of it goes."""
    others = {"people": {3}, "seats": {30}, "logs": {300}, "marks": {3000}, "tags": {8}, "plain": {2}, "orgs": {"b"}}
    right = replace(expired(), keep=(Keep(hold_id="h", scope=scope),))
    for _ in range(2):
        outcome = await erase_rows(ways, MAP, "a", right=right, now=system_clock(), pace=PACES[pace])
        found = {name: {row[0] for row in await ways.fetch(f"select id from {name}")} for name in others}

        assert isinstance(outcome, ErasedInPart)
        assert found == {**others, **left}
    survey = await survey_rows(ways, MAP, "a", right.keep)
    assert survey.clean
    assert {one.table: one.kept for one in survey.tables if one.kept} == {one.table: one.rows for one in outcome.kept}
    last = await erase_rows(ways, MAP, "a", right=expired(), now=system_clock(), pace=PACES[pace])
    found = {name: {row[0] for row in await ways.fetch(f"select id from {name}")} for name in others}

    assert isinstance(last, Erased)
    assert found == others


@pytest.mark.parametrize("pace", PACES)
async def test_a_ring_that_is_held_in_part(ways: Database, pace: str) -> None:
    """Of rows that refer to each other in a ring those stay that a kept one needs, and all others go."""
    await ways.execute("""
        create table nodes (id int primary key, org text, next int references nodes);
        insert into nodes values (1, 'a', null), (2, 'a', 1), (3, 'a', 2), (4, 'a', null), (5, 'a', 4), (6, 'b', null);
        update nodes set next = 3 where id = 1;
        update nodes set next = 5 where id = 4
    """)
    map = parse(  # noqa: A001
        b"""
version: 1
system: ring
tenancy: rows
tables:
  nodes: {category: user, owner: {column: org}, person: {column: id, type: integer}}
  orgs: {exempt: x}
  people: {exempt: x}
  seats: {exempt: x}
  logs: {exempt: x}
  marks: {exempt: x}
  tags: {exempt: x}
  plain: {exempt: x}
""",
        "ring.yaml",
    )
    right = replace(expired(), keep=(Keep(hold_id="h", scope=OfPersons(refs=("2",))),))
    outcome = await erase_rows(ways, map, "a", right=right, now=system_clock(), pace=PACES[pace])

    assert isinstance(outcome, ErasedInPart)
    assert {row[0] for row in await ways.fetch("select id from nodes")} == {1, 2, 3, 6}
