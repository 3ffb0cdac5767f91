"""Fairness: 200 customers ask for their archives at once, two of them with very much; how long those with little wait.

Beside the same run without the two. Two exporters, as an operator starts them; each archive is built, proven and told.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.platform import generate
from deploy.stack.databases import prepare_databases
from deploy.stack.topic_broker import apply_topics, remove_topics
from deploy.stack.topics import declared_topics
from shared.clock import system_clock
from shared.decision import Fact
from shared.events.envelope import write
from shared.events.event import Event
from shared.events.exporter import ExportFailed, ExportReady
from shared.events.notice import ContractTerminated
from shared.events.platform import ExportRequested
from shared.identity import derived
from shared.objects import ObjectStore
from shared.settings import read_settings
from shared.signing.keys import make_keys
from shared.signing.sshsig import ARCHIVE

from .customers import PLATFORM, map_of_tables
from .latency import percentile
from .rows import Row
from .workers import peak, worker

SMALL, LARGE = 198, 2
# 14.7 rows a person: 45 and 1,500,000 rows.
SMALL_PEOPLE, LARGE_PEOPLE = 3, 102_000
WORKERS = 2
ROUNDS = 2
OWNERS = ("exporter", "exporter_scratch", "platform")
HOLDERS = """
version: 1
holders:
  platform-database: {{kind: postgres, map: {map}, database: platform, answers_within: P1D}}
  export-archives: {{kind: s3, bucket: {bucket}, prefix: "{{customer}}/", answered_by: exporter, answers_within: P1D}}
"""


@dataclass(frozen=True)
class Ground:
    """Where it takes place, and who asks."""

    prefix: str
    environment: Mapping[str, str]
    small: Sequence[str]
    large: Sequence[str]


@asynccontextmanager
async def ground(scale: float, folder: Path) -> AsyncIterator[Ground]:
    """Give topics, databases, a bucket and keys of its own, and customers whose contracts are over."""
    settings, run = read_settings(), uuid4().hex[:8]
    prefix, bucket = f"bench-{run}-", f"bench-{run}"
    small = [f"small-{n}" for n in range(max(int(SMALL * scale), 4))]
    large = [f"large-{n}" for n in range(LARGE)]
    await apply_topics(settings.kafka, declared_topics(prefix))
    dsns = await prepare_databases(settings.postgres, f"_bench_{run}", settings.role_password, OWNERS)
    await fill(dsns["platform"], small, large, scale)
    make_keys(folder / "keys", ARCHIVE)
    (folder / "map.yaml").write_text(map_of_tables(PLATFORM))
    (folder / "holders.yaml").write_text(HOLDERS.format(map=folder / "map.yaml", bucket=bucket))
    environment = {f"OFFRAMP_{owner.upper()}_DSN": dsn for owner, dsn in dsns.items()} | {
        "OFFRAMP_TOPIC_PREFIX": prefix,
        "OFFRAMP_HOLDERS": str(folder / "holders.yaml"),
        "OFFRAMP_EXPORTS_BUCKET": bucket,
        "OFFRAMP_EXPORTER_KEYS": str(folder / "keys"),
        "OFFRAMP_HOME": str(folder),
    }
    async with ObjectStore(settings.s3) as store:
        await store.ensure_bucket(bucket)
        try:
            yield Ground(prefix, environment, small, large)
        finally:
            for customer in (*small, *large):
                await store.delete_all_versions(bucket, f"{customer}/")
            await store.remove_bucket(bucket)
            await remove_topics(settings.kafka, prefix)
            await drop(settings.postgres, f"offramp\\_%\\_bench\\_{run}")


async def fill(dsn: str, small: Sequence[str], large: Sequence[str], scale: float) -> None:
    """Make the platform's customers."""
    await generate.create(dsn)
    await generate.generate(dsn, small, users=SMALL_PEOPLE)
    await generate.generate(dsn, large, users=max(int(LARGE_PEOPLE * scale), 10))
    connection = await asyncpg.connect(dsn)
    await connection.execute("vacuum analyze")
    await connection.close()


async def drop(admin: str, like: str) -> None:
    """Drop the databases of this run, and their roles."""
    connection = await asyncpg.connect(admin)
    for row in await connection.fetch("select datname from pg_database where datname like $1", like):
        await connection.execute(f'drop database "{row["datname"]}" with (force)')
        await connection.execute(f'drop role if exists "{row["datname"]}"')
    await connection.close()


def _record(event: Event, *name: object) -> dict[str, object]:
    value, headers = write(Fact(derived(event.type(), *name), "/bench", system_clock(), event))
    return {"value": value, "key": event.customer_id.encode(), "headers": list(headers)}


async def ended(on: Ground, sender: AIOKafkaProducer) -> None:
    """Let every contract have ended yesterday."""
    yesterday = system_clock() - timedelta(days=1)
    for customer in (*on.small, *on.large):
        event = ContractTerminated(
            customer_id=customer,
            contract_id="k",
            basis="notice",
            period_end=yesterday.date(),
            terminated_at=yesterday,
            time_zone="Europe/Stockholm",
        )
        await sender.send(f"{on.prefix}ContractTerminated", **_record(event, customer))
    await sender.flush()


async def asked(on: Ground, sender: AIOKafkaProducer, customers: Sequence[str], name: str) -> dict[str, float]:
    """Let *customers* ask at once, in this order; seconds that each waited for its archive."""
    took: dict[str, float] = {}
    kinds = ExportReady, ExportFailed
    async with AIOKafkaConsumer(bootstrap_servers=read_settings().kafka) as consumer:
        where = [
            TopicPartition(f"{on.prefix}{kind.type()}", one)
            for kind in kinds
            for one in await sender.partitions_for(f"{on.prefix}{kind.type()}")
        ]
        consumer.assign(where)
        await consumer.seek_to_end()
        for one in where:
            await consumer.position(one)
        begun = perf_counter()
        for customer in customers:
            request = ExportRequested(
                customer_id=customer, request_id=name, requested_at=system_clock(), formats=("csv",)
            )
            await sender.send(f"{on.prefix}ExportRequested", **_record(request, customer, name))
        while len(took) < len(customers):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    said = json.loads(record.value)
                    assert said["type"] == "ExportReady", said
                    took[said["subject"]] = perf_counter() - begun
    return took


async def run(scale: float = 1.0) -> list[Row]:
    """Let those with little ask alone, and beside two with much, by turns."""
    alone: list[float] = []
    beside: list[float] = []
    with TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            on = await stack.enter_async_context(ground(scale, Path(folder)))
            sender = await stack.enter_async_context(AIOKafkaProducer(bootstrap_servers=read_settings().kafka))
            await ended(on, sender)
            starting = [worker("exporter", on.environment, Path(folder), f"exporter-{n}") for n in range(WORKERS)]
            processes = [await stack.enter_async_context(one) for one in starting]
            for turn in range(ROUNDS):
                alone.append(_p99(on, await asked(on, sender, on.small, f"alone-{turn}")))
                beside.append(_p99(on, await asked(on, sender, [*on.large, *on.small], f"beside-{turn}")))
            memory = max(peak(one.pid) for one in processes)
    ours, floor = median(beside), median(alone)
    return [
        Row("fairness", ours, f"s p99 of {len(on.small)} small", f"alone: {floor:.1f} s", ours / floor, "<= 2", memory)
    ]


def _p99(on: Ground, took: Mapping[str, float]) -> float:
    return percentile([took[customer] for customer in on.small], 99)
