"""The performer: claims tasks with a lease, performs them, and brings their outcomes back as events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
from .settlement import Done

if TYPE_CHECKING:
    from asyncpg import Pool, Record

_log = structlog.get_logger()
LEASE_SECONDS = 30.0
_LONGEST_BACKOFF = 300.0
_REST = 0.5
_REPORT_SECONDS = 1.0
# Outcomes that are taken in by one transaction: decided without a break, some 25 ms with what is woken along.
_MOST_TOGETHER = 100


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
    *places*: so many of its own, side by side, for what is small and comes in great numbers; None: it shares those of
    all others.
    """

    task: type[Task]
    perform: Perform
    weigh: Weigh | None = None
    places: int | None = None


class _TooHeavyNow(Exception):  # noqa: N818 - no error: it waits for a heavy one's place
    """All places for heavy tasks are taken here."""


class _Reached:
    """How far a task is, as its work last reported."""

    text: str | None = None

    def report(self, stage: str, done: int, total: int | None) -> None:
        self.text = json.dumps([stage, done, total])


@dataclass(slots=True)
class _Leased:
    """A task that is being worked on under a lease, until that is *lost*."""

    reached: _Reached
    working: asyncio.Task[Outcome]
    lost: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Ended:
    """What became of a task, until its *fate* is told: None if it was taken in, or what kept it from that."""

    done: Done
    fate: asyncio.Future[Exception | None]

    def tell(self, fate: Exception | None) -> None:
        """Tell whoever waits, if somebody does still."""
        if not self.fate.done():
            self.fate.set_result(fate)


@dataclass(frozen=True, slots=True)
class _Places:
    """So many places for tasks of these *kinds*; *alone*: they are not shared with what may be heavy."""

    kinds: tuple[str, ...]
    number: int
    alone: bool
    taken: set[UUID] = field(default_factory=set)

    @property
    def free(self) -> int:
        return self.number - len(self.taken)


