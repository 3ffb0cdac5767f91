"""What the notice service may answer: its own pure decisions over every order in which its topics can be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from services.notice.domain import State
from services.notice.policy import NoticePolicy
from shared.advance import Case, arrive, wake
from shared.decision import Domain, Fact
from shared.events.event import Event
from tests.chaos.history import ENDS_AT, READ_AT

Said: TypeAlias = tuple[str, Event]
# By topic: what is published, in order, each as id and event; the time at which it was decided is not compared.
Course: TypeAlias = dict[str, tuple[Said, ...]]


@dataclass(frozen=True)
class Model:
    """The service's *domain*; events are read at ``READ_AT``, then all that is due until ``ENDS_AT`` is carried out."""

    domain: Domain[State, NoticePolicy]

    def courses(self, lanes: Mapping[str, Sequence[Fact]]) -> list[Course]:
        """Give every course that one customer's case may take; Kafka keeps the order within each of *lanes*."""
        customer = next((lane[0].event.customer_id for lane in lanes.values() if lane), "")
        return list(self._from(customer, Case(self.domain.initial), tuple(map(tuple, lanes.values())), ()))

    def _from(
        self, customer: str, case: Case[State], lanes: tuple[tuple[Fact, ...], ...], owed: tuple[Fact, ...]
    ) -> Iterator[Course]:
        if not any(lanes):
            yield _by_topic((*owed, *wake(self.domain, case, customer, ENDS_AT).owed))
        for place, lane in enumerate(lanes):
            if lane:
                step = arrive(self.domain, case, lane[0], READ_AT)
                rest = (*lanes[:place], lane[1:], *lanes[place + 1 :])
                yield from self._from(customer, step.case, rest, owed + step.owed)


def _by_topic(facts: Iterable[Fact]) -> Course:
    course: dict[str, list[Said]] = defaultdict(list)
    for fact in facts:
        course[fact.event.type()].append((fact.id, fact.event))
    return {topic: tuple(said) for topic, said in course.items()}
