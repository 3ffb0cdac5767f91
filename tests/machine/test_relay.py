"""The relay publishes what is owed, in order per key, and forgets it only when Kafka has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, LeaderNotAvailableError
from msgspec.structs import replace

from shared import relay as relay_module
from shared.caserows import owed_row
from shared.consumer import Consumer
from shared.decision import Fact
from shared.events.envelope import Record, read
from shared.postgres import _OWE, PostgresProcess
from shared.progress import Progress
from shared.relay import Relay
from shared.settings import Settings
from shared.settlement import Buried
from shared.switches import Switches
from tests.kept_topics import make_topics
from tests.machine.fakes import FakeKafka, FakeProducer
from tests.machine.toy import NOON, PURSE, Balanced, Broken, Earned, arrival, fact, record_of

PARTITIONS = 3
CUSTOMERS = [f"c{number}" for number in range(12)]


@pytest.fixture
def process(pool: asyncpg.Pool) -> PostgresProcess:
    return PostgresProcess(PURSE, pool, PARTITIONS)


def relay(pool: asyncpg.Pool, producer: FakeProducer, prefix: str = "") -> Relay:
    return Relay(pool, producer, [asyncio.Event() for _ in range(PARTITIONS)], Progress({}), prefix)


async def owe(process: PostgresProcess, turns: int) -> None:
    for _ in range(turns):
        await process.arrivals([arrival(Earned(customer_id=one, amount=1)) for one in CUSTOMERS], (), NOON)


async def publish_all(one: Relay) -> None:
    for lane in range(PARTITIONS):
        while await one.publish(lane):
            pass


def turns_by_customer(values: list[bytes]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for value in values:
        event = read(Record("Balanced", 0, 0, 0, None, value, ())).event
        found.setdefault(event.customer_id, []).append(event.turn)
    return found


def sent_values(*producers: FakeProducer) -> list[bytes]:
    return [record["value"] for one in producers for records in one.sent.values() for record in records]


async def outbox_size(pool: asyncpg.Pool) -> int:
    return await pool.fetchval("select count(*) from outbox")


async def test_says_that_less_is_owed(pool: asyncpg.Pool, process: PostgresProcess) -> None:
    """Once that is seen by everybody, and not when there was nothing to publish."""
    one = relay(pool, FakeProducer())
    await publish_all(one)
    assert not one.published.is_set()

    await owe(process, 1)
    publishing = asyncio.create_task(publish_all(one))
    async with asyncio.timeout(10):
        await one.published.wait()
    seen = await outbox_size(pool)
    await publishing
    assert seen < len(CUSTOMERS)


async def test_in_order_then_forgotten(pool: asyncpg.Pool, process: PostgresProcess) -> None:
    """Everything is published once, in order per customer, each in its key's partition, and nothing is owed then."""
    await owe(process, 5)
    producer = FakeProducer()

    await publish_all(relay(pool, producer))

    assert turns_by_customer(sent_values(producer)) == {one: [1, 2, 3, 4, 5] for one in CUSTOMERS}
    assert await outbox_size(pool) == 0


