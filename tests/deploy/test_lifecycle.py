"""A stack of the test's own is brought up, hurt, mended and taken down, through the command alone."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from time import monotonic
from typing import Any

import aioboto3
import asyncpg
import pytest

from deploy.stack import lifecycle
from deploy.stack.processes import identity
from deploy.stack.site import BASE_PORTS
from deploy.stack.topic_broker import apply_topics, remove_topics
from deploy.stack.topics import Topic
from shared.errors import OperatorError
from shared.settings import KAFKA_PORT, POSTGRES_PORT, Settings, read_settings
from tests.deploy.free_offset import free_offset

COMMAND = Path(sys.executable).with_name("offramp")
ONLY_POSTGRES = {"OFFRAMP_KAFKA": "127.0.0.1:1", "OFFRAMP_S3": "http://127.0.0.1:1"}
GIB = 1024**3


@dataclass(frozen=True)
class Stack:
    """The command `offramp stack`, with a folder and ports of its own; *prefix* runs it as somebody else."""

    home: Path
    offset: int
    more: dict[str, str]
    prefix: tuple[str, ...] = ()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*self.prefix, COMMAND, "stack", *arguments]
        return subprocess.run(command, check=False, env=self.environment, capture_output=True, text=True)

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OFFRAMP_")}
        own = {"OFFRAMP_HOME": str(self.home), "OFFRAMP_PORT_OFFSET": str(self.offset)}
        return {**inherited, "OFFRAMP_CACHE": str(read_settings().cache), **own, **self.more}

    @property
    def settings(self) -> Settings:
        return read_settings(self.environment)

    def up(self) -> dict[str, int]:
        done = self.run("up")
        assert done.returncode == 0, done.stderr
        return self.pids()

    def states(self) -> dict[str, str]:
        return {one["server"]: one["state"] for one in json.loads(self.run("status", "--json").stdout)}

    def pids(self) -> dict[str, int]:
        return {one["server"]: one["pid"] for one in json.loads(self.run("status", "--json").stdout) if one["pid"]}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Bring up all three servers once; the tests of this module hurt and mend them in turn."""
    with _folder() as home:
        whole = Stack(home, free_offset(), {})
        yield whole
        whole.run("down", "--wipe")


@pytest.fixture
def small() -> Iterator[Settings]:
    """Give a stack of which only PostgreSQL is local, because it starts in a second."""
    with _folder() as home:
        settings = Stack(home, free_offset(), ONLY_POSTGRES).settings
        yield settings
        lifecycle.down(settings, wipe=True)


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder outside pytest's own: every run of pytest shuts that to others, as the database's user is."""
    with TemporaryDirectory(prefix="offramp-") as folder:
        yield Path(folder) / "state"


def test_everything_is_up_in_fifteen_seconds(stack: Stack) -> None:
    """One command brings three servers up, and they live on when it has ended."""
    began = monotonic()
    pids = stack.up()

    assert monotonic() - began < 15
    assert stack.states() == dict.fromkeys(BASE_PORTS, "running")
    assert all(os.getsid(pid) == pid for pid in pids.values())


def test_up_twice_is_up_once(stack: Stack) -> None:
    """Bringing up what is up changes nothing, even when two do it at once."""
    before = stack.pids()
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: stack.run("up"), range(2)))

    assert [one.returncode for one in done] == [0, 0]
    assert stack.pids() == before


def test_nobody_outside_can_reach_it(stack: Stack) -> None:
    """Every port that a server of the stack listens on is bound to the loopback."""
    if not shutil.which("ss"):
        pytest.skip("ss, which tells who listens where, is not installed")
    pids = set(stack.pids().values())
    rows = subprocess.run(["ss", "-Htlnp"], check=True, capture_output=True, text=True).stdout.splitlines()
    places = [row.split()[3] for row in rows if any(f"pid={pid}," in row for pid in pids)]

    assert len(places) == sum(len(ports) for ports in BASE_PORTS.values())
    assert all(place.startswith("127.0.0.1:") for place in places)


def test_what_died_comes_back_alone(stack: Stack) -> None:
    """A server that was killed is told by status and brought back by up; the others run on."""
    before = stack.pids()
    os.kill(before["postgres"], signal.SIGKILL)
    _wait_until_gone(before["postgres"])

    assert stack.states()["postgres"] == "stopped"
    assert stack.run("status").returncode == 1
    after = stack.up()
    assert after["postgres"] != before["postgres"]
    assert {**after, "postgres": 0} == {**before, "postgres": 0}


def test_another_offset_does_not_lose_the_running_one(stack: Stack) -> None:
    """A folder's servers are found again only on their ports; on others the command says where they are."""
    moved = Stack(stack.home, stack.offset + 20, {}).run("up")

    assert moved.returncode == 1
    assert f"runs on port {KAFKA_PORT + stack.offset}, not {KAFKA_PORT + stack.offset + 20}" in moved.stderr


