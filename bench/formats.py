"""The formats: each export beside what psql needs for the same queries, a workbook beside the fastest library alone."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from uuid import uuid4

import asyncpg

from bench.customers import CUSTOMER, kinds
from bench.export import BUCKET, Ground, Run, ground, measured
from bench.rows import Row, append, show
from services.exporter.archive.snapshot import Shown
from services.exporter.formats import xlsx, xml
from services.exporter.formats.format import listed
from services.exporter.formats.papers import Paper
from services.exporter.formats.pdf import render
from services.exporter.formats.registry import FORMATS
from shared.datamap import live
from shared.datamap.model import load
from shared.datamap.ownership import owned_by, relation
from shared.postgres_tool import postgres_tool

ROUNDS = 3
# The library takes its rows from memory, so it is given no more than these, of the longest table.
IN_MEMORY = 200_000
TOGETHER = ("csv", "jsonlines", "xml", "sql")
Select = Callable[[Shown, str], str]
SELECTS: Mapping[str, tuple[Select, str]] = {
    "csv": (lambda shown, rows: FORMATS["csv"].select(shown.columns, rows), "format csv, header"),
    "jsonlines": (lambda shown, rows: FORMATS["jsonlines"].select(shown.columns, rows), ""),
    "xml": (lambda shown, rows: xml.select(shown.columns, rows), ""),
    "xlsx": (xlsx.select, ""),
    "sql": (lambda shown, rows: f"select {listed(shown.columns)} {rows}", "format text"),
}
SETS = 200
UNCHANGED = "format csv, quote e'\\x01', delimiter e'\\x02'"


@dataclass(frozen=True, slots=True)
class Table:
    shown: Shown
    rows: str
    count: int


async def tables(on: Ground) -> list[Table]:
    """Give the tables as the export shows them, with the SQL for the customer's rows."""
    map = load(on.map)  # noqa: A001 - the domain's word
    connection = await asyncpg.connect(on.dsn)
    columns, found = await live.columns(connection, map), []
    for table in map.tables:
        kept = tuple(column for column in columns[table.name] if column.name not in table.left_out)
        owned = owned_by(map, table, "t", f"'{CUSTOMER}'")
        rows = f"from {relation(table.name)} as t where {owned}"
        found.append(Table(Shown(table, kept, ()), rows, await connection.fetchval(f"select count(*) {rows}")))
    await connection.close()
    return found


def product(on: Ground, names: Sequence[str]) -> Run:
    """Make the archive in the formats *names*; timed from the first connection on."""
    key = f"s3://{BUCKET}/{CUSTOMER}/{uuid4().hex}.zip"
    chosen = [part for name in names for part in ("--format", name)]
    arguments = ["--map", str(on.map), "--dsn", on.dsn, "--customer", CUSTOMER, "--to", key, "--json", *chosen]
    run, output = measured([str(Path(sys.executable).with_name("offramp")), "export", *arguments])
    return Run(json.loads(output)["seconds"], run.memory_mib)


def psql(on: Ground, found: Sequence[Table], names: Sequence[str]) -> Run:
    """Read what *names* need, one COPY after the other, with the same settings."""
    arguments = ["-c", "set bytea_output = 'hex'; set intervalstyle = 'iso_8601'; set timezone = 'UTC'"]
    for name in names:
        select, options = SELECTS[name]
        for one in found:
            arguments += ["-c", f"copy ({select(one.shown, one.rows)}) to stdout with ({options or UNCHANGED})"]
    command = shlex.join([str(postgres_tool("psql")), "-X", "-q", on.dsn, *arguments])
    return measured(["sh", "-c", f"{command} > /dev/null"])[0]


async def records(on: Ground, table: Table) -> list[dict[str, Any]]:
    """Read rows for the library, as values that it takes."""
    connection = await asyncpg.connect(on.dsn)
    shown = ", ".join(_plain(column.name, column.type) for column in table.shown.columns)
    found = await connection.fetch(f"select {shown} {table.rows} limit {IN_MEMORY}")
    await connection.close()
    return [dict(row) for row in found]


