"""Compare a broker's topics with the declaration, and make them agree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from shared.errors import OperatorError

from .topics import Topic

# Where a topic's own configuration comes from, in the words of DescribeConfigs v1 and later; v0 has only a flag.
_OF_THE_TOPIC = 1
_EXISTS = 36
_SETTLED_WITHIN = 20.0
_BETWEEN_QUESTIONS = 0.05


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference: *topic* has *found* where *declared* should be; *mendable* when `apply` can do it."""

    topic: str
    what: str
    declared: str
    found: str
    mendable: bool = True

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.topic}: {self.what} is {self.found}, declared is {self.declared}"


@dataclass(frozen=True, slots=True)
class _Found:
    partitions: int
    replication: int
    config: dict[str, str]


async def check_topics(kafka: str, topics: Sequence[Topic]) -> list[Drift]:
    """List every difference between the broker at *kafka* and *topics*; raises ``OperatorError``."""
    async with _admin(kafka) as admin:
        return await _differences(admin, await _capped(admin, topics))


async def apply_topics(kafka: str, topics: Sequence[Topic], *, dry_run: bool = False) -> list[Drift]:
    """Create what is missing and correct configurations; returns what was (or would be) changed.

    Raises ``OperatorError`` when the broker refuses, or when a topic has another number of partitions or replicas:
    that can't be changed under the order of its keys, or not from here.
    """
    async with _admin(kafka) as admin:
        wanted = await _capped(admin, topics)
        drifts = await _differences(admin, wanted)
        stuck = [str(drift) for drift in drifts if not drift.mendable]
        if stuck:
            raise OperatorError("\n".join((*stuck, "That can't be changed on a topic in use: move to a new prefix.")))
        if drifts and not dry_run:
            await _mend(admin, wanted, drifts)
            await _settle(admin, wanted)
        return drifts


async def remove_topics(kafka: str, prefix: str) -> list[str]:
    """Delete all topics of *prefix* with their dead letters, for a test that had a set of its own; returns them."""
    if not prefix:
        raise OperatorError("Only topics with a prefix are removed: name one with --prefix.")
    async with _admin(kafka) as admin:
        doomed = [name for name in await admin.list_topics() if name.startswith((prefix, f"dlq.{prefix}"))]
        if doomed:
            answer = await admin.delete_topics(doomed)
            _raise_refusals((code, name, "") for name, code in answer.topic_error_codes)
        return doomed


async def _mend(admin: AIOKafkaAdminClient, wanted: Sequence[Topic], drifts: Sequence[Drift]) -> None:
    missing = {drift.topic for drift in drifts if drift.what == "topic"}
    other = {drift.topic for drift in drifts} - missing
    await _create(admin, [topic for topic in wanted if topic.name in missing])
    await _configure(admin, [topic for topic in wanted if topic.name in other])


async def _settle(admin: AIOKafkaAdminClient, wanted: Sequence[Topic]) -> None:
    """Wait until the brokers show what the controller accepted: they learn of it a moment later."""
    try:
        async with asyncio.timeout(_SETTLED_WITHIN):
            while await _differences(admin, wanted):  # noqa: ASYNC110 - the broker sends no word of it
                await asyncio.sleep(_BETWEEN_QUESTIONS)
    except TimeoutError as error:
        raise OperatorError(
            f"Kafka accepted the changes but does not show them after {_SETTLED_WITHIN:.0f} s: is a broker away?"
        ) from error


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    if not topics:
        return
    new = [NewTopic(topic.name, topic.partitions, topic.replication, topic_configs=topic.config) for topic in topics]
    answer = await admin.create_topics(new)
    # It does not raise. One that exists by now was made by somebody who applies the same declaration.
    _raise_refusals((code, name, why) for name, code, why in answer.topic_errors if code != _EXISTS)


async def _configure(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    if not topics:
        return
    # This request replaces the whole configuration of a topic, which is what a declaration means.
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name, topic.config) for topic in topics]
    for answer in await admin.alter_configs(resources):
        _raise_refusals((code, name, why) for code, why, _, name in answer.resources)


async def _differences(admin: AIOKafkaAdminClient, wanted: Sequence[Topic]) -> list[Drift]:
    found = await _read(admin, wanted)
    return [drift for topic in wanted for drift in _compare(topic, found.get(topic.name))]


def _compare(topic: Topic, found: _Found | None) -> list[Drift]:
    if found is None:
        return [Drift(topic.name, "topic", f"{topic.partitions} partitions", "missing")]
    shape = [
        Drift(topic.name, what, str(declared), str(has), mendable=False)
        for what, declared, has in (
            ("the number of partitions", topic.partitions, found.partitions),
            ("the number of replicas", topic.replication, found.replication),
        )
        if declared != has
    ]
    keys = sorted({*topic.config, *found.config})
    return shape + [
        Drift(topic.name, key, topic.config.get(key, "the broker's"), found.config.get(key, "the broker's"))
        for key in keys
        if topic.config.get(key) != found.config.get(key)
    ]


async def _read(admin: AIOKafkaAdminClient, wanted: Sequence[Topic]) -> dict[str, _Found]:
    existing = set(await admin.list_topics()) & {topic.name for topic in wanted}
    if not existing:
        return {}
    shapes = {shape["topic"]: shape["partitions"] for shape in await admin.describe_topics(sorted(existing))}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(existing)]
    configs = {
        name: {entry[0]: entry[1] for entry in entries if entry[3] == _OF_THE_TOPIC}
        for answer in await admin.describe_configs(resources)
        for _, _, _, name, entries in answer.resources
    }
    return {name: _Found(len(parts), len(parts[0]["replicas"]), configs[name]) for name, parts in shapes.items()}


async def _capped(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> list[Topic]:
    brokers = len((await admin.describe_cluster())["brokers"])
    return [replace(topic, replication=min(topic.replication, brokers)) for topic in topics]


def _raise_refusals(answers: Iterable[tuple[int, str, str | None]]) -> None:
    refusals = [f"Kafka refused {name}: {why or for_code(code).__name__}" for code, name, why in answers if code]
    if refusals:
        raise OperatorError("\n".join(refusals))


@asynccontextmanager
async def _admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka, client_id="offramp-topics")
    try:
        await admin.start()
        yield admin
    except (KafkaError, TimeoutError) as error:
        raise OperatorError(
            f"Kafka at {kafka} can't be asked ({error!r}): check OFFRAMP_KAFKA, or start it with `offramp stack up`."
        ) from error
    finally:
        await admin.close()
