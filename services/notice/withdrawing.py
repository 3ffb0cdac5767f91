"""What taking a notice back undoes: that notice, and whatever else had been given until then."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, TypeAlias

from shared.events.event import Event
from shared.events.notice import WithdrawalAccepted, WithdrawalRejected
from shared.events.platform import NoticeWithdrawn

from .calendar import end_of
from .contract import facts_of, final_end, goes_on, notices_of, standing
from .policy import NoticePolicy
from .states import ContractState, Ended, Leaving

Refusal: TypeAlias = Literal["contract_ended", "notice_does_not_count", "unknown_notice"]


def withdrawn(
    known: ContractState, event: NoticeWithdrawn, now: datetime, policy: NoticePolicy
) -> tuple[ContractState, tuple[Event, ...]]:
    """Undo the notice that *event* names if the contract hasn't ended by then; answer either way.

    A second notice that was given before the withdrawal goes with the first: whoever stays must not be ended by a copy.
    """
    withdrawn_at, end = min(event.withdrawn_at, now), final_end(known)
    if known.terms is None or known.since is None or (end is not None and withdrawn_at >= end):
        return known, (_refused(event, "contract_ended"),)
    named = any(one.notice_id == event.notice_id for one in notices_of(known))
    facts = facts_of(known, known.terms, known.since)
    undone_until = withdrawn_at if facts.undone_until is None else max(facts.undone_until, withdrawn_at)
    kept = tuple(one for one in facts.notices if one.notice_id != event.notice_id)
    follows = standing(facts._replace(notices=kept, undone_until=undone_until), now, policy)
    if not named:
        return follows, (_refused(event, "notice_does_not_count"),)
    return follows, (_accepted(event, follows),)


def unheard(event: NoticeWithdrawn) -> WithdrawalRejected:
    """Answer a withdrawal whose notice never came."""
    return _refused(event, "unknown_notice")


def _accepted(event: NoticeWithdrawn, follows: ContractState) -> WithdrawalAccepted:
    return WithdrawalAccepted(
        customer_id=event.customer_id,
        contract_id=event.contract_id,
        notice_id=event.notice_id,
        withdrawn_at=event.withdrawn_at,
        ends_on=_ends_on(follows),
    )


def _ends_on(follows: ContractState) -> date | None:
    if isinstance(follows, Ended):
        return follows.ending.period_end
    if isinstance(follows, Leaving):
        return follows.last_day
    return None if goes_on(follows.terms) else end_of(follows.terms, follows.period)


def _refused(event: NoticeWithdrawn, reason: Refusal) -> WithdrawalRejected:
    return WithdrawalRejected(
        customer_id=event.customer_id, contract_id=event.contract_id, notice_id=event.notice_id, reason=reason
    )
