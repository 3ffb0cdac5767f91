"""Decides when a contract ends: notices in time or late (P1), the end of the period (P2), dates announced (P12)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from msgspec.structs import replace

from shared.contracts import ending_of
from shared.decision import Decided, Decision, Domain, Ignored, Input, Overdue, Premature, Woke
from shared.events.event import Event
from shared.events.notice import ContractTerminated, WithdrawalAccepted
from shared.events.platform import (
    ContractRegistered,
    CustomerInformed,
    NoticeReceived,
    NoticeWithdrawn,
    SwitchCompleted,
    TransitionProlonged,
)

from . import completing, prolonging, withdrawing
from .announcements import announce, changes, informed, next_moment, told_by_answer
from .calendar import Terms, period_at
from .contract import at_end, facts_of, notices_of, overs_of, standing, still_unknown, with_over
from .judging import (
    FLAWS,
    accepted,
    counting_notice,
    earlier_receipt,
    flaw,
    heard,
    judged,
    objection,
    rejected,
    unheard,
    with_notice,
)
from .policy import NoticePolicy
from .states import Answer, ContractState, Ended, Known, Over, Running, States, Unknown, contract_id_of
from .terms import terms_of

State: TypeAlias = Unknown | Known
# Any: each reaction takes the one type of event that it stands under in the table.
Reaction: TypeAlias = Callable[[Known, Any, datetime, NoticePolicy], Decision[State]]
# How many answers are remembered, the latest: a notice told again later than that is judged again, as what it then is.
_MOST_ANSWERED = 200


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
        return Ignored("nothing is known") if isinstance(state, Unknown) else woke(state, now, policy)
    event = given.event if isinstance(given, Overdue) else given
    known = _known(state, event.customer_id)
    decision = REACTIONS[type(event)](known, event, now, policy)
    if isinstance(given, Overdue) and isinstance(decision, Premature):
        return overdue(known, event, policy)
    return decision


def contract_registered(
    state: Known, event: ContractRegistered, now: datetime, policy: NoticePolicy
) -> Decision[State]:
    """Take on a contract or a newer revision of it; its dates are worked out anew, and a change of them is told."""
    known = _find(state, event.contract_id)
    if known is None:
        terms = terms_of(event, policy)
        return Decided(_with(state, Running(terms, now, period_at(terms, now)), now, policy))
    if known.terms is not None and known.terms.revision >= event.revision:
        return Ignored("an older revision")
    facts = facts_of(known, terms_of(event, policy), now)
    return _changed(state, standing(facts, now, policy), now, policy)


def notice_received(state: Known, event: NoticeReceived, now: datetime, policy: NoticePolicy) -> Decision[State]:
    """Answer a notice, once: accepted with its dates, or rejected with the reason and the earliest end (P1)."""
    known, answer = _find(state, event.contract_id), _answer(state, event.contract_id, event.notice_id)
    if known is None or known.terms is None:
        if answer is not None:
            return Ignored("the notice was answered already")
        return Premature("the contract is not known yet", now + policy.unknown_contract_wait)
    wrong = flaw(known.terms, event, policy)
    if answer is not None and (answer.reason not in FLAWS or wrong is not None):
        return _told_again(state, known, known.terms, event, now, policy)
    if wrong is not None:
        refusal = rejected(event, known.terms, known, wrong, policy, now)
        return Decided(_answered(state, event, wrong), (refusal,))
    return _judge(state, known, known.terms, event, now, policy)


def notice_withdrawn(state: Known, event: NoticeWithdrawn, now: datetime, policy: NoticePolicy) -> Decision[State]:
    """Undo a notice that was taken back before the contract's end, and any other that had been given until then."""
    known, answer = _find(state, event.contract_id), _answer(state, event.contract_id, event.notice_id)
    if known is None or (answer is None and all(one.notice_id != event.notice_id for one in notices_of(known))):
        return Premature("the notice is not known yet", now + policy.unknown_notice_wait)
    follows, said = withdrawing.withdrawn(known, event, now, policy)
    # The answer tells the date, so no change of it has to be announced.
    undone = isinstance(said, WithdrawalAccepted) or (answer is not None and answer.reason in FLAWS)
    told = _answered(state, event, "withdrawn") if undone else state
    return Decided(_with(told, follows, now, policy), (said,))


