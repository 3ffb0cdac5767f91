"""Where a customer's identifiers stand in topics and logs, which no deletion of rows and objects reaches."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ..errors import OperatorError
from ..wholetopics import Brokers, admin, pages, reader

# Kafka's own; they hold groups' places, not events.
_INTERNAL = "__"


@dataclass(frozen=True, slots=True)
class Sought:
    """The *customer*'s id, by which all events are keyed, and what *others* it or its people are known by."""

    customer: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """What stands at *place*, a topic or a file: how many records or lines there are of each kind.

    *own* are keyed by the customer's id, *naming* are keyed by another or by none and name it, *known_by* hold another
    identifier. *gone_by* is when the last of them has left the topic; None where that is never, or not known.
    """

    place: str
    own: int = 0
    naming: int = 0
    known_by: int = 0
    gone_by: datetime | None = None

    @property
    def found(self) -> bool:
        """Tell whether anything was found."""
        return bool(self.own or self.naming or self.known_by)

    def told(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self) | {"gone_by": self.gone_by and self.gone_by.isoformat()}


def names(identifiers: Iterable[str]) -> Callable[[bytes | None], bool]:
    """Give what tells whether one of *identifiers* stands in some bytes as a word, also as JSON writes it in ASCII.

    Words end as in the search for copies in databases (``shared/holder/residue.py``). Raises ``OperatorError`` for an
    empty identifier, which is everywhere.
    """
    found = {way for one in identifiers for way in (one, json.dumps(one)[1:-1])}
    if not all(found):
        raise OperatorError("an identifier has at least one character.")
    if not found:
        return lambda _: False
    either = "|".join(re.escape(one) for one in sorted(found))
    word = re.compile(rf"(?<![A-Za-z0-9_-])(?:{either})(?![A-Za-z0-9_-]|\.[A-Za-z0-9])", re.IGNORECASE)
    return lambda text: text is not None and word.search(text.decode(errors="replace")) is not None


async def in_topics(place: Brokers, sought: Sought, progress: Callable[[str, int], None]) -> AsyncIterator[Trace]:
    """Read every topic of *place* whole, with its dead letters and whoever's they are, and tell what stands in each.

    *progress* is told each topic and how many more records of it were read. Raises ``OperatorError``, ``KafkaError``.
    """
    async with admin(place) as asked:
        there = [one for one in await asked.list_topics() if _of(place, one)]
        described = {one["topic"]: one["partitions"] for one in await asked.describe_topics(there)} if there else {}
        kept = {one: await _kept_for(asked, one) for one in sorted(described)}
    for topic, parts in sorted(described.items()):
        partitions = [TopicPartition(topic, one["partition"]) for one in parts]
        yield await _topic(place, partitions, sought, kept[topic], progress)


def _of(place: Brokers, topic: str) -> bool:
    return not topic.startswith(_INTERNAL) and topic.startswith((place.prefix, f"dlq.{place.prefix}"))


async def _topic(
    place: Brokers,
    partitions: Sequence[TopicPartition],
    sought: Sought,
    kept_for: timedelta | None,
    progress: Callable[[str, int], None],
) -> Trace:
    topic, own, naming, known_by, last = partitions[0].topic, 0, 0, 0, 0
    named, known = names([sought.customer]), names(sought.others)
    async with reader(place, partitions) as consumer:
        async for page in pages(consumer, partitions):
            for record in (one for records in page.values() for one in records):
                kinds = (
                    record.key == sought.customer.encode(),
                    record.key != sought.customer.encode() and any(map(named, _texts(record))),
                    any(map(known, _texts(record))),
                )
                own, naming, known_by = own + kinds[0], naming + kinds[1], known_by + kinds[2]
                last = max(last, record.timestamp) if any(kinds) else last
            progress(topic, sum(map(len, page.values())))
    gone_by = datetime.fromtimestamp(last / 1000, UTC) + kept_for if last and kept_for is not None else None
    return Trace(topic, own, naming, known_by, gone_by)


def _texts(record: Any) -> Iterator[bytes | None]:
    yield record.key
    yield record.value
    yield from (value for _, value in record.headers)


async def _kept_for(asked: Any, topic: str) -> timedelta | None:
    """Tell how long after its own time a record of *topic* is gone at the latest; None where it may stay for ever."""
    (answer,) = await asked.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    ((_, _, _, _, entries),) = answer.resources
    said = {entry[0]: entry[1] for entry in entries}
    if said["cleanup.policy"] != "delete" or int(said["retention.ms"]) < 0:
        return None
    # A segment goes as a whole, once its newest record is old enough.
    return timedelta(milliseconds=int(said["retention.ms"]) + int(said["segment.ms"]))


async def in_log(path: Path, sought: Sought) -> Trace:
    """Read the log at *path*, compressed by gzip or not, line by line; raises ``OperatorError``."""
    try:
        return await asyncio.to_thread(_log, path, sought)
    except (OSError, EOFError) as error:
        raise OperatorError(f"{path} can't be read: {error}. Name a log file with --log.") from error


def _log(path: Path, sought: Sought) -> Trace:
    naming = known_by = 0
    named, known = names([sought.customer]), names(sought.others)
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for line in lines:
            naming += named(line)
            known_by += known(line)
    return Trace(str(path), naming=naming, known_by=known_by)
