"""One worker of one service: the product's own consumer, relay, waker and performer on simulated clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg

from shared.consumer import Consumer
from shared.decision import Domain
from shared.fates import OUTAGES
from shared.performer import Performance, Performer
from shared.progress import Progress
from shared.relay import Relay
from shared.waker import Waker

from . import broker
from .memory import MemoryDatabase, MemoryPool, memory_process

if TYPE_CHECKING:
    from .world import World

LEASE_SECONDS = 3600.0
READERS = 2


class KilledError(BaseException):
    """The process is gone: nothing of it runs any more."""


@dataclass
class Service:
    """One service: its domain, its work, its database, its group of workers."""

    domain: Domain[Any, Any]
    performances: Callable[[Worker], Sequence[Performance]]
    database: MemoryDatabase
    group: broker.Group
    workers: list[Worker] = field(default_factory=list)
    out_until: float = 0.0

    def ring(self) -> None:
        """Tell all workers that there may be something to do."""
        for worker in self.workers:
            worker.ring()


class Part:
    """One of a worker's loops: takes a *turn* whenever *seconds* says that it is worth one (None: not before news)."""

    def __init__(self, worker: Worker, seconds: Callable[[], float | None], turn: Callable[[], Awaitable[Any]]) -> None:
        self._worker = worker
        self._seconds = seconds
        self._turn = turn
        self._idle: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Do what the product's own loop would, sooner or later."""
        worker, rng = self._worker, self._worker.world.rng
        while not worker.dead:
            wait = self._seconds()
            if wait is None or wait > 0:
                await self._rest(wait)
                continue
            await asyncio.sleep(worker.world.latency())
            worker.world.turn()
            try:
                await self._turn()
            except OUTAGES:
                await asyncio.sleep(rng.uniform(0.1, 60.0))
            # Anything else would end the product's worker, whenever it came back to the same place.
            except Exception as error:
                worker.world.checker.must(truth=False, what=f"{worker.name} crashed: {error!r}")

    def look(self) -> None:
        """Get up if there is something to do, or sooner than was thought."""
        if self._idle is None or self._idle.done():
            return
        wait = self._seconds()
        loop = self._worker.world.loop
        if wait is not None and (self._timer is None or loop.time() + wait < self._timer.when()):
            self._idle.set_result(None)

    async def _rest(self, seconds: float | None) -> None:
        loop = self._worker.world.loop
        self._idle = idle = loop.create_future()
        # A timer may go off a little early, and then it must not be set for that little again.
        self._timer = None if seconds is None else loop.call_later(max(seconds, 0.001), _wake, idle)
        try:
            await idle
        finally:
            if self._timer is not None:
                self._timer.cancel()


def _number(task: asyncio.Task[None]) -> int:
    return int(task.get_name().removeprefix("Task-"))


def _wake(idle: asyncio.Future[None]) -> None:
    if not idle.done():
        idle.set_result(None)


class NeverPaused:
    """Switches that nobody sets; the real ones look at the machine's own clock."""

    async def paused(self) -> bool:
        return False


