"""What a service decides with: pure values in, pure values out; no clock, no I/O, no randomness.

A service's ``domain.py`` is one ``Domain``: its states, the events that it reads, and

    decide(state, input, now, policy) -> Decided | Ignored | Premature

where the input is an ``Event`` (or the ``Outcome`` of a task), ``Woke`` or ``Overdue``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct

from .events.event import Event
from .events.vocabulary import CustomerId, Value

S = TypeVar("S")
P = TypeVar("P")


class Fact(Struct, frozen=True):
    """An event as it was published: *source* and *id* together identify it (CloudEvents 1.0), *time* is UTC."""

    id: str
    source: str
    time: datetime
    event: Event


class Woke(Struct, frozen=True):
    """The moment that ``wakes_at(state)`` named has come; *now* tells which deadlines have passed."""


class Overdue(Struct, frozen=True):
    """An event that came too early has waited as long as its ``Premature`` said: answer it with a reason."""

    event: Event


class Task(Value):
    """Work for the performer that takes minutes or touches the outside; begun again after a crash, so idempotent."""

    customer_id: CustomerId

    @classmethod
    def kind(cls) -> str:
        """Name the task as its row in the table does."""
        return cls.__name__


class Outcome(Event):
    """What became of a task: read by the same service's ``decide`` only, never published."""


Input: TypeAlias = Event | Woke | Overdue


class Decided(Struct, Generic[S], frozen=True):
    """Something follows: the new *state*, the *events* to publish in order, the *tasks* to perform."""

    state: S
    events: tuple[Event, ...] = ()
    tasks: tuple[Task, ...] = ()


class Ignored(Struct, frozen=True):
    """Not news: nothing changes, for *reason*; the third fate beside waiting and being buried."""

    reason: str


class Premature(Struct, frozen=True):
    """Too early to say: the event waits, visibly, and is offered again whenever the state changes, *until* then."""

    reason: str
    until: datetime


Decision: TypeAlias = Decided[S] | Ignored | Premature


@dataclass(frozen=True)
class Domain(Generic[S, P]):
    """All that the machine has to know of a service.

    *states*: the union of the service's frozen ``msgspec.Struct``s, told apart by a tag field ``kind``, since
    they are loaded and saved with every decision (docs/decisions/0006-states-as-structs.md).
    *initial*: the state of a customer never heard of.
    *wakes_at*: the next moment (UTC) at which the state wants ``Woke``, or None; recomputed after every
    decision, so a moved deadline is a changed column and nothing is ever cancelled.
    """

    name: str
    states: object
    initial: S
    consumes: tuple[type[Event], ...]
    decide: Callable[[S, Input, datetime, P], Decision[S]]
    wakes_at: Callable[[S], datetime | None]
    policy: P
    tasks: tuple[type[Task], ...] = ()
