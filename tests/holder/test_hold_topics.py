"""A hold that was published counts for a deletion, even if the holder's own consumer hasn't read it yet (P8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from shared.clock import system_clock
from shared.events.platform import Erased, ErasedInPart, LegalHoldPlaced, LegalHoldReleased, NotErased, OfTables
from shared.holder.heard import HoldTopics
from shared.holder.perform import Eraser
from shared.performer import Attempt
from shared.settings import read_settings
from tests.holder.command_topics import Topics, command_topics
from tests.holder.platform_rows import LEAVING, everything, others
from tests.holder.test_holder_perform import eraser, task

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
def listening(eraser: Eraser, topics: Topics) -> Eraser:
    """Give an eraser that looks at the topics."""
    return replace(eraser, published=HoldTopics(read_settings().kafka, topics.prefix + GROUP, topics.prefix))


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
