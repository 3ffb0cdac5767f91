"""A plain SQL dump: ``psql`` alone makes an empty Postgres hold the customer's tables, with keys and sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from shared.datamap.ownership import quoted, relation

from .ddl import Schema, schema_of
from .whole import Whole

if TYPE_CHECKING:
    from services.exporter.archive.archive import File
    from services.exporter.archive.snapshot import Shown
    from services.exporter.archive.source import Files, Source

COPY: Mapping[str, Any] = MappingProxyType({"format": "text", "encoding": "utf8"})


class SqlDump(Whole):
    """The format for large data sets: one transaction, so it is restored whole or not at all.

    The rows are as COPY writes them, in blocks of their own; keys come after, since checking once is faster.
    """

    name = "sql"
    folder = "sql"

    async def write(self, source: Source, files: Files) -> Mapping[str, int]:
        """Write the one file."""
        schema = await schema_of(source)
        async with files.file("dump.sql") as file:
            await file.write(_lines(*_head(source, schema), *schema.before))
            rows = {one.table.name: await _rows(source, one, schema, file) for one in source.tables}
            await file.write(_lines(*schema.after, "commit;"))
        return rows


async def _rows(source: Source, shown: Shown, schema: Schema, file: File) -> int:
    records = 0

    async def receive(piece: bytes) -> None:
        nonlocal records
        # A line end inside a value is written as \n, so each of them ends a row.
        records += piece.count(b"\n")
        await file.write(piece)

    columns = schema.columns[shown.table.name]
    named = ", ".join(map(quoted, columns))
    await file.write(_lines("", f"copy {relation(shown.table.name)} ({named}) from stdin;"))
    picked = ", ".join(f"t.{quoted(column)}" for column in columns)
    await source.stream(f"select {picked} {source.ordered(shown)}", receive, COPY)
    await file.write(_lines("\\.", ""))
    return records


def _head(source: Source, schema: Schema) -> Iterator[str]:
    yield f"-- One customer's data of the system {source.map.system}, as it was when bag-info.txt says."
    yield "-- Restore it into an empty database:  psql -X -d DATABASE -f dump.sql"
    yield "-- It is one transaction: all of it is there in the end, or nothing."
    for line in schema.left_out:
        # A name may hold a line end, and nothing of it may be taken for a statement.
        yield f"-- Left out: {' '.join(line.split())}"
    yield from SETTINGS


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


# Values are read as they were written, whatever the settings of the server and of whoever restores.
SETTINGS = (
    "\\set ON_ERROR_STOP on",
    "begin;",
    "set local client_encoding = 'UTF8';",
    "set local standard_conforming_strings = on;",
    "set local search_path = '';",
    "set local timezone = 'UTC';",
    "set local datestyle = 'ISO, YMD';",
    "set local intervalstyle = 'iso_8601';",
    "set local lc_monetary = 'C';",
    "set local xmloption = content;",
    "set local statement_timeout = 0;",
)