async def test_what_was_stored_survives_down(stack: Stack) -> None:
    """Down keeps the data: an object, a row and a topic are there after the next up."""
    await _store(stack.settings)
    stack.run("down")
    began = monotonic()
    stack.up()

    assert monotonic() - began < 15
    assert await _stored(stack.settings) == (b"object", 1, {"t-kept"})


def test_down_leaves_nothing_behind(stack: Stack) -> None:
    """After down no process is left, after --wipe no data; a second time does no harm."""
    pids = stack.pids()
    done = stack.run("down", "--wipe")

    assert done.returncode == 0, done.stderr
    assert [identity(pid) for pid in pids.values()] == [None, None, None]
    assert _processes_of(stack.home) == []
    assert not (stack.home / "data").exists()
    assert stack.run("down").returncode == 0


def test_a_taken_port_is_named_with_its_holder(small: Settings) -> None:
    """A port that somebody else has is told with who that is, and what to do."""
    port = POSTGRES_PORT + small.port_offset
    with socket.create_server(("127.0.0.1", port)), pytest.raises(OperatorError) as refused:
        lifecycle.up(small)

    assert f"port {port} on 127.0.0.1 is taken by process {os.getpid()}" in str(refused.value)
    assert "OFFRAMP_PORT_OFFSET" in str(refused.value)


def test_a_reused_pid_is_not_taken_for_ours(small: Settings) -> None:
    """A record whose pid went to another process is void: down spares it, up starts anew."""
    record = json.dumps({"pid": os.getpid(), "identity": "of before the restart", "ports": {"client": 1}})
    file = _run_folder(small) / "postgres.json"
    file.write_text(record)
    lifecycle.down(small)
    file.write_text(record)

    assert _pid(lifecycle.up(small)) != os.getpid()


