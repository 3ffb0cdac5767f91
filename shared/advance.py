"""How one customer's case moves on: the pure heart of the machine, the same under Postgres and under simulation."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from .decision import Decided, Decision, Domain, Fact, Input, Outcome, Overdue, Premature, Task, Woke
from .events.event import Event
from .identity import derived

S = TypeVar("S")
P = TypeVar("P")

# A case that still wants to be woken at once after this many decisions would spin for ever.
_MOST_STEPS = 1000
# An event that waits is part of the case's row, so their number is bounded; the next one is buried.
MOST_WAITING = 100


class Waiting(Struct, frozen=True):
    """An event that came too early: *until* when it waits, and for what."""

    fact: Fact
    until: datetime
    reason: str


class Case(Struct, Generic[S], frozen=True):
    """One customer's row: the service's *state*, how often it was decided upon, and what came too early."""

    state: S
    revision: int = 0
    waiting: tuple[Waiting, ...] = ()


class Ordered(Struct, frozen=True):
    """A task that a decision ordered, under its derived id."""

    id: UUID
    task: Task


class Step(Struct, Generic[S], frozen=True):
    """The case after one arrival, and what follows from it, in order."""

    case: Case[S]
    owed: tuple[Fact, ...] = ()
    tasks: tuple[Ordered, ...] = ()


class PoisonError(Exception):
    """``decide`` failed on *fact* (None: on waking up); the cause says how."""

    def __init__(self, fact: Fact | None, reason: str) -> None:
        super().__init__(reason)
        self.fact = fact
        self.reason = reason


def wakes_at(domain: Domain[S, P], case: Case[S]) -> datetime | None:
    """Tell when *case* has to be looked at again: its state's own moment, or the end of the first wait."""
    own = domain.wakes_at(case.state)
    if not case.waiting:
        return own
    moments = [waiting.until for waiting in case.waiting]
    if own is not None:
        moments.append(own)
    return min(moments, default=None)


def arrive(domain: Domain[S, P], case: Case[S], fact: Fact, now: datetime) -> Step[S]:
    """Take one event into *case*, then offer again whatever was waiting for the change that it made.

    Raises ``PoisonError`` if ``decide`` fails, naming the event that it failed on.
    """
    decision = _decide(domain, case.state, fact.event, now, fact.event.customer_id, fact)
    if isinstance(decision, Decided):
        follows = Case(decision.state, case.revision + 1, case.waiting)
        step = Step(follows, *_ordered(domain.name, decision, fact, now))
        return _offer_again(domain, step, now) if case.waiting else step
    if isinstance(decision, Premature):
        return Step(_wait(case, Waiting(fact, decision.until, decision.reason)))
    return Step(case)


def wake(domain: Domain[S, P], case: Case[S], customer_id: str, now: datetime) -> Step[S]:
    """Carry out whatever of *case* is due at *now*: the ends of waits, then the state's own deadlines, in order."""
    step = Step(case)
    for waiting in case.waiting:
        if waiting.until <= now:
            step = _answer_overdue(domain, step, waiting, now)
    for _ in range(_MOST_STEPS):
        due = domain.wakes_at(step.case.state)
        if due is None or due > now:
            return step
        cause = f"{domain.name}/{customer_id}/woke/{step.case.revision}"
        decision = _decide(domain, step.case.state, Woke(), now, customer_id)
        if not isinstance(decision, Decided):
            raise PoisonError(None, f"woken at {due.isoformat()}, but decided nothing")
        step = _follow(domain, step, decision, cause, now)
        if step.case.waiting:
            step = _offer_again(domain, step, now)
    raise PoisonError(None, "still due after a thousand decisions")


def _decide(
    domain: Domain[S, P], state: S, given: Input, now: datetime, customer_id: str, fact: Fact | None = None
) -> Decision[S]:
    try:
        decision = domain.decide(state, given, now, domain.policy)
        if isinstance(decision, Decided):
            # A state that can't tell its moment must not be saved: nobody could load, wake or change it again.
            domain.wakes_at(decision.state)
    # The boundary of promise 3: whatever a decision raises is that one event's fault, and is buried with it.
    # Outages can't come from here, since decide does no I/O.
    except Exception as error:
        raise PoisonError(fact, _reason(error)) from error
    if isinstance(decision, Decided):
        for said in decision.events:
            _check_owner(said, customer_id, fact)
        for task in decision.tasks:
            _check_owner(task, customer_id, fact)
    return decision


