"""What the machine buries can be put back once the cause is mended, and then takes effect exactly once."""

from __future__ import annotations

import asyncio
from dataclasses import replace as changed

from aiokafka import AIOKafkaProducer
from counting import DOMAIN, NOW, SERVICE, Known
from msgspec.structs import replace
from probing import until

from shared.deadletters import letters, replay
from shared.decision import Decided, Decision, Input
from shared.events.platform import ContractRegistered
from shared.operations.readings import Stored, read_lag, read_stored
from shared.worker import Place, Service, Worker, open_worker

CONTRACT = (
    b'{"customer_id":"poison","contract_id":"c1","revision":1,"period_start":"2026-01-01","period_end":"2026-12-31",'
    b'"time_zone":"Europe/Stockholm","renewal":{"kind":"none"},"notice_days":30,"notice_channels":["email"]}'
)


def _mended(state: Known, given: Input, now: object, _: None) -> Decision[Known]:
    return Decided(replace(state, counted=state.counted + isinstance(given, ContractRegistered)))


async def _work(worker: Worker, ended: object) -> Stored:
    """Let *worker* work until what is stored is as *ended* says."""
    working = asyncio.create_task(worker.run())

    async def stored() -> Stored | None:
        return await read_stored(worker.pool, worker.partitions, NOW)

    try:
        found = await until(stored, ended)  # type: ignore[arg-type]
    finally:
        worker.stop()
        await working
    assert found is not None
    return found


async def test_what_failed_is_carried_out_after_the_mending(producer: AIOKafkaProducer, place: Place) -> None:
    """An event on which the code failed is buried; mended and put back, even twice, it counts once."""
    await producer.send_and_wait(f"{place.prefix}ContractRegistered", CONTRACT, b"poison")
    async with open_worker(SERVICE, place) as broken:
        stored = await _work(broken, lambda one: one is not None and bool(one.buried) and not one.owed)
    assert sum(stored.buried.values()) == 1

    assert await replay(place, "notice", "ContractRegistered") == 1
    assert await replay(place, "notice", "ContractRegistered", *await _where(place)) == 1
    async with open_worker(Service(changed(DOMAIN, decide=_mended)), place) as mended:
        working = asyncio.create_task(mended.run())

        async def counted() -> int | None:
            found: int | None = await mended.pool.fetchval(
                "select (state ->> 'counted')::integer from cases where customer_id = 'poison'"
            )
            return found

        async def behind() -> int:
            return sum((await read_lag(mended.kafka, place.prefix)).values()) + (not mended.kafka.assignment())

        await until(behind, lambda lag: lag == 0)
        assert await until(counted, bool) == 1
        mended.stop()
        await working


async def _where(place: Place) -> tuple[int, int]:
    (one,) = [one async for one in letters(place, "ContractRegistered")]
    return one.partition, one.offset
