"""The performer: claims tasks with a lease, performs them, and brings their outcomes back as events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID, uuid4

import structlog

from .clock import Clock
from .database_fates import DATABASE_OUTAGES
from .decision import Fact, Outcome, Task
from .identity import derived
from .lease import LeaseLostError
from .loop import Loop
from .process import Process
from .progress import Progress

if TYPE_CHECKING:
    from asyncpg import Pool, Record

_log = structlog.get_logger()
LEASE_SECONDS = 30.0
_LONGEST_BACKOFF = 300.0
_REST = 0.5
_REPORT_SECONDS = 1.0


async def _nobody_else() -> None:
    """Let the work go on: nobody else could have the task."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which try this is (from 1), and the clock to ask for the time; *id* is the same at every try.

    *report* takes how far the work is (stage, done, total or None) and shows it in the task's row. *insist* raises
    LeaseLostError if another worker has the task by now: to be asked before what a later try must not suffer from.
    """

    id: UUID
    number: int
    clock: Clock
    report: Callable[[str, int, int | None], None] = lambda _stage, _done, _total: None
    insist: Callable[[], Awaitable[None]] = _nobody_else


Perform: TypeAlias = Callable[[Any, Attempt], Coroutine[Any, Any, Outcome]]
Weigh: TypeAlias = Callable[[Any], Coroutine[Any, Any, bool]]


@dataclass(frozen=True, slots=True)
class Performance:
    """How one kind of *task* is performed. Idempotent: a crash begins it again, under another lease.

    *weigh* tells, quickly, whether a task is heavy, so that heavy ones never take every place; None: none of them is.
    """

    task: type[Task]
    perform: Perform
    weigh: Weigh | None = None


class _TooHeavyNow(Exception):  # noqa: N818 - no error: it waits for a heavy one's place
    """All places for heavy tasks are taken here."""


class _Reached:
    """How far a task is, as its work last reported."""

    text: str | None = None

    def report(self, stage: str, done: int, total: int | None) -> None:
        self.text = json.dumps([stage, done, total])


class Performer:
    """Performs up to *at_once* tasks side by side; several workers share them by their leases.

    Of several places one is never a heavy task's: what is small isn't stuck behind what is large.
    """

    def __init__(
        self,
        service: str,
        process: Process,
        pool: Pool,
        performances: Mapping[str, Performance],
        clock: Clock,
        ordered: asyncio.Event,
        progress: Progress,
        at_once: int = 2,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._service = service
        self._process = process
        self._pool = pool
        self._performances = performances
        self._clock = clock
        self._ordered = ordered
        self._at_once = at_once
        self._lease_seconds = lease_seconds
        self._running: set[asyncio.Task[None]] = set()
        self._heavy: set[UUID] = set()
        self._loop = Loop("performer", self.turn, progress, _REST, ordered)

    async def run(self) -> None:
        """Perform until ``stop``; what is under way then is given back for another worker to begin again."""
        try:
            await self._loop.run()
        finally:
            for running in self._running:
                running.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def stop(self) -> None:
        """Claim no more, give back what is under way, then end."""
        self._loop.stop()

    async def turn(self) -> bool:
        """Claim as many tasks as there is room for, and begin them."""
        while len(self._running) < self._at_once:
            async with self._pool.acquire(timeout=5) as connection:
                asked = uuid4(), self._lease_seconds, 1, list(self._performances), self._has_room_for_heavy
                rows = await connection.fetch(_CLAIM, *asked)
            if not rows:
                break
            self._begin(rows[0])
        return False

    @property
    def _has_room_for_heavy(self) -> bool:
        return len(self._heavy) < max(self._at_once - 1, 1)

    def _begin(self, row: Record) -> None:
        if row["heavy"]:
            self._heavy.add(row["id"])
        running = asyncio.create_task(self._perform(row))
        self._running.add(running)
        running.add_done_callback(partial(self._ended, row["id"]))

    def _ended(self, task_id: UUID, running: asyncio.Task[None]) -> None:
        self._running.discard(running)
        self._heavy.discard(task_id)
        # There is room again: look for the next one at once.
        self._ordered.set()
        if not running.cancelled() and running.exception() is not None:
            _log.error("a task's bookkeeping failed; its lease will run out", error=repr(type(running.exception())))

    async def _perform(self, row: Record) -> None:
        log = _log.bind(task=row["kind"], task_id=str(row["id"]), customer=row["customer_id"], attempt=row["attempts"])
        performance = self._performances[row["kind"]]
        task = performance.task.model_validate_json(row["body"])
        reached = _Reached()
        insist = partial(self._insist, row["id"], row["lease"])
        attempt = Attempt(row["id"], row["attempts"], self._clock, reached.report, insist)
        try:
            outcome = await self._while_leased(row, reached, self._work(performance, task, attempt))
            await self._conclude(row, outcome)
        except _TooHeavyNow:
            log.info("too heavy beside what is under way; it waits for such a one's place")
            await self._give_back(row, None, 0.0, heavy=True)
        except LeaseLostError:
            log.warning("lease lost; another worker has the task")
        except asyncio.CancelledError:
            await self._give_back(row, None, 0.0)
            raise
        # The performer's boundary: whatever went wrong is kept with the task, counted, and tried again later;
        # a performance that can tell a final failure from a passing one says so in its outcome instead.
        except Exception as error:
            log.warning("task failed; it will be tried again", error=type(error).__name__, exc_info=True)
            await self._give_back(row, type(error).__name__, _backoff(row["attempts"]))
        else:
            log.info("task performed", outcome=outcome.type())

    async def _work(self, performance: Performance, task: Task, attempt: Attempt) -> Outcome:
        if performance.weigh is not None and attempt.id not in self._heavy and await performance.weigh(task):
            if not self._has_room_for_heavy:
                raise _TooHeavyNow
            self._heavy.add(attempt.id)
        return await performance.perform(task, attempt)

    async def _insist(self, task_id: UUID, lease: UUID) -> None:
        async with self._pool.acquire(timeout=5) as connection:
            if await connection.fetchval(_STILL_OURS, task_id, lease) is None:
                raise LeaseLostError(task_id)

    async def _conclude(self, row: Record, outcome: Outcome) -> None:
        now = self._clock()
        fact = Fact(derived("outcome", str(row["id"])), f"/offramp/{self._service}/performer", now, outcome)
        await self._process.outcome(row["id"], row["lease"], fact, now)

    async def _while_leased(self, row: Record, reached: _Reached, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Do *work*, prolonging the lease; stop it and raise LeaseLostError when the lease is somebody else's."""
        working = asyncio.create_task(work)
        keeping = asyncio.create_task(self._keep_lease(row, reached))
        try:
            done, _ = await asyncio.wait((working, keeping), return_when=asyncio.FIRST_COMPLETED)
            if working in done:
                return working.result()
            raise LeaseLostError(row["id"])
        finally:
            working.cancel()
            keeping.cancel()
            await asyncio.wait((working, keeping))

    async def _keep_lease(self, row: Record, reached: _Reached) -> None:
        while True:
            await asyncio.sleep(min(_REPORT_SECONDS, self._lease_seconds / 3))
            try:
                async with self._pool.acquire(timeout=5) as connection:
                    kept = await connection.fetchval(
                        _PROLONG, row["id"], row["lease"], self._lease_seconds, reached.text
                    )
            except DATABASE_OUTAGES as outage:
                # The outcome's transaction asks for the lease again, so working on in doubt is safe.
                _log.warning("lease not prolonged", outage=type(outage).__name__)
                continue
            if kept is None:
                return

    async def _give_back(self, row: Record, failure: str | None, seconds: float, *, heavy: bool | None = None) -> None:
        try:
            async with self._pool.acquire(timeout=5) as connection:
                await connection.execute(_GIVE_BACK, row["id"], row["lease"], failure, seconds, heavy)
        except DATABASE_OUTAGES as outage:
            _log.warning("task not given back; its lease will run out", outage=type(outage).__name__)


