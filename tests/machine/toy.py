"""A toy service for the machine's tests: a purse that counts, waits, rings, works, and breaks on demand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal

import msgspec
from msgspec.structs import replace

from shared.decision import Decided, Decision, Domain, Fact, Ignored, Input, Outcome, Overdue, Premature, Task, Woke
from shared.events.envelope import Record, write
from shared.events.event import Event
from shared.events.vocabulary import Count, Moment, Ref
from shared.settlement import Arrival

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
# What must never show up in a dead letter's reason.
SECRET = "anna@school.example"


class Earned(Event):
    """The purse has *amount* more; told as ``Balanced``."""

    amount: Count


class Spent(Event):
    """Too early while there is not enough; *breaks* makes it fail once there is."""

    amount: Count
    breaks: bool = False


class Alarmed(Event):
    """Ring at *at*; *breaks* says how the ringing fails."""

    at: Moment
    breaks: Literal["no", "decide", "database", "silence", "spin"] = "no"


class Broken(Event):
    """``decide`` fails on it."""


class Unstorable(Event):
    """Decided upon, but the state that follows is none that the database takes."""


class Endless(Event):
    """Decided upon, but nobody can tell when its state wants to be woken."""


class Misdirected(Event):
    """What follows from it would be another customer's."""


class Irrelevant(Event):
    """Never news."""


class JobWanted(Event):
    """Orders one ``Job`` named *name*."""

    name: Ref


class Balanced(Event):
    """What there is, and how often something was earned or spent."""

    amount: Count
    turn: Count


class Refused(Event):
    """There was not enough, all the time that it could wait."""

    amount: Count


class Rang(Event):
    """The alarm's moment has come."""

    at: Moment


class JobFinished(Event):
    """The job named *name* was done."""

    name: Ref


class Job(Task):
    """Work called *name*."""

    name: Ref


class JobDone(Outcome):
    """The outcome; ``decide`` fails on "bad" and finds "early" premature, the database rejects "unstorable"."""

    name: Ref


TOYS = (Earned, Spent, Alarmed, Broken, Unstorable, Endless, Misdirected, Irrelevant, JobWanted, Balanced, Refused,
        Rang, JobFinished)  # fmt: skip


class Purse(msgspec.Struct, frozen=True, tag_field="kind", tag="purse"):
    """How much, after how many turns, and when to ring."""

    amount: int = 0
    turns: int = 0
    alarm: datetime | None = None
    breaks: str = "no"
    mark: str = ""


def decide(state: Purse, given: Input, now: datetime, policy: None) -> Decision[Purse]:
    """Decide, or break as told."""
    match given:
        case Earned(amount=amount):
            return _balanced(given.customer_id, state, amount)
        case Spent(amount=amount, breaks=breaks):
            if amount > state.amount:
                return Premature("not enough yet", now + HOUR)
            if breaks:
                raise ValueError(SECRET)
            return _balanced(given.customer_id, state, -amount)
        case Overdue(event=Spent(customer_id=customer_id, amount=amount, breaks=breaks)):
            if breaks:
                raise ValueError(SECRET)
            return Decided(state, (Refused(customer_id=customer_id, amount=amount),))
        case Alarmed(at=at, breaks=breaks, customer_id=customer_id):
            return Decided(replace(state, alarm=at, breaks=breaks, mark=customer_id))
        case Woke():
            return _rung(state)
        case JobWanted(customer_id=customer_id, name=name):
            return Decided(state, (), (Job(customer_id=customer_id, name=name),))
        case JobDone():
            return _job_done(state, given, now)
    return _broken(state, given)


def _balanced(customer_id: str, state: Purse, more: int) -> Decided[Purse]:
    purse = replace(state, amount=state.amount + more, turns=state.turns + 1)
    return Decided(purse, (Balanced(customer_id=customer_id, amount=purse.amount, turn=purse.turns),))


def _rung(state: Purse) -> Decision[Purse]:
    assert state.alarm is not None
    if state.breaks == "decide":
        raise ValueError(SECRET)
    if state.breaks == "silence":
        return Ignored("asleep")
    if state.breaks == "spin":
        return Decided(state)
    rung = replace(state, alarm=None, mark="\0" if state.breaks == "database" else "")
    return Decided(rung, (Rang(customer_id=state.mark, at=state.alarm),))


def _job_done(state: Purse, given: JobDone, now: datetime) -> Decision[Purse]:
    if given.name == "bad":
        raise ValueError(SECRET)
    if given.name == "early":
        return Premature("not now", now + HOUR)
    if given.name == "unstorable":
        return Decided(replace(state, mark="\0"))
    if given.name.startswith("earn"):
        return _balanced(given.customer_id, state, 10)
    return Decided(state, (JobFinished(customer_id=given.customer_id, name=given.name),))


def _broken(state: Purse, given: Input) -> Decision[Purse]:
    match given:
        case Broken():
            raise ValueError(SECRET)
        case Unstorable():
            return Decided(replace(state, mark="\0"))
        case Endless():
            return Decided(replace(state, breaks="endless"))
        case Misdirected():
            return Decided(state, (Rang(customer_id="somebody-else", at=NOON),))
    return Ignored("irrelevant")


def wakes_at(state: Purse) -> datetime | None:
    """Give the alarm's moment."""
    if state.breaks == "endless":
        raise OverflowError
    return state.alarm


PURSE: Domain[Purse, None] = Domain(
    name="purse",
    states=Purse,
    initial=Purse(),
    consumes=(Earned, Spent, Alarmed, Broken, Unstorable, Endless, Misdirected, Irrelevant, JobWanted),
    decide=decide,
    wakes_at=wakes_at,
    policy=None,
    tasks=(Job,),
)

_ids, _offsets = count(), count()


def fact(event: Event, event_id: str | None = None, source: str = "/test") -> Fact:
    """Publish *event*, under an id of its own unless one is given."""
    return Fact(event_id or f"event-{next(_ids)}", source, NOON, event)


def record_of(given: Fact, offset: int | None = None) -> Record:
    """Give the record that carries *given*, at an offset of its own unless one is given."""
    value, headers = write(given)
    place = next(_offsets) if offset is None else offset
    key = given.event.customer_id.encode()
    return Record(given.event.type(), 0, place, 1_700_000_000_000, key, value, (*headers, ("trace", b"\xff\x00")))


def arrival(given: Fact | Event, offset: int | None = None) -> Arrival:
    """Let *given* arrive."""
    known = given if isinstance(given, Fact) else fact(given)
    return Arrival(known, record_of(known, offset))
