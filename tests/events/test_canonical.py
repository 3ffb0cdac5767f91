"""The short way in gives what the long way gives, or leaves it to the long way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.decision import Fact
from shared.events.canonical import headers_of
from shared.events.catalogue import EVENTS
from shared.events.envelope import Record, Unreadable, _read_canonical, _read_general, write, write_value
from tests.events.event_strategies import any_fact


def written(fact: Fact) -> Record:
    value, headers = write(fact)
    return Record(fact.event.type(), 0, 0, 0, fact.event.customer_id.encode(), value, headers)


def short(record: Record) -> Fact | None:
    return _read_canonical(record, record.topic, EVENTS[record.topic])


def long(record: Record) -> Fact | str:
    try:
        return _read_general(record, record.topic, EVENTS[record.topic])
    except Unreadable as error:
        return error.reason


@settings(deadline=None)
@given(any_fact())
def test_what_we_write_takes_the_short_way(fact: Fact) -> None:
    """Every event that we write is read the short way, as the long way reads it."""
    record = written(fact)

    assert short(record) == long(record) == fact


@settings(deadline=None)
@given(any_fact())
def test_headers_follow_from_the_value(fact: Fact) -> None:
    """An event's headers need not be kept: its value tells them."""
    assert (write_value(fact), headers_of(write_value(fact))) == write(fact)


@st.composite
def spoilt(draw: st.DrawFn) -> Record:
    """Give an event of ours in which a piece of the value, a header, the key or the topic is another's."""
    record, other = written(draw(any_fact())), written(draw(any_fact()))
    assert record.value is not None
    assert other.value is not None
    at, length = draw(st.integers(0, len(record.value))), draw(st.integers(0, 12))
    piece = draw(st.binary(max_size=12) | st.just(b'"id":"twice",') | st.just(other.value[at : at + length]))
    ways: dict[str, Any] = {
        "value": record.value[:at] + piece + record.value[at + length :],
        "headers": draw(st.permutations(record.headers + other.headers))[: draw(st.integers(0, 9))],
        "key": other.key,
        "topic": other.topic,
    }
    changed = draw(st.sets(st.sampled_from(sorted(ways)), min_size=1))
    parts = {name: getattr(record, name) for name in record.__struct_fields__}
    return Record(**(parts | {name: tuple(ways[name]) if name == "headers" else ways[name] for name in changed}))


@settings(deadline=None)
@given(spoilt())
def test_nothing_else_gets_in(record: Record) -> None:
    """Whatever was changed, the short way takes nothing that the long way would turn down or read otherwise."""
    fact = short(record)

    assert fact is None or fact == long(record)


def told(subject: str, data: str) -> Record:
    value = (
        '{"specversion":"1.0","id":"i","source":"/s","type":"NoticeWithdrawn",'
        f'"subject":"{subject}","time":"2026-11-22T12:00:00Z","datacontenttype":"application/json",'
        f'"dataschema":"urn:offramp:NoticeWithdrawn:v1","data":{data}}}'
    ).encode()
    return Record("NoticeWithdrawn", 0, 0, 0, None, value, headers_of(value))


DATA = '"customer_id":"acme","contract_id":"k","notice_id":"n","withdrawn_at":"2026-11-22T12:00:00Z"'


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (told("acme", f'{{"customer_id":"other",{DATA}}}'), "a key is given twice"),
        (told("other", f"{{{DATA}}}"), "subject: disagrees with customer_id"),
        (told("acme", f"{{{DATA.replace('2026', '20x6')}}}"), "withdrawn_at"),
    ],
)
def test_what_is_wrong_is_left_to_the_long_way(record: Record, reason: str) -> None:
    """A key given twice, another customer's subject, a field that can't be: the long way says what it is."""
    assert short(record) is None
    assert reason in str(long(record))
