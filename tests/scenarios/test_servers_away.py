"""An outage is waited out, whichever server is away: nothing is buried, nothing is lost, and everybody can see it."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.demo import processes
from deploy.stack import lifecycle
from deploy.stack.ports import is_taken
from deploy.stack.site import BASE_PORTS
from shared.events.notice import ContractTerminated, NoticeAccepted
from shared.settings import Settings, read_settings
from tests.scenarios.phrases import contract, notice
from tests.scenarios.scene import Scene, scene
from tests.scenarios.waits import until

CUSTOMERS = [f"c{number}" for number in range(100)]
OWED_OR_DUE = "select (select count(*) from outbox) + (select count(*) from cases where wakes_at <= now())"
PERIOD_OVER = datetime(2027, 7, 1, 6, tzinfo=UTC)
# A worker for which two seconds without progress are what a minute is for others.
IMPATIENT = f"""\
#!{sys.executable}
from shared import worker
from shared.cli import main

worker._LIMITS.update(dict.fromkeys(worker._LIMITS, 2.0))
main()
"""


async def test_database_away(settings: Settings, tmp_path: Path) -> None:
    """The database ends all connections and takes none: nothing is buried, and all is answered when it is back."""
    async with scene(settings, tmp_path, "notice") as made, made.hearing(NoticeAccepted) as watch:
        worker = await made.ready("notice")
        await made.publish(*map(contract, CUSTOMERS))
        giving = asyncio.create_task(made.publish(*map(notice, CUSTOMERS)))
        await watch.expect(NoticeAccepted, CUSTOMERS[0])
        async with _closed(made):
            await giving
            await made.publish(*(notice(customer, 2) for customer in CUSTOMERS))
            await until("not ready", lambda: worker.page("ready"), lambda page: _waits_out(page, "consumer"))
            await until("lag", lambda: worker.metric("offramp_consumer_lag_events", topic="NoticeReceived"))
            assert await worker.metric("offramp_database_up") == 0
            assert (await worker.page("health"))[0] == 200

        for customer in CUSTOMERS:
            await watch.expect(NoticeAccepted, customer)
        await until("ready again", lambda: worker.page("ready"), lambda page: page[0] == 200)
        assert await made.letters("NoticeReceived") == []
        await until("all answers", lambda: _answers(made), lambda number: number == 2 * len(CUSTOMERS))
        assert worker.process.returncode is None


async def test_stuck(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that hangs in the database makes no progress: the worker says that it is stuck, and which part of it."""
    script = tmp_path / "offramp"
    script.write_text(IMPATIENT)
    script.chmod(stat.S_IRWXU)
    monkeypatch.setattr(processes, "OFFRAMP", script)
    async with scene(settings, tmp_path, "notice") as made, made.hearing(NoticeAccepted) as watch:
        worker = await made.ready("notice")
        async with _locked(made):
            await made.publish(contract("a"), notice("a"))
            page = await until("stuck", lambda: worker.page("health"), lambda page: page[0] == 503)
            assert any(why.startswith(("consumer", "waker")) for why in page[1]["why"])

        await watch.expect(NoticeAccepted, "a")
        await until("alive", lambda: worker.page("health"), lambda page: page[0] == 200)


async def test_broker_away(own_kafka: Settings, tmp_path: Path) -> None:
    """The broker is killed: what falls due meanwhile is owed, visibly, and published once when the broker is back."""
    async with scene(own_kafka, tmp_path, "notice") as made:
        worker = await made.ready("notice")
        async with made.hearing(NoticeAccepted) as watch:
            await made.publish(*map(contract, CUSTOMERS), *map(notice, CUSTOMERS))
            for customer in CUSTOMERS:
                await watch.expect(NoticeAccepted, customer)
        # What was published may be owed still: not crossed out yet, the answer's companions, or a reminder that is due.
        await until("nothing owed or due", lambda: made.ask("notice", OWED_OR_DUE), lambda number: number == 0)
        async with _killed(own_kafka):
            made.ground.move_to(PERIOD_OVER)
            await until("owed", lambda: worker.metric("offramp_owed_events"), lambda owed: owed == len(CUSTOMERS))
            assert (await worker.page("health"))[0] == 200

        await until("nothing owed", lambda: made.ask("notice", "select count(*) from outbox"), lambda owed: owed == 0)
        ended = await made.records(ContractTerminated.type())
        assert sorted(one.key.decode() for one in ended if one.key) == sorted(CUSTOMERS)
        assert worker.process.returncode is None


@pytest.fixture
def own_kafka(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Give the settings with a broker of the test's own, which may be killed."""
    with TemporaryDirectory(prefix="offramp-") as folder:
        away = {"OFFRAMP_HOME": f"{folder}/state", "OFFRAMP_PORT_OFFSET": str(_free_offset())}
        rest = {"OFFRAMP_POSTGRES": settings.postgres, "OFFRAMP_S3": settings.s3.endpoint}
        own = read_settings({**away, **rest, "OFFRAMP_CACHE": str(settings.cache)})
        monkeypatch.setenv("OFFRAMP_KAFKA", own.kafka)
        try:
            lifecycle.up(own)
            yield own
        finally:
            lifecycle.down(own, wipe=True)


def _free_offset() -> int:
    while True:
        offset = 1000 + 20 * secrets.randbelow(500)
        if not any(is_taken(port + offset) for ports in BASE_PORTS.values() for port in ports.values()):
            return offset


@asynccontextmanager
async def _killed(own: Settings) -> AsyncIterator[None]:
    """Let there be no broker while the block lasts; it comes back whatever happens, so that all can be closed."""
    (broker,) = (one for one in lifecycle.status(own) if one.server == "kafka")
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGKILL)
    try:
        yield
    finally:
        await asyncio.to_thread(lifecycle.up, own)


@asynccontextmanager
async def _closed(made: Scene) -> AsyncIterator[None]:
    """Let the service's database take no connections while the block lasts."""
    name = urlsplit(made.ground.dsns["notice"]).path[1:]
    await made.order(f'alter database "{name}" allow_connections false')
    await made.order(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
    try:
        yield
    finally:
        await made.order(f'alter database "{name}" allow_connections true')


@asynccontextmanager
async def _locked(made: Scene) -> AsyncIterator[None]:
    """Let everybody who looks at a case wait for as long as the block lasts."""
    connection = await asyncpg.connect(made.ground.dsns["notice"])
    try:
        async with connection.transaction():
            await connection.execute("lock table cases in access exclusive mode")
            yield
    finally:
        await connection.close()


async def _answers(made: Scene) -> int:
    """Count the answers, each once."""
    records = await made.records("NoticeAccepted", "NoticeRejected")
    return len({one.value for one in records})


def _waits_out(page: tuple[int, dict[str, list[str]]], part: str) -> bool:
    return page[0] == 503 and any(why.startswith(f"{part} ") and "waits out" in why for why in page[1]["why"])