@pytest.mark.parametrize("left", ["half a record", "half a data folder", "a lock of a stranger's pid"])
def test_a_cut_off_start_is_mended(small: Settings, left: str) -> None:
    """Whatever a start that was cut off left behind, the next one makes good."""
    data = small.home / "data" / "postgres"
    if left == "half a record":
        (_run_folder(small) / "postgres.json").write_text('{"pid": 1')
    elif left == "half a data folder":
        (small.home / "data" / "postgres.new" / "base").mkdir(parents=True)
    else:
        lifecycle.up(small)
        lifecycle.down(small)
        (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n")

    assert _state(lifecycle.status(small)) == "stopped"
    assert _pid(lifecycle.up(small))


def test_a_broken_data_folder_is_a_sentence(small: Settings) -> None:
    """Data that the server can't use is told with the log's own words and what to do; nothing is left running."""
    lifecycle.up(small)
    lifecycle.down(small)
    (small.home / "data" / "postgres" / "global" / "pg_control").write_bytes(b"broken")
    with pytest.raises(OperatorError) as refused:
        lifecycle.up(small)

    said = str(refused.value)
    for words in ("PostgreSQL ended while it started", "postgres.log says", "pg_control", "--wipe"):
        assert words in said, said
    assert _processes_of(small.home) == []


def test_what_is_still_dying_is_waited_for(small: Settings) -> None:
    """A killed server whose threads still have its port isn't taken for somebody else's."""
    (before,) = (one for one in lifecycle.up(small) if one.pid is not None)
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    _wait_until_gone(before.pid)
    with socket.create_server(("127.0.0.1", POSTGRES_PORT + small.port_offset)) as port:
        Timer(0.5, port.close).start()
        (after,) = (one for one in lifecycle.up(small) if one.pid is not None)

    assert (after.state, after.pid == before.pid) == ("running", False)


def test_a_full_disk_is_a_sentence(small: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less than 2 GiB free nothing is started."""
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=GIB))

    with pytest.raises(OperatorError, match=r"1\.0 GiB free and the stack needs 2.*OFFRAMP_HOME"):
        lifecycle.up(small)


def test_external_addresses_are_used_instead(settings: Settings) -> None:
    """Where the environment names all addresses nothing is started, and status says so without a password."""
    login = settings.postgres.replace("postgres@", "postgres:hush@")
    with _folder() as home:
        stack = Stack(home, 20, {**ONLY_POSTGRES, "OFFRAMP_POSTGRES": login})
        up = stack.run("up")
        status = stack.run("status")

        assert (up.returncode, status.returncode) == (0, 0), up.stderr
        assert set(stack.states().values()) == {"external"}
        assert "hush" not in status.stdout
        assert _processes_of(home) == []


def test_a_known_password_is_for_the_local_server_alone(tmp_path: Path) -> None:
    """On somebody else's server no role gets the password that stands in this repository."""
    far = {**ONLY_POSTGRES, "OFFRAMP_POSTGRES": "postgresql://admin@db.example.org/postgres"}

    with pytest.raises(OperatorError, match="OFFRAMP_ROLE_PASSWORD"):
        lifecycle.up(Stack(tmp_path, 20, far).settings)


def test_an_ordinary_user_can_run_it() -> None:
    """No rights are needed beyond a folder of one's own."""
    if os.geteuid() != 0:
        pytest.skip("everything here ran as an ordinary user already")
    nobody = pwd.getpwnam("nobody")
    as_nobody = ("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
    # pytest's folders are root's alone.
    home = Path("/tmp") / f"offramp-test-{os.getpid()}"
    stack = Stack(home, free_offset(), {"OFFRAMP_CACHE": f"{home}/cache", "HOME": str(home)}, as_nobody)
    if stack.run("--help").returncode:
        pytest.skip(f"an ordinary user may not run {sys.executable}: it lies in somebody's private folder")
    home.mkdir(mode=0o755)
    shutil.copytree(read_settings().cache / "jars", home / "cache" / "jars")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    try:
        pids = stack.up()
        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in pids.values()}
        down = stack.run("down")

        assert len(pids) == len(BASE_PORTS)
        assert owners == {nobody.pw_uid}
        assert (down.returncode, _processes_of(home)) == (0, [])
    finally:
        stack.run("down")
        shutil.rmtree(home)


def _wait_until_gone(pid: int) -> None:
    deadline = monotonic() + 5
    while identity(pid):
        assert monotonic() < deadline


def _processes_of(home: Path) -> list[str]:
    """List every process whose command line speaks of *home*."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(str(home) in word for word in words):
            found.append(" ".join(words))
    return found


def _run_folder(settings: Settings) -> Path:
    folder = settings.home / "run"
    folder.mkdir(parents=True)
    return folder


def _state(statuses: list[lifecycle.Status]) -> str:
    return next(one.state for one in statuses if one.server == "postgres")


def _pid(statuses: list[lifecycle.Status]) -> int | None:
    return next(one.pid for one in statuses if one.server == "postgres")


async def _store(settings: Settings) -> None:
    async with _s3(settings) as s3:
        await s3.create_bucket(Bucket="t-kept")
        await s3.put_object(Bucket="t-kept", Key="kept", Body=b"object")
    postgres = await asyncpg.connect(settings.dsn("notice"))
    await postgres.execute("create table kept as select 1")
    await postgres.close()
    topic = Topic("t-kept", 1, 1, {}, (), ())
    await apply_topics(settings.kafka, [topic])


async def _stored(settings: Settings) -> tuple[bytes, int, set[str]]:
    async with _s3(settings) as s3:
        kept = await s3.get_object(Bucket="t-kept", Key="kept")
        content = await kept["Body"].read()
    postgres = await asyncpg.connect(settings.dsn("notice"))
    rows = await postgres.fetchval("select count(*) from kept")
    await postgres.close()
    return content, rows, set(await remove_topics(settings.kafka, "t-"))


def _s3(settings: Settings) -> Any:
    return aioboto3.Session().client(
        "s3",
        endpoint_url=settings.s3.endpoint,
        aws_access_key_id=settings.s3.access_key,
        aws_secret_access_key=settings.s3.secret_key,
        region_name=settings.s3.region,
    )
