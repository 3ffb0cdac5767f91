"""Deadlines are a column: two wakers share them, and nobody wakes anything by a clock that is wrong."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from shared import waker as waker_module
from shared.clock import Clock, system_clock
from shared.postgres import PostgresProcess
from shared.progress import Progress
from shared.waker import ClockDisagreesError, Waker
from tests.machine.toy import NOON, PURSE, Alarmed, arrival


def waker(pool: asyncpg.Pool, machine_clock: Clock) -> Waker:
    return Waker(PostgresProcess(PURSE, pool, 3), pool, lambda: NOON, machine_clock, Progress({}))


async def rung(pool: asyncpg.Pool) -> int:
    return await pool.fetchval("select count(*) from outbox where type = 'Rang'")


@pytest.fixture(autouse=True)
async def due(pool: asyncpg.Pool) -> None:
    alarms = [arrival(Alarmed(customer_id=f"c{number}", at=NOON)) for number in range(100)]
    await PostgresProcess(PURSE, pool, 3).arrivals(alarms, (), NOON)


async def test_two_wakers(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wakers at once wake every due case once, in batches."""
    monkeypatch.setattr(waker_module, "BATCH", 10)

    async def all_of_them(one: Waker) -> None:
        while await one.turn():
            pass

    await asyncio.gather(all_of_them(waker(pool, system_clock)), all_of_them(waker(pool, system_clock)))

    assert await rung(pool) == 100


@pytest.mark.parametrize("skew", [timedelta(seconds=61), timedelta(days=-365)])
async def test_clocks_disagree(pool: asyncpg.Pool, skew: timedelta) -> None:
    """If our clock and the database's differ by more than a minute nothing is woken, and an outage says so."""
    with pytest.raises(ClockDisagreesError, match="set the one that is wrong"):
        await waker(pool, lambda: system_clock() + skew).turn()

    assert await rung(pool) == 0


async def test_much_is_owed(pool: asyncpg.Pool) -> None:
    """While more is owed than may be nothing is woken, so that nobody's answer waits behind it; then it goes on."""
    throttled = Waker(PostgresProcess(PURSE, pool, 3), pool, lambda: NOON, system_clock, Progress({}), most_owed=3)
    await pool.execute(_OWED, 4)
    await throttled.turn()
    held_back = await rung(pool)
    await pool.execute("delete from outbox where seq = (select max(seq) from outbox)")
    await throttled.turn()

    assert (held_back, await rung(pool)) == (0, 100)


async def test_goes_on_when_less_is_owed(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told when the relay has published, and looks again at once."""
    monkeypatch.setattr(waker_module, "_REST", 60.0)
    published = asyncio.Event()
    process = PostgresProcess(PURSE, pool, 3)
    throttled = Waker(process, pool, lambda: NOON, system_clock, Progress({}), most_owed=3, published=published)
    await pool.execute(_OWED, 4)
    waiting = asyncio.create_task(throttled.turn())
    done, _ = await asyncio.wait((waiting,), timeout=0.2)
    assert not done
    await pool.execute("delete from outbox")
    published.set()
    async with asyncio.timeout(10):
        assert await waiting
        await throttled.turn()

    assert await rung(pool) == 100


async def test_others_may_wake(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only while it has found, a moment ago, that it may itself: little is owed, and the clocks agree."""
    skew = [timedelta(0)]
    one = Waker(
        PostgresProcess(PURSE, pool, 3), pool, lambda: NOON, lambda: system_clock() + skew[0], Progress({}), most_owed=3
    )
    assert not one.may_wake()
    await one.turn()
    assert one.may_wake()

    # It woke a hundred.
    await one.turn()
    assert not one.may_wake()

    await pool.execute("delete from outbox")
    await one.turn()
    assert one.may_wake()
    skew[0] = timedelta(minutes=-2)
    with pytest.raises(ClockDisagreesError):
        await one.turn()
    assert not one.may_wake()

    skew[0] = timedelta(0)
    await one.turn()
    assert one.may_wake()
    monkeypatch.setattr(waker_module, "_LOOK_COUNTS_FOR", 0.0)
    assert not one.may_wake()


async def test_small_skew(pool: asyncpg.Pool) -> None:
    """Less than a minute is how clocks are."""
    await waker(pool, lambda: system_clock() + timedelta(seconds=50)).turn()

    assert await rung(pool) == 100


_OWED = """
insert into outbox (lane, id, aggregatetype, aggregateid, type, payload, owed_at)
select 0, gen_random_uuid(), 'Other', 'other', 'Other', '{}', now() from generate_series(1, $1)
"""
