"""How events travel: three ways in, one way out, and nothing unreadable gets through or breaks the reader."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from event_strategies import any_fact, facts
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.decision import Fact
from shared.events.catalogue import EVENTS, INSTRUCTIONS
from shared.events.envelope import Record, Unreadable, headers_to_keep, read, read_instruction, write
from shared.events.operators import ServicePaused
from shared.events.platform import ContractRegistered, NoticeReceived

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)
NOTICE = {
    "customer_id": "acme",
    "contract_id": "k-1",
    "notice_id": "n-1",
    "channel": "email",
    "received_at": "2026-11-25T12:00:00Z",
}
CONTRACT = {
    "customer_id": "acme",
    "contract_id": "k-1",
    "revision": 1,
    "period_start": "2026-01-01",
    "period_end": "2026-12-31",
    "time_zone": "Europe/Stockholm",
    "renewal": {"kind": "automatic", "months": 12},
    "notice_days": 30,
    "notice_channels": ["email"],
}
FACT = Fact("id-1", "/support", NOON, NoticeReceived.model_validate(NOTICE))
ENVELOPE = json.loads(write(FACT)[0])
BINARY = (("ce_specversion", b"1.0"), ("ce_id", b"id-1"), ("ce_source", b"/support"), ("ce_type", b"NoticeReceived"))


def record(value: Any, headers: tuple[tuple[str, bytes], ...] = (), **changes: Any) -> Record:
    """Give a record of NoticeReceived whose value is JSON, or the bytes as they are."""
    text = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return replace(Record("NoticeReceived", 0, 7, NOON_MS, b"acme", text, headers), **changes)


def why(arrived: Record) -> str:
    with pytest.raises(Unreadable) as caught:
        read(arrived)
    return caught.value.reason


# The three ways in


def test_plain_json_without_headers_is_an_event() -> None:
    """What a console producer sends is as good as a CloudEvent; its time is the record's."""
    fact = read(record(NOTICE))

    assert fact.event == FACT.event
    assert (fact.time, fact.source) == (NOON, "/kafka/NoticeReceived")


def test_headers_of_others_leave_plain_json_plain() -> None:
    """Tracing headers and a content type of JSON make no CloudEvent of it."""
    headers = (("traceparent", b"00-1-2-01"), ("content-type", b"application/json"), ("empty", b""))

    assert read(record(NOTICE, headers)).event == FACT.event


def test_a_binary_cloud_event_has_its_attributes_in_headers() -> None:
    """The headers give id, source and time; the value is the data alone."""
    headers = (*BINARY, ("ce_time", b"2026-11-25T13:00:00+01:00"), ("ce_subject", b"acme"))

    assert read(record(NOTICE, headers, timestamp_ms=0)) == FACT


def test_a_structured_cloud_event_loses_nothing_with_its_headers() -> None:
    """A tool that drops headers, or writes only the content type, leaves the event as it was."""
    content_type = (("Content-Type", b"application/cloudevents+json"),)

    assert read(record(ENVELOPE)) == FACT
    assert read(record(ENVELOPE, content_type)) == FACT


def test_data_in_base64_is_read() -> None:
    """Some CloudEvents libraries write JSON data this way when it was given to them as bytes."""
    envelope = {name: value for name, value in ENVELOPE.items() if name != "data"}
    envelope["data_base64"] = base64.b64encode(json.dumps(NOTICE).encode()).decode()

    assert read(record(envelope)) == FACT


def test_a_prefix_of_the_topic_is_no_part_of_the_type() -> None:
    """Several installations can share one Kafka; another installation's topic is not ours."""
    assert read(record(NOTICE, topic="test.NoticeReceived"), "test.").event == FACT.event
    with pytest.raises(Unreadable, match="topic"):
        read(record(NOTICE), "test.")


def test_unknown_fields_and_attributes_are_ignored() -> None:
    """A newer producer may say more than an older reader knows, at every level."""
    envelope = ENVELOPE | {"traceparent": "00-1", "data": NOTICE | {"added": {"later": [1, 2]}}}

    assert read(record(envelope)) == FACT


# What we write


@settings(max_examples=20, deadline=None)
@given(st.data())
@pytest.mark.parametrize("name", sorted(EVENTS))
def test_what_is_written_is_read_again(name: str, data: st.DataObject) -> None:
    """Every event of every type comes back equal, with and without its headers."""
    fact = data.draw(facts(EVENTS[name]))
    value, headers = write(fact)
    arrived = Record(name, 0, 0, 0, fact.event.customer_id.encode(), value, headers)

    assert read(arrived) == fact
    assert read(replace(arrived, headers=())) == fact