def transition_prolonged(
    state: Known, event: TransitionProlonged, now: datetime, policy: NoticePolicy
) -> Decision[State]:
    """Let the transition of a switch last longer, if the law lets the one who asks (EU Data Act, art. 25(4), (5))."""
    known, answer = _find(state, event.contract_id), _answer(state, event.contract_id, event.notice_id)
    if known is None or known.terms is None or answer is None or answer.reason in FLAWS:
        return Premature("the notice is not known yet", now + policy.unknown_notice_wait)
    follows, events = prolonging.prolonged(known, known.terms, event, now, policy)
    if not events:
        return Ignored("the prolongation was answered already")
    return Decided(_with(state, follows, now, policy), events)


def switch_completed(state: Known, event: SwitchCompleted, now: datetime, policy: NoticePolicy) -> Decision[State]:
    """Let a switch that has succeeded end the contract before its transition does (EU Data Act, art. 25(2)(c)(i))."""
    known, answer = _find(state, event.contract_id), _answer(state, event.contract_id, event.notice_id)
    if known is None or known.terms is None or answer is None or answer.reason in FLAWS:
        return Premature("the notice is not known yet", now + policy.unknown_notice_wait)
    follows, answers = completing.completed(known, known.terms, event, now, policy)
    if follows is known and not answers:
        return Ignored("known to be complete")
    return _changed(state, follows, now, policy, answers)


def contract_terminated(
    state: Known, event: ContractTerminated, now: datetime, policy: NoticePolicy
) -> Decision[State]:
    """Take note of an end that another service decided on, from its date on; our own events come back here too."""
    known, over = _find(state, event.contract_id), Over(ending_of(event), event.basis)
    if known is None:
        return Decided(_with(state, Ended(event.contract_id, over.ending, over.basis), now, policy))
    if any(one.ending == over.ending for one in overs_of(known)):
        return Ignored("known to be over")
    if known.terms is None:
        return _changed(state, still_unknown(known, over), now, policy)
    facts = replace(facts_of(known, known.terms, known.since or now), overs=with_over(known, over))
    return _changed(state, standing(facts, now, policy), now, policy)


def customer_informed(state: Known, event: CustomerInformed, now: datetime, policy: NoticePolicy) -> Decision[State]:
    """Keep as evidence that an announcement of ours arrived, or didn't (P12)."""
    found = (informed(known, event) for known in state.contracts)
    news = next((one for one in found if one is not None), None)
    if news is None:
        return Ignored("no news of an announcement of ours")
    return Decided(_with(state, news, now, policy))


# Who reacts to what. The events that this service reads are the keys.
REACTIONS: dict[type[Event], Reaction] = {
    ContractRegistered: contract_registered,
    NoticeReceived: notice_received,
    NoticeWithdrawn: notice_withdrawn,
    TransitionProlonged: transition_prolonged,
    SwitchCompleted: switch_completed,
    ContractTerminated: contract_terminated,
    CustomerInformed: customer_informed,
}


def woke(state: Known, now: datetime, policy: NoticePolicy) -> Decision[State]:
    """Carry out whatever is due: ends of periods first, then announcements."""
    contracts: list[ContractState] = []
    events: list[Event] = []
    for known in state.contracts:
        follows, over = at_end(state.customer_id, known, now)
        follows, announced = announce(state.customer_id, follows, now, policy)
        contracts.append(follows)
        events += [*over, *announced]
    return Decided(_with_wake(state, tuple(contracts), now, policy), tuple(events))


