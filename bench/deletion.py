"""The deletion: a customer's rows in three related tables, beside what Postgres needs to delete the same rows."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any
from uuid import uuid4

import asyncpg

from bench.rows import Row, append, show
from deploy.platform.scratch import named
from shared.settings import read_settings

ROWS = 1_500_000
# An object mapper that loads every row would take all night.
DJANGO_ROWS, SQLALCHEMY_ROWS = 150_000, 15_000
ROUNDS = 3
# A hundredth of the rows are users, a third enrolments, the rest results; as many rows again are somebody else's.
TABLES = """
    create table customers (id text primary key, name text not null);
    create table users (
        id bigint primary key, customer_id text not null references customers, name text not null, email text not null
    );
    create table enrolments (
        id bigint primary key, user_id bigint not null references users, course text not null, at timestamptz not null
    );
    create table results (
        id bigint primary key, enrolment_id bigint not null references enrolments, score int not null, answers jsonb
    );
    insert into customers values ('acme', 'Acme'), ('other', 'Other');
    insert into users select n, case when n % 2 = 0 then 'acme' else 'other' end, 'User ' || n, n || '@example.com'
      from generate_series(0, $rows / 50 - 1) n;
    insert into enrolments
    select n, n % ($rows / 50), 'Course ' || n % 97, timestamptz '2024-01-01' + n * interval '1 minute'
      from generate_series(0, $rows * 2 / 3 - 1) n;
    insert into results select n, n % ($rows * 2 / 3), n % 100, jsonb_build_object('q1', md5(n::text), 'q2', n % 7)
      from generate_series(0, $rows * 2 - $rows / 50 - $rows * 2 / 3 - 1) n;
    create index on users (customer_id);
    create index on enrolments (user_id);
    create index on results (enrolment_id);
"""


@dataclass(frozen=True)
class Run:
    """One run: how long, how many rows went, and the peak memory of our process."""

    seconds: float
    rows: int
    memory_mib: float

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


@asynccontextmanager
async def template(rows: int) -> AsyncIterator[str]:
    """Make a database with *rows* rows of the customer's and as many of another's, and give its name."""
    name = f"bench_{uuid4().hex[:12]}"
    await admin(f"create database {name}")
    try:
        connection = await asyncpg.connect(named(read_settings().postgres, name))
        for statement in TABLES.replace("$rows", str(rows)).split(";\n"):
            if statement.strip():
                await connection.execute(statement)
        await connection.execute("vacuum analyze")
        await connection.close()
        yield name
    finally:
        await admin(f"drop database if exists {name} with (force)")


async def admin(statement: str) -> None:
    connection = await asyncpg.connect(read_settings().postgres)
    await connection.execute(statement)
    await connection.close()


@asynccontextmanager
async def copied(source: str) -> AsyncIterator[str]:
    """Copy the database *source*, written out so that no contender pays for another's checkpoint."""
    name = f"bench_{uuid4().hex[:12]}"
    await admin(f"create database {name} template {source} strategy file_copy")
    await admin("checkpoint")
    try:
        yield named(read_settings().postgres, name)
    finally:
        await admin(f"drop database if exists {name} with (force)")


def start(contender: str, dsn: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.deletion_contenders", contender, dsn, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def ended(process: subprocess.Popen[bytes]) -> tuple[dict[str, Any], float]:
    """Wait for a contender; its output and its peak memory in MiB."""
    assert process.stdout
    with process.stdout as answer:
        output = answer.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.args
    return json.loads(output), usage.ru_maxrss / 1024


async def measured(source: str, contender: str) -> Run:
    async with copied(source) as dsn:
        output, memory = await asyncio.to_thread(lambda: ended(start(contender, dsn)))
        return Run(output["seconds"], output["rows"], memory)


async def alternately(source: str, contenders: list[str], rounds: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name in contenders:
            runs[name].append(await measured(source, name))
    return runs


async def others(source: str, contender: str | None) -> float:
    """Give the 99th percentile, in seconds, of another customer's transactions, alone or while *contender* deletes."""
    async with copied(source) as dsn:
        working = start("others", dsn)
        assert working.stdout
        await asyncio.to_thread(working.stdout.readline)
        if contender is None:
            # Nothing goes on: what is measured is the others alone, for about as long as a deletion takes.
            await asyncio.sleep(5)
        else:
            await asyncio.to_thread(lambda: ended(start(contender, dsn)))
        working.terminate()
        output, _ = await asyncio.to_thread(ended, working)
        return float(output["p99"])


async def run(scale: float = 1.0) -> list[Row]:
    """Measure at *scale* times 1.5 million rows, the peers at fewer, all as rows a second."""
    rows = max(int(ROWS * scale), 300)
    async with template(rows) as source:
        runs = await alternately(source, ["product", "bare"], ROUNDS if scale > 0.01 else 1)
        found = compared(runs)
        found += await latencies(source)
        scans, _ = ended(start("scans", named(read_settings().postgres, source)))
    found += [
        Row(
            "deletion",
            scans["hashes"],
            "s",
            "bystander hashes beside count(*)",
            scans["hashes"] / scans["bare"],
            "<= 1.3",
        ),
        Row("deletion", scans["hashes"], "s", "bystander hashes beside COPY", scans["hashes"] / scans["copy"], "-"),
        Row(
            "deletion",
            scans["residue"],
            "s",
            "residue scan beside count(*)",
            scans["residue"] / scans["bare"],
            "<= 1.3",
        ),
        Row("deletion", scans["residue"], "s", "residue scan beside COPY", scans["residue"] / scans["copy"], "-"),
    ]
    product = median(run.rate for run in runs["product"])
    for name, most, goal in (("django", DJANGO_ROWS, ">= 3"), ("sqlalchemy", SQLALCHEMY_ROWS, ">= 50")):
        if find_spec(name):
            async with template(min(rows, most)) as source:
                peer = (await measured(source, name)).rate
            found.append(Row("deletion", product, "rows/s", f"{name}, {min(rows, most):,} rows", product / peer, goal))
    return found


def compared(runs: dict[str, list[Run]]) -> list[Row]:
    rate = {name: median(run.rate for run in found) for name, found in runs.items()}
    memory = max(run.memory_mib for run in runs["product"])
    versus = f"three bare DELETEs, {runs['product'][0].rows:,} rows"
    return [Row("deletion", rate["product"], "rows/s", versus, rate["product"] / rate["bare"], ">= 0.8", memory)]


async def latencies(source: str) -> list[Row]:
    alone = await others(source, None)
    names: dict[str, str] = {"product": "full speed", "half": "share 0.5", "bare": "three bare DELETEs"}
    during = {says: await others(source, name) for name, says in names.items()}
    return [
        Row("deletion", seconds * 1000, "ms", f"others' p99 alone; meanwhile: {says}", seconds / alone, "<= 2")
        for says, seconds in during.items()
    ]


if __name__ == "__main__":
    found = asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else 0.1))
    append(found)
    show(found)
