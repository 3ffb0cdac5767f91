"""Topics whose records stay however old they say that they are, like those in ``deploy/topics.yaml``."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka.admin import NewTopic


def kept(names: Iterable[str], partitions: int = 1) -> list[NewTopic]:
    """Declare topics to make.

    A broker deletes by the records' own time, a week after it unless told otherwise, whenever it comes to look: a
    letter that is a year old would be gone before it was read, once in some hundred runs.
    """
    return [NewTopic(name, partitions, 1, topic_configs={"retention.ms": "-1"}) for name in names]
