"""Expiring: a hundred thousand customers whose windows close on one day, until five holders of each are commanded.

Floor: the relay alone, on as many commands that are owed already.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from types import MappingProxyType
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.platform.scratch import scratch_database
from services.retention.app import MIGRATIONS
from services.retention.declared import load_retention_policy
from services.retention.domain import domain
from services.retention.dues import Dues
from services.retention.gathered import Gathered
from services.retention.perform import SURVEYS, survey
from services.retention.policy import BlastRadius, HolderPolicy, RetentionPolicy
from services.retention.reading import Reader, Reading, Seen
from services.retention.tasks import Survey
from shared.advance import Case, Step, arrive, wake, wakes_at
from shared.caserows import OutboxRow, key_hash, owed_row
from shared.declared import holders_file, policy_file
from shared.events.notice import ContractTerminated, DeadlineApproaching
from shared.events.platform import CustomerInformed
from shared.events.retention import DeletionRequested
from shared.holder.declaration import PostgresHolder
from shared.migrate import migrate
from shared.performer import Performance
from shared.settings import read_settings
from shared.statecodec import StateCodec
from shared.worker import Place, Service, open_worker

from .children import Starting, alone
from .deletion_contenders import DECLARED
from .ground import NOON, PARTITIONS, database, fact, topics
from .relay import fill as owe
from .rows import Row
from .small_deletions import TABLES
from .storm import CUSTOMER, ZONE, contract, fill

CUSTOMERS = 100_000
# Reading them takes longest, and as long for one as for the next.
READ = 0.1
HOLDERS = tuple(f"holder-{number}" for number in range(1, 6))
ROUNDS = 3
DAY = timedelta(days=1)
OVER = datetime(2026, 3, 1, 23, tzinfo=UTC)
# Kafka gives no word: seconds between two looks.
_LOOK = 0.05


def policy() -> RetentionPolicy:
    """Give the policy with five holders, in which no number of customers or rows waits for a second person."""
    declared = load_retention_policy(policy_file(), holders_file())
    holders = tuple(HolderPolicy(name=name, respond_within=DAY) for name in HOLDERS)
    most = 10**9
    off = BlastRadius(customers=most, few=most, percent=100, rows=most, times_usual=most, small=most)
    return declared.model_copy(update={"holders": holders, "blast_radius": off})


def closing() -> tuple[str, datetime]:
    """Give a case whose window closes, as it is in its row, and when: all that was to be told was, and arrived."""
    retention = domain(policy())
    over = ContractTerminated(
        customer_id=CUSTOMER,
        contract_id="k",
        terminated_at=OVER,
        basis="expiry",
        period_end=date(2026, 3, 1),
        time_zone=ZONE,
    )
    case: Case[Any] = Case(retention.initial)
    for number, event in enumerate((contract(date(2025, 3, 2), date(2026, 3, 1)), over)):
        case = _answered(arrive(retention, case, fact(event, number), OVER), OVER)
    while (due := wakes_at(retention, case)) is not None and due < case.state.window.closes_at:
        case = _answered(wake(retention, case, CUSTOMER, due), due)
    codec: StateCodec[Any] = StateCodec(retention.states)
    return codec.dump(case.state), case.state.window.closes_at


def _answered(step: Step[Any], now: datetime) -> Case[Any]:
    case = step.case
    for told in step.owed:
        if isinstance(told.event, DeadlineApproaching):
            said = CustomerInformed(
                customer_id=CUSTOMER,
                announcement_id=told.event.announcement_id,
                channel="email",
                outcome="delivered",
                informed_at=now,
            )
            case = arrive(domain(policy()), case, fact(said, int(now.timestamp())), now).case
    return case


@dataclass(frozen=True)
class NothingToRead:
    """Five holders that take no time to read: what is left is the service's own."""

    async def before(self, *_: object) -> tuple[Reading, ...]:
        """Give ten rows each."""
        return tuple(Reading(name, (Seen("users", 10, 90, "0" * 64),), (), "0" * 64) for name in HOLDERS)


async def product(starting: Starting, dsn: str, prefix: str, count: int, now: str) -> dict[str, Any]:
    """Work as the service does with holders that take no time to read, until all commands are published."""
    return await commanded(starting, NothingToRead(), dsn, prefix, count, now)


async def reading(
    starting: Starting, dsn: str, prefix: str, count: int, now: str, holders: list[str], map_file: str
) -> dict[str, Any]:
    """Do the same with five real databases."""
    settings = replace(read_settings(), own_dsns=MappingProxyType(dict(zip(HOLDERS, holders, strict=True))))
    declared = tuple(PostgresHolder(name, DAY, "holder", Path(map_file), name) for name in HOLDERS)
    dues = Dues(dsn, policy().blast_radius.customers)
    return await commanded(starting, Gathered(Reader(declared, settings), dues), dsn, prefix, count, now)


