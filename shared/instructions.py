"""What an operator's instruction does to a worker."""

from __future__ import annotations

import structlog

from .deadletters import replay
from .events.event import Instruction
from .events.operators import DeadLettersReplayed, ServicePaused, ServiceResumed
from .worker import Worker

_log = structlog.get_logger()


async def obey(worker: Worker, instruction: Instruction) -> None:
    """Carry out *instruction* if it is meant for this service; doing it twice does no harm."""
    if instruction.service != worker.service.domain.name:
        return
    _log.info("instructed", instruction=instruction.type())
    match instruction:
        case ServicePaused(because=because):
            await worker.switches.pause(because, worker.place.clock())
        case ServiceResumed():
            await worker.switches.resume()
        case DeadLettersReplayed(topic=topic, partition=partition, offset=offset):
            await replay(worker.place, worker.service.domain.name, topic, partition, offset)
