"""The export: one customer's CSV archive into S3, beside what psql needs for the same rows."""

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

from bench.rows import Row, append, show
from shared.objects import ObjectStore
from shared.postgres_tool import postgres_tool
from shared.settings import read_settings

ROWS = 1_500_000
ROUNDS = 5
CUSTOMER = "acme"
MAP = """
version: 1
system: bench
tenancy: rows
tables:
  activity_log: {category: user, owner: {column: customer_id}}
"""
# The demo platform's activity log, column for column; a tenth is somebody else's, so that there is something to leave
# out. 219 bytes of CSV a row, which deflate packs 3.9 times.
TABLE = """
    create table activity_log (
        id bigint primary key, customer_id text, user_id bigint, happened_at timestamptz not null,
        action text not null, address inet, detail jsonb
    );
    insert into activity_log
    select n,
           case when n % 10 = 9 then 'other' else 'acme' end,
           n * 2654435761 % 100003,
           timestamptz '2024-01-01 00:00:00+00' + n * interval '17.31 seconds',
           (array['viewed', 'submitted', 'graded', 'downloaded', 'posted'])[1 + n % 5],
           case when n % 7 > 0 then ('10.' || n % 13 || '.' || n % 251 || '.' || n % 199)::inet end,
           case when n % 5 > 0 then jsonb_build_object(
               'agent', 'Firefox/1' || n % 30 || '.0 (X11; x86_64)', 'course', n % 977, 'page', n % 11,
               'attempt', n * 7919 % 1000003, 'session', md5(n::text), 'request', md5((n + 1)::text)
           ) end
      from generate_series(1::bigint, $rows * 10 / 9) as n;
    create index on activity_log (customer_id);
    vacuum analyze activity_log;
"""


@dataclass(frozen=True)
class Run:
    """One run: how long, and the peak memory of our process."""

    seconds: float
    memory_mib: float


@dataclass(frozen=True)
class Ground:
    """What all contenders read, and where the product writes to."""

    dsn: str
    map: Path
    bucket: str


@asynccontextmanager
async def ground(rows: int) -> AsyncIterator[Ground]:
    settings, name = read_settings(), uuid4().hex[:12]
    admin = await asyncpg.connect(settings.postgres)
    async with ObjectStore(settings.s3) as store:
        await admin.execute(f"create database bench_{name}")
        await store.ensure_bucket(f"bench-{name}", versioned=False)
        try:
            dsn = f"{settings.postgres.rsplit('/', 1)[0]}/bench_{name}"
            await fill(dsn, rows)
            with TemporaryDirectory() as folder:
                (Path(folder) / "map.yaml").write_text(MAP)
                yield Ground(dsn, Path(folder) / "map.yaml", f"bench-{name}")
        finally:
            await store.delete_all_versions(f"bench-{name}", "acme")
            await store.remove_bucket(f"bench-{name}")
            await admin.execute(f"drop database bench_{name} with (force)")
            await admin.close()


async def fill(dsn: str, rows: int) -> None:
    connection = await asyncpg.connect(dsn)
    for statement in TABLE.replace("$rows", str(rows)).split(";\n"):
        if statement.strip():
            await connection.execute(statement)
    await connection.close()


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
    key = f"s3://{on.bucket}/acme/{uuid4().hex}.zip"
    arguments = ["--map", on.map, "--dsn", on.dsn, "--customer", CUSTOMER, "--to", key, "--format", "csv", "--json"]
    run, output = measured([str(Path(sys.executable).with_name("offramp")), "export", *map(str, arguments)])
    return Run(json.loads(output)["seconds"], run.memory_mib)


def copy_command(on: Ground) -> str:
    query = f"copy (select * from activity_log where customer_id = '{CUSTOMER}') to stdout with (format csv, header)"
    return shlex.join([str(postgres_tool("psql")), "-X", "-q", on.dsn, "-c", query])


def psql(on: Ground) -> Run:
    return measured(["sh", "-c", f"{copy_command(on)} > /dev/null"])[0]


def psql_gzip(on: Ground) -> Run:
    return measured(["sh", "-c", f"{copy_command(on)} | gzip -1 > /dev/null"])[0]


def csv_bytes(on: Ground) -> int:
    return int(measured(["sh", "-c", f"{copy_command(on)} | wc -c"])[1])


async def run(scale: float = 1.0) -> list[Row]:
    """Measure at *scale* times 1.5 million rows; memory also at a third of that, where all buffers are in use too."""
    rows = int(ROWS * scale)
    async with ground(rows // 3) as on:
        small = await asyncio.to_thread(product, on)
    async with ground(rows) as on:
        runs = await asyncio.to_thread(alternately, on, ROUNDS)
        size = await asyncio.to_thread(csv_bytes, on)
    return compared(runs, size, small)


def alternately(on: Ground, rounds: int) -> dict[str, list[Run]]:
    contenders: dict[str, Callable[[Ground], Run]] = {"product": product, "psql": psql, "gzip": psql_gzip}
    for warm in contenders.values():
        warm(on)
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            runs[name].append(contender(on))
    return runs


def compared(runs: dict[str, list[Run]], size: int, small: Run) -> list[Row]:
    seconds = {name: median(run.seconds for run in found) for name, found in runs.items()}
    memory = max(run.memory_mib for run in runs["product"])
    figure = size / 1e6 / seconds["product"]

    def beside(name: str, versus: str, goal: str) -> Row:
        return Row("export", figure, "MB/s of CSV", versus, seconds[name] / seconds["product"], goal, memory)

    return [
        beside("psql", "psql COPY > /dev/null", ">= 0.8"),
        beside("gzip", "psql COPY | gzip -1", ">= 1.5"),
        Row(
            "export", memory, "MiB", "peak at a third of the rows", memory / small.memory_mib, "<= 128, ratio 1", memory
        ),
    ]


if __name__ == "__main__":
    found = asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
    append(found)
    show(found)