async def test_three_relays(pool: asyncpg.Pool, process: PostgresProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three relays at once, while more is being owed: nothing missing, nothing twice, order kept per customer."""
    monkeypatch.setattr(relay_module, "PAGE", 10)
    # One shared log, since what Kafka orders is what all of them write to one partition.
    producer = FakeProducer(acknowledge=lambda: asyncio.sleep(0), batch_size=3)
    relays = [relay(pool, producer) for _ in range(3)]
    owing = asyncio.create_task(owe(process, 20))
    while not owing.done():
        await asyncio.gather(*[one.publish(lane) for one in relays for lane in range(PARTITIONS)])
    await asyncio.gather(*map(publish_all, relays))

    assert turns_by_customer(sent_values(producer)) == {one: list(range(1, 21)) for one in CUSTOMERS}
    assert await outbox_size(pool) == 0


async def test_crash_before_commit(pool: asyncpg.Pool, process: PostgresProcess) -> None:
    """A relay that dies between sending and forgetting causes a repeat with the same ids, and no loss."""
    await owe(process, 2)
    await owe_nothing_else(pool)
    dying = FakeProducer(acknowledge=lambda: _kill(pool, "delete from outbox"))
    for lane in range(PARTITIONS):
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError)):
            await relay(pool, dying).publish(lane)
    assert await outbox_size(pool) == 2 * len(CUSTOMERS)
    living = FakeProducer()

    await publish_all(relay(pool, living))

    assert sorted(sent_values(living)) == sorted(sent_values(dying))
    assert turns_by_customer(sent_values(living)) == {one: [1, 2] for one in CUSTOMERS}


@pytest.mark.parametrize("dies_at", [1, 2, 3])
async def test_crash_in_a_run(
    pool: asyncpg.Pool, process: PostgresProcess, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    """A relay that dies at any of a run's pages causes a repeat of the run, and no loss; order is kept."""
    monkeypatch.setattr(relay_module, "PAGE", 2)
    await owe(process, 3)
    lane = await fullest_lane(pool)
    owed = await outbox_size(pool)
    acknowledged = 0

    async def die() -> None:
        nonlocal acknowledged
        acknowledged += 1
        if acknowledged == dies_at:
            await _kill(pool, "delete from outbox")

    dying, living = FakeProducer(acknowledge=die), FakeProducer()
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError)):
        await relay(pool, dying).publish(lane)
    assert await outbox_size(pool) == owed

    await publish_all(relay(pool, living))
    assert turns_by_customer(sent_values(living)) == {one: [1, 2, 3] for one in CUSTOMERS}
    assert set(sent_values(dying)) < set(sent_values(living))