async def commanded(starting: Starting, reader: Any, dsn: str, prefix: str, count: int, now: str) -> dict[str, Any]:
    rules, moment = policy(), datetime.fromisoformat(now)
    dues = Dues(dsn, rules.blast_radius.customers)
    surveys = Performance(Survey, lambda task, attempt: survey(reader, dues, task, attempt), places=SURVEYS)
    service = Service(domain(rules), (surveys,), (MIGRATIONS,), kept=(dues,))
    place = Place(read_settings().kafka, dsn, prefix, lambda: moment)
    async with open_worker(service, place) as worker:
        await starting()
        begun = perf_counter()
        running = asyncio.create_task(worker.run())
        await published(prefix, count * len(HOLDERS), running)
        took = perf_counter() - begun
        worker.stop()
        await running
    return {"seconds": took}


async def published(prefix: str, commands: int, running: asyncio.Task[None]) -> None:
    """Wait until so many commands are in their topic; not one more."""
    topic = f"{prefix}DeletionRequested"
    async with AIOKafkaConsumer(bootstrap_servers=read_settings().kafka) as kafka:
        partitions = [TopicPartition(topic, lane) for lane in range(PARTITIONS)]
        while (there := sum((await kafka.end_offsets(partitions)).values())) < commands:
            assert not running.done(), running.exception()
            await asyncio.sleep(_LOOK)
    assert there == commands


def owed(count: int, now: datetime) -> Iterator[OutboxRow]:
    """Give the commands of *count* customers, as the service owes them."""
    for number in range(count):
        customer = f"c{number}"
        lane = key_hash(customer) % PARTITIONS
        for place, holder in enumerate(HOLDERS):
            command = DeletionRequested(
                customer_id=customer,
                deletion_id=f"{customer}:2026-03-01",
                holder=holder,
                window_closed_at=now,
                policy_version="2026-12",
                respond_by=now + DAY,
                map_sha256="0" * 64,
            )
            yield owed_row(fact(command, number * len(HOLDERS) + place), lane, NOON)


async def run(scale: float = 0.01) -> list[Row]:
    """Command *scale* times 100,000 customers' holders, and a tenth of that; a tenth where holders are really read."""
    count = max(int(CUSTOMERS * scale), 50)
    few = max(int(count * READ), 20)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ("product", "few", "floor", "reading")}
    for _ in range(ROUNDS if 500 <= count <= 5_000 else 1):
        found["few"].append(await measured("product", few))
        found["product"].append(await measured("product", count))
        found["floor"].append(await relayed(count))
        found["reading"].append(await measured("reading", few))
    rate = {name: median(one for one, _ in runs) for name, runs in found.items()}
    peak = {name: max(memory for _, memory in runs) for name, runs in found.items()}
    versus, unit = f"the relay on {count * len(HOLDERS):,} owed commands", "commands/s, 5 holders, {:,} customers"
    return [
        Row(
            "expiring",
            rate["product"],
            unit.format(count) + ", nothing to read",
            versus,
            rate["product"] / rate["floor"],
            ">= 0.8",
            peak["product"],
        ),
        Row(
            "expiring",
            rate["reading"],
            unit.format(few) + ", small databases read",
            versus,
            rate["reading"] / rate["floor"],
            ">= 0.8",
            peak["reading"],
        ),
        Row("expiring", peak["product"], "MiB", f"peak at {few:,}", peak["product"] / peak["few"], "~1"),
    ]


async def relayed(count: int) -> tuple[float, float]:
    """Let the relay publish the commands of *count* customers; commands a second."""
    _, now = closing()
    async with database() as dsn, topics(["DeletionRequested"]) as prefix:
        await owe(dsn, list(owed(count, now)))
        answer = await alone("bench.relay:product", dsn=dsn, prefix=prefix)
    return count * len(HOLDERS) / float(answer.figures["seconds"]), answer.memory_mib


async def measured(name: str, count: int) -> tuple[float, float]:
    """Let the windows of *count* customers close; commands a second until the last is published, and memory."""
    text, now = closing()
    types = sorted({one.type() for one in domain(policy()).consumes} | {"RetentionExpired", "DeletionRequested"})
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(database())
        prefix = await stack.enter_async_context(topics(types))
        given = await stack.enter_async_context(systems(count)) if name == "reading" else {}
        connection = await asyncpg.connect(dsn)
        await migrate(connection, MIGRATIONS)
        await connection.close()
        await fill(dsn, count, text, text)
        ground = {"dsn": dsn, "prefix": prefix, "count": count, "now": now.isoformat()}
        answer = await alone(f"{__name__}:{name}", **ground, **given)
    return count * len(HOLDERS) / float(answer.figures["seconds"]), answer.memory_mib


@asynccontextmanager
async def systems(count: int) -> AsyncIterator[dict[str, Any]]:
    """Give five databases with eleven rows of each customer's, and their map."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        (folder / "map.yaml").write_bytes(DECLARED)
        found = []
        for _ in HOLDERS:
            dsn = await stack.enter_async_context(scratch_database(read_settings().postgres))
            connection = await asyncpg.connect(dsn)
            await connection.execute(TABLES.format(count=count + 1))
            await connection.execute("vacuum analyze")
            await connection.close()
            found.append(dsn)
        yield {"holders": found, "map_file": str(folder / "map.yaml")}
