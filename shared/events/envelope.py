"""How an event travels over Kafka: CloudEvents 1.0, or plain JSON by hand, in; a CloudEvent with repeated headers out.

Sources: CloudEvents 1.0.2, its JSON format, and its Kafka protocol binding.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from pydantic import ValidationError

from ..decision import Fact
from ..identity import derived
from ..moments import iso
from .canonical import Envelope, Headers, canonical, encode, is_id, repeated
from .catalogue import EVENTS, INSTRUCTIONS
from .event import Event, Instruction
from .reasons import reason
from .strict_json import NotStrictJSONError, dump, parse
from .versions import VersionError, read_any, read_former, schema_name, version_of

M = TypeVar("M", Event, Instruction)
_ATTRIBUTES = ("specversion", "id", "source", "type", "subject", "time", "dataschema")
_HEADERS = {f"ce_{attribute}": attribute for attribute in _ATTRIBUTES}
_REQUIRED = ("specversion", "id", "source", "type")
_REQUIRED_HEADERS = frozenset(f"ce_{attribute}" for attribute in _REQUIRED)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Record(msgspec.Struct, frozen=True):
    """What came from Kafka; *timestamp_ms* counts from 1970 in UTC and is negative if there is none."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Unreadable(Exception):  # noqa: N818 - it is a fate of a record, not a fault of the program
    """The record is no event of this language; *reason* names what is wrong by its path and quotes no value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read(record: Record, topic_prefix: str = "") -> Fact:
    """Read *record* as the event that its topic is named after.

    An event without an id gets one derived from topic, key, timestamp and value: a replay of the topic is the
    same event again, a second message is another. Raises ``Unreadable`` and nothing else.
    """
    name, model = _named(EVENTS, record.topic, topic_prefix)
    fact = _read_canonical(record, name, model)
    return _read_general(record, name, model) if fact is None else fact


def _read_canonical(record: Record, name: str, model: type[Event]) -> Fact | None:
    """Read what was written as we write it; None if it wasn't, or if there is anything wrong with it."""
    found = canonical(record.value, record.headers)
    if found is None:
        return None
    envelope, data = found
    if envelope.type != name or envelope.dataschema != schema_name(model):
        return None
    try:
        # model_validate_json without its 0.3 µs of checks for arguments that aren't given.
        event = model.__pydantic_validator__.validate_json(data)
        moment = _moment(envelope.time)
    except (ValidationError, msgspec.ValidationError, OverflowError):
        return None
    owner = event.customer_id
    if moment is None or envelope.subject != owner or (record.key is not None and record.key != owner.encode()):
        return None
    return Fact(envelope.id, envelope.source, moment, event)


def _read_general(record: Record, name: str, model: type[Event]) -> Fact:
    attributes, data = _opened(record, name)
    event = _read_as(model, attributes.get("dataschema"), data)
    _check_owner(record.key, attributes, event.customer_id, "customer_id")
    moment = _time(attributes.get("time"), record.timestamp_ms)
    return Fact(attributes["id"], attributes["source"], moment, event)


def read_instruction(record: Record, topic_prefix: str = "") -> Instruction:
    """Read *record* as an operator's instruction, keyed by the service; raises ``Unreadable`` and nothing else."""
    name, model = _named(INSTRUCTIONS, record.topic, topic_prefix)
    attributes, data = _opened(record, name)
    instruction = _read_as(model, attributes.get("dataschema"), data)
    _check_owner(record.key, attributes, instruction.service, "service")
    return instruction


def write(fact: Fact) -> tuple[bytes, Headers]:
    """Give the value and the headers of a structured CloudEvent; the record's key is the event's ``customer_id``."""
    envelope = _enveloping(fact)
    return encode(envelope), repeated(envelope)


def write_value(fact: Fact) -> bytes:
    """Give the value alone: ``canonical.headers_of`` it gives the headers."""
    return encode(_enveloping(fact))


def _enveloping(fact: Fact) -> Envelope:
    event = fact.event
    # model_dump_json without its checks for arguments that aren't given.
    data = msgspec.Raw(event.__pydantic_serializer__.to_json(event, exclude_none=True))
    name, schema = event.type(), schema_name(type(event))
    return Envelope(
        "1.0", fact.id, fact.source, name, event.customer_id, iso(fact.time), "application/json", schema, data
    )


def headers_to_keep(record: Record, topic_prefix: str = "") -> Headers:
    """Give the headers under which *record* can be written again, later, and is the same event.

    Plain JSON is identified by its timestamp too, which a second writing changes: so its id and time are
    written down. A reader that it was no trouble to has seen that id, and ignores it.
    """
    given = {name for name, _ in record.headers}
    try:
        if not given.isdisjoint(_REQUIRED_HEADERS) or _enveloped(record, _document(record.value)):
            return record.headers
        missing = {} if "ce_time" in given else {"time": iso(_time(None, record.timestamp_ms))}
    except Unreadable:
        # It will be so again, under whatever headers.
        return record.headers
    missing |= _derived(record, record.topic.removeprefix(topic_prefix))
    return (*record.headers, *((f"ce_{name}", text.encode()) for name, text in missing.items()))


