"""Topics whose records stay however old they say that they are, like those in ``deploy/topics.yaml``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

_AGAIN_AFTER = 0.02


async def make_topics(admin: AIOKafkaAdminClient, names: Sequence[str], partitions: int = 1) -> None:
    """Make them, and wait until the broker shows them to everybody, with a leader for each partition.

    A broker deletes by the records' own time, a week after it unless told otherwise, whenever it comes to look: a
    letter that is a year old would be gone before it was read, once in some hundred runs.
    """
    kept = {"retention.ms": "-1"}
    made = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=kept) for name in names])
    assert all(code == 0 for _, code, *_ in made.topic_errors)
    async with asyncio.timeout(30):
        # The broker learns of it a moment after the controller, and sends no word of it.
        while not all(map(_led, await admin.describe_topics(list(names)))):
            await asyncio.sleep(_AGAIN_AFTER)


def _led(described: dict) -> bool:
    return described["error_code"] == 0 and all(one["leader"] >= 0 for one in described["partitions"])
