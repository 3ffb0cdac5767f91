"""Bring the servers up side by side, say how they are, take them down: each twice in a row without harm."""

from __future__ import annotations

import asyncio
import fcntl
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from shared.errors import OperatorError
from shared.settings import LOCAL_ROLE_PASSWORD, Settings

from .databases import OWNERS, prepare_databases
from .kafka import Kafka
from .ports import await_free, refuse_taken
from .postgres import Postgres
from .processes import end, ended, identity, spawn
from .seaweed import Seaweed
from .server import Server
from .site import Record, Site

NEEDED_BYTES = 2 * 1024**3
_PATIENCE = 60.0
_BETWEEN_QUESTIONS = 0.1
# Seconds in which the kernel closes what a killed server had open; its threads go one by one.
_DYING = 5.0
_NEAR = {"127.0.0.1", "::1", "localhost"}
# As PostgreSQL, Java and Go's glog write it.
_TROUBLE = re.compile(r"FATAL|ERROR|Exception|^[EF]\d{4} ")


@dataclass(frozen=True, slots=True)
class Status:
    """How one server is: *state* is ``running``, ``starting``, ``stopped`` or ``external``."""

    server: str
    state: str
    address: str
    pid: int | None = None
    seconds: float | None = None


def local_servers(settings: Settings) -> tuple[Server, ...]:
    """Give the servers that are the local stack's to run: all but the external ones."""
    site = Site.of(settings)
    every: tuple[Server, ...] = (Kafka(site), Postgres(site), Seaweed(site))
    return tuple(server for server in every if server.name not in settings.external)


def up(settings: Settings) -> list[Status]:
    """Start what does not run yet, and make the services' databases; raises ``OperatorError``."""
    site = Site.of(settings)
    servers = local_servers(settings)
    with _one_at_a_time(site):
        if servers:
            _refuse_full_disk(site.home)
        started = _side_by_side(lambda server: _bring_up(server, site), servers)
        _databases(settings)
    return started + _externals(settings)


def status(settings: Settings) -> list[Status]:
    """Say how each server is, now."""
    site = Site.of(settings)
    return [_status(server, site) for server in local_servers(settings)] + _externals(settings)


def down(settings: Settings, *, wipe: bool = False, spared: Collection[str] = ()) -> list[Status]:
    """End exactly what was started here, but for those *spared* by name; with *wipe* the data goes too.

    Raises ``OperatorError``.
    """
    site = Site.of(settings)
    every: tuple[Server, ...] = (Kafka(site), Postgres(site), Seaweed(site))
    doomed = tuple(server for server in every if server.name not in spared)
    with _one_at_a_time(site):
        ended_now = _side_by_side(lambda server: _take_down(server, site, gently=not wipe), doomed)
        if wipe:
            for part in ("data", "logs", "run"):
                shutil.rmtree(site.home / part, ignore_errors=True)
    return ended_now


def _databases(settings: Settings) -> None:
    """Make the databases of all whose address is not given by itself, on whatever server is used."""
    owners = tuple(owner for owner in OWNERS if owner not in settings.own_dsns)
    if not owners:
        return
    if settings.role_password == LOCAL_ROLE_PASSWORD and urlsplit(settings.postgres).hostname not in _NEAR:
        msg = "OFFRAMP_ROLE_PASSWORD is not set, and the local stack's is known to all: set it for this server."
        raise OperatorError(msg)
    asyncio.run(prepare_databases(settings.postgres, password=settings.role_password, owners=owners))


def _bring_up(server: Server, site: Site) -> Status:
    began = time.monotonic()
    record = _living(server, site)
    if record is None:
        if site.record(server.name) is not None:
            await_free(server.ports, _DYING)
        refuse_taken(server.title, server.ports)
        record = _start(server, site)
    elif record.ports != server.ports:
        msg = (
            f"{server.title} of {site.home} runs on port {record.ports['client']}, not {server.ports['client']}: "
            "stop it first (`offramp stack down`), or give this stack another folder with OFFRAMP_HOME."
        )
        raise OperatorError(msg)
    _await_answer(server, site, record)
    return Status(server.name, "running", server.address, record.pid, round(time.monotonic() - began, 2))


def _start(server: Server, site: Site) -> Record:
    pid = spawn(server.prepare(), site.log(server.name))
    # Ended already: an identity that no process has, so that the next question finds it dead.
    record = Record(pid, identity(pid) or "ended", server.ports)
    site.write_record(server.name, record)
    return record


def _await_answer(server: Server, site: Site, record: Record) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not server.answers():
        died = ended(record.pid, record.identity, _BETWEEN_QUESTIONS)
        if died or time.monotonic() > deadline:
            _take_down(server, site)
            raise OperatorError(_why(server, site, died=died))


def _why(server: Server, site: Site, *, died: bool) -> str:
    log = site.log(server.name)
    said = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    telling = [line for line in said[-40:] if _TROUBLE.search(line)]
    last = (telling or said or ["nothing"])[-1][:300]
    happened = "ended while it started" if died else f"gave no answer for {_PATIENCE:.0f} s"
    return (
        f"{server.title} {happened}; {log} says: {last} "
        f"If its data in {site.data(server.name)} is of no worth, remove it with `offramp stack down --wipe`."
    )


def _take_down(server: Server, site: Site, *, gently: bool = True) -> Status:
    """End it; when its data goes as well, nobody waits for it to be written."""
    record = site.record(server.name)
    if record is not None:
        try:
            end(record.pid, record.identity, server.endings if gently else server.endings[1:])
        except (TimeoutError, PermissionError) as error:
            msg = f"{server.title} can't be stopped ({error}): end process {record.pid} as the user who started it."
            raise OperatorError(msg) from error
        server.clear()
        site.forget(server.name)
    return Status(server.name, "stopped", server.address, record.pid if record else None)


def _status(server: Server, site: Site) -> Status:
    record = _living(server, site)
    if record is None:
        return Status(server.name, "stopped", server.address)
    return Status(server.name, "running" if server.answers() else "starting", server.address, record.pid)


def _living(server: Server, site: Site) -> Record | None:
    record = site.record(server.name)
    return record if record is not None and identity(record.pid) == record.identity else None


def _externals(settings: Settings) -> list[Status]:
    addresses = {"kafka": settings.kafka, "postgres": _without_login(settings.postgres), "s3": settings.s3.endpoint}
    return [Status(name, "external", addresses[name]) for name in sorted(settings.external)]


def _without_login(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _side_by_side(do: Callable[[Server], Status], servers: Sequence[Server]) -> list[Status]:
    """Do it for all at once and let all finish: one that fails must not leave another unrecorded."""
    with ThreadPoolExecutor(max(len(servers), 1)) as pool:
        futures = [pool.submit(do, server) for server in servers]
    failed = [str(error) for future in futures if isinstance(error := future.exception(), OperatorError)]
    if failed:
        raise OperatorError("\n".join(failed))
    return [future.result() for future in futures]


def _refuse_full_disk(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free
    if free < NEEDED_BYTES:
        msg = (
            f"the disk of {home} has {free / 1024**3:.1f} GiB free and the stack needs {NEEDED_BYTES / 1024**3:.0f}: "
            "make room, or put the folder elsewhere with OFFRAMP_HOME."
        )
        raise OperatorError(msg)


@contextmanager
def _one_at_a_time(site: Site) -> Iterator[None]:
    """Keep two commands from starting the same server twice."""
    site.home.mkdir(parents=True, exist_ok=True)
    with (site.home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