class Worker:
    """A process that may be slow, wrong about the time, cut off, or killed."""

    def __init__(self, world: World, service: Service, name: str) -> None:
        self.world = world
        self.service = service
        self.name = name
        self.skew = timedelta(0)
        self.asleep_until = 0.0
        self.dead = False
        self.parts: list[Part] = []
        self.pool = MemoryPool(service.database, self.gate)
        self.client = broker.Consumer(service.group, self.gate, lambda topic: world.slow(service, topic), world.refused)
        self.client.rung = self.rung
        self._build()
        service.workers.append(self)
        self.parts = self._parts()
        self.tasks = [asyncio.create_task(part.run()) for part in self.parts]
        self.client.join()

    def clock(self) -> datetime:
        """Give the time as this worker believes it is."""
        return self.world.now() + self.skew

    def _build(self) -> None:
        process = memory_process(self.service.domain, self.pool, broker.PARTITIONS)
        progress = Progress({})
        producer = broker.Producer(self.world.broker, self.gate, self._stamp, self.world.answer_lost)
        performances = {one.task.kind(): one for one in self.service.performances(self)}
        pool: Any = self.pool
        client: Any = self.client
        self.consumer = Consumer(process, client, self.clock, NeverPaused(), progress, readers=READERS)  # type: ignore[arg-type]
        self.relay = Relay(pool, producer, [asyncio.Event() for _ in range(broker.PARTITIONS)], progress)  # type: ignore[arg-type]
        self.waker = Waker(process, pool, self.clock, self.clock, progress, published=self.relay.published)
        self.performer = Performer(
            self.service.domain.name, process, pool, performances, self.clock, asyncio.Event(), progress,
            at_once=2, lease_seconds=LEASE_SECONDS, may_wake=self.waker.may_wake,
        )  # fmt: skip

    def _stamp(self) -> int:
        return int(self.clock().timestamp() * 1000)

    async def gate(self, step: str) -> None:
        """Let one step of this worker's talk with the outside pass: now, later, with an error, or never."""
        world, rng = self.world, self.world.rng
        while not self.dead:
            now = asyncio.get_running_loop().time()
            if self.asleep_until > now:
                await asyncio.sleep(self.asleep_until - now)
                continue
            break
        if self.dead:
            raise KilledError
        world.trace(self.name, step)
        if world.unlucky(0.001):
            world.killed(self)
            raise KilledError
        if rng.random() < 0.3:
            await asyncio.sleep(rng.random() * (30.0 if step == "kafka send" else 0.02))
        if self.dead:
            raise KilledError
        if step.startswith("kafka"):
            return
        if world.out(self.service):
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        if step == "committed" and world.commit_lost():
            raise asyncpg.ConnectionDoesNotExistError("connection was closed before the answer came")

    def kill(self) -> None:
        """End like a process that was killed: its transactions roll back, its partitions go to others later."""
        self.dead = True
        self.world.trace(self.name, "killed")
        self.pool.crash()
        self.service.workers.remove(self)
        for task in (*self.tasks, *sorted(self.performer._running, key=_number)):
            task.cancel()
        if self.performer._bringing is not None:
            self.performer._bringing.cancel()

    def ring(self) -> None:
        """Look whether the database has something to do."""
        for part in self.parts[READERS:]:
            part.look()

    def rung(self) -> None:
        """Look whether Kafka has something to read."""
        for part in self.parts[:READERS]:
            part.look()

    def _parts(self) -> list[Part]:
        lanes = range(broker.PARTITIONS)
        return [
            *[Part(self, lambda r=r: self._unread(r), lambda r=r: self.consumer.turn(r)) for r in range(READERS)],
            *[Part(self, lambda n=n: self._owed(n), lambda n=n: self.relay.publish(n)) for n in lanes],
            Part(self, self._due, self.waker.turn),
            Part(self, self._ordered, self.performer.turn),
        ]

    def _unread(self, reader: int) -> float | None:
        if self.world.broker.down():
            return 60.0
        news = self.client.news()
        mine = self.consumer._share(reader) if news else ()
        return 0 if any(where in mine for where in news) else self.world.until_no_topic_is_slow()

    def _owed(self, lane: int) -> float | None:
        return 0 if any(row["lane"] == lane for row in self.service.database.outbox.values()) else None

    def _due(self) -> float | None:
        moments = [row["wakes_at"] for row in self.service.database.cases.values() if row["wakes_at"] is not None]
        return self._until(min(moments, default=None), self.clock())

    def _ordered(self) -> float | None:
        if len(self.performer._running) == 2:
            return 30.0
        moments = [row["due_at"] for row in self.service.database.tasks.values()]
        return self._until(min(moments, default=None), self.world.now())

    def _until(self, moment: datetime | None, now: datetime) -> float | None:
        if moment is None:
            return None
        seconds = (moment - now).total_seconds()
        return max(seconds, 0.0)