class Performer:
    """Performs up to *at_once* tasks side by side; several workers share them by their leases.

    Of several places one is never a heavy task's: what is small isn't stuck behind what is large. What becomes of
    tasks that end together is taken in together, each decided by itself, and what is due by it is woken with it if
    *may_wake* says so.
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
        may_wake: Callable[[], bool] = lambda: False,
    ) -> None:
        self._service = service
        self._process = process
        self._pool = pool
        self._performances = performances
        self._clock = clock
        self._ordered = ordered
        self._lease_seconds = lease_seconds
        self._may_wake = may_wake
        self._places = _places(performances, at_once)
        self._running: set[asyncio.Task[None]] = set()
        self._heavy: set[UUID] = set()
        self._leased: dict[tuple[UUID, UUID], _Leased] = {}
        # It prolongs all leases.
        self._keeping: asyncio.Task[None] | None = None
        self._waiting: list[_Ended] = []
        # It takes in what has ended.
        self._bringing: asyncio.Task[None] | None = None
        self._loop = Loop("performer", self.turn, progress, _REST, ordered)

    async def run(self) -> None:
        """Perform until ``stop``; what is under way then is given back for another worker to begin again."""
        try:
            await self._loop.run()
        finally:
            for running in self._running:
                running.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            for beside in (self._bringing, self._keeping):
                if beside is not None:
                    beside.cancel()
                    await asyncio.wait((beside,))

    def stop(self) -> None:
        """Claim no more, give back what is under way, then end."""
        self._loop.stop()

    async def turn(self) -> bool:
        """Claim as many tasks as there is room for, and begin them."""
        for places in self._places:
            while places.free > 0:
                # One by one where each may turn out to be heavy.
                most = places.free if places.alone else 1
                async with self._pool.acquire(timeout=5) as connection:
                    asked = uuid4(), self._lease_seconds, most, list(places.kinds), self._has_room_for_heavy
                    rows = await connection.fetch(_CLAIM, *asked)
                for row in rows:
                    self._begin(row, places)
                if len(rows) < most:
                    break
        return False

    @property
    def _has_room_for_heavy(self) -> bool:
        shared = next((places.number for places in self._places if not places.alone), 1)
        return len(self._heavy) < max(shared - 1, 1)

    def _begin(self, row: Record, places: _Places) -> None:
        if row["heavy"]:
            self._heavy.add(row["id"])
        place = uuid4()
        places.taken.add(place)
        running = asyncio.create_task(self._perform(row))
        self._running.add(running)
        running.add_done_callback(partial(self._ended, row["id"], places, place))

    def _ended(self, task_id: UUID, places: _Places, place: UUID, running: asyncio.Task[None]) -> None:
        self._running.discard(running)
        places.taken.discard(place)
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
        """Bring what became of a task, with all others that have ended by then; raises what stood in its own way."""
        fact = Fact(derived("outcome", str(row["id"])), f"/offramp/{self._service}/performer", self._clock(), outcome)
        mine = _Ended(Done(row["id"], row["lease"], fact), asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        if self._bringing is None or self._bringing.done():
            self._bringing = asyncio.create_task(self._bring())
        fate = await mine.fate
        if fate is not None:
            raise fate

    async def _bring(self) -> None:
        """Take in what has ended by now, and what has by then, until nothing waits."""
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
            for one, fate in zip(batch, await self._fates(batch), strict=True):
                one.tell(fate)

    async def _fates(self, batch: Sequence[_Ended]) -> Sequence[Exception | None]:
        done, wake = [one.done for one in batch], self._may_wake()
        try:
            return await self._process.outcomes(done, self._clock(), wake=wake)
        # Whatever it is, it is told to all who wait, and they keep it with their tasks.
        except Exception as error:  # noqa: BLE001
            return [error] * len(batch)
        except asyncio.CancelledError:
            for one in batch:
                one.fate.cancel()
            raise

    async def _while_leased(self, row: Record, reached: _Reached, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Do *work*, while the lease is prolonged; it is stopped, with LeaseLostError, when that is somebody else's."""
        leased = _Leased(reached, asyncio.create_task(work))
        self._leased[row["id"], row["lease"]] = leased
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep_leases())
        try:
            await asyncio.wait((leased.working,))
            if leased.lost:
                raise LeaseLostError(row["id"])
            return leased.working.result()
        finally:
            del self._leased[row["id"], row["lease"]]
            leased.working.cancel()
            await asyncio.wait((leased.working,))

    async def _keep_leases(self) -> None:
        while self._leased:
            await asyncio.sleep(min(_REPORT_SECONDS, self._lease_seconds / 3))
            asked = dict(self._leased)
            ids, leases = [task_id for task_id, _ in asked], [lease for _, lease in asked]
            reached = [one.reached.text for one in asked.values()]
            try:
                async with self._pool.acquire(timeout=5) as connection:
                    rows = await connection.fetch(_PROLONG, ids, leases, self._lease_seconds, reached)
            except DATABASE_OUTAGES as outage:
                # The outcomes' transaction asks for the leases again, so working on in doubt is safe.
                _log.warning("leases not prolonged", outage=type(outage).__name__)
                continue
            except Exception:
                # Nobody prolongs them any more, so nobody works on under them.
                _lose(asked.values())
                raise
            kept = {(row["id"], row["lease"]) for row in rows}
            _lose(one for place, one in asked.items() if place not in kept)

    async def _give_back(self, row: Record, failure: str | None, seconds: float, *, heavy: bool | None = None) -> None:
        try:
            async with self._pool.acquire(timeout=5) as connection:
                await connection.execute(_GIVE_BACK, row["id"], row["lease"], failure, seconds, heavy)
        except DATABASE_OUTAGES as outage:
            _log.warning("task not given back; its lease will run out", outage=type(outage).__name__)


def _lose(some: Iterable[_Leased]) -> None:
    """Stop what is worked on under leases that are lost."""
    for one in some:
        one.lost = True
        one.working.cancel()


def _places(performances: Mapping[str, Performance], at_once: int) -> tuple[_Places, ...]:
    own = [_Places((kind,), one.places, alone=True) for kind, one in performances.items() if one.places is not None]
    shared = tuple(kind for kind, one in performances.items() if one.places is None)
    return (*own, _Places(shared, at_once, alone=False)) if shared or not own else tuple(own)


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
-- prolong: and say how far the work is; in order, as whoever takes outcomes in locks them
with held as (
    select t.id, d.progress from tasks as t join unnest($1::uuid[], $2::uuid[], $4::text[]) as d (id, lease, progress)
           using (id, lease)
     order by t.id for update of t
)
update tasks set due_at = clock_timestamp() + make_interval(secs => $3), progress = held.progress::jsonb
  from held where tasks.id = held.id returning tasks.id, tasks.lease
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
