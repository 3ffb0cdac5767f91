"""Which dates of a contract the customer is told beforehand (P12), and when the next one is due."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from shared.announcing import Deadline, announcement, next_call
from shared.events.event import Event

from .calendar import end_of, last_day_for_notice
from .contract import ends_at
from .policy import NoticePolicy
from .states import ContractState, Ended, Leaving, Running


def announce(
    customer_id: str, known: ContractState, now: datetime, policy: NoticePolicy
) -> tuple[ContractState, tuple[Event, ...]]:
    """Make the announcements that are owed *now*, and remember them."""
    if isinstance(known, Ended):
        return known, ()
    owed = (announcement(customer_id, deadline, known.told, now) for deadline in _deadlines(known, policy))
    events = tuple(event for event in owed if event is not None)
    if not events:
        return known, ()
    return replace(known, told=(*known.told, *(event.announcement_id for event in events))), events


def next_moment(known: Running | Leaving, now: datetime, policy: NoticePolicy) -> datetime:
    """Tell when *known* has to be looked at again: for an announcement, or at its end."""
    moment = ends_at(known)
    for deadline in _deadlines(known, policy):
        call = next_call(deadline, known.told, now)
        if call is not None and call < moment:
            moment = call
    return moment


def _deadlines(known: Running | Leaving, policy: NoticePolicy) -> tuple[Deadline, ...]:
    """Give the dates that matter: a deadline for notice while none was given, an end if there will be one."""
    terms, before = known.terms, policy.announce_before
    period = known.period if isinstance(known, Running) else known.notice.period
    end = Deadline(terms.contract_id, "period_end", end_of(terms, period), terms.zone, before.period_end)
    if isinstance(known, Leaving):
        return (end,)
    last_day = last_day_for_notice(terms, period)
    notice = Deadline(terms.contract_id, "notice_deadline", last_day, terms.zone, before.notice_deadline)
    return (notice,) if terms.months else (notice, end)
