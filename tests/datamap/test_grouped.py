"""One scan for many customers gives, of each, just what the scans for it alone give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from shared.datamap.fingerprint import BY_COLUMNS, BY_TEXT, Method, measuring, own_of, rest_of, settle
from shared.datamap.grouped import split
from shared.datamap.model import parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.datamap.live import Connection

UUIDS = ("0b0e7d7c-0000-4000-8000-00000000000a", "0B0E7D7C-0000-4000-8000-00000000000A")
# Whose tables can be read in one scan; of "lost" a reference to several rows shows only there.
ONE_SCAN = {"customers", "users", "padded", "loud", "called", "notes", "marks", "stamps", "nothing", "loose"}
WORLD = """
    create extension if not exists citext;
    create table customers (id text primary key, name text);
    insert into customers values ('acme', 'A'), ('acme2', 'A'), ('', 'none'), ('7', 'seven');
    create table users (id int primary key, customer text, said text);
    insert into users values (1, 'acme', null), (2, 'acme', 'x'), (3, 'acme2', 'x'), (4, null, '-'), (5, 'ACME', '');
    create table numbers (id int primary key, customer bigint, what float8);
    insert into numbers values (1, 7, 0.1), (2, 7, 'nan'), (3, 8, 1), (4, null, 1);
    create table ids (id int primary key, customer uuid);
    insert into ids values (1, '0b0e7d7c-0000-4000-8000-00000000000a'), (2, null);
    create table padded (id int primary key, customer char(8));
    insert into padded values (1, 'acme'), (2, 'acme2'), (3, '7');
    create table loud (id int primary key, customer citext);
    insert into loud values (1, 'ACME'), (2, 'acme'), (3, 'acme2');
    create table called (id int primary key, customer text);
    insert into called values (1, 'school-acme'), (2, 'acme'), (3, 'school-acme2');
    create table notes (id int primary key, by int, said text);
    insert into notes values (1, 1, 'a'), (2, 1, 'a'), (3, 3, 'b'), (4, null, 'c'), (5, 99, 'lost'), (6, 4, 'nobody');
    create table marks (note int, part int, primary key (note, part), value int);
    insert into marks select n, p, n * p from generate_series(1, 6) n, generate_series(1, 3) p;
    create table stamps (mark_note int, mark_part int, at timestamptz default '2026-01-01');
    insert into stamps select n, p from generate_series(1, 6) n, generate_series(1, 2) p;
    insert into stamps values (1, 1), (1, 1), (null, 1);
    create table nothing (id int primary key, customer text);
    create table loose (id int, customer text);
    insert into loose values (1, 'acme'), (1, 'acme'), (2, 'acme2');
    create table lost (id int primary key, loose int);
    insert into lost values (1, 1), (2, 2);
    create table cast_to (id int primary key, by text);
    insert into cast_to values (1, '1'), (2, '3');
    create table both_of (id int primary key, one text, other text);
    insert into both_of values (1, 'acme', 'acme2'), (2, 'acme', null), (3, null, 'acme2');
"""
MAP = parse(
    b"""
version: 1
system: school
tenancy: rows
tables:
  customers: {category: user, owner: {column: id}}
  users:     {category: user, owner: {column: customer}}
  numbers:   {category: user, owner: {column: customer, type: bigint}}
  ids:       {category: user, owner: {column: customer, type: uuid}}
  padded:    {category: user, owner: {column: customer}}
  loud:      {category: user, owner: {column: customer, type: citext}}
  called:    {category: user, owner: {column: customer, as: "school-{customer}"}}
  notes:     {category: user, owner: {path: [{column: by, to: users.id}]}}
  marks:     {category: user, owner: {path: [{column: note, to: notes.id}, {column: by, to: users.id}]}}
  stamps:    {category: user, owner: {path: [{columns: [mark_note, mark_part], to: marks, keys: [note, part]}]}}
  nothing:   {category: user, owner: {column: customer}}
  loose:     {category: user, owner: {column: customer}}
  lost:      {category: user, owner: {path: [{column: loose, to: loose.id}]}}
  cast_to:   {category: user, owner: {path: [{column: by, to: users.id, cast: text}]}}
  both_of:   {category: user, owner: {any: [{column: one}, {column: other}]}}
""",
    "school",
)


@pytest.fixture
async def world(postgres: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(postgres)
    await connection.execute(WORLD)
    async with connection.transaction():
        await settle(connection)
        yield connection
    await connection.close()


@pytest.mark.parametrize("method", [BY_TEXT, BY_COLUMNS])
@pytest.mark.parametrize("table", [one.name for one in MAP.tables])
async def test_it_is_what_is_read_of_each_alone(world: Connection, table: str, method: Method) -> None:
    """Whatever the types: customers who are called alike, rows that are equal, nobody's rows, and none at all."""
    customers = {"ids": UUIDS, "numbers": ("7", "07", "9")}.get(table, ("acme", "acme2", "ACME", "", "7", "nobody"))
    declared = MAP.table(table)
    measured = await measuring(world, MAP, method)
    found = await split(measured, MAP, declared, customers)

    assert (found is not None) == (table in ONE_SCAN | {"ids", "numbers"})
    if found is not None:
        alone = [await measured.rows(declared, own_of(MAP, declared), one) for one in customers]
        beside = [await measured.rows(declared, rest_of(MAP, declared), one) for one in customers]
        assert [found.own(one) for one in customers] == [one.count for one in alone]
        assert [found.others(one) for one in customers] == beside


async def test_a_customer_that_can_not_be_called_so_is_no_customer_of_nothing(world: Connection) -> None:
    """As alone: what is no number fails."""
    with pytest.raises(asyncpg.DataError):
        await split(await measuring(world, MAP), MAP, MAP.table("numbers"), ["7", "acme"])
