"""Long work: claimed under a lease, begun again after a crash, given back on request, tried again later."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import asyncpg
import pytest

from shared.lease import LeaseLostError
from shared.performer import Attempt, Performance, Performer, Weigh
from shared.postgres import PostgresProcess
from shared.progress import Progress
from tests.machine.toy import NOON, PURSE, Alarmed, Job, JobDone, JobWanted, arrival

Work = Callable[[Job, Attempt], Coroutine[Any, Any, JobDone]]


async def done(task: Job, attempt: Attempt) -> JobDone:
    return JobDone(customer_id=task.customer_id, name=task.name)


class Stage:
    """Performers of one database, and what they leave there."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.process = PostgresProcess(PURSE, pool, 3)
        self.performers: list[Performer] = []

    async def order(self, *names: str) -> None:
        await self.process.arrivals([arrival(JobWanted(customer_id="a", name=name)) for name in names], (), NOON)

    def performer(self, work: Work, lease_seconds: float = 30.0, weigh: Weigh | None = None) -> Performer:
        performances = {"Job": Performance(Job, work, weigh)}
        made = Performer("purse", self.process, self.pool, performances, lambda: NOON, asyncio.Event(), Progress({}),
                         2, lease_seconds)  # fmt: skip
        self.performers.append(made)
        return made

    async def close(self) -> None:
        """End what a test that failed has left running, which would hold the database for ever."""
        left = [running for one in self.performers for running in one._running]
        for running in left:
            running.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def finished(self) -> int:
        return await self.pool.fetchval("select count(*) from outbox where type = 'JobFinished'")

    async def task(self) -> asyncpg.Record:
        return await self.pool.fetchrow("select *, due_at - clock_timestamp() as due_in from tasks")

    async def until(self, query: str) -> None:
        """Wait until *query* is true."""
        async with asyncio.timeout(10):
            while not await self.pool.fetchval(query):
                await asyncio.sleep(0)


@pytest.fixture
async def stage(pool: asyncpg.Pool) -> AsyncIterator[Stage]:
    stage = Stage(pool)
    yield stage
    await stage.close()


async def settled(performer: Performer) -> None:
    async with asyncio.timeout(10):
        while performer._running:
            await asyncio.wait(performer._running)


async def test_performed_once(stage: Stage) -> None:
    """Two performers that look at once perform each task once, and its outcome counts."""
    await stage.order("x", "y", "z")
    begun: list[str] = []

    async def work(task: Job, attempt: Attempt) -> JobDone:
        begun.append(task.name)
        return await done(task, attempt)

    performers = [stage.performer(work) for _ in range(2)]
    await asyncio.gather(*[one.turn() for one in performers])
    await asyncio.gather(*map(settled, performers))

    assert sorted(begun) == ["x", "y", "z"]
    assert await stage.finished() == 3


async def test_lease_lost(stage: Stage) -> None:
    """Whoever loses its lease is stopped, and what it would have said does not count; its heir's word does."""
    await stage.order("x")
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def slow(task: Job, attempt: Attempt) -> JobDone:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    loser = stage.performer(slow, lease_seconds=0.3)
    await loser.turn()
    await begun.wait()
    await stage.pool.execute("update tasks set due_at = clock_timestamp()")
    heir = stage.performer(done)
    await heir.turn()
    await settled(heir)
    async with asyncio.timeout(5):
        await stopped.wait()
    await settled(loser)

    assert await stage.finished() == 1


async def test_asked_whether_it_is_still_its_own(stage: Stage) -> None:
    """Work can ask for its lease: one that ran out is still its own until another worker has claimed the task."""
    await stage.order("x")
    asked: list[str] = []
    again, claimed = asyncio.Event(), asyncio.Event()

    async def asks(task: Job, attempt: Attempt) -> JobDone:
        await attempt.insist()
        asked.append("ours")
        again.set()
        await claimed.wait()
        try:
            await attempt.insist()
        except LeaseLostError:
            asked.append("lost")
            raise
        return await done(task, attempt)

    loser = stage.performer(asks)
    await loser.turn()
    await again.wait()
    await stage.pool.execute("update tasks set due_at = clock_timestamp()")
    at_work, told = asyncio.Event(), asyncio.Event()

    async def waits(task: Job, attempt: Attempt) -> JobDone:
        at_work.set()
        await told.wait()
        return await done(task, attempt)

    heir = stage.performer(waits)
    await heir.turn()
    await at_work.wait()
    claimed.set()
    await settled(loser)
    told.set()
    await settled(heir)

    assert asked == ["ours", "lost"]
    assert await stage.finished() == 1


