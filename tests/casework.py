"""One customer's case in a service, carried through time: the machine's pure heart with a movable clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from shared.advance import Case, Step, arrive, wake, wakes_at
from shared.decision import Domain, Fact, Outcome, Task
from shared.events.event import Event
from shared.statecodec import StateCodec

E = TypeVar("E", bound=Event)


class Casework:
    """Tell it events, let time pass; it keeps what was published and ordered, and when.

    Every state is written as in its row and read again on the way, as between two transactions.
    """

    def __init__(
        self,
        domain: Domain[Any, Any],
        now: datetime,
        customer_id: str = "acme",
        answer: Callable[[Event, datetime], Event | None] = lambda _, __: None,
    ) -> None:
        self.domain = domain
        # What the world around answers at once to what is published.
        self.answer = answer
        self.now = now
        self.customer_id = customer_id
        self.case: Case[Any] = Case(domain.initial)
        self.published: list[tuple[datetime, Event]] = []
        self.ordered: list[tuple[datetime, Task]] = []
        self._states: StateCodec[Any] = StateCodec(domain.states)
        self._heard = 0

    def tell(self, *events: Event) -> None:
        """Let *events* arrive now, in this order."""
        for event in events:
            self._heard += 1
            self._take(arrive(self.domain, self.case, Fact(str(self._heard), "/test", self.now, event), self.now))

    def until(self, moment: datetime) -> None:
        """Let time pass until *moment*, waking the case whenever it wants to be woken."""
        while (due := wakes_at(self.domain, self.case)) is not None and due <= moment:
            self.now = max(self.now, due)
            self._take(wake(self.domain, self.case, self.customer_id, self.now))
        self.now = max(self.now, moment)

    def perform(self, performer: Callable[[Task], Outcome | None]) -> None:
        """Perform the tasks ordered so far, and those that their outcomes lead to, until none is left."""
        while self.ordered:
            _, task = self.ordered.pop(0)
            outcome = performer(task)
            if outcome is not None:
                self.tell(outcome)
            self.until(self.now)

    def all(self, kind: type[E]) -> list[E]:
        """Give what was published of one type of event."""
        return [event for _, event in self.published if isinstance(event, kind)]

    def one(self, kind: type[E]) -> E:
        """Give the only event of a type that was published."""
        (event,) = self.all(kind)
        return event

    def when(self, kind: type[Event]) -> list[datetime]:
        """Tell when events of one type were published."""
        return [moment for moment, event in self.published if isinstance(event, kind)]

    @property
    def state(self) -> Any:
        """Give the service's state; its type is each service's own."""
        return self.case.state

    def _take(self, step: Step[Any]) -> None:
        stored = self._states.load(self._states.dump(step.case.state))
        assert stored == step.case.state
        self.case = Case(stored, step.case.revision, step.case.waiting)
        self.published += [(self.now, fact.event) for fact in step.owed]
        self.ordered += [(self.now, ordered.task) for ordered in step.tasks]
        for fact in step.owed:
            told = self.answer(fact.event, self.now)
            if told is not None:
                self.tell(told)


def at(text: str, zone: str = "Europe/Stockholm") -> datetime:
    """Read a local date and time as the moment (UTC) that it is in *zone*."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
