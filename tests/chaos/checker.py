"""Judges what a service published by what was said to it, in the manner of Jepsen's checker for Kafka."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from shared.decision import Fact
from shared.events.event import Event
from shared.events.notice import ContractTerminated, NoticeAccepted, NoticeRejected
from shared.events.platform import NoticeReceived
from tests.chaos.history import History
from tests.chaos.model import Course, Model

Kind: TypeAlias = Literal["lost", "doubled", "out of order", "without cause", "wrong outcome"]


@dataclass(frozen=True)
class Anomaly:
    """Something that must not be: its *kind*, and *what* of which customer."""

    kind: Kind
    customer: str
    what: str


def judge(history: History, published: Iterable[Fact], model: Model) -> list[Anomaly]:
    """Find every anomaly in *published*: all of the service's topics, each partition in its order.

    The same id twice is a redelivery, which is permitted; only its first occurrence counts.
    """
    said = history.by_customer()
    heard = _first_occurrences(published)
    return [anomaly for customer in sorted({*said, *heard}) for anomaly in _of(customer, said, heard, model)]


def _of(
    customer: str, said: Mapping[str, Mapping[str, Sequence[Fact]]], heard: Mapping[str, Course], model: Model
) -> list[Anomaly]:
    lanes, course = said.get(customer, {}), heard.get(customer, {})
    notices = [fact.event for fact in lanes.get(NoticeReceived.type(), ())]
    asked = [event.notice_id for event in notices if isinstance(event, NoticeReceived)]
    checks: tuple[tuple[Kind, Iterable[str]], ...] = (
        ("lost", _lost(asked, course)),
        ("doubled", _doubled(course)),
        ("out of order", _out_of_order(asked, course)),
        ("without cause", _without_cause(asked, course)),
    )
    found = [Anomaly(kind, customer, what) for kind, whats in checks for what in whats]
    # What was named already needs no second name.
    return found or [Anomaly("wrong outcome", customer, what) for what in _wrong(course, model.courses(lanes))]


def _first_occurrences(published: Iterable[Fact]) -> dict[str, Course]:
    """Give each customer's course, as the first occurrences of each id show it."""
    heard: dict[str, dict[str, dict[str, Event]]] = defaultdict(lambda: defaultdict(dict))
    for fact in published:
        heard[fact.event.customer_id][fact.event.type()].setdefault(fact.id, fact.event)
    return {
        customer: {topic: tuple(events.items()) for topic, events in topics.items()}
        for customer, topics in heard.items()
    }


def _answers(course: Course) -> Iterator[tuple[str, str]]:
    """Give notice and answer's id of all answers."""
    for _, event_id, event in _all(course):
        if isinstance(event, NoticeAccepted | NoticeRejected):
            yield event.notice_id, event_id


def _lost(asked: Sequence[str], course: Course) -> list[str]:
    answered = {notice_id for notice_id, _ in _answers(course)}
    return [f"notice {notice_id} has no answer" for notice_id in asked if notice_id not in answered]


def _doubled(course: Course) -> Iterator[str]:
    ids: dict[str, set[str]] = defaultdict(set)
    for notice_id, event_id in _answers(course):
        ids[f"notice {notice_id}"].add(event_id)
    for topic, event_id, event in _all(course):
        if not isinstance(event, NoticeAccepted | NoticeRejected):
            ids[f"{topic} {event!r}"].add(event_id)
    return (f"{what}: {len(found)} times" for what, found in ids.items() if len(found) > 1)


def _out_of_order(asked: Sequence[str], course: Course) -> Iterator[str]:
    """Compare with the order in which one topic gave the notices to the service, and in which it decided them."""
    for topic, said in course.items():
        told = [event.notice_id for _, event in said if isinstance(event, NoticeAccepted | NoticeRejected)]
        known = [notice_id for notice_id in dict.fromkeys(told) if notice_id in asked]
        if known != sorted(known, key=asked.index):
            yield f"{topic}: {', '.join(known)}"


def _without_cause(asked: Sequence[str], course: Course) -> Iterator[str]:
    for topic, _, event in _all(course):
        if isinstance(event, NoticeAccepted | NoticeRejected) and event.notice_id not in asked:
            yield f"{topic}: nobody gave the notice {event.notice_id}"
        if isinstance(event, ContractTerminated) and not asked:
            yield f"{topic}: nobody gave notice"


def _wrong(course: Course, permitted: Sequence[Course]) -> list[str]:
    if course in permitted:
        return []
    return [f"published {course}, but in no order of reading does anything follow but one of {permitted}"]


def _all(course: Course) -> Iterator[tuple[str, str, Event]]:
    return ((topic, event_id, event) for topic, said in course.items() for event_id, event in said)