async def test_late_word(stage: Stage) -> None:
    """A performer that was cut off from the database and finishes after its lease was taken says nothing."""
    await stage.order("x")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def late(task: Job, attempt: Attempt) -> JobDone:
        begun.set()
        await go_on.wait()
        return await done(task, attempt)

    loser = stage.performer(late)
    await loser.turn()
    await begun.wait()
    await stage.pool.execute("update tasks set due_at = clock_timestamp()")
    keeper = stage.performer(late)
    await keeper.turn()
    await stage.until("select attempts = 2 from tasks")
    go_on.set()
    await asyncio.gather(settled(loser), settled(keeper))

    assert await stage.finished() == 1


async def test_lease_prolonged(stage: Stage) -> None:
    """Work that takes longer than its lease keeps it as long as its worker lives."""
    await stage.order("x")
    go_on = asyncio.Event()

    async def long(task: Job, attempt: Attempt) -> JobDone:
        await go_on.wait()
        return await done(task, attempt)

    worker = stage.performer(long, lease_seconds=0.3)
    await worker.turn()
    first = (await stage.task())["due_at"]
    await stage.until(f"select due_at > '{first.isoformat()}'::timestamptz from tasks")
    go_on.set()
    await settled(worker)

    assert await stage.finished() == 1


async def test_of_leases_that_are_prolonged_together_one_is_lost(stage: Stage) -> None:
    """All are prolonged; who has lost one is stopped, and prolongs nothing of its heir's; the other one works on."""
    await stage.order("lost", "kept")
    go_on, stopped = asyncio.Event(), asyncio.Event()
    begun: set[str] = set()

    async def long(task: Job, attempt: Attempt) -> JobDone:
        begun.add(task.name)
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            assert task.name == "lost"
            stopped.set()
            raise
        return await done(task, attempt)

    worker = stage.performer(long, lease_seconds=0.3)
    await worker.turn()
    first = await stage.pool.fetchval("select max(due_at) from tasks")
    await stage.until(f"select min(due_at) > '{first.isoformat()}' from tasks")
    taken = "update tasks set lease = gen_random_uuid(), due_at = '2100-01-01' where body->>'name' = 'lost'"
    await stage.pool.execute(taken)
    async with asyncio.timeout(5):
        await stopped.wait()
    first = await stage.pool.fetchval("select due_at from tasks where body->>'name' = 'kept'")
    await stage.until(f"select due_at > '{first.isoformat()}' from tasks where body->>'name' = 'kept'")
    go_on.set()
    await settled(worker)

    assert begun == {"lost", "kept"}
    assert await stage.finished() == 1
    assert await stage.pool.fetchval("select due_at = '2100-01-01' from tasks")


async def test_a_lease_that_the_same_worker_has_anew_is_another_one(stage: Stage) -> None:
    """It was late, and claimed its own task again: what it does under the old lease is stopped all the same."""
    await stage.order("x")
    go_on, stopped = asyncio.Event(), asyncio.Event()
    begun: list[int] = []

    async def long(task: Job, attempt: Attempt) -> JobDone:
        begun.append(attempt.number)
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            assert attempt.number == 1
            stopped.set()
            raise
        return await done(task, attempt)

    worker = stage.performer(long, lease_seconds=0.3)
    await worker.turn()
    await stage.pool.execute("update tasks set due_at = clock_timestamp()")
    await worker.turn()
    async with asyncio.timeout(5):
        await stopped.wait()
    go_on.set()
    await settled(worker)

    assert begun == [1, 2]
    assert await stage.finished() == 1


