"""A real broker is brought to the declaration, and where it differs is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from deploy.stack.topic_broker import apply_topics, check_topics, remove_topics
from deploy.stack.topics import Topic, declared_topics
from shared.errors import OperatorError
from shared.settings import Settings


@pytest.fixture
async def topics(settings: Settings) -> AsyncIterator[list[Topic]]:
    """Declare four topics of this test's own, and remove them afterwards."""
    prefix = f"t-{uuid4().hex[:12]}-"
    yield declared_topics(prefix)[:4]
    await remove_topics(settings.kafka, prefix)


async def test_applying_makes_the_broker_agree(settings: Settings, topics: list[Topic]) -> None:
    """What is declared exists after applying, with nothing left to change."""
    changed = await apply_topics(settings.kafka, topics)

    assert {drift.topic for drift in changed} == {topic.name for topic in topics}
    assert await check_topics(settings.kafka, topics) == []


async def test_applying_twice_changes_nothing(settings: Settings, topics: list[Topic]) -> None:
    """The second time there is nothing to do."""
    await apply_topics(settings.kafka, topics)

    assert await apply_topics(settings.kafka, topics) == []


async def test_a_dry_run_only_tells(settings: Settings, topics: list[Topic]) -> None:
    """A dry run names what would change and leaves the broker as it is."""
    told = await apply_topics(settings.kafka, topics, dry_run=True)

    assert told == await check_topics(settings.kafka, topics)
    assert len(told) == len(topics)


async def test_drift_is_told_and_mended(settings: Settings, topics: list[Topic]) -> None:
    """A topic's own configuration that differs, or that nothing declares, is told and put right."""
    first, *others = topics
    odd = replace(first, config={**first.config, "retention.ms": "1000", "flush.messages": "7"})
    await apply_topics(settings.kafka, [odd, *others])

    told = await check_topics(settings.kafka, topics)
    await apply_topics(settings.kafka, topics)

    assert {(drift.topic, drift.what, drift.found) for drift in told} == {
        (first.name, "retention.ms", "1000"),
        (first.name, "flush.messages", "7"),
    }
    assert await check_topics(settings.kafka, topics) == []


async def test_partitions_are_never_changed(settings: Settings, topics: list[Topic]) -> None:
    """Another number of partitions would move customers and break their order, so it is refused, not mended."""
    await apply_topics(settings.kafka, topics)

    with pytest.raises(OperatorError, match="number of partitions is 4, declared is 8"):
        await apply_topics(settings.kafka, [replace(topic, partitions=8) for topic in topics])


async def test_what_the_broker_refuses_is_an_error(settings: Settings, topics: list[Topic]) -> None:
    """A refusal is not swallowed, although the client does not raise it."""
    nonsense = replace(topics[0], config={"retention.ms": "soon"})

    with pytest.raises(OperatorError, match=rf"refused {topics[0].name}"):
        await apply_topics(settings.kafka, [nonsense])


async def test_a_broker_that_is_away_is_a_sentence(topics: list[Topic]) -> None:
    """Without a broker there is a sentence with the address and the variable."""
    with pytest.raises(OperatorError, match=r"127\.0\.0\.1:9 can't be asked.*OFFRAMP_KAFKA"):
        await check_topics("127.0.0.1:9", topics)


async def test_topics_without_a_prefix_are_not_removed(settings: Settings) -> None:
    """Removing is for a test's own set; the set that has no prefix can't be meant."""
    with pytest.raises(OperatorError, match="prefix"):
        await remove_topics(settings.kafka, "")