def _plain(name: str, kind: str) -> str:
    kept = kind in {"smallint", "integer", "bigint", "boolean", "text", "date", "double precision"}
    return f't."{name}"' if kept else f't."{name}"::text'


def library(rows: list[dict[str, Any]]) -> float:
    """Write *rows* with the library alone; gives rows a second."""
    from rustpy_xlsxwriter import FastExcel  # noqa: PLC0415 - only the environment of the benchmarks has it

    with TemporaryDirectory() as folder:
        begun = perf_counter()
        FastExcel(str(Path(folder) / "a.xlsx")).sheet("rows", rows).save()
        return len(rows) / (perf_counter() - begun)


async def run(scale: float = 1.0) -> list[Row]:
    """Measure at *scale* times the customers of ``bench.customers``."""
    rows: list[Row] = []
    for kind in kinds():
        async with ground(kind, scale) as on:
            found = await tables(on)
            for names, goal in ((TOGETHER, 1 / 1.4), (("xml",), 0.8), (("xlsx",), 0.8)):
                rows.append(await asyncio.to_thread(beside, kind.name, on, found, names, goal))
            rows.append(await workbook(kind.name, on, found))
            if any(one.shown.table.document for one in found):
                rows.append(await asyncio.to_thread(papers, kind.name, on, found))
    return rows


def beside(kind: str, on: Ground, found: Sequence[Table], names: Sequence[str], goal: float) -> Row:
    runs = list(_rounds(on, found, names))
    ours, floor = (median(run.seconds for run in one) for one in zip(*runs, strict=True))
    peak = max(run.memory_mib for run, _ in runs)
    rate = sum(one.count for one in found) / ours
    named = " + ".join(names)
    return Row(f"formats {kind} {named}", rate, "rows/s", "psql, the same COPYs", floor / ours, f">= {goal:.2f}", peak)


def _rounds(on: Ground, found: Sequence[Table], names: Sequence[str]) -> Iterator[tuple[Run, Run]]:
    psql(on, found, names)
    for _ in range(ROUNDS):
        yield product(on, names), psql(on, found, names)


async def workbook(kind: str, on: Ground, found: Sequence[Table]) -> Row:
    """Compare all rows as workbooks, database and store included, with the library alone on rows in memory."""
    longest = max(found, key=lambda one: one.count)
    rows = await records(on, longest)
    alone = median([await asyncio.to_thread(library, rows) for _ in range(ROUNDS)])
    del rows
    made = median([(await asyncio.to_thread(product, on, ("xlsx",))).seconds for _ in range(ROUNDS)])
    ours = sum(one.count for one in found) / made
    return Row(f"formats {kind} xlsx", ours, "rows/s", "rustpy-xlsxwriter, rows in memory", ours / alone, ">= 0.8")


def sample(number: int) -> Paper:
    """Give a paper as long as a certificate of the demo platform; each is another, since the compiler remembers."""
    pairs = tuple((f"field {field}", f"value {number} {field}") for field in range(7))
    return Paper(str(number), f"Certificate {number}", tuple((f"Part {part} of {number}", pairs) for part in range(5)))


def papers(kind: str, on: Ground, found: Sequence[Table]) -> Row:
    """Compare all papers as PDFs, database and store included, with the compiler alone on their like."""
    count = sum(one.count for one in found if one.shown.table.document)
    # No archive is complete without the tables that are no papers.
    ours = count / product(on, ("csv", "pdf")).seconds
    render(sample(SETS), "platform")
    begun = perf_counter()
    for number in range(SETS):
        render(sample(number), "platform")
    alone = SETS / (perf_counter() - begun)
    return Row(f"formats {kind} pdf", ours, "papers/s", "typst, papers in memory", ours / alone, ">= 0.8")


if __name__ == "__main__":
    results = asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
    append(results)
    show(results)