async def test_where_leases_can_not_be_prolonged_nobody_works_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for an outage, which passes, but for good: another worker would begin the same."""
    await stage.order("x")
    monkeypatch.setattr("shared.performer._PROLONG", "select $1::uuid[], $2::uuid[], $3::float8, $4::text[], no_column")
    stopped = asyncio.Event()

    async def long(task: Job, attempt: Attempt) -> JobDone:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    worker = stage.performer(long, lease_seconds=0.3)
    await worker.turn()
    async with asyncio.timeout(5):
        await stopped.wait()
    await settled(worker)
    assert worker._keeping is not None
    assert isinstance(worker._keeping.exception(), asyncpg.UndefinedColumnError)

    assert await stage.finished() == 0


async def test_crash(stage: Stage) -> None:
    """After a crash the lease runs out, and another worker begins the task again, knowing that it is the second."""
    await stage.order("x")
    await stage.pool.fetch(
        "update tasks set lease = gen_random_uuid(), attempts = 1, due_at = clock_timestamp() + interval '100 ms'"
    )
    seen: list[int] = []

    async def work(task: Job, attempt: Attempt) -> JobDone:
        seen.append(attempt.number)
        return await done(task, attempt)

    worker = stage.performer(work)
    await worker.turn()
    assert seen == []
    await stage.until("select due_at <= clock_timestamp() from tasks")
    await worker.turn()
    await settled(worker)

    assert seen == [2]


async def test_stopped(stage: Stage) -> None:
    """A worker that is told to stop gives back what is under way, at once and uncounted, for another to begin again."""
    await stage.order("x")
    begun = asyncio.Event()

    async def endless(task: Job, attempt: Attempt) -> JobDone:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    worker = stage.performer(endless)
    running = asyncio.create_task(worker.run())
    await begun.wait()
    worker.stop()
    async with asyncio.timeout(5):
        await running

    task = await stage.task()
    assert (task["lease"], task["attempts"], task["failure"]) == (None, 0, None)
    assert task["due_in"].total_seconds() <= 0


async def large_is_heavy(task: Job) -> bool:
    return task.name.startswith("large")


class Hall:
    """Work that goes on until it is let go, and who is at it."""

    def __init__(self) -> None:
        self.here: set[str] = set()
        self.done: list[str] = []
        self.ends: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def work(self, task: Job, attempt: Attempt) -> JobDone:
        self.here.add(task.name)
        try:
            await self.ends[task.name].wait()
        finally:
            self.here.discard(task.name)
        self.done.append(task.name)
        return await done(task, attempt)

    async def let_go(self, performer: Performer, name: str) -> None:
        """Let *name* come to its end, and let the performer look for more."""
        self.ends[name].set()
        async with asyncio.timeout(5):
            while name not in self.done:
                await asyncio.sleep(0)
        await self.turned(performer)

    async def turned(self, performer: Performer) -> None:
        """Let *performer* claim until what it took has begun, or went back."""
        async with asyncio.timeout(5):
            while len(performer._running) != len(self.here) or not await self._nothing_more(performer):
                await asyncio.sleep(0)

    async def _nothing_more(self, performer: Performer) -> bool:
        before = len(performer._running)
        await performer.turn()
        return len(performer._running) == before == len(self.here)


async def test_small_ones_pass_large_ones(stage: Stage) -> None:
    """Of two places a worker gives one alone to what is heavy: small tasks pass, the large ones come one by one."""
    await stage.order("large-1")
    await stage.order("large-2")
    await stage.order("small-1")
    await stage.order("small-2")
    hall = Hall()
    worker = stage.performer(hall.work, weigh=large_is_heavy)

    await hall.turned(worker)
    assert hall.here == {"large-1", "small-1"}
    await hall.let_go(worker, "small-1")
    assert hall.here == {"large-1", "small-2"}
    await hall.let_go(worker, "small-2")
    assert hall.here == {"large-1"}
    await hall.let_go(worker, "large-1")
    assert hall.here == {"large-2"}
    await hall.let_go(worker, "large-2")
    await settled(worker)

    assert await stage.finished() == 4
    assert await stage.pool.fetchval("select count(*) from tasks") == 0


async def test_waiting_for_a_place_is_no_try(stage: Stage) -> None:
    """A heavy task that waits for such a one's place has not been tried, nor has it failed, and it is due at once."""
    await stage.order("large-1")
    await stage.order("large-2")
    hall = Hall()
    worker = stage.performer(hall.work, weigh=large_is_heavy)

    await hall.turned(worker)
    waiting = await stage.pool.fetchrow("select *, due_at <= clock_timestamp() as due from tasks where lease is null")
    worker.stop()
    hall.ends["large-1"].set()
    await settled(worker)

    assert (waiting["attempts"], waiting["failure"], waiting["heavy"], waiting["due"]) == (0, None, True, True)


