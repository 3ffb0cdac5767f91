"""How a case and what it owes are written in the database's rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Generic, TypeAlias, TypeVar

import msgspec
from aiokafka.partitioner import murmur2

from .advance import Case, Waiting, wakes_at
from .decision import Domain, Fact
from .events.canonical import headers_of
from .events.envelope import Record, Unreadable, headers_to_keep, read, write, write_value
from .identity import derived
from .settlement import Buried
from .statecodec import StateCodec

S = TypeVar("S")
P = TypeVar("P")

Headers: TypeAlias = Iterable[tuple[str, bytes | None]]
OUTBOX_COLUMNS = (
    "lane", "id", "aggregatetype", "aggregateid", "type", "payload", "headers", "timestamp_ms", "owed_at",
)  # fmt: skip
OutboxRow: TypeAlias = tuple[int, str, str, str | None, str, bytes | None, str | None, int | None, datetime]


class _WaitingRow(msgspec.Struct):
    type: str
    fact: str
    until: datetime
    reason: str


_waiting_in = msgspec.json.Decoder(list[_WaitingRow])
_json = msgspec.json.Encoder()
_headers_in = msgspec.json.Decoder(list[tuple[str, str | None]])


class CaseUnreadableError(Exception):
    """One customer's row isn't what this release writes; that is this customer's trouble, and nobody else's."""


class CaseRows(Generic[S]):
    """Translate between a service's cases and their rows; states travel as JSON."""

    def __init__(self, domain: Domain[S, P]) -> None:
        self._domain = domain
        self._states: StateCodec[S] = StateCodec(domain.states)

    def case(self, state: str | None, waiting: str | None, revision: int) -> Case[S]:
        """Read a row; a customer never heard of has neither state nor events. Raises ``CaseUnreadableError``."""
        try:
            known = self._domain.initial if state is None else self._states.load(state)
            return Case(known, revision, () if waiting is None else _read_waiting(waiting))
        except (msgspec.MsgspecError, Unreadable) as error:
            # The message may quote what is in the row; its type may not.
            raise CaseUnreadableError(f"the customer's case can't be read: {type(error).__name__}") from None

    def columns(self, case: Case[S]) -> tuple[str, str | None, int, datetime | None]:
        """Write *case* as state, waiting, revision, wakes_at."""
        state = self._states.dump(case.state)
        waiting = _write_waiting(case.waiting) if case.waiting else None
        return state, waiting, case.revision, wakes_at(self._domain, case)


def _read_waiting(text: str) -> tuple[Waiting, ...]:
    return tuple(
        Waiting(read(Record(row.type, 0, 0, 0, None, row.fact.encode(), _STRUCTURED)), row.until, row.reason)
        for row in _waiting_in.decode(text)
    )


def _write_waiting(waiting: tuple[Waiting, ...]) -> str:
    rows = [
        _WaitingRow(one.fact.event.type(), write_value(one.fact).decode(), one.until, one.reason) for one in waiting
    ]
    return _json.encode(rows).decode()


_STRUCTURED = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)


@lru_cache(maxsize=100_000)
def key_hash(customer_id: str) -> int:
    """Hash a key as Kafka's default partitioner does; the partition is the remainder by their number.

    Worked out once per customer and kept in its row: it is pure Python and costs as much as a decision.
    """
    return int(murmur2(customer_id.encode())) & 0x7FFFFFFF


def pack_headers(headers: Headers) -> str:
    """Write headers as one text; their values are bytes, and Latin-1 takes any byte. Kafka also has some without."""
    return _json.encode(
        [(name, None if value is None else value.decode("latin-1")) for name, value in headers]
    ).decode()


def unpack_headers(text: str | None, payload: bytes | None) -> list[tuple[str, bytes | None]]:
    """Read what ``pack_headers`` wrote; where nothing was written *payload* is an event of ours and tells its own."""
    if text is None:
        return list(headers_of(payload or b""))
    return [(name, None if value is None else value.encode("latin-1")) for name, value in _headers_in.decode(text)]


def owed_row(fact: Fact, lane: int, now: datetime) -> OutboxRow:
    """Write an event that is to be published."""
    event = fact.event
    kind = event.type()
    return lane, fact.id, kind, event.customer_id, kind, write_value(fact), None, None, now


def dead_letter_row(buried: Buried, service: str, lane: int, now: datetime) -> OutboxRow:
    """Write a dead letter: the original's bytes, key, time and headers, and why it is here (KIP-1191's names)."""
    record = buried.record or _written_again(buried.fact)
    reason: Headers = (
        ("__dlq.errors.topic", record.topic.encode()),
        ("__dlq.errors.partition", str(record.partition).encode()),
        ("__dlq.errors.offset", str(record.offset).encode()),
        ("__dlq.errors.group", service.encode()),
        ("__dlq.errors.message", buried.reason.encode()),
    )
    key, kept = _written_key(record.key)
    topic = f"dlq.{record.topic}"
    event_id = "" if buried.fact is None else buried.fact.id
    letter_id = derived("buried", service, record.topic, record.partition, record.offset, record.timestamp_ms, event_id)
    packed = pack_headers((*headers_to_keep(record), *reason, *kept))
    return lane, letter_id, topic, key, topic, record.value, packed, record.timestamp_ms, now


def _written_key(key: bytes | None) -> tuple[str | None, tuple[tuple[str, bytes], ...]]:
    """Write a key as text; one with a zero byte, which no text of Postgres can hold, as a header in hexadecimal."""
    if key is not None and b"\0" in key:
        return None, (("__dlq.errors.key", key.hex().encode()),)
    return None if key is None else key.decode("latin-1"), ()


def _written_again(fact: Fact | None) -> Record:
    if fact is None:
        msg = "a dead letter needs a record or an event"
        raise ValueError(msg)
    value, headers = write(fact)
    moment = int(fact.time.timestamp() * 1000)
    return Record(fact.event.type(), -1, -1, moment, fact.event.customer_id.encode(), value, headers)
