"""Say an event as a person with Kafka's own tools would: plain JSON under the customer's id."""

from __future__ import annotations

from aiokafka.errors import KafkaError

from ..errors import OperatorError
from ..events.event import Event
from ..settings import read_settings
from ..worker import Place, producer_of


async def say(event: Event) -> None:
    """Publish *event*, and wait until Kafka has it; raises OperatorError if it can't."""
    settings = read_settings()
    producer = producer_of(Place(settings.kafka, "", settings.topic_prefix))
    try:
        await producer.start()
        topic = settings.topic_prefix + event.type()
        await producer.send_and_wait(topic, event.model_dump_json().encode(), key=event.customer_id.encode())
    except KafkaError as error:
        says = f"Kafka did not take it ({type(error).__name__}). Look at OFFRAMP_KAFKA, and say it again."
        raise OperatorError(says) from error
    finally:
        await producer.stop()
