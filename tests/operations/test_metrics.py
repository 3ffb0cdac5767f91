"""The metrics say what is behind, waiting, stuck and buried, and go on saying it when something is away."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer, TopicPartition
from counting import NOW, SERVICE
from probing import until
from prometheus_client.parser import text_string_to_metric_families

from shared.metrics import Metrics, Readings, families, read, render
from shared.operations.readings import Stored, read_lag, read_stored
from shared.worker import Place, Worker, open_worker

NOTICE = (
    b'{"customer_id":"%s","contract_id":"c1","notice_id":"n1","channel":"email","received_at":"2026-03-01T10:00:00Z"}'
)
REQUEST = b'{"customer_id":"%s","request_id":"r1","requested_at":"2026-03-01T10:00:00Z"}'


async def _samples(text: bytes) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *[value for name, value in sorted(sample.labels.items()) if name != "service"]): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


async def _tell(producer: AIOKafkaProducer, place: Place, topic: str, value: bytes, customer: bytes = b"acme") -> None:
    await producer.send_and_wait(place.prefix + topic, value, customer)


async def test_what_waits_is_buried_and_is_due_can_be_seen(
    worker: Worker, producer: AIOKafkaProducer, place: Place
) -> None:
    """A waiting event, a buried one and the next deadline show; lag and owed events come back to nothing."""
    await _tell(producer, place, "NoticeReceived", NOTICE % b"acme")
    await _tell(producer, place, "ContractRegistered", b"not json")

    async def now_read() -> Stored | None:
        return await read_stored(worker.pool, worker.partitions, NOW)

    stored = await until(now_read, lambda one: one is not None and bool(one.waiting and one.buried and not one.owed))
    assert stored is not None
    assert stored.waiting_since is not None
    assert stored.next_wake == NOW + timedelta(days=7)
    found = await _samples(await render(worker, NOW))
    assert found["offramp_waiting_events",] == 1
    assert found["offramp_next_deadline_timestamp_seconds",] == (NOW + timedelta(days=7)).timestamp()
    assert found["offramp_database_up",] == 1
    assert found["offramp_dead_letters_total", "ContractRegistered"] == 1
    assert found["offramp_consumer_lag_events", "NoticeReceived"] == 0


async def test_no_customer_is_named(worker: Worker, producer: AIOKafkaProducer, place: Place) -> None:
    """No metric has a customer's id in it."""
    await _tell(producer, place, "NoticeReceived", NOTICE % b"customer-4711", b"customer-4711")

    async def text() -> bytes:
        return await Metrics(worker).render(NOW)

    shown = await until(text, lambda one: b'offramp_waiting_events{service="notice"} 1.0' in one)
    assert b"4711" not in shown


async def test_the_lag_grows_while_reading_is_paused(producer: AIOKafkaProducer, place: Place) -> None:
    """A paused consumer's own high-water mark stands still, its lag does not."""
    async with open_worker(SERVICE, place) as worker:
        await until(_assigned(worker), bool)
        worker.kafka.pause(*worker.kafka.assignment())
        for _ in range(3):
            await _tell(producer, place, "ExportRequested", REQUEST % b"acme")

        async def lag() -> dict[str, int]:
            return await read_lag(worker.kafka, place.prefix)

        assert (await until(lag, lambda one: one.get("ExportRequested") == 3))["NoticeReceived"] == 0


def _assigned(worker: Worker) -> Any:
    async def assigned() -> set[TopicPartition]:
        found: set[TopicPartition] = worker.kafka.assignment()
        return found

    return assigned


class _Rebalancing:
    """A consumer to which nothing is known: no answer from the brokers, no place, no high-water mark."""

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("t", 0)}

    async def end_offsets(self, _: object) -> dict[TopicPartition, int]:
        raise TimeoutError

    async def position(self, _: object) -> int:
        return 5

    def highwater(self, _: object) -> None:
        return None


async def test_an_unknown_high_water_mark_is_left_out() -> None:
    """In a rebalance a partition's end may be unknown: then nothing is said about it, and nothing fails."""
    assert await read_lag(_Rebalancing(), "") == {}  # type: ignore[arg-type]


async def test_a_database_that_is_away_leaves_the_rest(worker: Worker) -> None:
    """Without the database the worker still says so, and says nothing that it can't know."""
    await worker.pool.close()

    found = await _samples(await render(worker, NOW))
    assert found["offramp_database_up",] == 0
    assert ("offramp_owed_events",) not in found


async def test_ages_are_told_by_the_services_clock(postgres: str) -> None:
    """Owed events, due cases and stuck ones are aged and counted from what the tables hold."""
    pool = await asyncpg.create_pool(postgres, min_size=1, max_size=1)
    try:
        await pool.execute(
            "insert into outbox (lane, id, aggregatetype, type, headers, owed_at)"
            " values (1, gen_random_uuid(), 'X', 'X', '[]', $1)",
            NOW - timedelta(seconds=40),
        )
        await pool.execute(
            "insert into cases (customer_id, key_hash, wakes_at, stuck)"
            " values ('a', 0, $1, null), ('b', 0, $2, 'ValueError')",
            NOW - timedelta(seconds=90),
            NOW + timedelta(seconds=5),
        )
        await pool.execute(
            "insert into tasks (id, customer_id, kind, body, failure) values"
            " (gen_random_uuid(), 'a', 'Erase', '{}', 'TimeoutError'),"
            " (gen_random_uuid(), 'a', 'Erase', '{}', null)"
        )
        stored = await read_stored(pool, 2, NOW)
    finally:
        await pool.close()

    found = {
        sample.name: sample.value
        for family in families(Readings("notice", NOW, stored=stored))
        for sample in family.samples
    }
    assert found["offramp_owed_oldest_seconds"] == 40
    assert found["offramp_due_oldest_seconds"] == 90
    assert found["offramp_next_deadline_timestamp_seconds"] == (NOW + timedelta(seconds=5)).timestamp()
    assert (found["offramp_stuck_cases"], found["offramp_tasks"], found["offramp_tasks_failing"]) == (1, 2, 1)


async def test_scrapers_share_one_look(worker: Worker, monkeypatch: Any) -> None:
    """Who asks again within seconds gets what was read, so that scraping costs the database little."""
    looks = 0

    async def counted(one: Worker, now: Any) -> Readings:
        nonlocal looks
        looks += 1
        return await read(one, now)

    monkeypatch.setattr("shared.metrics.read", counted)
    metrics = Metrics(worker)
    await metrics.render(NOW)
    await metrics.render(NOW)

    assert looks == 1
