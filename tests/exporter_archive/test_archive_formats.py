"""Every format passes this: what it wrote, read back into an empty table, is what was there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from archive_school import School
from hypothesis import given
from hypothesis import strategies as some

from services.exporter.archive.snapshot import snapshot
from services.exporter.formats.csv import CsvRecords
from services.exporter.formats.format import Format
from services.exporter.formats.jsonlines import Lines
from services.exporter.formats.registry import FORMATS

HOSTILE = (Path(__file__).parent / "zoo.sql").read_text()
MAP_ENTRY = "  zoo: {category: user, owner: {column: customer_id}}\n  copy_of_zoo: {exempt: a copy}\n  settings:"


async def read_csv(connection: asyncpg.Connection, body: bytes) -> None:
    columns = next(csv.reader(io.StringIO(body.decode())))[:-1]
    # A generated column can't be copied into, so it goes the long way round.
    await connection.execute("create temp table arriving (like zoo)")
    await connection.copy_to_table("arriving", source=io.BytesIO(body), format="csv", header=True)
    named = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    await connection.execute(f"insert into copy_of_zoo ({named}) select {named} from arriving")


async def read_jsonlines(connection: asyncpg.Connection, body: bytes) -> None:
    lines = body.decode().split("\n")[:-1]
    columns = ", ".join('"' + name.replace('"', '""') + '"' for name in list(json.loads(lines[0]))[:-1])
    query = f"insert into copy_of_zoo ({columns}) select {columns} from json_populate_record(null::zoo, $1)"
    await connection.executemany(query, [(line,) for line in lines])


READERS: dict[str, Callable[[asyncpg.Connection, bytes], Awaitable[None]]] = {
    "csv": read_csv,
    "jsonlines": read_jsonlines,
}
# A raw json may come back with a space for a line end, which means the same.
ROWS = """
    select (z.*)::text from (
        select id, customer_id, plain, empty, tiny, big, exact, wide, ratio, flag, day, at_zone, at_local, at_time,
               zoned, span, key, blob, parsed, words, grid, mood, pair, range, address, domain, "Weird, ""name"" x",
               generated, translate(raw::text, E'\\n\\r', '  '), translate(raws::text, E'\\n\\r', '  ')
          from {table} order by id) z
"""


async def append(pieces: list[bytes], piece: bytes) -> None:
    pieces.append(piece)


async def written(school: School, format: Format) -> tuple[bytes, int, int]:
    """Write the zoo in *format*; gives the bytes, the records counted in them, and the witness' count."""
    pieces: list[bytes] = []
    async with snapshot(school.connect, school.map, "acme") as rows:
        shown = next(one for one in rows.shown if one.table.name == "zoo")
        await rows.copy(shown, format, partial(append, pieces))
        counted = (await rows.witness.counts())["zoo"]
    counter = format.counter()
    for piece in pieces:
        counter.feed(piece)
    return b"".join(pieces), counter.records, counted


@pytest.fixture
async def zoo(school: School) -> School:
    await school.run(HOSTILE)
    return school.mapped("  settings:", MAP_ENTRY)


@pytest.mark.parametrize("name", FORMATS)
async def test_what_was_written_reads_back_as_it_was(zoo: School, name: str) -> None:
    """NULL and empty text, control characters, large numbers, moments, bytes, JSON, arrays: all come back equal."""
    body, records, counted = await written(zoo, FORMATS[name])

    assert records == counted == 4
    async with zoo.connect() as connection:
        await READERS[name](connection, body)
        before = await connection.fetch(ROWS.format(table="zoo"))
        assert await connection.fetch(ROWS.format(table="copy_of_zoo")) == before


@pytest.mark.parametrize("name", FORMATS)
async def test_a_servers_own_settings_change_nothing(zoo: School, name: str) -> None:
    """The same bytes come from a server that writes dates, moments and bytes another way."""
    usual, _, _ = await written(zoo, FORMATS[name])
    await zoo.run("""
        do $$ begin
            execute format('alter database %I set timezone = ''Asia/Kolkata''', current_database());
            execute format('alter database %I set datestyle = ''SQL, DMY''', current_database());
            execute format('alter database %I set intervalstyle = ''sql_standard''', current_database());
            execute format('alter database %I set bytea_output = ''escape''', current_database());
            execute format('alter database %I set extra_float_digits = -5', current_database());
        end $$
    """)

    strange, _, _ = await written(zoo, FORMATS[name])
    assert strange == usual


async def test_null_and_the_empty_text_are_told_apart(school: School) -> None:
    """NULL is an empty field in CSV, the empty text is two quotes; in JSON lines they are null and ""."""
    users = next(table for table in school.map.tables if table.name == "users")
    async with snapshot(school.connect, school.map, "acme") as rows:
        shown = next(one for one in rows.shown if one.table == users)
        lines: dict[str, list[bytes]] = {name: [] for name in FORMATS}
        for name, pieces in lines.items():
            await rows.copy(shown, FORMATS[name], partial(append, pieces))

    first = {name: b"".join(pieces) for name, pieces in lines.items()}
    assert b'1,acme,a@acme.test,"",,t,1990-02-28,2026-01-02 01:04:05.678+00\n' in first["csv"]
    assert b",b@acme.test,,1,f,,\n" in first["csv"]
    assert b'"nickname":"","boss":null' in first["jsonlines"]


@given(some.lists(some.lists(some.text(alphabet='a,"\n\r', max_size=6), min_size=2, max_size=2)), some.data())
def test_csv_records_are_counted_wherever_the_bytes_are_cut(rows: list[list[str]], data: some.DataObject) -> None:
    """The count is that of a CSV reader, whatever is in the fields and however the bytes arrive."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([["x", "y"], *rows])
    body = out.getvalue().encode()
    cuts = sorted(data.draw(some.lists(some.integers(0, len(body)), max_size=5)))
    counter = CsvRecords()
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        counter.feed(body[start:end])

    assert counter.records == len(rows)


def test_lines_are_counted() -> None:
    """A JSON text has no line end inside."""
    counter = Lines()
    counter.feed(b'{"a":1}\n{"a"')
    counter.feed(b":2}\n")

    assert counter.records == 2
