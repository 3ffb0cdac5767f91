"""The dump's proof: psql alone restores it as a stranger would, in a transaction that is never committed.

So the keys are checked, the rows are compared where they were restored, and nothing of the customer stays there.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit, urlunsplit

from shared.datamap.ownership import relation
from shared.errors import OperatorError
from shared.postgres_tool import postgres_tool

from .faults import NotReadBackError
from .fingerprint import fingerprint
from .witness import SETTINGS

_END = b"commit;\n"
_SQLSTATE = re.compile(r"(?:ERROR|FATAL):\s+([0-9A-Z]{5})")
# What the scratch database lacks or has too much of: rights, extensions, or tables of the same names.
_UNFIT = ("42501", "42P06", "42P07", "42710", "0A000", "58P01")
# Classes of what comes and goes with a server: connections, resources, an operator, deadlocks.
_AWAY = ("08", "53", "57", "58", "40", "55")


class ScratchAwayError(OSError):
    """The scratch database went away; nothing is known about the dump, so it is tried again."""


@dataclass(frozen=True, slots=True)
class Restorable:
    """What *table* must come to where the dump was restored; *columns* are named, *fingerprint* None if not taken."""

    table: str
    columns: tuple[str, ...]
    rows: int
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Dump:
    """The dump at *path* below the bag, and the tables that it makes."""

    path: str
    tables: tuple[Restorable, ...]


async def restore(dump: Dump, sql: AsyncIterator[bytes], dsn: str) -> tuple[str, ...]:
    """Restore *sql*, in pieces, in the empty database *dsn*, compare, and roll back; gives the tables.

    Raises NotReadBackError where the dump is at fault, OperatorError where the database is not fit for it, and
    ScratchAwayError where the database can't be reached or gives up.
    """
    async with _psql(dsn) as psql:
        told, (output, errors) = await asyncio.gather(_tell(psql, dump, sql), _heard(psql))
        await psql.wait()
    if not told:
        raise NotReadBackError(dump.path, "it doesn't end with its commit", _REPORT)
    if psql.returncode:
        raise _trouble(dump, psql.returncode, errors)
    _compare(dump, output)
    return tuple(one.table for one in dump.tables)


def _compare(dump: Dump, output: str) -> None:
    found = dict(line.removeprefix(_MARK).split("|", 1) for line in output.splitlines() if line.startswith(_MARK))
    for place, one in enumerate(dump.tables):
        rows, _, hashed = found.get(str(place), "no|").partition("|")
        if rows != str(one.rows):
            raise NotReadBackError(one.table, f"restored from the dump it has {rows} rows, not {one.rows}", _REPORT)
        if hashed != (one.fingerprint or ""):
            raise NotReadBackError(one.table, "restored from the dump it has other rows than the source had", _REPORT)


@asynccontextmanager
async def _psql(dsn: str) -> AsyncIterator[asyncio.subprocess.Process]:
    url = urlsplit(dsn)
    # Whoever lists processes sees the arguments, not the environment.
    address = urlunsplit(url._replace(netloc=url.netloc.replace(f":{url.password}@", "@")))
    environment = {**os.environ, **({"PGPASSWORD": url.password} if url.password else {})}
    process = await asyncio.create_subprocess_exec(
        *(str(postgres_tool("psql")), "-X", "-q", "-A", "-t", "-d", address),
        # An error's text may quote a value; its code may not.
        *("-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=sqlstate"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        yield process
    finally:
        # Its transaction ends with it.
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _tell(psql: asyncio.subprocess.Process, dump: Dump, sql: AsyncIterator[bytes]) -> bool:
    """Write the dump but for its commit, then the questions; tells whether there was a commit to leave out."""
    stdin = cast("asyncio.StreamWriter", psql.stdin)
    try:
        stdin.write(_BEGIN)
        held = b""
        async for piece in sql:
            held += piece
            stdin.write(held[: -len(_END)])
            held = held[-len(_END) :]
            await stdin.drain()
        if held == _END:
            stdin.write(_questions(dump.tables).encode())
        stdin.write(b"rollback;\n")
        await stdin.drain()
        stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        # It has ended, and says itself why.
        return True
    return held == _END


async def _heard(psql: asyncio.subprocess.Process) -> tuple[str, str]:
    channels = cast("asyncio.StreamReader", psql.stdout), cast("asyncio.StreamReader", psql.stderr)
    output, errors = await asyncio.gather(*(one.read() for one in channels))
    return output.decode(errors="replace"), errors.decode(errors="replace")


def _questions(tables: Sequence[Restorable]) -> str:
    return SETTINGS + TOGETHER + "".join(_question(place, one) for place, one in enumerate(tables))


def _question(place: int, one: Restorable) -> str:
    hashed = "''" if one.fingerprint is None else fingerprint([f"t.{column}" for column in one.columns])
    return f"select '{_MARK}{place}', count(*), {hashed} from {relation(one.table)} as t;\n"


def _trouble(dump: Dump, code: int, errors: str) -> Exception:
    """Tell from psql's exit code (2: no connection) and the SQLSTATE whose fault it is."""
    state = found[1] if (found := _SQLSTATE.search(errors)) else ""
    if code == _NO_CONNECTION or (state.startswith(_AWAY) and state not in _UNFIT):
        return ScratchAwayError(f"the scratch database went away (SQLSTATE {state or 'unknown'})")
    if state in _UNFIT:
        return OperatorError(f"the dump can't be restored for a proof: SQLSTATE {state}. {_FIT}")
    return NotReadBackError(dump.path, f"psql can't restore it: SQLSTATE {state or 'unknown'}", _REPORT)


# name: nobody else works there by then; of tables that nobody has analyzed the planner knows the size alone
TOGETHER = """
    set local max_parallel_workers_per_gather = 1;
    set local min_parallel_table_scan_size = '512kB';
    set local parallel_setup_cost = 0;
    set local parallel_tuple_cost = 0;
"""
_NO_CONNECTION = 2
_MARK = "offramp proof "
_REPORT = "Export again; if it happens twice, the store or the exporter is at fault"
_FIT = (
    "The scratch database must be empty, belong to the role that uses it, and have the extensions of the source "
    "(https://www.postgresql.org/docs/current/errcodes-appendix.html)"
)
# Two proofs that make the same tables would wait for each other in the middle.
_BEGIN = b"begin;\nselect pg_advisory_xact_lock(hashtext('offramp.scratch'));\n"
