"""Prolonging the transition of a switch: by the provider for a reason, by the customer once (EU Data Act, art. 25)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, TypeAlias

from msgspec.structs import replace

from shared.days import first_moment_after
from shared.events.event import Event
from shared.events.notice import ProlongationAccepted, ProlongationRejected
from shared.events.platform import TransitionProlonged

from .calendar import Terms, counting_day
from .contract import final_end, notices_of
from .grounds.dates import Dates
from .grounds.switching import Refusal, clock_of, counting, last_day_by_provider, refusal
from .grounds.table import WITH_TRANSITION, dates
from .judging import with_notice
from .policy import NoticePolicy
from .states import ContractState, Notice, Prolongation

Reason: TypeAlias = Literal["unknown_notice", "no_transition"] | Refusal
# Each side may once; a few more are kept, since they may have been made before those that were read first.
_MOST = 10


def prolonged(
    known: ContractState, terms: Terms, event: TransitionProlonged, now: datetime, policy: NoticePolicy
) -> tuple[ContractState, tuple[Event, ...]]:
    """Prolong the transition that *event* names, and answer; no answer if that was given before."""
    notice = next((one for one in notices_of(known) if one.notice_id == event.notice_id), None)
    if notice is None or notice.ground not in WITH_TRANSITION:
        return known, (_refused(event, "no_transition"),)
    if any(one.prolongation_id == event.prolongation_id for one in notice.prolongations):
        return known, ()
    end = final_end(known)
    if end is not None and min(event.prolonged_at, now) >= end:
        return known, (_refused(event, "too_late"),)
    one = Prolongation(
        event.prolongation_id, event.by.kind, event.until, counting_day(min(event.prolonged_at, now), terms.zone)
    )
    return _taken(known, terms, notice, one, event, now, policy)


def unheard(event: TransitionProlonged) -> ProlongationRejected:
    """Answer a prolongation whose notice never came."""
    return _refused(event, "unknown_notice")


def _taken(
    known: ContractState,
    terms: Terms,
    notice: Notice,
    one: Prolongation,
    event: TransitionProlonged,
    now: datetime,
    policy: NoticePolicy,
) -> tuple[ContractState, tuple[Event, ...]]:
    longer = replace(notice, prolongations=(*notice.prolongations, one)[:_MOST])
    clock, received = clock_of(policy.rules_of(notice.rules)), counting_day(notice.received_at, terms.zone)
    begins, first_end = _transition(dates(terms, replace(notice, prolongations=()), policy))
    kept = counting(received, begins, first_end, longer.prolongations, clock)
    if one in kept:
        follows = with_notice(known, terms, longer, now, policy)
        return follows, (_accepted(event, terms, follows),)
    ends = kept[-1].until if kept else first_end
    reason = refusal(one, received, begins, ends, kept, clock) or "too_late"
    at_most = last_day_by_provider(begins, clock) if one.by == "provider" else None
    # It may turn out to have been made before another one that was read first, so it is kept.
    return with_notice(known, terms, longer, now, policy), (_refused(event, reason, at_most),)


def _transition(reckoned: Dates) -> tuple[date, date]:
    if reckoned.transition is None:
        raise ValueError("a ground without a transition")
    return reckoned.transition


def _accepted(event: TransitionProlonged, terms: Terms, follows: ContractState) -> ProlongationAccepted:
    return ProlongationAccepted(
        customer_id=event.customer_id,
        contract_id=event.contract_id,
        notice_id=event.notice_id,
        prolongation_id=event.prolongation_id,
        until=event.until,
        terminates_at=final_end(follows) or first_moment_after(event.until, terms.zone),
    )


def _refused(event: TransitionProlonged, reason: Reason, at_most: date | None = None) -> ProlongationRejected:
    return ProlongationRejected(
        customer_id=event.customer_id,
        contract_id=event.contract_id,
        notice_id=event.notice_id,
        prolongation_id=event.prolongation_id,
        reason=reason,
        at_most=at_most,
    )