def test_the_headers_repeat_the_envelope() -> None:
    """A tool that looks at headers only sees what one sees that looks at the value only."""
    value, headers = write(FACT)
    envelope = json.loads(value)

    repeated = {name: text.decode() for name, text in headers if name.startswith("ce_")}
    assert repeated == {f"ce_{name}": envelope[name] for name in envelope.keys() - {"data", "datacontenttype"}}
    assert dict(headers)["content-type"] == b"application/cloudevents+json; charset=UTF-8"
    assert envelope["dataschema"] == "urn:offramp:NoticeReceived:v1"


# The id


def test_a_redelivery_of_plain_json_is_the_same_event() -> None:
    """A replay of the topic, even on another partition or through another prefix, makes the same id."""
    again = read(record(NOTICE, topic="mirror.NoticeReceived", partition=3, offset=9000), "mirror.")

    assert again == read(record(NOTICE))


def test_a_second_plain_message_is_another_event() -> None:
    """Said again later, said of another thing, or said under another key: each is an event of its own."""
    others = (
        record(NOTICE, timestamp_ms=NOON_MS + 1),
        record(NOTICE | {"notice_id": "n-2"}),
        record(NOTICE, key=None),
    )

    assert len({read(one).id for one in (record(NOTICE), *others)}) == 4


def test_a_plain_message_that_is_put_back_later_is_the_same_event() -> None:
    """One service buried it, the others took it: written again with a new timestamp, it is no news to them."""
    first = record(NOTICE, (("traceparent", b"00-1"),))
    again = replace(first, headers=headers_to_keep(first), timestamp_ms=NOON_MS + 60_000, offset=99)

    assert read(again) == read(first)
    assert ("traceparent", b"00-1") in again.headers


@pytest.mark.parametrize("value", [ENVELOPE, NOTICE, b"\xff", None], ids=["structured", "binary", "not JSON", "none"])
def test_what_has_an_id_or_never_will_is_put_back_as_it_was(value: Any) -> None:
    """Only the identity of plain JSON hangs on its timestamp."""
    first = record(value, () if value is ENVELOPE else BINARY)

    assert headers_to_keep(first) == first.headers


# What is turned down


