"""The platform's holder and mailer as workers on the real Kafka, Postgres and S3."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.platform import accounts
from deploy.platform import generate as platform
from deploy.platform.scratch import scratch_database
from deploy.stack.topic_broker import apply_topics, remove_topics
from deploy.stack.topics import declared_topics
from shared.clock import system_clock
from shared.datamap.model import load
from shared.events.event import Event
from shared.events.notice import ContractTerminated, DeadlineApproaching
from shared.events.platform import CustomerInformed, DeletionAcknowledged, Erased
from shared.events.retention import DeletionRequested
from shared.holder import app as holder
from shared.settings import Settings, read_settings
from shared.worker import Place, Service, open_worker

NEEDED = (
    "ContractRegistered", "ContractTerminated", "DeadlineApproaching", "CustomerInformed", "LegalHoldPlaced",
    "LegalHoldReleased", "DeletionRequested", "DeletionAcknowledged",
)  # fmt: skip
HOLDERS = """
version: 1
holders:
  platform-database: {{kind: postgres, map: {map}, database: platform, answers_within: P1D}}
"""


@dataclass(frozen=True)
class Scene:
    """The topics and databases of one test."""

    settings: Settings
    prefix: str
    producer: AIOKafkaProducer

    async def tell(self, event: Event) -> None:
        """Publish *event* as Kafka's own tools would: JSON without headers."""
        topic = self.prefix + event.type()
        await self.producer.send_and_wait(topic, event.model_dump_json().encode(), key=event.customer_id.encode())

    async def hear(self, kind: type[Event]) -> bytes:
        """Wait for the first event of type *kind*."""
        topic = self.prefix + kind.type()
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=self.settings.kafka, auto_offset_reset="earliest")
        await consumer.start()
        try:
            async with asyncio.timeout(60):
                record = await consumer.getone()
                return bytes(record.value)
        finally:
            await consumer.stop()

    @asynccontextmanager
    async def working(self, name: str, service: Service) -> AsyncIterator[None]:
        """Let one worker of *service* run until the block ends."""
        place = Place(self.settings.kafka, self.settings.dsn(name), self.prefix)
        async with open_worker(service, place) as worker:
            running = asyncio.create_task(worker.run())
            yield
            worker.stop()
            await running


@pytest.fixture
async def scene(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """Make topics and databases of the test's own, and one customer in the platform."""
    prefix = f"t-{uuid4().hex[:8]}-"
    declared = [
        topic for topic in declared_topics(prefix) if topic.name.removeprefix("dlq.").removeprefix(prefix) in NEEDED
    ]
    holders = tmp_path_factory.mktemp("holders") / "holders.yaml"
    holders.write_text(HOLDERS.format(map=platform.HERE / "map.yaml"))
    monkeypatch.setenv("OFFRAMP_HOLDERS", str(holders))
    async with AsyncExitStack() as stack:
        for name in ("platform", "holder", "mailer"):
            dsn = await stack.enter_async_context(scratch_database(read_settings().postgres))
            monkeypatch.setenv(f"OFFRAMP_{name.upper()}_DSN", dsn)
        monkeypatch.setenv("OFFRAMP_TOPIC_PREFIX", prefix)
        settings = read_settings()
        await platform.create(settings.dsn("platform"))
        await platform.generate(settings.dsn("platform"), ["acme", "fjord"], users=5)
        stack.push_async_callback(remove_topics, settings.kafka, prefix)
        await apply_topics(settings.kafka, declared)
        producer = AIOKafkaProducer(bootstrap_servers=settings.kafka)
        await producer.start()
        stack.push_async_callback(producer.stop)
        yield Scene(settings, prefix, producer)


async def ask(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_terminated_customer_is_deleted_on_command(scene: Scene) -> None:
    """The mailer ends the account when the contract is over; then the holder deletes, and answers with its counts."""
    now = system_clock()
    terminated = ContractTerminated(
        customer_id="acme",
        contract_id="c-1",
        basis="expiry",
        period_end=date(2026, 1, 31),
        terminated_at=now - timedelta(days=100),
        time_zone="Europe/Stockholm",
    )
    call = DeadlineApproaching(customer_id="acme", announcement_id="a:1", deadline="deletion", due_at=now)
    async with scene.working("mailer", accounts.build(scene.settings)):
        await scene.tell(terminated)
        await scene.tell(call)
        informed = CustomerInformed.model_validate_json(data_of(await scene.hear(CustomerInformed)))
        async with asyncio.timeout(60):
            while await ask(scene.settings.dsn("platform"), STATUS) != "ended":
                pass

    command = DeletionRequested(
        customer_id="acme",
        deletion_id="acme:1",
        holder="platform-database",
        window_closed_at=(now - timedelta(days=1)).astimezone(UTC),
        policy_version="1",
        respond_by=now + timedelta(days=1),
        map_sha256=load(platform.HERE / "map.yaml").sha256,
    )
    async with scene.working("holder", holder.build(scene.settings)):
        await scene.tell(command)
        answer = DeletionAcknowledged.model_validate_json(data_of(await scene.hear(DeletionAcknowledged)))

    assert (informed.announcement_id, informed.outcome) == ("a:1", "delivered")
    assert (answer.deletion_id, answer.holder) == ("acme:1", "platform-database")
    assert isinstance(answer.outcome, Erased)
    assert {one.table: one.rows for one in answer.outcome.deleted}["users"] == 5
    assert await ask(scene.settings.dsn("platform"), CUSTOMERS) == ["fjord"]


def data_of(value: bytes) -> str:
    """Take the event out of its structured CloudEvent."""
    return json.dumps(json.loads(value)["data"])


STATUS = "select status from customers where id = 'acme'"
CUSTOMERS = "select array_agg(id) from customers"
