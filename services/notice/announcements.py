"""Which dates of a contract the customer is told beforehand (P12), when the next one is due, and when one has moved."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from shared.announcing import Deadline, DeadlineName, announcement, next_call
from shared.days import local_day
from shared.events.event import Event
from shared.events.notice import DeadlineApproaching
from shared.events.platform import CustomerInformed

from .calendar import end_of
from .contract import ends_at, goes_on
from .grounds.table import WITH_TRANSITION
from .policy import NoticePolicy
from .rules import AnnounceBefore
from .states import ContractState, Ended, Evidence, Leaving, Promise, Running, Told, contract_id_of
from .workdays import before as days_before

_INSTANT = timedelta(microseconds=1)
# Two names for the day after which there is no service: a contract has one of them at a time.
_ENDS: frozenset[DeadlineName] = frozenset(("period_end", "transition_end"))


def announce(
    customer_id: str, known: ContractState, now: datetime, policy: NoticePolicy
) -> tuple[ContractState, tuple[Event, ...]]:
    """Make the announcements that are owed *now*, and remember them."""
    told, events = known.told, []
    for deadline in deadlines(known, policy, now):
        event = announcement(customer_id, deadline, told.ids, now)
        if event is not None:
            events.append(event)
            told = _promised(replace(told, ids=(*told.ids, event.announcement_id)), deadline.name, event.due_at)
    return replace(known, told=told), tuple(events)


def next_moment(known: ContractState, now: datetime, policy: NoticePolicy) -> datetime | None:
    """Tell when *known* has to be looked at again: for an announcement, or at its end; None if never."""
    first = _own_end(known)
    for deadline in deadlines(known, policy, now):
        call = next_call(deadline, known.told.ids, now)
        if call is not None and (first is None or call < first):
            first = call
    return first


def told_by_answer(known: ContractState, now: datetime, policy: NoticePolicy) -> ContractState:
    """Remember that the customer was told by an answer when its contract ends, in place of what it was told before.

    A deadline for notice isn't told by an answer, so what was told of it before counts no more.
    """
    # Most often the contract goes on: it has no end to be told.
    dates = () if isinstance(known, Running) and goes_on(known.terms) else deadlines(known, policy, now)
    promises = tuple([Promise(one.name, one.due_at) for one in dates if one.name in _ENDS])
    return known if promises == known.told.promises else replace(known, told=replace(known.told, promises=promises))


def changes(
    customer_id: str, known: ContractState, now: datetime, policy: NoticePolicy
) -> tuple[ContractState, tuple[Event, ...]]:
    """Announce at once each date that is another one than the customer was last told, if neither has passed.

    A deadline for notice that notice has made pointless is nothing to tell, nor is the date of a contract that is over.
    """
    if not known.told.promises or (isinstance(known, Ended) and known.ending.terminated_at <= now):
        return known, ()
    current, events = deadlines(known, policy, now), []
    told = replace(known.told, promises=())
    for promise in known.told.promises:
        follows = next((one for one in current if _alike(one.name, promise.deadline)), None)
        told, changed = _kept(told, promise, follows, now)
        if changed:
            event = _change(customer_id, contract_id_of(known), promise, follows, told.changes + 1)
            events.append(event)
            told = _announced_change(told, event, now)
    return replace(known, told=told), tuple(events)


def informed(known: ContractState, event: CustomerInformed) -> ContractState | None:
    """Keep what became of an announcement as evidence; None if it isn't one of this contract's, or known."""
    told = known.told
    news = Evidence(event.announcement_id, event.channel, event.outcome, event.informed_at)
    if event.announcement_id not in told.ids:
        return None
    others = [one for one in told.evidence if one.announcement_id != event.announcement_id]
    same = [one for one in told.evidence if one.announcement_id == event.announcement_id]
    # Of several outcomes the one that says most counts: delivered, and the first of those.
    best = min([*same, news], key=lambda one: (one.outcome != "delivered", one.informed_at, one.channel))
    kept = tuple(sorted([*others, best], key=lambda one: one.announcement_id))
    return None if kept == told.evidence else replace(known, told=replace(told, evidence=kept))


def deadlines(known: ContractState, policy: NoticePolicy, now: datetime) -> tuple[Deadline, ...]:
    """Give the dates that matter: a deadline for notice while none was given, an end if there will be one."""
    if isinstance(known, Running):
        return _running(known, policy.rules_of(known.terms.rules).announce_before)
    if isinstance(known, Leaving):
        return (_leaving(known, policy.rules_of(known.notice.rules).announce_before),)
    ending = known.ending
    if ending.terminated_at <= now:
        return ()
    last_day = local_day(ending.terminated_at - _INSTANT, ending.zone)
    days = policy.in_force.announce_before.period_end
    return (Deadline(known.contract_id, "period_end", last_day, ending.zone, days, _told_at(known, "period_end")),)


def _running(known: Running, before: AnnounceBefore) -> tuple[Deadline, ...]:
    terms, period = known.terms, known.period
    end = end_of(terms, period)
    if end is None:
        return ()
    subject, zone, last_day = terms.contract_id, terms.zone, days_before(terms.notice, end)
    at = _told_at(known, "notice_deadline")
    notice = Deadline(subject, "notice_deadline", last_day, zone, before.notice_deadline, at)
    if goes_on(terms):
        return (notice,)
    return notice, Deadline(subject, "period_end", end, zone, before.period_end, _told_at(known, "period_end"))


def _leaving(known: Leaving, before: AnnounceBefore) -> Deadline:
    terms = known.terms
    name = _end_name(known)
    days = before.transition_end if name == "transition_end" else before.period_end
    return Deadline(terms.contract_id, name, known.last_day, terms.zone, days, _told_at(known, name))


def _end_name(known: Leaving) -> DeadlineName:
    return "transition_end" if known.notice.ground in WITH_TRANSITION else "period_end"


def _told_at(known: ContractState, name: DeadlineName) -> datetime | None:
    for promise in known.told.promises:
        if promise.deadline == name:
            return promise.told_at
    return None


def _promised(told: Told, name: DeadlineName, due_at: datetime) -> Told:
    others = tuple(one for one in told.promises if not _alike(one.deadline, name))
    return replace(told, promises=(*others, Promise(name, due_at)))


def _alike(one: DeadlineName, other: DeadlineName) -> bool:
    return one == other or (one in _ENDS and other in _ENDS)


def _kept(told: Told, promise: Promise, follows: Deadline | None, now: datetime) -> tuple[Told, bool]:
    """Keep a promise that holds, drop one that is past or pointless; tell whether a change has to be told."""
    if promise.due_at <= now or (follows is None and promise.deadline not in _ENDS):
        return told, False
    if follows is not None and follows.due_at == promise.due_at:
        kept = Promise(follows.name, promise.due_at, promise.told_at)
        return replace(told, promises=(*told.promises, kept)), False
    return told, follows is None or follows.due_at > now


def _change(
    customer_id: str, contract_id: str, promise: Promise, follows: Deadline | None, number: int
) -> DeadlineApproaching:
    if follows is None:
        name, due_at, change, before = promise.deadline, promise.due_at, "cancelled", None
    else:
        name, due_at, change, before = follows.name, follows.due_at, "moved", promise.due_at
    return DeadlineApproaching.model_validate(
        {"customer_id": customer_id, "announcement_id": f"{contract_id}:{name}:changed:{number}", "deadline": name,
         "due_at": due_at, "change": change, "before": before}
    )  # fmt: skip


def _announced_change(told: Told, event: DeadlineApproaching, now: datetime) -> Told:
    promise = Promise(event.deadline, event.due_at, now)
    promises = (*told.promises, promise) if event.change == "moved" else told.promises
    return replace(told, ids=(*told.ids, event.announcement_id), promises=promises, changes=told.changes + 1)


def _own_end(known: ContractState) -> datetime | None:
    """Tell when the contract's period is over; not for an end that another service carries out."""
    return None if isinstance(known, Ended) else ends_at(known)