async def test_places_of_their_own(stage: Stage) -> None:
    """Tasks that come in great numbers have places of their own, are claimed together, and heavy ones take none."""
    await stage.order(*(f"small-{number}" for number in range(5)))
    hall = Hall()
    performances = {"Job": Performance(Job, hall.work, places=4)}
    worker = Performer("purse", stage.process, stage.pool, performances, lambda: NOON, asyncio.Event(), Progress({}))
    stage.performers.append(worker)

    await hall.turned(worker)
    assert len(hall.here) == 4
    leases = await stage.pool.fetch("select lease from tasks where lease is not null")
    assert len({row["lease"] for row in leases}) == 1
    for name in [f"small-{number}" for number in range(5)]:
        hall.ends[name].set()
    await settled(worker)
    await hall.turned(worker)
    await settled(worker)

    assert await stage.finished() == 5


async def test_outcomes_that_come_together_fail_alone(stage: Stage) -> None:
    """One that the code can't take, and one that the database rejects, are tried again later; the others count."""
    names = ("bad", "a", "unstorable", "b", "early", "c")
    await stage.order(*names)
    met = asyncio.Barrier(len(names))

    async def together(task: Job, attempt: Attempt) -> JobDone:
        await met.wait()
        return await done(task, attempt)

    performances = {"Job": Performance(Job, together, places=10)}
    worker = Performer("purse", stage.process, stage.pool, performances, lambda: NOON, asyncio.Event(), Progress({}))
    stage.performers.append(worker)
    await worker.turn()
    await settled(worker)

    assert await stage.finished() == 3
    left = await stage.pool.fetch("select body ->> 'name' as name, failure, lease from tasks order by 1")
    assert [(row["name"], row["failure"]) for row in left] == [
        ("bad", "OutcomeFailedError"),
        ("early", "OutcomeFailedError"),
        ("unstorable", "UntranslatableCharacterError"),
    ]
    assert all(row["lease"] is None for row in left)


class Held(PostgresProcess[Any]):
    """Says when it has been given outcomes, and takes them in when it may."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(PURSE, pool, 3)
        self.given, self.may = asyncio.Event(), asyncio.Event()

    async def outcomes(self, done: Any, now: Any, *, wake: bool = False) -> Any:
        self.given.set()
        await self.may.wait()
        return await super().outcomes(done, now, wake=wake)


async def test_who_is_stopped_while_outcomes_are_taken_in(stage: Stage) -> None:
    """It doesn't take the others along."""
    await stage.order("a", "b", "c")
    held = Held(stage.pool)
    performances = {"Job": Performance(Job, done, places=3)}
    worker = Performer("purse", held, stage.pool, performances, lambda: NOON, asyncio.Event(), Progress({}))
    stage.performers.append(worker)
    await worker.turn()
    await held.given.wait()
    stopped = next(iter(worker._running))
    stopped.cancel()
    await asyncio.wait((stopped,))
    held.may.set()
    await settled(worker)

    assert await stage.finished() == 2
    assert (await stage.task())["lease"] is None


