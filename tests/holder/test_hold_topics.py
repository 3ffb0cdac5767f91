"""A hold that was published counts for a deletion, even if the holder's own consumer hasn't read it yet (P8)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import KafkaConnectionError, KafkaError

from shared.clock import system_clock
from shared.events.notice import ContractTerminated
from shared.events.platform import (
    ContractRegistered,
    Erased,
    ErasedInPart,
    LegalHoldPlaced,
    LegalHoldReleased,
    NotErased,
    OfTables,
)
from shared.holder.heard import HoldTopics, KeptHoldTopics
from shared.holder.perform import Eraser
from shared.performer import Attempt
from shared.settings import read_settings
from tests.holder.command_topics import Topics, command_topics
from tests.holder.platform_rows import LEAVING, everything, others
from tests.holder.test_holder_perform import eraser, task
from tests.scenarios.phrases import contract

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.holder.platform_rows import Database

__all__ = ["eraser"]
GROUP = "t-holder"


@pytest.fixture
async def topics() -> AsyncIterator[Topics]:
    """Make topics of which nobody reads anything."""
    async with command_topics() as found:
        yield found


@pytest.fixture
async def kept(topics: Topics) -> AsyncIterator[KeptHoldTopics]:
    """Look at the topics by one connection."""
    async with KeptHoldTopics(looked_at(topics)) as found:
        yield found


@pytest.fixture(params=["connected for each deletion", "kept"])
def listening(eraser: Eraser, topics: Topics, kept: KeptHoldTopics, request: pytest.FixtureRequest) -> Eraser:
    """Give an eraser that looks at the topics."""
    return replace(eraser, published=kept if request.param == "kept" else looked_at(topics))


def looked_at(topics: Topics) -> HoldTopics:
    return HoldTopics(read_settings().kafka, topics.prefix + GROUP, topics.prefix)


def hold(customer: str = LEAVING, **values: Any) -> LegalHoldPlaced:
    placed_at = system_clock() - timedelta(minutes=1)
    return LegalHoldPlaced(
        customer_id=customer, hold_id="h", basis="BFL 7:2", placed_by="s:1", placed_at=placed_at, **values
    )


def release(customer: str = LEAVING) -> LegalHoldReleased:
    return LegalHoldReleased(customer_id=customer, hold_id="h", released_by="s:1", released_at=system_clock())


async def erased(eraser: Eraser, holder: str = "database") -> Any:
    return (await eraser(task(holder), Attempt(uuid4(), 1, system_clock))).answer


@pytest.mark.parametrize("holder", ["database", "media"])
async def test_what_was_published_stops_it(listening: Eraser, topics: Topics, database: Database, holder: str) -> None:
    """Retention may know of it, but the command was given before; nothing goes, and the answer says why."""
    before = await everything(database)
    await topics.tell(hold())

    assert await erased(listening, holder) == NotErased(reason="held")
    assert await everything(database) == before


def back(customer: str = LEAVING) -> ContractRegistered:
    return contract(customer).model_copy(update={"contract_id": "c", "time_zone": "UTC"})


def over(after: timedelta) -> ContractTerminated:
    """Give its end, so long after the window of the command has closed."""
    return ContractTerminated(
        customer_id=LEAVING,
        contract_id="c",
        basis="breach",
        period_end=date(2026, 12, 31),
        terminated_at=system_clock() - timedelta(days=1) + after,
        time_zone="UTC",
    )


@pytest.mark.parametrize("holder", ["database", "media"])
async def test_who_came_back_keeps_all_by_what_was_published(
    listening: Eraser, topics: Topics, database: Database, holder: str
) -> None:
    """While the contract goes on, and also when it has ended, however soon: that end has a window of its own."""
    before = await everything(database)
    await topics.tell(back("another"))
    await topics.tell(back())
    assert await erased(listening, holder) == NotErased(reason="contract_active")
    await topics.tell(over(timedelta(hours=1)))
    assert await erased(listening, holder) == NotErased(reason="window_open")

    assert await everything(database) == before


async def test_the_end_that_the_command_is_of_is_no_obstacle(listening: Eraser, topics: Topics) -> None:
    """The contract ended, and the window closed after that."""
    await topics.tell(over(-timedelta(days=90)))
    await topics.tell(back())

    assert isinstance(await erased(listening), Erased)


@pytest.mark.parametrize("holder", ["database", "media"])
async def test_who_comes_back_during_the_deletion_keeps_all(
    listening: Eraser, topics: Topics, database: Database, holder: str
) -> None:
    """It is asked once more right before anything is for good."""
    before = await everything(database)
    asked: list[str] = []

    class Meanwhile(Eraser):
        async def _standing(self, *given: Any) -> Any:
            asked.append("")
            if len(asked) == 2:
                await topics.tell(back())
                await topics.tell(over(timedelta(hours=1)))
            return await super()._standing(*given)

    meanwhile = Meanwhile(
        listening.name, listening.holders, listening.settings, moved_clock=False, published=listening.published
    )
    assert await erased(meanwhile, holder) == NotErased(reason="window_open")
    assert await everything(database) == before


async def test_what_is_published_during_the_deletion_stops_it(
    listening: Eraser, topics: Topics, database: Database
) -> None:
    """It is asked once more right before anything is for good."""
    before = await everything(database)
    placing = hold()

    class Meanwhile(Eraser):
        async def _once(self, *given: Any) -> Any:
            await topics.tell(placing)
            return await super()._once(*given)

    meanwhile = Meanwhile(
        listening.name, listening.holders, listening.settings, moved_clock=False, published=listening.published
    )
    assert await erased(meanwhile) == NotErased(reason="held")
    assert await everything(database) == before


async def test_a_part_that_was_published_is_kept(listening: Eraser, topics: Topics) -> None:
    """Just as if the holder had read it."""
    await topics.tell(hold(scope=OfTables(tables=("reports",))))

    answer = await erased(listening)
    assert isinstance(answer, ErasedInPart)
    assert {one.hold_id for one in answer.held} == {"h"}


async def test_others_holds_and_released_ones_stop_nothing(
    listening: Eraser, topics: Topics, database: Database
) -> None:
    """Whoever else is held, and what is over."""
    for event in (hold("fjord"), hold(), release()):
        await topics.tell(event)

    assert isinstance(await erased(listening), Erased)
    assert await everything(database) == await others(database)


@pytest.mark.parametrize(("key", "stops"), [(LEAVING.encode(), True), (None, True), (b"fjord", False)])
async def test_what_cannot_be_read_may_be_a_hold(
    listening: Eraser, topics: Topics, database: Database, key: bytes | None, *, stops: bool
) -> None:
    """It is in doubt one of everything, where it may be this customer's."""
    before = await everything(database)
    await topics.producer.send_and_wait(f"{topics.prefix}LegalHoldPlaced", b"{", key)

    answer = await erased(listening)
    assert (answer == NotErased(reason="held")) is stops
    assert (await everything(database) == before) is stops


