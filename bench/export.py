"""The export: one customer's CSV archive into S3, beside what psql needs for the same rows of the same tables.

pg_dump can't choose a customer's rows: it dumps the database, and is compared by rows a second.

On which customers, and why these, stands in bench/customers.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from uuid import uuid4

import asyncpg

from deploy.platform.scratch import scratch_database
from services.exporter.formats.registry import FORMATS
from shared.datamap import live
from shared.datamap.model import load
from shared.datamap.ownership import owned_by, relation
from shared.objects import ObjectStore
from shared.postgres_tool import postgres_tool
from shared.settings import read_settings

from .customers import CUSTOMER, UNIVERSITY, Kind, kinds, map_of_tables
from .rows import Row, append, show

ROUNDS = 5
BUCKET = "bench-exports"


@dataclass(frozen=True)
class Run:
    """One run: how long, and the peak memory of our process."""

    seconds: float
    memory_mib: float


@dataclass(frozen=True)
class Ground:
    """What all contenders read, and where the product writes to; *share* of all rows are the customer's."""

    dsn: str
    map: Path
    psql: str
    share: float


@asynccontextmanager
async def ground(kind: Kind, scale: float) -> AsyncIterator[Ground]:
    """Fill a database with *scale* times the rows of *kind*."""
    settings = read_settings()
    async with scratch_database(settings.postgres) as dsn, ObjectStore(settings.s3) as store:
        await store.ensure_bucket(BUCKET, versioned=False)
        try:
            await kind.fill(dsn, scale)
            with TemporaryDirectory() as folder:
                path = Path(folder) / "map.yaml"
                path.write_text(map_of_tables(kind))
                yield Ground(dsn, path, await psql_command(dsn, path), await share_of_rows(dsn, path))
        finally:
            await store.delete_all_versions(BUCKET, CUSTOMER)


async def psql_command(dsn: str, path: Path) -> str:
    """Give the shell's command for the same rows and columns of the same tables, one COPY after the other."""
    map, csv, arguments = load(path), FORMATS["csv"], []  # noqa: A001 - the domain's word
    connection = await asyncpg.connect(dsn)
    columns = await live.columns(connection, map)
    await connection.close()
    for table in map.tables:
        shown = [column for column in columns[table.name] if column.name not in table.left_out]
        owned = owned_by(map, table, "t", f"'{CUSTOMER}'")
        query = csv.select(shown, f"from {relation(table.name)} as t where {owned}")
        arguments += ["-c", f"copy ({query}) to stdout with (format csv, header)"]
    return shlex.join([str(postgres_tool("psql")), "-X", "-q", dsn, *arguments])


async def share_of_rows(dsn: str, path: Path) -> float:
    """Give how many of all rows in the map's tables are the customer's, 0 to 1."""
    map, own, everybody = load(path), 0, 0  # noqa: A001 - the domain's word
    connection = await asyncpg.connect(dsn)
    for table in map.tables:
        owned = owned_by(map, table, "t", f"'{CUSTOMER}'")
        counts = (
            f"select count(*) filter (where {owned}) as own, count(*) as everybody from {relation(table.name)} as t"
        )
        row = await connection.fetchrow(counts)
        own, everybody = own + row["own"], everybody + row["everybody"]
    await connection.close()
    return own / everybody


def measured(command: list[str]) -> tuple[Run, bytes]:
    """Run *command* in a process of its own; its own peak memory, and its output."""
    begun = perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Run(perf_counter() - begun, usage.ru_maxrss / 1024), output


def product(on: Ground) -> Run:
    """Make the archive; timed from the first connection on, since a service has long been started."""
    key = f"s3://{BUCKET}/{CUSTOMER}/{uuid4().hex}.zip"
    arguments = ["--map", on.map, "--dsn", on.dsn, "--customer", CUSTOMER, "--to", key, "--format", "csv", "--json"]
    run, output = measured([str(Path(sys.executable).with_name("offramp")), "export", *map(str, arguments)])
    return Run(json.loads(output)["seconds"], run.memory_mib)


def psql(on: Ground) -> Run:
    return measured(["sh", "-c", f"{on.psql} > /dev/null"])[0]


def psql_gzip(on: Ground) -> Run:
    return measured(["sh", "-c", f"{on.psql} | gzip -1 > /dev/null"])[0]


def pg_dump(on: Ground) -> Run:
    """Dump the database, everybody's rows; as many seconds of it as the customer's share of the rows."""
    run, _ = measured(["sh", "-c", shlex.join([str(postgres_tool("pg_dump")), "-Fc", "-Z1", on.dsn]) + " > /dev/null"])
    return Run(run.seconds * on.share, run.memory_mib)


def csv_bytes(on: Ground) -> int:
    return int(measured(["sh", "-c", f"{on.psql} | wc -c"])[1])


async def run(scale: float = 1.0) -> list[Row]:
    """Measure at *scale* times 1.5 million rows; memory also at ten times that."""
    rows = []
    for kind in kinds():
        async with ground(kind, scale) as on:
            runs = await asyncio.to_thread(alternately, on, ROUNDS)
            size = await asyncio.to_thread(csv_bytes, on)
        rows += compared(kind, runs, size)
    if UNIVERSITY in kinds():
        rows.append(await memory(scale, max(run.memory_mib for run in runs["product"])))
    return rows


async def memory(scale: float, before: float) -> Row:
    """Export ten times the rows once, and compare its peak with *before*."""
    async with ground(UNIVERSITY, 10 * scale) as on:
        peak = (await asyncio.to_thread(product, on)).memory_mib
    return Row(
        f"export {UNIVERSITY.name}", peak, "MiB", "peak at a tenth of the rows", peak / before, "<= 128, ratio 1", peak
    )


def alternately(on: Ground, rounds: int) -> dict[str, list[Run]]:
    contenders: dict[str, Callable[[Ground], Run]] = {
        "product": product,
        "psql": psql,
        "gzip": psql_gzip,
        "pg_dump": pg_dump,
    }
    for warm in contenders.values():
        warm(on)
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            runs[name].append(contender(on))
    return runs


def compared(kind: Kind, runs: dict[str, list[Run]], size: int) -> list[Row]:
    seconds = {name: median(run.seconds for run in found) for name, found in runs.items()}
    peak = max(run.memory_mib for run in runs["product"])
    figure = size / 1e6 / seconds["product"]

    def beside(name: str, versus: str, goal: str) -> Row:
        ratio = seconds[name] / seconds["product"]
        return Row(f"export {kind.name}", figure, "MB/s of CSV", versus, ratio, goal, peak)

    return [
        beside("psql", "psql COPY > /dev/null", ">= 0.9"),
        beside("gzip", "psql COPY | gzip -1", ">= 1.8"),
        beside("pg_dump", "pg_dump -Fc -Z1, by rows a second", ">= 1.4"),
    ]


if __name__ == "__main__":
    found = asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
    append(found)
    show(found)
