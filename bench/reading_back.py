"""Reading back: ``offramp verify`` beside ``sha256sum -c``, a proof beside psql's restore of the same dump."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from deploy.platform.scratch import scratch_database
from shared.postgres_tool import postgres_tool
from shared.settings import read_settings

from .customers import CUSTOMER, Kind, kinds
from .export import Ground, Run, ground, measured
from .rows import Row, append, show

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROUNDS = 3
FORMATS = ("csv", "sql")


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive as it is handed over, and unpacked; its proof ran in *proof_seconds*."""

    file: Path
    bag: Path
    seconds: float
    proof_seconds: float
    memory_mib: float


def offramp(*arguments: str) -> tuple[Run, bytes]:
    return measured([str(Path(sys.executable).with_name("offramp")), *arguments])


def exported(on: Ground, scratch: str, folder: Path) -> Archive:
    """Export to a file, prove it at *scratch*, and unpack it."""
    chosen = [part for name in FORMATS for part in ("--format", name)]
    arguments = ["--map", str(on.map), "--dsn", on.dsn, "--customer", CUSTOMER, "--to", str(folder), "--json", *chosen]
    run, output = offramp("export", *arguments, "--scratch", scratch)
    said = json.loads(output)
    assert said["restored"], "the dump was not restored"
    shutil.unpack_archive(said["place"], folder)
    file = Path(said["place"])
    return Archive(file, file.with_suffix(""), said["seconds"], said["proof_seconds"], run.memory_mib)


def sha256sum(archive: Archive) -> Run:
    return measured(["sh", "-c", f"cd {shlex.quote(str(archive.bag))} && sha256sum --quiet -c manifest-sha256.txt"])[0]


def verify(archive: Archive) -> Run:
    """Check the archive as it was handed over, packed: every digest, and every row counted."""
    # 3: whole, but nobody signed it, as this machine has no keys for that.
    program = str(Path(sys.executable).with_name("offramp"))
    return measured(
        ["sh", "-c", f"{shlex.join([program, 'verify', str(archive.file)])}; case $? in 0|3);; *) exit 1;; esac"]
    )[0]


async def restored(archive: Archive) -> Run:
    """Restore the dump with psql into an empty database."""
    async with scratch_database(read_settings().postgres) as dsn:
        dump = archive.bag / "data" / "sql" / "dump.sql"
        command = [str(postgres_tool("psql")), "-X", "-q", "-o", "/dev/null", "-d", dsn, "-f", str(dump)]
        return (await asyncio.to_thread(measured, command))[0]


@asynccontextmanager
async def proven(on: Ground) -> AsyncIterator[Archive]:
    """Give a proven archive, gone afterwards."""
    async with scratch_database(read_settings().postgres) as scratch:
        with TemporaryDirectory() as folder:
            yield await asyncio.to_thread(exported, on, scratch, Path(folder))


async def run(scale: float = 1.0) -> list[Row]:
    """Measure on *scale* times the customers of ``bench.customers``."""
    rows: list[Row] = []
    for kind in kinds():
        async with ground(kind, scale) as on:
            rows += await compared(kind, on)
    return rows


async def compared(kind: Kind, on: Ground) -> list[Row]:
    proofs, restores = [], []
    checks: Mapping[str, list[Run]] = {"verify": [], "sha256sum": []}
    contenders: Mapping[str, Callable[[Archive], Run]] = {"verify": verify, "sha256sum": sha256sum}
    for _ in range(ROUNDS):
        async with proven(on) as archive:
            proofs.append(archive)
            restores.append(await restored(archive))
            for name, contender in contenders.items():
                checks[name].append(await asyncio.to_thread(contender, archive))
    ours, floor = (median(run.seconds for run in checks[name]) for name in ("verify", "sha256sum"))
    proof, restore = median(one.proof_seconds for one in proofs), median(run.seconds for run in restores)
    peak, proving = max(run.memory_mib for run in checks["verify"]), max(one.memory_mib for one in proofs)
    return [
        Row(f"verify {kind.name}", ours, "s, csv + sql", "sha256sum -c", floor / ours, ">= 0.8", peak),
        Row(f"proof {kind.name}", proof, "s, csv + sql", "psql's restore", proof / restore, "<= 1.3", proving),
    ]


if __name__ == "__main__":
    results = asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
    append(results)
    show(results)