async def test_stopped_while_outcomes_are_taken_in(stage: Stage) -> None:
    """Each task is given back, for whoever comes next, and it was no try."""
    await stage.order("a", "b", "c")
    held = Held(stage.pool)
    performances = {"Job": Performance(Job, done, places=3)}
    worker = Performer("purse", held, stage.pool, performances, lambda: NOON, asyncio.Event(), Progress({}))
    stage.performers.append(worker)
    running = asyncio.create_task(worker.run())
    await held.given.wait()
    worker.stop()
    async with asyncio.timeout(10):
        await running

    left = await stage.pool.fetch("select lease, attempts, due_at <= clock_timestamp() as due from tasks")
    assert [tuple(row) for row in left] == [(None, 0, True)] * 3
    assert worker._bringing is not None
    assert worker._bringing.cancelled()


@pytest.mark.parametrize("may", [True, False])
async def test_woken_along_only_if_it_may(stage: Stage, may: bool) -> None:  # noqa: FBT001
    """What is due by an outcome is woken with it while whoever wakes would wake it too."""
    await stage.process.arrivals([arrival(Alarmed(customer_id="a", at=NOON))], (), NOON)
    await stage.order("x")
    worker = Performer(
        "purse", stage.process, stage.pool, {"Job": Performance(Job, done)}, lambda: NOON, asyncio.Event(),
        Progress({}), may_wake=lambda: may,
    )  # fmt: skip
    stage.performers.append(worker)
    await worker.turn()
    await settled(worker)

    assert await stage.pool.fetchval("select count(*) from outbox where type = 'Rang'") == int(may)


async def test_an_outage_keeps_no_outcome_waiting_for_the_others(stage: Stage) -> None:
    """All that were to be taken in together are tried again later, as the one."""
    await stage.order("a", "b", "c", "d")
    tries: list[int] = []

    class Away(PostgresProcess[Any]):
        async def outcomes(self, given: Any, now: Any, *, wake: bool = False) -> Any:
            tries.append(len(given))
            # By then the others have ended, too.
            async with asyncio.timeout(5):
                while len(tries) == 1 and len(given) + len(away_worker._waiting) < 4:
                    await asyncio.sleep(0)
            raise ConnectionResetError

    performances = {"Job": Performance(Job, done, places=4)}
    away = Away(PURSE, stage.pool, 3)
    away_worker = Performer("purse", away, stage.pool, performances, lambda: NOON, asyncio.Event(), Progress({}))
    stage.performers.append(away_worker)
    await away_worker.turn()
    await settled(away_worker)

    assert sum(tries) == 4
    assert len(tries) <= 2
    left = await stage.pool.fetch("select failure, lease from tasks")
    assert {(row["failure"], row["lease"]) for row in left} == {("ConnectionResetError", None)}


async def test_small_ones_take_every_place(stage: Stage) -> None:
    """While nothing heavy is due the place for it isn't kept empty."""
    await stage.order("small-1", "small-2", "small-3")
    hall = Hall()
    worker = stage.performer(hall.work, weigh=large_is_heavy)

    await hall.turned(worker)
    assert len(hall.here) == 2
    for name in ("small-1", "small-2", "small-3"):
        hall.ends[name].set()
    await settled(worker)
    await worker.turn()
    await settled(worker)

    assert await stage.finished() == 3


@pytest.mark.parametrize(("attempts", "at_most"), [(0, 2), (3, 16), (40, 300)])
async def test_backoff(stage: Stage, attempts: int, at_most: float) -> None:
    """A task that fails is kept with its reason and tried again after a time that doubles, up to five minutes."""
    await stage.order("x")
    await stage.pool.execute("update tasks set attempts = $1", attempts)

    async def fail(task: Job, attempt: Attempt) -> JobDone:
        raise ValueError("anna@school.example")

    worker = stage.performer(fail)
    await worker.turn()
    await settled(worker)

    task = await stage.task()
    assert (task["failure"], task["lease"], task["attempts"]) == ("ValueError", None, attempts + 1)
    assert at_most / 2 < task["due_in"].total_seconds() <= at_most


async def test_outcome_not_taken(stage: Stage) -> None:
    """A task whose outcome the service can't take stays, with the reason, for another try."""
    await stage.order("bad")
    worker = stage.performer(done)
    await worker.turn()
    await settled(worker)

    task = await stage.task()
    assert task["failure"] == "OutcomeFailedError"
    assert await stage.finished() == 0