async def test_by_hand_without_a_key(listening: Eraser, topics: Topics) -> None:
    """Kafka's own tools write plain fields, and no key unless they are told to."""
    value = hold().model_dump_json().encode()
    await topics.producer.send_and_wait(f"{topics.prefix}LegalHoldPlaced", value)

    assert await erased(listening) == NotErased(reason="held")


async def test_only_what_the_holder_has_not_read_is_looked_at(listening: Eraser, topics: Topics) -> None:
    """What lies before the place that its group has committed is in its cases, whatever has become of it there."""
    await topics.tell(hold())
    where = TopicPartition(f"{topics.prefix}LegalHoldPlaced", 0)
    kafka = read_settings().kafka
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=topics.prefix + GROUP, enable_auto_commit=False
    ) as group:
        group.assign([where])
        await group.commit({where: 1})

    assert isinstance(await erased(listening), Erased)


async def test_without_kafka_nothing_goes(listening: Eraser, database: Database) -> None:
    """Nobody can tell whether there is a hold, so it waits for Kafka as it would for the database."""
    before = await everything(database)
    away = replace(listening, published=HoldTopics("127.0.0.1:1", "t-nobody"))

    with pytest.raises(KafkaConnectionError):
        await erased(away)
    assert await everything(database) == before


async def test_each_time_the_topics_are_read_to_where_they_end_then(kept: KeptHoldTopics, topics: Topics) -> None:
    """One connection, and still nothing that was published by the moment of asking is missed, nor told of another."""
    placing, releasing = hold(), release()
    assert await kept.since(LEAVING) == ()
    await topics.tell(placing)
    assert await kept.since(LEAVING) == (placing,)
    assert await kept.since("fjord") == ()
    await topics.tell(releasing)
    assert set(await kept.since(LEAVING)) == {placing, releasing}


async def test_a_partition_that_was_added_is_read_too(kept: KeptHoldTopics, topics: Topics) -> None:
    """Which there are is asked each time, as well."""
    assert await kept.since(LEAVING) == ()
    name, placing = f"{topics.prefix}LegalHoldPlaced", hold()
    admin = AIOKafkaAdminClient(bootstrap_servers=read_settings().kafka)
    await admin.start()
    await admin.create_partitions({name: NewPartitions(total_count=2)})
    await admin.close()
    await topics.producer.client.force_metadata_update()
    await topics.producer.send_and_wait(name, placing.model_dump_json().encode(), partition=1)

    assert await kept.since(LEAVING) == (placing,)


async def test_deletions_side_by_side(kept: KeptHoldTopics, topics: Topics) -> None:
    """Each is told its own customer's holds, though all look by one connection."""
    mine, theirs = hold(), hold("fjord")
    # From here on it is one for all.
    assert await kept.since(LEAVING) == ()
    await topics.tell(mine)
    await topics.tell(theirs)

    found = await asyncio.gather(*(kept.since(one) for one in [LEAVING, "fjord"] * 8))
    assert found == [(mine,), (theirs,)] * 8


async def test_whoever_is_interrupted_leaves_nothing_half_read(kept: KeptHoldTopics, topics: Topics) -> None:
    """A lease that is lost ends a deletion anywhere; the next one connects anew and reads everything."""
    placing = hold()
    await topics.tell(placing)
    assert await kept.since(LEAVING) == (placing,)
    for turns in range(1, 12):
        looking = asyncio.create_task(kept.since(LEAVING))
        for _ in range(turns):
            await asyncio.sleep(0)
        looking.cancel()
        await asyncio.wait([looking])
        assert await kept.since(LEAVING) == (placing,)


async def test_topics_that_are_not_there_are_not_empty(topics: Topics) -> None:
    """Who looks in the wrong place learns of no hold, so nothing goes."""
    elsewhere = HoldTopics(read_settings().kafka, topics.prefix + GROUP, f"{topics.prefix}elsewhere-")
    async with KeptHoldTopics(elsewhere) as kept:
        with pytest.raises(KafkaError):
            await kept.since(LEAVING)
