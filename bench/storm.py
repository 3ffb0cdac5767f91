"""The storm: a million cases due at one midnight, decided and owed by two workers.

Floor: one SQL statement that moves and owes them without deciding anything. Peer: procrastinate, a job a case.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from services.notice.domain import domain
from shared.advance import Case, arrive, wake, wakes_at
from shared.clock import system_clock
from shared.days import first_moment
from shared.events.event import Event
from shared.events.platform import AutomaticRenewal, CalendarDays, ContractRegistered, NoticeReceived, Vouched
from shared.postgres import PostgresProcess
from shared.statecodec import StateCodec
from shared.waker import BATCH
from shared.worker import Place, pool_of

from .children import Starting, alone
from .event_path import timed
from .ground import PARTITIONS, database, fact
from .latency import noticing, percentile, register, stage
from .notices import POLICY
from .rows import Row

CASES = 1_000_000
ROUNDS = 3
JOBS = 3_000
# Other customers' notices a second meanwhile, for as long as it takes at so many cases a second.
RATE, PACE = 20, 8_000
# The worker gives no word: seconds between two looks.
_LOOK = 0.2
ZONE = "Europe/Stockholm"
MIDNIGHT = first_moment(date(2026, 11, 1), ZONE)
# As which a case is prepared; in the rows there is each one's own id.
CUSTOMER = "CUSTOMER"
BEFORE = datetime(2026, 3, 1, 12, tzinfo=UTC)


def prepared() -> tuple[object, object]:
    """Give two kinds of case that are due at MIDNIGHT: a contract that ends, and a date to be told."""
    ending = contract(date(2025, 11, 1), date(2026, 10, 31))
    # The last day for its notice is the day after, and that is told a day before; what was to be told earlier was.
    told = contract(date(2025, 12, 3), date(2026, 12, 2))
    return grown(MIDNIGHT, BEFORE, ending, _notice(BEFORE)), grown(MIDNIGHT, BEFORE, told)


def grown(until: datetime, since: datetime, *events: Event) -> object:
    """Give the state of a case that is due at *until*, and heard *events* at *since*."""
    case = walked(until, since, *events)
    due = wakes_at(domain(POLICY), case)
    assert due == until, due
    return case.state


def walked(until: datetime, since: datetime, *events: Event) -> Case[Any]:
    """Let a case hear *events* at *since*, and carry out whatever is due before *until*."""
    notice = domain(POLICY)
    case: Case[Any] = Case(notice.initial)
    for number, event in enumerate(events):
        case = arrive(notice, case, fact(event, number), since).case
    while (due := wakes_at(notice, case)) is not None and due < until:
        case = wake(notice, case, CUSTOMER, due).case
    return case


def contract(start: date, end: date) -> ContractRegistered:
    return ContractRegistered(
        customer_id=CUSTOMER,
        contract_id="k",
        revision=1,
        period_start=start,
        period_end=end,
        time_zone=ZONE,
        renewal=AutomaticRenewal(months=12),
        notice=CalendarDays(days=30),
        notice_channels=("email",),
        authority=Vouched(),
    )


def _notice(at: datetime) -> NoticeReceived:
    return NoticeReceived(customer_id=CUSTOMER, contract_id="k", notice_id="n", channel="email", received_at=at)


async def fill(dsn: str, count: int, even: str, odd: str, name: str = "c") -> None:
    """Make *count* cases, half of each kind, of customers c1 (or of that *name*), c2 and on."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(_FILL, even, odd, count, name, timeout=600)
    await connection.execute("vacuum analyze cases", timeout=600)
    await connection.execute("checkpoint", timeout=600)
    await connection.close()


def text_of(state: object) -> str:
    codec: StateCodec[Any] = StateCodec(domain(POLICY).states)
    return codec.dump(state)


async def product(starting: Starting, dsn: str, midnight: str) -> dict[str, Any]:
    """Wake cases as a worker does, until none is left."""
    now = datetime.fromisoformat(midnight)
    async with pool_of(Place("", dsn), "bench") as pool:
        process = PostgresProcess(domain(POLICY), pool, PARTITIONS)
        await pool.fetchval("select 1")
        await starting()
        begun = perf_counter()
        # Not the waker's own turn, which waits for a relay, and there is none here.
        while await process.wakes(now, BATCH) == BATCH:
            pass
        return {"seconds": perf_counter() - begun}


