"""What a schema declares and its rows needn't keep to, and what only it has: the archive is true, and restores."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import ZipFile

import asyncpg
import pytest
from archive_school import School, database_of_its_own, restored
from jsonschema import Draft202012Validator
from lxml import etree

from services.exporter.archive.build import ALL_FORMATS, build
from services.exporter.archive.kept import KeptFile
from services.exporter.archive.proof import Scratch, prove
from services.exporter.archive.sink import FileSink
from shared.settings import Settings


@dataclass(frozen=True)
class Odd:
    """A schema by its *sql*, the *tables* in it, and what the dump says that it leaves out (a part of each line)."""

    sql: str
    tables: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    newest: int = 15


_INHERITED = "rows of tables that inherit from it are in it too"
ODD = {
    "a table with heirs that share its key": Odd(
        "create table odd (id integer primary key, customer_id text not null, v integer unique,"
        " constraint positive check (v > 0) no inherit);"
        "create table heir (more text) inherits (odd);"
        "insert into odd values (1, 'acme', 1); insert into heir values (1, 'acme', -1, 'x'), (2, 'acme', 1, 'y');"
        "create unique index on odd (v, customer_id);"
        "create table refers (id integer primary key, customer_id text, odd integer references odd);"
        "insert into refers values (1, 'acme', 1)",
        ("odd", "heir", "refers"),
        (
            f"public.odd odd_pkey: {_INHERITED}",
            f"public.odd odd_v_key: {_INHERITED}",
            f"public.odd positive: {_INHERITED}",
            "public.refers refers_odd_fkey: rows of tables that inherit from public.odd",
            f"public.odd_v_customer_id_idx: {_INHERITED}",
        ),
    ),
    "a not null that isn't valid yet": Odd(
        "create table odd (id integer primary key, customer_id text, v integer);"
        "insert into odd values (1, 'acme', null); alter table odd add constraint filled not null v not valid",
        ("odd",),
        ("public.odd.v: it may be null here",),
        newest=18,
    ),
    "a domain's check that isn't valid yet": Odd(
        "create domain few as integer; create table odd (id integer primary key, customer_id text, v few, w few[]);"
        "insert into odd values (1, 'acme', -1, '{-1}');"
        "alter domain few add constraint positive check (value > 0) not valid",
        ("odd",),
    ),
    "a domain with a default of its own type": Odd(
        "create type mood as enum ('glad', 'sad'); create domain usual as mood default 'glad' not null;"
        "create table odd (id integer primary key, customer_id text, v usual);"
        "insert into odd values (1, 'acme', 'sad')",
        ("odd",),
    ),
    "a domain with functions of the database's own": Odd(
        "create function fine(integer) returns boolean language sql immutable as 'select $1 > 0';"
        "create function one() returns integer language sql as 'select 1';"
        "create domain few as integer default one() check (fine(value)) constraint small check (value < 100);"
        "create table odd (id integer primary key, customer_id text, v few); insert into odd values (1, 'acme', 5)",
        ("odd",),
        ("public.few: its default calls public.one", "public.few few_check: it calls public.fine"),
    ),
    "a range with a name for several": Odd(
        "create type part as range (subtype = float8, multirange_type_name = some_parts);"
        "create table odd (id integer primary key, customer_id text, v part, w some_parts);"
        "insert into odd values (1, 'acme', '[1.5,2)', '{[1,2)}')",
        ("odd",),
    ),
    "a column whose type is the row of a table": Odd(
        "create table other_one (id integer primary key, customer_id text);"
        "create type holder as (held other_one, n integer);"
        "create table odd (id integer primary key, customer_id text, v other_one check ((v).id > 0), w holder[],"
        " x integer generated always as ((v).id) stored);"
        "create index on odd (((v).id));"
        "insert into odd values (1, 'acme', row(1, 'q'), array[row(row(1, 'q'), 2)::holder])",
        ("other_one", "odd"),
        (
            "public.odd.v: it is a text here",
            "public.odd.w: it is a text here",
            "public.odd.x: its formula needs a column",
            "public.odd odd_v_check: it needs a column that is a text here",
            "public.odd_id_idx: it needs a column",
        ),
    ),
    "an operator and a search of its own": Odd(
        "create function same(integer, integer) returns boolean language sql immutable as 'select $1 = $2';"
        "create operator public.=== (leftarg = integer, rightarg = integer, function = same);"
        "create text search configuration mine (copy = simple);"
        "create table odd (id integer primary key, customer_id text, v boolean default (1 === 1), check (id === id),"
        " w tsvector generated always as (to_tsvector('mine', customer_id)) stored,"
        " x tsvector generated always as (to_tsvector('english', customer_id)) stored);"
        "insert into odd values (1, 'acme')",
        ("odd",),
        (
            "public.odd.v: its default or formula calls operator public.===",
            "public.odd.w: its default or formula calls text search configuration public.mine",
            "public.odd odd_id_check: it calls operator public.===",
        ),
    ),
}


@asynccontextmanager
async def exported(school: School, settings: Settings, folder: Path, tables: str) -> AsyncIterator[ZipFile]:
    """Export acme in every format, all compared and restored."""
    school = school.mapped("  settings:", f"{tables}  settings:")
    path = folder / "one.zip"
    order = replace(school.order(), formats=ALL_FORMATS, compare_up_to=100, restore_up_to=100)
    report = await build(school.sources, order, FileSink(path))
    async with database_of_its_own(settings.postgres) as dsn:

        @asynccontextmanager
        async def connect() -> AsyncIterator[asyncpg.Connection]:
            connection = await asyncpg.connect(dsn)
            yield connection
            await connection.close()

        await prove(report, KeptFile(path), Scratch(connect, dsn))
    with ZipFile(path) as opened:
        yield opened


@pytest.mark.parametrize("name", ODD)
async def test_it_is_exported_truly_and_restored(school: School, settings: Settings, tmp_path: Path, name: str) -> None:
    """Every row is there in each format, by its schema; psql restores it; what it can't make anew is named."""
    odd = ODD[name]
    async with school.connect() as connection:
        if connection.get_server_version().major < odd.newest:
            pytest.skip("this Postgres has no such thing")
    await school.run(odd.sql)
    tables = "".join(f"  {one}: {{category: user, owner: {{column: customer_id}}}}\n" for one in odd.tables)
    async with exported(school, settings, tmp_path, tables) as opened:
        schema = json.loads(opened.read("export-1/data/documents/schema.json"))
        for table in odd.tables:
            body, xsd = (
                etree.fromstring(opened.read(f"export-1/data/xml/user/{table}.{one}")) for one in ("xml", "xsd")
            )
            etree.XMLSchema(xsd).assertValid(body)
            validator = Draft202012Validator({**schema, "$ref": f"#/$defs/row.{table}"})
            for line in opened.read(f"export-1/data/json/user/{table}.jsonl").splitlines():
                validator.validate(json.loads(line))
        dump = opened.read("export-1/data/sql/dump.sql").decode()

    said = [line.removeprefix("-- Left out: ") for line in dump.splitlines() if line.startswith("-- Left out: ")]
    assert len(said) == len(odd.left_out)
    assert all(any(line.startswith(one) for line in said) for one in odd.left_out), said