def _named(models: Mapping[str, type[M]], topic: str, prefix: str) -> tuple[str, type[M]]:
    name = topic.removeprefix(prefix)
    model = models.get(name) if topic.startswith(prefix) else None
    if model is None:
        raise Unreadable("topic: not one of this language")
    return name, model


def _opened(record: Record, name: str) -> tuple[dict[str, Any], object]:
    """Give the CloudEvents attributes and the data, whichever of the three ways they came."""
    document = _document(record.value)
    if _enveloped(record, document):
        _check_repeated(record.headers, document)
        attributes = document
        data = _decoded(document["data_base64"]) if "data_base64" in document else document.get("data")
    else:
        attributes, data = _headed(record.headers), document
        if attributes.keys().isdisjoint(_REQUIRED):
            attributes |= _derived(record, name)
    _check(attributes, name)
    return attributes, data


def _document(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise Unreadable("no value")
    try:
        return parse(value)
    except NotStrictJSONError as error:
        why = f"value: {error}"
    raise Unreadable(why)


def _headed(headers: Headers) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for name, value in headers:
        attribute = _HEADERS.get(name)
        if attribute is None:
            continue
        # Kafka has headers without a value; clients hand them over as None.
        text = (value or b"").decode(errors="replace")
        if attributes.setdefault(attribute, text) != text:
            raise Unreadable(f"{name}: given twice")
    return attributes


def _enveloped(record: Record, document: dict[str, Any]) -> bool:
    # A tool that drops headers loses nothing: an envelope is known by its own specversion.
    return "specversion" in document or any(
        name.lower() == "content-type" and (value or b"").lower().startswith(b"application/cloudevents")
        for name, value in record.headers
    )


def _check_repeated(headers: Headers, document: dict[str, Any]) -> None:
    for name, value in headers:
        attribute = _HEADERS.get(name)
        # One moment may be written in several ways; the others can't.
        if attribute is None or attribute == "time":
            continue
        told = document.get(attribute)
        if not isinstance(told, str) or told.encode() != value:
            raise Unreadable(f"{name}: disagrees with the envelope")


def _decoded(data: object) -> object:
    # Some libraries write data that they were given as bytes in this way, whatever the bytes mean.
    try:
        return parse(b64decode(data if isinstance(data, str) else "", validate=True))
    except ValueError:
        pass
    raise Unreadable("data_base64: must be a JSON object in base64")


def _derived(record: Record, name: str) -> dict[str, str]:
    key, value = (record.key or b"").decode(errors="replace"), (record.value or b"").decode()
    identity = derived("plain", name, key, record.timestamp_ms, value)
    return {"specversion": "1.0", "id": str(identity), "source": f"/kafka/{name}", "type": name}


def _check(attributes: dict[str, Any], name: str) -> None:
    """Turn down what CloudEvents requires and is missing, and an id that has room for more than an id."""
    if attributes.get("specversion") != "1.0":
        raise Unreadable("specversion: must be 1.0")
    if attributes.get("type") != name:
        raise Unreadable(f"type: must be that of the topic, {name}")
    for one in ("id", "source"):
        if not is_id(attributes.get(one)):
            raise Unreadable(f"{one}: must be 1 to 255 printable ASCII characters without spaces and @")


def _read_as(model: type[M], schema: object, data: object) -> M:
    if not isinstance(data, dict):
        raise Unreadable("data: must be an object")
    try:
        if schema is None:
            # As one writes by hand, and as tools do that were written when another version was today's.
            return read_any(model, data, dump(data))
        version = model.version if schema == schema_name(model) else version_of(schema, model)
        if version == model.version:
            # model_validate_json without its 0.3 µs of checks for arguments that aren't given.
            current: M = model.__pydantic_validator__.validate_json(dump(data))
            return current
        return read_former(model, version, dump(data))
    except VersionError as error:
        why = f"dataschema: {error}"
    except ValidationError as error:
        why = reason(model, error)
    # Raised out here, so that no chained exception carries the values into a log.
    raise Unreadable(why)


def _check_owner(key: bytes | None, attributes: dict[str, Any], owner: str, field: str) -> None:
    """Turn down an event that two parts of the record ascribe to two customers."""
    if key is not None and key != owner.encode():
        raise Unreadable(f"key: disagrees with {field}")
    if attributes.get("subject") not in (None, owner):
        raise Unreadable(f"subject: disagrees with {field}")


def _time(text: object, timestamp_ms: int) -> datetime:
    if text is None and timestamp_ms < 0:
        raise Unreadable("time: missing, and the record has no timestamp")
    try:
        if text is None:
            return _EPOCH + timedelta(milliseconds=timestamp_ms)
        moment = _moment(text)
        if moment is not None:
            return moment
    except (msgspec.ValidationError, OverflowError):
        pass
    raise Unreadable("time: must be a moment with a time zone (RFC 3339)")


def _moment(text: object) -> datetime | None:
    moment = msgspec.convert(text, datetime)
    return None if moment.tzinfo is None else moment.astimezone(UTC)