@pytest.mark.parametrize(
    ("arrived", "reason"),
    [
        (record(None), "no value"),
        (record(NOTICE, topic="Gossip"), "topic: not one of this language"),
        (record({**NOTICE, "customer_id": None}), "customer_id: must be a string"),
        (record(NOTICE, key=b"other"), "key: disagrees with customer_id"),
        (record(NOTICE, key=b"\xff"), "key: disagrees with customer_id"),
        (record(NOTICE, (*BINARY, ("ce_subject", b"other"))), "subject: disagrees with customer_id"),
        (record(NOTICE, BINARY[:3]), "type: must be that of the topic, NoticeReceived"),
        (record(NOTICE, (*BINARY, ("ce_id", b"id-2"))), "ce_id: given twice"),
        (record(NOTICE, BINARY[1:]), "specversion: must be 1.0"),
        (record(NOTICE, (("content-type", b"application/cloudevents+json"),)), "specversion: must be 1.0"),
        (record(ENVELOPE | {"specversion": "0.3"}), "specversion: must be 1.0"),
        (record(ENVELOPE | {"type": "ExportRequested"}), "type: must be that of the topic, NoticeReceived"),
        (record(ENVELOPE, (*BINARY[:1], ("ce_id", b"id-2"))), "ce_id: disagrees with the envelope"),
        (record(ENVELOPE, (("ce_type", b"ExportRequested"),)), "ce_type: disagrees with the envelope"),
        (record(ENVELOPE | {"data": [1]}), "data: must be an object"),
        (record(ENVELOPE | {"data": None, "data_base64": "!"}), "data_base64: must be a JSON object in base64"),
        (record(NOTICE, timestamp_ms=-1), "time: missing, and the record has no timestamp"),
        (record(ENVELOPE | {"time": "2026-11-25T12:00:00"}), "time: must be a moment with a time zone (RFC 3339)"),
        (record(ENVELOPE | {"time": 1_700_000_000}), "time: must be a moment with a time zone (RFC 3339)"),
        (record(NOTICE, timestamp_ms=2**62), "time: must be a moment with a time zone (RFC 3339)"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_is_no_event_is_turned_down_with_the_reason(arrived: Record, reason: str) -> None:
    """A record that contradicts itself, or says too little, goes to the dead letters and says why."""
    assert why(arrived) == reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "value: not JSON (Input data was truncated)"),
        (b"[]", "value: not a JSON object"),
        (b'\xef\xbb\xbf{"a":1}', "value: not JSON (JSON is malformed: invalid character (byte 0))"),
        (b'{"a":"\xff"}', "value: not UTF-8"),
        (b'{"a":NaN}', "value: not JSON (JSON is malformed: invalid character (byte 5))"),
        (b'{"a":1e400}', "value: not JSON (Number out of range - at `$[...]`)"),
        (b'{"a":' + b"[" * 100_000, "value: nested too deeply"),
        (b'{"a":1,"a":2}', "value: a key is given twice"),
        (b'{"a":{"b" :1, "\\u0062": 1}}', "value: a key is given twice"),
        (b" " * 2_000_000, "value: longer than 1048588 bytes"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_json_that_could_be_read_in_two_ways_is_turned_down(value: bytes, reason: str) -> None:
    """Two readers never see two different events in the same bytes."""
    assert why(record(value)) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"renewal": {"kind": "automatic"}}, "renewal.months: field required"),
        ({"renewal": {"kind": "x@y"}}, "renewal: of no known kind"),
        ({"renewal": 3}, "renewal: must be an object"),
        ({"notice_channels": ["email", "x@y"]}, "notice_channels[1]: must match ^[a-z][a-z0-9_-]{0,47}$"),
        ({"notice_days": "x@y"}, "notice_days: must be an integer"),
        ({"notice_days": True}, "notice_days: must be an integer"),
        ({"notice_days": -1}, "notice_days: must be at least 0"),
        ({"revision": 2**53}, "revision: must be at most 9007199254740991"),
        ({"time_zone": "x@y"}, "time_zone: must be an IANA time zone, as Europe/Stockholm"),
        ({"period_end": "x@y"}, "period_end: must be written out, as 2026-01-31 or 2026-01-31T12:00:00Z"),
        ({"period_end": "86400"}, "period_end: must be written out, as 2026-01-31 or 2026-01-31T12:00:00Z"),
        ({"period_end": "1700006400"}, "period_end: must be written out, as 2026-01-31 or 2026-01-31T12:00:00Z"),
        ({"period_end": 86400}, "period_end: must be written out, as 2026-01-31 or 2026-01-31T12:00:00Z"),
        ({"period_end": "2026-02-30"}, "period_end: must be a date, as 2026-01-31"),
        ({"contract_id": 1, "revision": 0}, "contract_id: must be a string; revision: must be at least 1"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_every_wrong_field_is_named_by_its_path_and_none_is_quoted(changes: dict[str, Any], reason: str) -> None:
    """A dead letter says what to mend, and holds nothing of what somebody wrote into the wrong field."""
    assert why(record(CONTRACT | changes, topic="ContractRegistered")) == reason


def test_a_missing_field_is_named() -> None:
    """The event's field, not a line number."""
    assert why(record({"contract_id": "k-1"}, key=None)).startswith("customer_id: field required; notice_id: ")


def test_seconds_since_1970_are_no_moment() -> None:
    """Nor are they when they are written as text; whether they were milliseconds can't be told."""
    for seconds in (1_700_000_000, "1700000000"):
        assert why(record(NOTICE | {"received_at": seconds})).startswith("received_at: must be written out")


def test_many_wrong_fields_are_counted() -> None:
    """A reason stays short, whatever arrives."""
    reason = why(record(CONTRACT | {"notice_channels": [0] * 1000}, topic="ContractRegistered"))

    assert reason.endswith("; and 990 more")
    assert len(reason) < 1000


def test_an_unreadable_record_carries_no_exception_that_quotes_it() -> None:
    """A log that writes the chain of exceptions still shows nothing of the value."""
    with pytest.raises(Unreadable) as caught:
        read(record(NOTICE | {"contract_id": "Ann Example"}))

    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_moment_that_leaves_the_calendar_is_turned_down() -> None:
    """The year 9999 in a zone behind UTC is no moment that Python can hold."""
    assert why(record(NOTICE | {"received_at": "9999-12-31T23:59:59-12:00"})) == (
        "received_at: must lie in the years 1 to 9999"
    )


# Versions


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("urn:offramp:NoticeReceived:v2", "dataschema: version 2 is newer than 1, the newest known here"),
        ("urn:offramp:ExportReady:v1", "dataschema: must be urn:offramp:NoticeReceived:v and a version"),
        ("urn:offramp:NoticeReceived:v0", "dataschema: must be urn:offramp:NoticeReceived:v and a version"),
        ("urn:offramp:NoticeReceived:v" + "9" * 5000, "dataschema: must be urn:offramp:NoticeReceived:v and a version"),
        (["urn"], "dataschema: must be urn:offramp:NoticeReceived:v and a version"),
    ],
    ids=["newer", "another event", "no version", "endless", "no text"],
)
def test_a_version_that_is_not_known_is_turned_down(schema: object, reason: str) -> None:
    """An older service never guesses what a newer event means."""
    assert why(record(ENVELOPE | {"dataschema": schema})) == reason


