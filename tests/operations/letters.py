"""Dead letters as the machine writes them."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer

from shared.deadletters import dead_letter_topic
from shared.worker import Place

TOPIC = "ContractRegistered"
MOMENT = 1_760_000_000_123


def why(service: str = "notice", partition: int = 0, offset: int = 7) -> list[tuple[str, bytes]]:
    return [
        ("__dlq.errors.topic", TOPIC.encode()),
        ("__dlq.errors.partition", str(partition).encode()),
        ("__dlq.errors.offset", str(offset).encode()),
        ("__dlq.errors.group", service.encode()),
        ("__dlq.errors.message", b"value: not JSON"),
    ]


async def bury(
    producer: AIOKafkaProducer,
    place: Place,
    value: bytes = b"{not json",
    *,
    key: bytes | None = b"acme",
    service: str = "notice",
    original: int = 0,
    topic: str = TOPIC,
) -> None:
    await producer.send_and_wait(
        dead_letter_topic(place, topic),
        value,
        key,
        partition=0,
        timestamp_ms=MOMENT,
        headers=[("traceparent", b"00-1"), *why(service, original)],
    )
