"""A small service of the tests' own: it counts requests, waits for a contract, and fails on one customer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from shared.decision import Decided, Decision, Domain, Ignored, Input, Overdue, Premature, Woke
from shared.events.event import Event
from shared.events.platform import ContractRegistered, ExportRequested, NoticeReceived
from shared.worker import Service

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PARTITIONS = 2


class Known(msgspec.Struct, frozen=True, tag_field="kind", tag="known"):
    """The state of the tests' service: how many events were counted, and when to look again."""

    counted: int = 0
    look_again_at: datetime | None = None


def decide(state: Known, given: Input, now: datetime, _: None) -> Decision[Known]:
    """Count requests, wait for the contract with a notice, fail on a contract that belongs to ``poison``."""
    match given:
        case ContractRegistered(customer_id="poison"):
            raise ValueError(given.customer_id)
        case ContractRegistered():
            return Decided(replace(state, counted=state.counted + 1, look_again_at=now + timedelta(days=30)))
        case ExportRequested():
            return Decided(replace(state, counted=state.counted + 1))
        case NoticeReceived() if state.counted == 0:
            return Premature("no contract is known", now + timedelta(days=7))
        case Woke():
            return Decided(replace(state, look_again_at=None))
        case Overdue() | Event():
            return Ignored("not news")


DOMAIN: Domain[Known, None] = Domain(
    name="notice",
    states=Known,
    initial=Known(),
    consumes=(ContractRegistered, NoticeReceived, ExportRequested),
    decide=decide,
    wakes_at=lambda state: state.look_again_at,
    policy=None,
)
SERVICE = Service(DOMAIN)