def _check_owner(one: Event | Task, customer_id: str, fact: Fact | None) -> None:
    if one.customer_id != customer_id:
        raise PoisonError(fact, "decided something about another customer")


def _reason(error: Exception) -> str:
    # The message of an exception may quote a value; its type and place may not.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f" in {trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}"
    return f"{type(error).__name__}{place}"


def _cause(fact: Fact) -> str:
    # An id is unique within its source only.
    return f"{fact.source}\x1f{fact.id}"


def _follow(domain: Domain[S, P], step: Step[S], decided: Decided[S], cause: Fact | str, now: datetime) -> Step[S]:
    case = Case(decided.state, step.case.revision + 1, step.case.waiting)
    owed, tasks = _ordered(domain.name, decided, cause, now)
    return Step(case, (*step.owed, *owed), (*step.tasks, *tasks))


def _ordered(
    name: str, decided: Decided[S], cause: Fact | str, now: datetime
) -> tuple[tuple[Fact, ...], tuple[Ordered, ...]]:
    """Give what a decision owes and orders, under ids that follow from its *cause*."""
    events, tasks = decided.events, decided.tasks
    if not events and not tasks:
        return (), ()
    why = cause if isinstance(cause, str) else _cause(cause)
    source = f"/offramp/{name}"
    owed = [Fact(derived(name, why, event.type(), place), source, now, event) for place, event in enumerate(events)]
    ordered = [Ordered(UUID(derived(name, why, task.kind(), place)), task) for place, task in enumerate(tasks)]
    return tuple(owed), tuple(ordered)


def _offer_again(domain: Domain[S, P], step: Step[S], now: datetime) -> Step[S]:
    """Offer what waits until a whole round changes nothing; each change takes one away, so this ends."""
    changed = bool(step.case.waiting)
    while changed:
        changed = False
        for waiting in step.case.waiting:
            fact = waiting.fact
            decision = _decide(domain, step.case.state, fact.event, now, fact.event.customer_id, fact)
            if isinstance(decision, Premature):
                continue
            step = _without(step, waiting)
            if isinstance(decision, Decided):
                step = _follow(domain, step, decision, fact, now)
                changed = True
                break
    return step


def _answer_overdue(domain: Domain[S, P], step: Step[S], waiting: Waiting, now: datetime) -> Step[S]:
    if waiting not in step.case.waiting:
        return step
    fact = waiting.fact
    decision = _decide(domain, step.case.state, Overdue(fact.event), now, fact.event.customer_id, fact)
    step = _without(step, waiting)
    if isinstance(decision, Premature):
        raise PoisonError(fact, "its time was up, and it was told to wait again")
    if isinstance(decision, Decided):
        return _offer_again(domain, _follow(domain, step, decision, fact, now), now)
    return step


def _wait(case: Case[S], waiting: Waiting) -> Case[S]:
    if isinstance(waiting.fact.event, Outcome):
        # It is never published, so its row could not be read again; the task stays and is tried again instead.
        raise PoisonError(waiting.fact, "an outcome can't wait")
    if len(case.waiting) >= MOST_WAITING:
        raise PoisonError(waiting.fact, f"{MOST_WAITING} events of this customer wait already")
    return replace(case, waiting=(*case.waiting, waiting))


def _without(step: Step[S], waiting: Waiting) -> Step[S]:
    kept = tuple(other for other in step.case.waiting if other is not waiting)
    return replace(step, case=replace(step.case, waiting=kept))


def without(case: Case[S], fact: Fact) -> Case[S]:
    """Take a buried *fact* out of what waits."""
    return replace(case, waiting=tuple(waiting for waiting in case.waiting if waiting.fact is not fact))
