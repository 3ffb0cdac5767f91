"""Prolonging the transition of a switch: by the provider for a reason, by the customer once (EU Data Act, art. 25)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, TypeAlias

from msgspec.structs import replace

from shared.events.event import Event
from shared.events.notice import ProlongationAccepted, ProlongationRejected
from shared.events.platform import TransitionProlonged

from .announcements import told_by_answer
from .calendar import Terms, counting_day
from .contract import final_end, notices_of
from .grounds.switching import Refusal, Weighed, clock_of, counting, last_day_by_provider, weighed
from .grounds.table import WITH_TRANSITION, completed_on
from .judging import with_notice
from .policy import NoticePolicy
from .states import ContractState, Ended, Prolongation, Running

Reason: TypeAlias = Literal["unknown_notice", "no_transition"] | Refusal
# Of those that don't count. Each side may once, so there is little that any of them could change.
_MOST_REFUSED = 10


def prolonged(
    known: ContractState, terms: Terms, event: TransitionProlonged, now: datetime, policy: NoticePolicy
) -> tuple[ContractState, tuple[Event, ...]]:
    """Prolong the transition that *event* names, and answer; no answer if that was given before."""
    notice = next((one for one in notices_of(known) if one.notice_id == event.notice_id), None)
    if notice is None or notice.ground not in WITH_TRANSITION:
        return known, (_refused(event, "no_transition"),)
    if any(one.prolongation_id == event.prolongation_id for one in notice.prolongations):
        return known, ()
    made_on = counting_day(min(event.prolonged_at, now), terms.zone)
    one = Prolongation(event.prolongation_id, event.by.kind, event.until, made_on)
    clock, received = clock_of(policy.rules_of(notice.rules)), counting_day(notice.received_at, terms.zone)
    found = weighed(terms, received, (*notice.prolongations, one), clock)
    prolonged = replace(notice, prolongations=_kept(found))
    follows = with_notice(known, terms, prolonged, now, policy)
    if isinstance(follows, Running):
        return follows, (_refused(event, "no_transition"),)
    over = isinstance(follows, Ended) and follows.ending.terminated_at <= now
    if over or completed_on(terms, prolonged, policy) is not None:
        return follows, (_refused(event, "too_late"),)
    reason = next(each.refusal for each in found if each.prolongation is one)
    if reason is not None:
        at_most = last_day_by_provider(terms, received, clock) if one.by == "provider" else None
        return follows, (_refused(event, reason, at_most),)
    return told_by_answer(follows, now, policy), (_accepted(event, follows),)


def unheard(event: TransitionProlonged) -> ProlongationRejected:
    """Answer a prolongation whose notice never came."""
    return _refused(event, "unknown_notice")


def _kept(found: tuple[Weighed, ...]) -> tuple[Prolongation, ...]:
    """Keep what counts, and the latest of the rest: it may count once one that was made before is read."""
    refused = [one.prolongation for one in found if one.refusal is not None]
    return (*counting(found), *refused[-_MOST_REFUSED:])


def _accepted(event: TransitionProlonged, follows: ContractState) -> ProlongationAccepted:
    # What is under notice has an end.
    return ProlongationAccepted.model_validate(
        {"customer_id": event.customer_id, "contract_id": event.contract_id, "notice_id": event.notice_id,
         "prolongation_id": event.prolongation_id, "until": event.until, "terminates_at": final_end(follows)}
    )  # fmt: skip


def _refused(event: TransitionProlonged, reason: Reason, at_most: date | None = None) -> ProlongationRejected:
    return ProlongationRejected(
        customer_id=event.customer_id,
        contract_id=event.contract_id,
        notice_id=event.notice_id,
        prolongation_id=event.prolongation_id,
        reason=reason,
        at_most=at_most,
    )