async def test_visible_late(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lower number that becomes visible in the middle of a run goes before the same customer's higher one."""
    monkeypatch.setattr(relay_module, "PAGE", 1)
    slow = await asyncpg.connect(*pool._connect_args, **pool._connect_kwargs)
    transaction = slow.transaction()
    await transaction.start()
    await owe_turn(slow, "slow", 1)
    for turn in (1, 2, 3):
        await owe_turn(pool, "quick", turn)
    acknowledged = 0

    async def commit_late() -> None:
        nonlocal acknowledged
        acknowledged += 1
        if acknowledged == 1:
            await transaction.commit()
            await owe_turn(slow, "slow", 2)

    producer = FakeProducer(acknowledge=commit_late)
    await publish_all(relay(pool, producer))
    await slow.close()

    assert turns_by_customer(sent_values(producer)) == {"quick": [1, 2, 3], "slow": [1, 2]}


async def owe_turn(connection: asyncpg.Pool | asyncpg.Connection, customer_id: str, turn: int) -> None:
    event = Balanced(customer_id=customer_id, amount=1, turn=turn)
    await connection.execute(_OWE, *owed_row(Fact(str(uuid4()), "/purse", NOON, event), 0, NOON))


async def fullest_lane(pool: asyncpg.Pool) -> int:
    return await pool.fetchval("select lane from outbox group by lane order by count(*) desc limit 1")


async def test_reads_ahead(pool: asyncpg.Pool, process: PostgresProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next page is read while Kafka takes this one, but nothing of it is sent before Kafka has this one."""
    monkeypatch.setattr(relay_module, "PAGE", 2)
    await owe(process, 1)
    answer, ahead = asyncio.Event(), asyncio.Event()
    take, pages = relay_module._take, 0

    async def watched(connection: asyncpg.Connection, lane: int) -> list:
        nonlocal pages
        rows, pages = await take(connection, lane), pages + 1
        if pages == 2:
            ahead.set()
        return rows

    monkeypatch.setattr(relay_module, "_take", watched)
    producer = FakeProducer(acknowledge=lambda: _until(answer))
    publishing = asyncio.create_task(relay(pool, producer).publish(await fullest_lane(pool)))
    try:
        async with asyncio.timeout(5):
            await ahead.wait()

        assert len(sent_values(producer)) == 2
    finally:
        answer.set()
        await publishing
    assert len(sent_values(producer)) > 2


async def test_failed_page(pool: asyncpg.Pool, process: PostgresProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """If Kafka doesn't take a page, nothing of the next one is sent, and all of the run is owed still."""
    monkeypatch.setattr(relay_module, "PAGE", 2)
    await owe(process, 2)
    owed = await outbox_size(pool)

    async def refuse() -> None:
        raise KafkaConnectionError

    producer = FakeProducer(acknowledge=refuse)
    with pytest.raises(KafkaConnectionError):
        await relay(pool, producer).publish(await fullest_lane(pool))

    assert len(sent_values(producer)) == 2
    assert await outbox_size(pool) == owed


async def test_forgets_at_leisure(pool: asyncpg.Pool, process: PostgresProcess) -> None:
    """Only the relay's own transactions don't wait for the disk: what they lose in a crash is sent again."""
    await owe(process, 1)
    await pool.execute(_TELL_HOW)
    # One connection, as a worker's pool keeps it: with the settings that it was left with.
    async with pool.acquire() as connection:
        await publish_all(relay(Only(connection), FakeProducer()))
        afterwards = await connection.fetchval("show synchronous_commit")

    assert await pool.fetch("select distinct how from told") == [("off",)]
    assert afterwards == "on"


class Only:
    """A pool of one connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def acquire(self, timeout: float) -> AsyncIterator[asyncpg.Connection]:
        async with asyncio.timeout(timeout):
            yield self._connection


_TELL_HOW = """
create table told (how text);
create function tell() returns trigger language plpgsql as
  $$ begin insert into told values (current_setting('synchronous_commit')); return null; end $$;
create trigger tell after delete on outbox execute function tell();
"""


async def owe_nothing_else(pool: asyncpg.Pool) -> None:
    assert await pool.fetchval("select count(*) from outbox where aggregatetype <> 'Balanced'") == 0


async def _kill(pool: asyncpg.Pool, like: str) -> None:
    """End the sessions of this database whose last statement holds *like*."""
    await pool.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database()"
        " and pid <> pg_backend_pid() and query like '%' || $1 || '%' and state like 'idle in transaction%'",
        like,
    )


async def test_kafka_refuses(pool: asyncpg.Pool, process: PostgresProcess) -> None:
    """What Kafka does not take is owed still."""
    await owe(process, 1)

    async def refuse() -> None:
        raise KafkaConnectionError

    for lane in range(PARTITIONS):
        with pytest.raises(KafkaConnectionError):
            await relay(pool, FakeProducer(acknowledge=refuse, batch_size=100)).publish(lane)

    assert await outbox_size(pool) == len(CUSTOMERS)


async def test_gap(pool: asyncpg.Pool, process: PostgresProcess) -> None:
    """If a batch failed for want of a leader, the next one of that partition isn't sent before it is."""
    await owe(process, 3)
    producer = FakeProducer(batch_size=1)
    await producer.lose_first()
    with pytest.raises(LeaderNotAvailableError):
        await publish_all(relay(pool, producer))
    await publish_all(relay(pool, producer))

    for turns in turns_by_customer(sent_values(producer)).values():
        assert list(dict.fromkeys(turns)) == [1, 2, 3]


async def test_kafka_is_silent(pool: asyncpg.Pool, process: PostgresProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that waits for Kafka says so while it does, so that no outage is taken for being stuck."""
    monkeypatch.setattr(relay_module, "_SLICE", 0.01)
    await owe(process, 1)
    answer, said = asyncio.Event(), asyncio.Event()
    progress = Watched(said)
    waiting = Relay(
        pool, FakeProducer(acknowledge=lambda: _until(answer)), [asyncio.Event() for _ in range(PARTITIONS)], progress
    )
    pages = [asyncio.create_task(waiting.publish(lane)) for lane in range(PARTITIONS)]
    try:
        async with asyncio.timeout(5):
            await said.wait()
    finally:
        answer.set()
        await asyncio.gather(*pages)

    assert "Kafka has not acknowledged" in progress.troubles().values()
    assert await outbox_size(pool) == 0


class Watched(Progress):
    """Rings when a part says that it waits something out."""

    def __init__(self, said: asyncio.Event) -> None:
        super().__init__({})
        self._said = said

    def made(self, part: str, trouble: str | None = None) -> None:
        super().made(part, trouble)
        if trouble is not None:
            self._said.set()


async def test_lane_is_one_relays(pool: asyncpg.Pool, process: PostgresProcess) -> None:
    """While one relay waits for Kafka nobody else sends for its lane, and what is owed meanwhile comes after."""
    await owe(process, 1)
    answer = asyncio.Event()
    slow = FakeProducer(acknowledge=lambda: _until(answer))
    first = [asyncio.create_task(relay(pool, slow).publish(lane)) for lane in range(PARTITIONS)]
    while len(sent_values(slow)) < len(CUSTOMERS):
        await asyncio.sleep(0)
    await owe(process, 1)
    quick = FakeProducer()
    second = asyncio.create_task(publish_all(relay(pool, quick)))
    try:
        await _waiting_for_a_lane(pool)

        assert sent_values(quick) == []
    finally:
        answer.set()
        await asyncio.gather(*first, second)
    assert turns_by_customer(sent_values(quick)) == {one: [2] for one in CUSTOMERS}


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _waiting_for_a_lane(pool: asyncpg.Pool) -> None:
    async with asyncio.timeout(10):
        while not await pool.fetchval(
            "select exists (select from pg_locks where locktype = 'advisory' and not granted"
            " and database = (select oid from pg_database where datname = current_database()))"
        ):
            await asyncio.sleep(0)


@pytest.mark.parametrize("value", [None, b"{}"])
async def test_dead_letter_topic(pool: asyncpg.Pool, process: PostgresProcess, value: bytes | None) -> None:
    """A dead letter of <prefix><topic> goes to ``dlq.<prefix><topic>``, with the original's time."""
    made = record_of(fact(Broken(customer_id="a")), 0)
    kafka = FakeKafka([replace(made, topic="site.Broken", value=value and made.value)])
    await Consumer(process, kafka, lambda: NOON, Switches(pool), Progress({}), "site.").turn()
    producer = FakeProducer()

    await publish_all(relay(pool, producer, "site."))

    ((topic, (letter,)),) = ((where[0], records) for where, records in producer.sent.items())
    assert topic == "dlq.site.Broken"
    assert letter["timestamp"] == made.timestamp_ms


@pytest.fixture
async def topics(settings: Settings) -> AsyncIterator[str]:
    prefix = f"t-{uuid4().hex[:10]}."
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    names = [f"{prefix}Balanced", f"dlq.{prefix}Earned"]
    try:
        await make_topics(admin, names, PARTITIONS)
        yield prefix
        await admin.delete_topics(names)
    finally:
        await admin.close()


async def test_real_kafka(
    pool: asyncpg.Pool, process: PostgresProcess, settings: Settings, topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a real Kafka two relays at once lose nothing, keep each customer's order, and give the dead letters whole."""
    monkeypatch.setattr(relay_module, "PAGE", 50)
    await owe(process, 30)
    lost = Record("Earned", 0, 7, int((NOON - timedelta(days=9)).timestamp() * 1000), b"\xff", None, (("x", None),))  # type: ignore[arg-type]
    await process.arrivals((), [Buried("value: missing", lost, None)], NOON)
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, enable_idempotence=True)
    await producer.start()
    try:
        await producer.partitions_for(f"{topics}Balanced")
        await asyncio.gather(*[publish_all(relay(pool, producer, topics)) for _ in range(2)])
    finally:
        await producer.stop()

    records = await _read(settings, f"{topics}Balanced", 30 * len(CUSTOMERS))
    (letter,) = await _read(settings, f"dlq.{topics}Earned", 1)
    assert turns_by_customer([one.value for one in records]) == {one: list(range(1, 31)) for one in CUSTOMERS}
    assert (letter.key, letter.value, letter.timestamp) == (b"\xff", None, lost.timestamp_ms)
    assert ("x", None) in letter.headers


async def _read(settings: Settings, topic: str, count: int) -> list:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=settings.kafka, auto_offset_reset="earliest")
    await consumer.start()
    found: list = []
    try:
        async with asyncio.timeout(20):
            while len(found) < count:
                polled = await consumer.getmany(timeout_ms=500)
                found += [one for messages in polled.values() for one in messages]
    finally:
        await consumer.stop()
    return found
