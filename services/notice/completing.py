"""A switch that has succeeded, with which its contract ends (EU Data Act, art. 25(2)(c)(i))."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal, TypeAlias

from msgspec.structs import replace

from shared.events.event import Event
from shared.events.notice import CompletionAccepted, CompletionRejected
from shared.events.platform import SwitchCompleted

from .calendar import Terms, counting_day
from .contract import final_end, notices_of
from .grounds.table import WITH_TRANSITION, completed_on, transition
from .judging import with_notice
from .policy import NoticePolicy
from .states import Completion, ContractState, Ended, Leaving, Notice, Running

Reason: TypeAlias = Literal["unknown_notice", "no_switch", "not_confirmed", "too_early", "contract_ended"]
# Beside each other: one of them counts, and which one may change with what is read later.
_MOST_REPORTS = 10
_DAY = timedelta(days=1)


def completed(
    known: ContractState, terms: Terms, event: SwitchCompleted, now: datetime, policy: NoticePolicy
) -> tuple[ContractState, tuple[Event, ...]]:
    """End the contract with the day on which the switch was complete, and answer; no answer to what is no news."""
    notice = next((one for one in notices_of(known) if one.notice_id == event.notice_id), None)
    if notice is None or notice.ground not in WITH_TRANSITION:
        return known, (_refused(event, "no_switch"),)
    if terms.givers is not None and event.confirmed_by not in terms.givers:
        return known, (_refused(event, "not_confirmed"),)
    report = Completion(min(event.completed_at, now), now)
    if any(one.completed_at == report.completed_at for one in notice.completions):
        return known, ()
    reported = replace(notice, completions=_kept((*notice.completions, report)))
    follows = with_notice(known, terms, reported, now, policy)
    if isinstance(follows, Running):
        return follows, (_refused(event, "no_switch"),)
    if completed_on(terms, notice, policy) is not None:
        return follows, ()
    return follows, (_answer(follows, terms, reported, event, now, policy),)


def unheard(event: SwitchCompleted) -> CompletionRejected:
    """Answer a report whose notice never came."""
    return _refused(event, "unknown_notice")


def _kept(reports: tuple[Completion, ...]) -> tuple[Completion, ...]:
    return tuple(sorted(reports, key=lambda one: one.completed_at)[-_MOST_REPORTS:])


def _answer(
    follows: Leaving | Ended, terms: Terms, notice: Notice, event: SwitchCompleted, now: datetime, policy: NoticePolicy
) -> Event:
    over = isinstance(follows, Ended) and follows.ending.terminated_at <= now
    if over or completed_on(terms, notice, policy) is None:
        begins, _ = transition(terms, notice, policy)
        if not over and counting_day(min(event.completed_at, now), terms.zone) <= begins:
            return _refused(event, "too_early", begins + _DAY)
        return _refused(event, "contract_ended")
    last_day = follows.last_day if isinstance(follows, Leaving) else follows.ending.period_end
    return CompletionAccepted.model_validate(
        {"customer_id": event.customer_id, "contract_id": event.contract_id, "notice_id": event.notice_id,
         "completed_at": event.completed_at, "ends_on": last_day, "terminates_at": final_end(follows)}
    )  # fmt: skip


def _refused(event: SwitchCompleted, reason: Reason, possible_from: date | None = None) -> CompletionRejected:
    return CompletionRejected(
        customer_id=event.customer_id,
        contract_id=event.contract_id,
        notice_id=event.notice_id,
        completed_at=event.completed_at,
        reason=reason,
        possible_from=possible_from,
    )