def _backoff(attempts: int) -> float:
    return float(min(2.0 ** min(attempts, 20), _LONGEST_BACKOFF))


_CLAIM = """
-- claim: due_at is the lease itself; a task that is being performed is due again when its lease runs out
update tasks set lease = $1, due_at = clock_timestamp() + make_interval(secs => $2), attempts = attempts + 1
 where id in (select id from tasks where due_at <= clock_timestamp() and kind = any($4::text[])
                 and ($5 or heavy is not true)
               order by due_at limit $3 for update skip locked)
returning id, customer_id, kind, body::text as body, attempts, lease, heavy
"""
_PROLONG = """
-- prolong: and say how far the work is
update tasks set due_at = clock_timestamp() + make_interval(secs => $3), progress = $4::jsonb
 where id = $1 and lease = $2 returning id
"""
_STILL_OURS = """
-- still_ours: a lease that ran out is still ours while nobody else has claimed the task
select id from tasks where id = $1 and lease = $2
"""
_GIVE_BACK = """
-- give_back: an interruption of ours is not the task's failure
update tasks
   set lease = null, due_at = clock_timestamp() + make_interval(secs => $4), failure = coalesce($3, failure),
       attempts = attempts - ($3::text is null)::integer, heavy = coalesce($5, heavy)
 where id = $1 and lease = $2
"""