def test_without_a_schema_todays_version_is_meant() -> None:
    """Somebody who writes by hand names no schema, in all three ways."""
    envelope = {name: value for name, value in ENVELOPE.items() if name != "dataschema"}

    assert read(record(envelope)) == FACT


# Instructions


def test_an_instruction_is_read_as_an_operator_types_it() -> None:
    """Plain JSON keyed by the service's name, or without a key."""
    value = {"service": "exporter", "because": "store_full"}
    paused = record(value, topic="ServicePaused", key=b"exporter")

    assert read_instruction(paused) == ServicePaused(service="exporter", because="store_full")
    assert read_instruction(replace(paused, key=None)) == read_instruction(paused)
    with pytest.raises(Unreadable, match="key: disagrees with service"):
        read_instruction(replace(paused, key=b"notice"))


def test_an_instruction_is_no_event_and_an_event_no_instruction() -> None:
    """Each kind is read by its own reader only."""
    with pytest.raises(Unreadable, match="topic"):
        read(record({"service": "exporter"}, topic="ServiceResumed"))
    with pytest.raises(Unreadable, match="topic"):
        read_instruction(record(NOTICE))


# Anything

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes().map(str)
_JSON = st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
_HEADER_NAMES = st.sampled_from([*(name for name, _ in write(FACT)[1]), "Content-Type", "x"])
_HEADERS = st.lists(st.tuples(_HEADER_NAMES, st.binary() | st.sampled_from([b"1.0", b"acme"]) | st.none()))


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """Give a good event with one thing in it replaced by anything: a field, an attribute, or a byte."""
    envelope = json.loads(write(draw(any_fact()))[0])
    part = envelope if draw(st.booleans()) else envelope["data"]
    part[draw(st.sampled_from([*part, "data_base64"]))] = draw(_JSON)
    text = bytearray(json.dumps(envelope).encode())
    for _ in range(draw(st.integers(0, 2))):
        text[draw(st.integers(0, len(text) - 1))] = draw(st.integers(0, 255))
    return bytes(text)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(sorted({**EVENTS, **INSTRUCTIONS})),
    st.binary() | _JSON.map(lambda value: json.dumps(value).encode()) | bent(),
    _HEADERS,
    st.none() | st.binary(max_size=8),
    st.integers(-(2**63), 2**63 - 1),
)
def test_any_bytes_are_a_fact_or_unreadable(
    topic: str, value: bytes, headers: list[Any], key: bytes | None, timestamp_ms: int
) -> None:
    """Nothing that arrives can raise anything else, so nothing can stop the partition that it came by."""
    arrived = Record(topic, 0, 0, timestamp_ms, key, value, tuple(headers))

    assert set(headers_to_keep(arrived)) >= set(arrived.headers)
    for reader, kind in ((read, Fact), (read_instruction, INSTRUCTIONS.get(topic, Fact))):
        with suppress(Unreadable):
            assert isinstance(reader(arrived), kind)


@settings(max_examples=300, deadline=None)
@given(any_fact().flatmap(lambda fact: st.tuples(st.just(fact), st.just(json.loads(write(fact)[0])))), st.data())
def test_one_thing_replaced_is_read_or_unreadable(drawn: tuple[Fact, dict[str, Any]], data: st.DataObject) -> None:
    """A good event with a wrong field under its own topic is turned down, or read as what it says."""
    fact, envelope = drawn
    part = data.draw(st.sampled_from([envelope, envelope["data"]]))
    part[data.draw(st.sampled_from(sorted(part)))] = data.draw(_JSON)
    arrived = Record(fact.event.type(), 0, 0, 0, None, json.dumps(envelope).encode(), ())

    with suppress(Unreadable):
        assert read(arrived).event.type() == fact.event.type()


def test_a_contract_is_read_with_its_renewal() -> None:
    """The kinds of renewal are told apart by ``kind``."""
    fact = read(record(CONTRACT, topic="ContractRegistered"))

    assert isinstance(fact.event, ContractRegistered)
    assert fact.event.renewal.kind == "automatic"
