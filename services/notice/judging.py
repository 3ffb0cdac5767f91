"""Whether a notice counts (P1): judged by the moment it was received, whenever we come to read it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from shared.events.notice import NoticeAccepted, NoticeRejected
from shared.events.platform import NoticeReceived

from .calendar import Terms, end_of, first_in_time, in_time, last_day_for_notice, over_at, period_at
from .states import ContractState, Ended, Leaving, Notice, Running

Objection: TypeAlias = Literal["late", "channel_not_accepted", "already_given", "contract_ended"]


def objection(known: ContractState, terms: Terms, channel: str, received_at: datetime) -> Objection | None:
    """Tell why a notice doesn't count; None if it does."""
    if isinstance(known, Ended) and received_at >= known.ending.terminated_at:
        return "contract_ended"
    if counting_notice(known) is not None:
        return "already_given"
    return flaw(terms, channel, received_at)


def flaw(terms: Terms, channel: str, received_at: datetime) -> Objection | None:
    """Tell what is wrong with a notice in itself."""
    if channel not in terms.channels:
        return "channel_not_accepted"
    return None if in_time(terms, period_at(terms, received_at), received_at) else "late"


def counting_notice(known: ContractState) -> Notice | None:
    """Give the notice that counts, if there is one."""
    return None if isinstance(known, Running) else known.notice


def accepted(event: NoticeReceived, terms: Terms, follows: Leaving | Ended, notice: Notice) -> NoticeAccepted:
    """Answer a notice that counts, with its dates."""
    return NoticeAccepted(
        customer_id=event.customer_id,
        contract_id=event.contract_id,
        notice_id=event.notice_id,
        received_at=notice.received_at,
        last_day_for_notice=last_day_for_notice(terms, notice.period),
        period_end=end_of(terms, notice.period),
        terminates_at=follows.terminates_at if isinstance(follows, Leaving) else over_at(terms, notice.period),
    )


def rejected(
    event: NoticeReceived, terms: Terms, known: ContractState, reason: Objection, received_at: datetime
) -> NoticeRejected:
    """Answer a notice that doesn't count, with the day on which the contract can end now."""
    counting = counting_notice(known)
    if counting is not None:
        period = ends_with = counting.period
    else:
        period, ends_with = period_at(terms, received_at), first_in_time(terms, received_at)
    return NoticeRejected(
        customer_id=event.customer_id,
        contract_id=event.contract_id,
        notice_id=event.notice_id,
        reason=reason,
        last_day_for_notice=last_day_for_notice(terms, period),
        earliest_end=known.ending.period_end if isinstance(known, Ended) else end_of(terms, ends_with),
    )


def unheard(event: NoticeReceived, *, ended: bool) -> NoticeRejected:
    """Answer a notice for a contract whose terms never came."""
    return NoticeRejected(
        customer_id=event.customer_id,
        contract_id=event.contract_id,
        notice_id=event.notice_id,
        reason="contract_ended" if ended else "unknown_contract",
    )
