"""What a batch of arrivals comes to: pure, so that Postgres and the simulation carry out the very same thing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from .advance import Case, Ordered, PoisonError, Step, arrive, wake, without
from .decision import Domain, Fact
from .events.envelope import Record

S = TypeVar("S")
P = TypeVar("P")


class Arrival(Struct, frozen=True):
    """A fact and the record that it was read from; None for what never was in Kafka (a task's outcome)."""

    fact: Fact
    record: Record | None = None


class Done(Struct, frozen=True):
    """What became of a task that was performed under *lease*."""

    task_id: UUID
    lease: UUID
    outcome: Fact


class Buried(Struct, frozen=True):
    """An arrival that made the code fail, or a record that can't be read: *reason* names no value."""

    reason: str
    record: Record | None
    fact: Fact | None


@dataclass(slots=True)
class Settlement(Generic[S]):
    """All that one transaction writes: the changed cases, and, in order, what is owed, ordered and buried."""

    cases: dict[str, Case[S]] = field(default_factory=dict)
    owed: list[Fact] = field(default_factory=list)
    tasks: list[Ordered] = field(default_factory=list)
    buried: list[Buried] = field(default_factory=list)
    # What became of each arrival that was not buried: decided, ignored or waits.
    fates: list[tuple[Fact, str]] = field(default_factory=list)
    # Customers whose waking failed, and why; tried again later.
    stuck: dict[str, str] = field(default_factory=dict)

    def take(self, customer_id: str, step: Step[S]) -> None:
        """Add what one step came to."""
        self.cases[customer_id] = step.case
        if step.owed:
            self.owed.extend(step.owed)
        if step.tasks:
            self.tasks.extend(step.tasks)


def settle(
    domain: Domain[S, P],
    cases: Mapping[str, Case[S]],
    arrivals: Iterable[Arrival],
    now: datetime,
    lost: Mapping[str, str] = MappingProxyType({}),
) -> Settlement[S]:
    """Decide on *arrivals* in order; whatever fails is buried alone, and what comes behind it goes on.

    *lost*: the customers whose case can't be read, and why; what arrives for them is buried.
    """
    settlement: Settlement[S] = Settlement()
    for arrival in arrivals:
        customer_id = arrival.fact.event.customer_id
        if customer_id in lost:
            settlement.buried.append(Buried(lost[customer_id], arrival.record, arrival.fact))
            continue
        case = settlement.cases.get(customer_id)
        before = cases[customer_id] if case is None else case
        _settle_one(domain, settlement, before, arrival, now)
    return settlement


def settle_wakes(domain: Domain[S, P], cases: Mapping[str, Case[S]], now: datetime) -> Settlement[S]:
    """Wake every case in *cases*; one that fails is marked as stuck and holds up no other."""
    settlement: Settlement[S] = Settlement()
    for customer_id, case in cases.items():
        _wake_one(domain, settlement, case, customer_id, now)
    return settlement


def wake_due(domain: Domain[S, P], settlement: Settlement[S], now: datetime) -> None:
    """Wake those cases of *settlement* that are due at *now*; one that fails is left as it was settled, and stuck."""
    for customer_id, case in list(settlement.cases.items()):
        _wake_one(domain, settlement, case, customer_id, now)


def _settle_one(
    domain: Domain[S, P], settlement: Settlement[S], case: Case[S], arrival: Arrival, now: datetime
) -> None:
    customer_id = arrival.fact.event.customer_id
    while True:
        try:
            step = arrive(domain, case, arrival.fact, now)
        except PoisonError as poison:
            if poison.fact is None or poison.fact is arrival.fact:
                settlement.buried.append(Buried(poison.reason, arrival.record, arrival.fact))
                return
            # Something that was waiting failed on the new state: bury that, and take the arrival in without it.
            settlement.buried.append(Buried(poison.reason, None, poison.fact))
            case = without(case, poison.fact)
            settlement.cases[customer_id] = case
        else:
            settlement.fates.append((arrival.fact, _fate(case, step.case)))
            if step.case is not case:
                settlement.take(customer_id, step)
            return


def _fate(before: Case[S], after: Case[S]) -> str:
    if after is before:
        return "ignored"
    return "waits" if after.revision == before.revision else "decided"


def _wake_one(domain: Domain[S, P], settlement: Settlement[S], case: Case[S], customer_id: str, now: datetime) -> None:
    while True:
        try:
            settlement.take(customer_id, wake(domain, case, customer_id, now))
        except PoisonError as poison:
            if poison.fact is None:
                settlement.cases.setdefault(customer_id, case)
                settlement.stuck[customer_id] = poison.reason
                return
            settlement.buried.append(Buried(poison.reason, None, poison.fact))
            case = without(case, poison.fact)
            settlement.cases[customer_id] = case
        else:
            return