async def floor(starting: Starting, dsn: str, midnight: str, statement: str = "storm") -> dict[str, Any]:
    """Move and owe them all by one statement."""
    connection = await asyncpg.connect(dsn)
    await starting()
    begun = perf_counter()
    await connection.execute(_FLOORS[statement], datetime.fromisoformat(midnight), timeout=600)
    took = perf_counter() - begun
    await connection.close()
    return {"seconds": took}


async def answered_meanwhile(cases: int) -> tuple[float, float]:
    """Let *cases* contracts end at once under two real workers; p99 of other customers' answers, and the seconds."""
    day = system_clock().astimezone(ZoneInfo(ZONE)).date()
    midnight, since = first_moment(day, ZONE), system_clock() - timedelta(days=100)
    ending = contract(day - timedelta(days=365), day - timedelta(days=1))
    text = text_of(grown(midnight, since, ending, _notice(since)))
    async with AsyncExitStack() as stack:
        prefix, dsn = await stack.enter_async_context(stage())
        homes = [stack.enter_context(TemporaryDirectory()) for _ in range(2)]
        for home in homes:
            await stack.enter_async_context(noticing(prefix, dsn, home))
        probes = max(cases // PACE * RATE, RATE)
        await register(prefix, dsn, probes + 1)
        connection = await asyncpg.connect(dsn)
        stack.push_async_callback(connection.close)
        await alone("bench.latency:product", prefix=prefix, rate=1, seconds=1, start=0)
        await connection.execute(_STORM, text, midnight, cases, timeout=600)
        begun = perf_counter()
        probing = asyncio.create_task(
            alone("bench.latency:product", prefix=prefix, rate=RATE, seconds=probes / RATE, start=1)
        )
        while await connection.fetchval("select exists (select from cases where wakes_at <= $1)", midnight):
            await asyncio.sleep(_LOOK)
        took = perf_counter() - begun
        answer = await probing
    return percentile(answer.figures["took"], 99), took


async def run(scale: float = 0.1) -> list[Row]:
    """Measure with *scale* times a million cases, and with a hundredth of that."""
    count = max(int(CASES * scale), 20_000)
    few = max(count // 100, 10_000)
    rates: dict[str, list[float]] = {"product": [], "floor": [], "few": []}
    peaks: dict[str, list[float]] = {"product": [], "few": []}
    for _ in range(ROUNDS if count <= 200_000 else 1):
        for name, target, workers, cases in (
            ("few", "product", 2, few),
            ("product", "product", 2, count),
            ("floor", "floor", 1, count),
        ):
            rate, memory = await woken(target, cases, workers)
            rates[name].append(rate)
            if name in peaks:
                peaks[name].append(memory)
    jobs = await woken_by_jobs(min(JOBS, few))
    middle = {name: median(found) for name, found in rates.items()}
    memory, per_case = max(peaks["product"]), middle["few"] / middle["product"]
    unit = f"cases/s of {count:,}, 2 workers"
    p99, took = await answered_meanwhile(count)
    return [
        Row("storm", p99, "ms p99 of others' answers", f"1 s, while {took:.0f} s of storm", p99 / 1000, "<= 1"),
        Row(
            "storm", middle["product"], unit, "one SQL statement", middle["product"] / middle["floor"], ">= 0.8", memory
        ),
        Row(
            "storm", middle["product"], unit, "procrastinate, a job a case", middle["product"] / jobs, ">= 100", memory
        ),
        Row("storm", 1e6 / middle["product"], "µs/case", f"cost at {few:,} cases", per_case, "0.85 to 1.15", memory),
        Row("storm", memory, "MiB", f"peak at {few:,} cases", memory / max(peaks["few"]), "~1", memory),
    ]


async def woken(target: str, cases: int, workers: int) -> tuple[float, float]:
    """Wake *cases* with *workers*; cases per second from the word "go" to the last commit, and the peak of memory."""
    async with database() as dsn:
        await fill(dsn, cases, *map(text_of, prepared()))
        _, answers = await timed(f"{__name__}:{target}", workers, dsn=dsn, midnight=MIDNIGHT.isoformat())
        await check(dsn, cases, MIDNIGHT)
    took = max(one.figures["seconds"] for one in answers)
    return cases / took, max(one.memory_mib for one in answers)


async def check(dsn: str, cases: int, midnight: datetime) -> None:
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("select count(*) from outbox") == cases
    assert not await connection.fetchval("select count(*) from cases where wakes_at <= $1", midnight)
    await connection.close()


async def woken_by_jobs(jobs: int) -> float:
    async with database() as dsn:
        await fill(dsn, jobs, *map(text_of, prepared()))
        answer = await alone("bench.procrastinate_peer:work", dsn=dsn, jobs=jobs)
    return jobs / float(answer.figures["seconds"])


_FILL = """
-- fill
insert into cases (customer_id, key_hash, revision, wakes_at, state)
select customer, hashint8(n) & 2147483647, 1, (state ->> 'wakes_at')::timestamptz, state
  from generate_series(1::bigint, $3) as n, lateral (select $4::text || n) as named (customer),
       lateral (select case when n % 2 = 0 then $1::text else $2 end) as kind (text),
       lateral (select replace(text, 'CUSTOMER', customer)::jsonb) as made (state)
"""
_STORM = """
-- storm: of customers that nobody else asks about
insert into cases (customer_id, key_hash, revision, wakes_at, state)
select 's' || n, hashint8(n) & 2147483647, 1, $2, replace($1::text, 'CUSTOMER', 's' || n)::jsonb
  from generate_series(1::bigint, $3) as n
"""
_FLOOR = """
-- floor: what each case owes is written as the machine writes it, but nobody decided it
with woken as (
    update cases set state = jsonb_set(state, '{wakes_at}', 'null'), revision = revision + 1,
                     wakes_at = null, stuck = null
     where wakes_at <= $1 returning customer_id, key_hash)
insert into outbox (lane, id, aggregatetype, aggregateid, type, payload, owed_at)
select key_hash % 4, gen_random_uuid(), 'ContractTerminated', customer_id, 'ContractTerminated',
       convert_to('{"specversion":"1.0","id":"00000000-0000-8000-8000-000000000000","source":"/offramp/notice",'
           || '"type":"ContractTerminated","subject":"' || customer_id || '","time":"2026-11-01T00:00:00Z",'
           || '"datacontenttype":"application/json","dataschema":"urn:offramp:ContractTerminated:v1","data":'
           || '{"customer_id":"' || customer_id || '","contract_id":"k","basis":"notice","period_end":"2026-10-31",'
           || '"terminated_at":"2026-10-31T23:00:00Z","time_zone":"Europe/Stockholm"}}', 'UTF8'), $1
  from woken
"""
_FLOOR_OF_REMINDERS = """
-- floor of reminders: as the machine writes it, but nobody decided it
with woken as (
    update cases set state = jsonb_set(state, '{contracts,0,told,ids}',
                                       state #> '{contracts,0,told,ids}' || '"k:notice_deadline:2026-11-02:1"'),
                     revision = revision + 1, wakes_at = '2026-11-03T00:00:00+01', stuck = null
     where wakes_at <= $1 returning customer_id, key_hash)
insert into outbox (lane, id, aggregatetype, aggregateid, type, payload, owed_at)
select key_hash % 4, gen_random_uuid(), 'DeadlineApproaching', customer_id, 'DeadlineApproaching',
       convert_to('{"specversion":"1.0","id":"00000000-0000-8000-8000-000000000000","source":"/offramp/notice",'
           || '"type":"DeadlineApproaching","subject":"' || customer_id || '","time":"2026-11-01T00:00:00Z",'
           || '"datacontenttype":"application/json","dataschema":"urn:offramp:DeadlineApproaching:v2","data":'
           || '{"customer_id":"' || customer_id || '","announcement_id":"k:notice_deadline:2026-11-02:1",'
           || '"deadline":"notice_deadline","due_at":"2026-11-02T23:00:00Z"}}', 'UTF8'), $1
  from woken
"""
_FLOORS = {"storm": _FLOOR, "reminders": _FLOOR_OF_REMINDERS}
