"""Decides when a contract ends: notices in time or late (P1), the end of the period (P2), dates announced (P12)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from msgspec.structs import replace

from shared.contracts import ending_of, later
from shared.decision import Decided, Decision, Domain, Ignored, Input, Overdue, Premature, Woke
from shared.events.event import Event
from shared.events.notice import ContractTerminated
from shared.events.platform import ContractRegistered, NoticeReceived, NoticeWithdrawn

from .announcements import announce, next_moment
from .calendar import Terms, period_at
from .contract import at_end, covered, left, terms_of, under, withdrawn
from .judging import accepted, counting_notice, flaw, objection, rejected, unheard
from .policy import NoticePolicy
from .states import ContractState, Ended, Known, Leaving, Notice, States, Unknown

State: TypeAlias = Unknown | Known
# Any: each reaction takes the one type of event that it stands under in the table.
Reaction: TypeAlias = Callable[[Known, Any, datetime, NoticePolicy], Decision[State]]


def domain(policy: NoticePolicy) -> Domain[State, NoticePolicy]:
    """Give the notice service as the machine runs it, under *policy*."""
    return Domain(
        name="notice",
        states=States,
        initial=Unknown(),
        consumes=tuple(REACTIONS),
        decide=decide,
        wakes_at=wakes_at,
        policy=policy,
    )


def decide(state: State, given: Input, now: datetime, policy: NoticePolicy) -> Decision[State]:
    """Decide what follows from *given*."""
    if isinstance(given, Woke):
        return woke(_known(state, ""), now, policy)
    event = given.event if isinstance(given, Overdue) else given
    known = _known(state, event.customer_id)
    decision = REACTIONS[type(event)](known, event, now, policy)
    if isinstance(given, Overdue) and isinstance(decision, Premature):
        return overdue(known, event)
    return decision


def contract_registered(
    state: Known, event: ContractRegistered, now: datetime, policy: NoticePolicy
) -> Decision[State]:
    """Take on a contract or a newer revision of it; its dates are worked out anew."""
    terms, known = terms_of(event), _find(state, event.contract_id)
    if known is not None and known.terms is not None and known.terms.revision >= terms.revision:
        return Ignored("an older revision")
    return Decided(_with(state, under(terms, known, now), now, policy))


def notice_received(state: Known, event: NoticeReceived, now: datetime, policy: NoticePolicy) -> Decision[State]:
    """Answer a notice, once: accepted with its dates, or rejected with the reason and the earliest end (P1)."""
    if (event.contract_id, event.notice_id) in state.answered:
        return Ignored("the notice was answered already")
    known = _find(state, event.contract_id)
    if known is None or known.terms is None:
        return Premature("the contract is not known yet", now + policy.unknown_contract_wait)
    follows, answer = _judge(known, known.terms, event, now)
    return Decided(_with(_answered(state, event), follows, now, policy), (answer,))


def notice_withdrawn(state: Known, event: NoticeWithdrawn, now: datetime, policy: NoticePolicy) -> Decision[State]:
    """Undo a notice that was taken back before the contract's end."""
    known = _find(state, event.contract_id)
    if isinstance(known, Leaving) and event.notice_id in {one.notice_id for one in (known.notice, *known.standby)}:
        if event.withdrawn_at >= known.terminates_at:
            return Ignored("withdrawn after the contract's end")
        return Decided(_with(state, withdrawn(known, event, now), now, policy))
    if (event.contract_id, event.notice_id) in state.answered:
        return Ignored("the contract has ended" if isinstance(known, Ended) else "the notice does not count")
    return Premature("the notice is not known yet", now + policy.unknown_notice_wait)


def contract_terminated(
    state: Known, event: ContractTerminated, now: datetime, policy: NoticePolicy
) -> Decision[State]:
    """Take note that a contract is over, as another service said; our own event comes back here too."""
    known, ending = _find(state, event.contract_id), ending_of(event)
    if known is None:
        return Decided(_with(state, Ended(event.contract_id, ending), now, policy))
    if isinstance(known, Ended) and later(known.ending, ending) == known.ending:
        return Ignored("known to be over")
    if known.terms is not None and not covered(ending, known.terms):
        return Ignored("the end of an earlier period")
    return Decided(_with(state, Ended(event.contract_id, ending, known.terms, counting_notice(known)), now, policy))


# Who reacts to what. The events that this service reads are the keys.
REACTIONS: dict[type[Event], Reaction] = {
    ContractRegistered: contract_registered,
    NoticeReceived: notice_received,
    NoticeWithdrawn: notice_withdrawn,
    ContractTerminated: contract_terminated,
}


def woke(state: Known, now: datetime, policy: NoticePolicy) -> Decision[State]:
    """Carry out whatever is due: ends of periods first, then announcements."""
    contracts: list[ContractState] = []
    events: list[Event] = []
    for known in state.contracts:
        follows, ended = at_end(state.customer_id, known, now)
        follows, announced = announce(state.customer_id, follows, now, policy)
        contracts.append(follows)
        events += [*ended, *announced]
    return Decided(_with_wake(state, tuple(contracts), now, policy), tuple(events))


def overdue(state: Known, event: Event) -> Decision[State]:
    """Answer what has waited in vain."""
    if not isinstance(event, NoticeReceived):
        return Ignored("no such notice")
    ended = _find(state, event.contract_id) is not None
    return Decided(_answered(state, event), (unheard(event, ended=ended),))


def wakes_at(state: State) -> datetime | None:
    """Tell when the next of the customer's dates comes: an announcement or an end."""
    return None if isinstance(state, Unknown) else state.wakes_at


def _judge(known: ContractState, terms: Terms, event: NoticeReceived, now: datetime) -> tuple[ContractState, Event]:
    # What we hold in our hands was received by now, whatever its sender's clock says.
    received_at = min(event.received_at, now)
    notice = Notice(event.notice_id, received_at, period_at(terms, received_at))
    reason = objection(known, terms, event.channel, received_at)
    if reason is None:
        follows = left(known, terms, notice, now)
        return follows, accepted(event, terms, follows, notice)
    answer = rejected(event, terms, known, reason, received_at)
    if isinstance(known, Leaving) and flaw(terms, event.channel, received_at) is None:
        return replace(known, standby=(*known.standby, notice)), answer
    return known, answer


def _with(state: Known, news: ContractState, now: datetime, policy: NoticePolicy) -> Known:
    contract_id = _id(news)
    others = [known for known in state.contracts if _id(known) != contract_id]
    return _with_wake(state, tuple(sorted([*others, news], key=_id)) if others else (news,), now, policy)


def _with_wake(state: Known, contracts: tuple[ContractState, ...], now: datetime, policy: NoticePolicy) -> Known:
    moments = [next_moment(known, now, policy) for known in contracts if not isinstance(known, Ended)]
    return replace(state, contracts=contracts, wakes_at=min(moments, default=None))


def _known(state: State, customer_id: str) -> Known:
    return Known(customer_id) if isinstance(state, Unknown) else state


def _find(state: Known, contract_id: str) -> ContractState | None:
    return next((known for known in state.contracts if _id(known) == contract_id), None)


def _id(known: ContractState) -> str:
    return known.contract_id if isinstance(known, Ended) else known.terms.contract_id


def _answered(state: Known, event: NoticeReceived) -> Known:
    return replace(state, answered=(*state.answered, (event.contract_id, event.notice_id)))
