"""The three fates of an error, by name: an outage waits, poison is buried, and what is not news is ignored.

Poison is ``shared.advance.PoisonError`` and ``shared.events.envelope.Unreadable``; not news is
``shared.decision.Ignored``; this module knows the outages, the database's by ``shared.database_fates``.
"""

from __future__ import annotations

from aiokafka.errors import KafkaError

from .database_fates import DATABASE_OUTAGES

KAFKA_OUTAGES: tuple[type[Exception], ...] = (OSError, TimeoutError, KafkaError)
OUTAGES = (*DATABASE_OUTAGES, KafkaError)
