"""Reads a topic whole, as it is now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from counting import PARTITIONS

from shared.worker import Place


@dataclass(frozen=True)
class Records:
    """Reads a topic whole, as it is now."""

    place: Place

    async def of(self, topic: str) -> list[Any]:
        """Give all records of *topic* (a full name), partition by partition."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.place.kafka, auto_offset_reset="earliest")
        await consumer.start()
        try:
            where = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(where)
            ends = await consumer.end_offsets(where)
            return [
                await consumer.getone(one)
                for one in where
                for _ in range(ends[one] - (await consumer.beginning_offsets([one]))[one])
            ]
        finally:
            await consumer.stop()
