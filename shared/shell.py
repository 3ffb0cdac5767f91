"""The Faust shell: hosts a worker (lifecycle, signals, web pages) and reads the low-rate operator topics.

The event path does not run through Faust's streams, which are slow and can lose what a handler fails on
(docs/decisions/0003-faust-as-a-shell.md); its agents here have the one safe form: ``noack_take``, a crashing
supervisor, concurrency 1, acknowledged after the effect is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import faust
import structlog
import uvloop
from faust.streams import Stream
from faust.web import Request, Response, View
from mode import Service as ModeService
from mode.supervisors import CrashingSupervisor

from .events.catalogue import INSTRUCTIONS
from .events.envelope import Record, Unreadable, read_instruction
from .garbage import expect_batches
from .health import health, ready
from .instructions import obey
from .logs import configure
from .metrics import render
from .settlement import Buried
from .worker import Place, Service, Worker, open_worker

_log = structlog.get_logger()
# What is left of the ten seconds that an orchestrator grants when Faust's own shutdown is taken off.
_GRACE = 6.0


@dataclass(frozen=True)
class Web:
    """Where the pages ``/health``, ``/ready`` and ``/metrics`` are served; loopback unless somebody says otherwise."""

    host: str = "127.0.0.1"
    port: int = 6066


class Machine(ModeService):
    """The worker as a service of the Faust app: started and stopped with it, and its crash is the app's."""

    def __init__(self, service: Service, place: Place) -> None:
        super().__init__()
        self._opening = open_worker(service, place)
        self._closing = AsyncExitStack()
        self._running: asyncio.Task[None] | None = None
        self.worker: Worker | None = None

    async def on_start(self) -> None:
        """Open the worker and let it run."""
        self.worker = await self._closing.enter_async_context(self._opening)
        expect_batches()
        self._running = asyncio.create_task(self.worker.run())
        self._running.add_done_callback(self._ended)
        _log.info("working", service=self.worker.service.domain.name, partitions=self.worker.partitions)

    async def on_stop(self) -> None:
        """Let the worker finish what is under way; what it can't finish in time is given up and begun again later."""
        if self.worker is not None and self._running is not None:
            self.worker.stop()
            _, late = await asyncio.wait((self._running,), timeout=_GRACE)
            for running in late:
                _log.warning("given up what did not end in time; nothing is lost, it is begun again")
                running.cancel()
        await self._closing.aclose()

    def _ended(self, running: asyncio.Task[None]) -> None:
        if not running.cancelled() and (error := running.exception()) is not None:
            self.add_future(self.crash(error))


def run(service: Service, place: Place, web: Web, state: Path, *, json_logs: bool = True) -> NoReturn:
    """Run one worker until SIGTERM or SIGINT; *state* is a folder that Faust may write in."""
    logging_config = configure(service.domain.name, json=json_logs)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    machine = Machine(service, place)
    app = _app(service.domain.name, place, web, state, logging_config)
    _serve_pages(app, machine, place)
    _hear_operators(app, machine, service.domain.name, place)
    # Beside the app and not as a service of it, which would start only when the operators' group has let us in: that
    # takes as long as Kafka needs to notice that a killed predecessor is gone, and meanwhile nothing would be done.
    worker = faust.Worker(app, machine, loop=loop, quiet=True, redirect_stdouts=False, loglevel="WARN")
    # It would draw on the terminal, and write control codes into the logs.
    worker.spinner = None
    worker.execute_from_commandline()


def _app(name: str, place: Place, web: Web, state: Path, logging_config: dict[str, Any] | None) -> faust.App:
    return faust.App(
        f"{place.prefix}offramp.{name}.operators",
        broker=f"kafka://{place.kafka}",
        store="memory://",
        datadir=state / "faust",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_host=web.host,
        # web_host only names the place; this is what is listened on, and it is 0.0.0.0 by default.
        web_bind=web.host,
        web_port=web.port,
        # Faust's own pages show tables and routing to anybody who asks.
        web_tables_enabled=False,
        web_router_enabled=False,
        logging_config=logging_config,
        worker_redirect_stdouts=False,
        consumer_auto_offset_reset="earliest",
        # As aiokafka has it for the events. With Faust's 60 seconds, a killed worker's instructions wait for so long.
        broker_session_timeout=10.0,
        broker_heartbeat_interval=3.0,
    )


def _serve_pages(app: faust.App, machine: Machine, place: Place) -> None:
    async def healthy(view: View, _: Request) -> Response:
        worker = machine.worker
        status, body = (503, {"why": "starting"}) if worker is None else health(worker)
        return view.json(body, status=status)

    async def ready_to_work(view: View, _: Request) -> Response:
        worker = machine.worker
        status, body = (503, {"why": "starting"}) if worker is None else await ready(worker)
        return view.json(body, status=status)

    async def measured(view: View, _: Request) -> Response:
        text = b"" if machine.worker is None else await render(machine.worker, place.clock())
        return view.bytes(text, content_type="text/plain; version=0.0.4")

    for path, page in (("/health", healthy), ("/ready", ready_to_work), ("/metrics", measured)):
        app.page(path)(page)


def _hear_operators(app: faust.App, machine: Machine, name: str, place: Place) -> None:
    for instruction in INSTRUCTIONS:
        topic = app.topic(
            place.prefix + instruction, key_serializer="raw", value_serializer="raw", key_type=bytes, value_type=bytes
        )
        app.agent(topic, name=f"{name}.{instruction}", concurrency=1, supervisor_strategy=CrashingSupervisor)(
            cast("Any", _agent(machine, place))
        )


def _agent(machine: Machine, place: Place) -> Callable[[Stream[Any]], Awaitable[None]]:
    async def hear(stream: Stream[Any]) -> None:
        async for events in stream.noack_take(10, within=1):
            for event in events:
                await _carry_out(machine, place, _record(event.message, place.prefix))
                await stream.ack(event)

    return hear


async def _carry_out(machine: Machine, place: Place, record: Record) -> None:
    worker = machine.worker
    if worker is None:
        msg = "an instruction came before the worker was open"
        raise RuntimeError(msg)
    try:
        instruction = read_instruction(record)
    except Unreadable as error:
        await worker.process.arrivals((), (Buried(str(error), record, None),), place.clock())
        return
    await obey(worker, instruction)


def _record(message: Any, prefix: str) -> Record:
    # Faust gives seconds; Kafka's milliseconds are part of a plain message's derived id.
    moment = round((message.timestamp or 0) * 1000)
    headers = message.headers or {}
    pairs = tuple(headers.items() if isinstance(headers, dict) else headers)
    topic = message.topic.removeprefix(prefix)
    return Record(topic, message.partition, message.offset, moment, message.key, message.value, pairs)
