"""Instructions of operators, low in rate, sent with Kafka's own tools and read by the services' agents."""

from __future__ import annotations

from .event import Instruction
from .vocabulary import Code, Count, TableName


class DeadLettersReplayed(Instruction):
    """Put dead letters of *topic* back where they came from: one (*partition*, *offset* in ``dlq.<topic>``) or all."""

    topic: TableName
    partition: Count | None = None
    offset: Count | None = None


class ServicePaused(Instruction):
    """Stop reading events; nothing is lost, the lag shows it."""

    because: Code


class ServiceResumed(Instruction):
    """Read on."""