def overdue(state: Known, event: Event, policy: NoticePolicy) -> Decision[State]:
    """Answer what has waited in vain."""
    if isinstance(event, NoticeReceived):
        refusal = unheard(event, policy, ended=_find(state, event.contract_id) is not None)
        return Decided(_answered(state, event, refusal.reason), (refusal,))
    if isinstance(event, NoticeWithdrawn):
        return Decided(state, (withdrawing.unheard(event),))
    if isinstance(event, TransitionProlonged):
        return Decided(state, (prolonging.unheard(event),))
    if isinstance(event, SwitchCompleted):
        return Decided(state, (completing.unheard(event),))
    return Ignored("nothing was waited for")


def wakes_at(state: State) -> datetime | None:
    """Tell when the next of the customer's dates comes: an announcement or an end."""
    return None if isinstance(state, Unknown) else state.wakes_at


def _judge(
    state: Known, known: ContractState, terms: Terms, event: NoticeReceived, now: datetime, policy: NoticePolicy
) -> Decision[State]:
    notice, reckoned = judged(terms, heard(event, now, policy), policy)
    follows = with_notice(known, terms, notice, now, policy)
    reason = objection(known, follows, notice, reckoned, now)
    answer: Event = (
        accepted(event, follows, notice, reckoned)
        if reason is None
        else rejected(event, terms, follows, reason, policy, now)
    )
    told = _answered(state, event, reason)
    if counting_notice(follows) is notice:
        # The answer tells the new date, so no change of it has to be announced.
        return Decided(_with(told, told_by_answer(follows, now, policy), now, policy), (answer,))
    return _changed(told, follows, now, policy, (answer,))


def _told_again(
    state: Known, known: ContractState, terms: Terms, event: NoticeReceived, now: datetime, policy: NoticePolicy
) -> Decision[State]:
    """Let the same notice by a second channel count from its earlier receipt; it has its answer already."""
    sooner = None if flaw(terms, event, policy) else earlier_receipt(known, terms, event, now, policy)
    if sooner is None:
        return Ignored("the notice was answered already")
    notice, _ = judged(terms, sooner, policy)
    return _changed(state, with_notice(known, terms, notice, now, policy), now, policy)


def _changed(
    state: Known, news: ContractState, now: datetime, policy: NoticePolicy, answers: tuple[Event, ...] = ()
) -> Decision[State]:
    """Go on with *news*, and tell the customer which of the dates it was told are others now."""
    follows, moved = changes(state.customer_id, news, now, policy)
    return Decided(_with(state, follows, now, policy), (*answers, *moved))


def _with(state: Known, news: ContractState, now: datetime, policy: NoticePolicy) -> Known:
    contract_id = contract_id_of(news)
    contracts = [known for known in state.contracts if contract_id_of(known) != contract_id]
    contracts.append(news)
    if len(contracts) > 1:
        contracts.sort(key=contract_id_of)
    return _with_wake(state, tuple(contracts), now, policy)


def _with_wake(state: Known, contracts: tuple[ContractState, ...], now: datetime, policy: NoticePolicy) -> Known:
    moments = [at for known in contracts if (at := next_moment(known, now, policy)) is not None]
    return replace(state, contracts=contracts, wakes_at=min(moments, default=None))


def _known(state: State, customer_id: str) -> Known:
    return Known(customer_id) if isinstance(state, Unknown) else state


def _find(state: Known, contract_id: str) -> ContractState | None:
    for known in state.contracts:
        if contract_id_of(known) == contract_id:
            return known
    return None


def _answer(state: Known, contract_id: str, notice_id: str) -> Answer | None:
    for answer in state.answered:
        if answer.notice_id == notice_id and answer.contract_id == contract_id:
            return answer
    return None


def _answered(state: Known, event: NoticeReceived | NoticeWithdrawn, reason: str | None) -> Known:
    answer = Answer(event.contract_id, event.notice_id, reason)
    others = [one for one in state.answered if one.notice_id != event.notice_id or one.contract_id != event.contract_id]
    return replace(state, answered=(*others, answer)[-_MOST_ANSWERED:])