async def test_what_hangs_on_rows_that_share_a_key_is_in_no_document_twice(
    school: School, settings: Settings, tmp_path: Path
) -> None:
    """A row of an heir may have its parent's key: what refers to it is whole in its JSON lines, once."""
    await school.run(
        "create table odd (id integer primary key, customer_id text); create table heir () inherits (odd);"
        "insert into odd values (1, 'acme'); insert into heir values (1, 'acme');"
        "create table hanging (id integer primary key, odd integer); insert into hanging values (1, 1), (2, 1)"
    )
    tables = (
        "  odd: {category: user, owner: {column: customer_id}}\n"
        "  heir: {category: user, owner: {column: customer_id}}\n"
        "  hanging: {category: user, owner: {path: [{column: odd, to: odd.id}]}}\n"
    )
    async with exported(school, settings, tmp_path, tables) as opened:
        assert "export-1/data/documents/user/odd.jsonl" not in opened.namelist()
        assert len(opened.read("export-1/data/json/user/hanging.jsonl").splitlines()) == 2


@pytest.mark.parametrize(
    ("made", "filled", "then"),
    [
        ("serial", "(0, 'acme')", 1),
        ("integer generated by default as identity", "(-5, 'acme')", 1),
        ("integer generated by default as identity (maxvalue 100)", "(500, 'acme'), (7, 'acme')", 8),
        ("integer default nextval('small')", "(70000, 'acme')", 1),
        ("integer default nextval('down')", "(default, 'acme'), (default, 'acme'), (-7, 'acme')", -8),
        ("serial", "(default, 'acme'), (41, 'acme')", 42),
    ],
)
async def test_a_sequence_goes_on_where_no_row_is(
    school: School, settings: Settings, tmp_path: Path, made: str, filled: str, then: int
) -> None:
    """Past each number that it can come to, upwards or downwards; one that it never gives stops nothing."""
    await school.run(
        "create sequence small as smallint; create sequence down increment by -1;"
        f"create table odd (id {made} primary key, customer_id text); insert into odd values {filled}"
    )
    async with exported(
        school, settings, tmp_path, "  odd: {category: user, owner: {column: customer_id}}\n"
    ) as opened:
        dump = Path(opened.extract("export-1/data/sql/dump.sql", tmp_path))
    async with restored(settings, dump) as connection:
        number = await connection.fetchval("insert into odd (customer_id) values ('new') returning id")

    assert number == then
