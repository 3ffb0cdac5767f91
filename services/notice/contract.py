"""How one contract goes on: under new terms, with a notice, without it again, over the end of its period."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from shared.contracts import Ending, covers
from shared.events.event import Event
from shared.events.notice import ContractTerminated
from shared.events.platform import AutomaticRenewal, ContractRegistered, NoticeWithdrawn

from .calendar import Terms, end_of, over_at, period_at
from .states import ContractState, Ended, Leaving, Notice, Running


def terms_of(event: ContractRegistered) -> Terms:
    """Keep of *event* what the service needs."""
    months = event.renewal.months if isinstance(event.renewal, AutomaticRenewal) else 0
    return Terms(
        event.contract_id,
        event.revision,
        event.period_start,
        event.period_end,
        event.time_zone,
        months,
        event.notice_days,
        event.notice_channels,
    )


def under(terms: Terms, known: ContractState | None, now: datetime) -> ContractState:
    """Put what is *known* of a contract under new *terms*; an accepted notice stays accepted."""
    if isinstance(known, Ended) and covered(known.ending, terms):
        return replace(known, terms=terms)
    if not isinstance(known, Leaving):
        return Running(terms, now, period_at(terms, now), known.told if isinstance(known, Running) else ())
    notices = [
        replace(notice, period=period_at(terms, notice.received_at)) for notice in (known.notice, *known.standby)
    ]
    return Leaving(terms, now, notices[0], max(over_at(terms, notices[0].period), now), tuple(notices[1:]), known.told)


def left(known: ContractState, terms: Terms, notice: Notice, now: datetime) -> Leaving | Ended:
    """Note that *notice* counts for *known*."""
    if isinstance(known, Ended):
        return replace(known, notice=notice)
    return Leaving(terms, known.since, notice, _terminates_at(terms, notice, known.since, now), told=known.told)


def withdrawn(known: Leaving, event: NoticeWithdrawn, now: datetime) -> Running | Leaving:
    """Take a notice back; a later one that was in reserve takes its place, so that the order of reading is all one."""
    reserve = tuple(notice for notice in known.standby if notice.notice_id != event.notice_id)
    if known.notice.notice_id != event.notice_id:
        return replace(known, standby=reserve)
    counting = sorted(
        (notice for notice in reserve if notice.received_at > event.withdrawn_at), key=lambda notice: notice.received_at
    )
    if not counting:
        return Running(known.terms, known.since, period_at(known.terms, now), known.told)
    at = _terminates_at(known.terms, counting[0], known.since, now)
    return replace(known, notice=counting[0], terminates_at=at, standby=tuple(counting[1:]))


def ends_at(known: Running | Leaving) -> datetime:
    """Give the moment at which the contract's period is over, and never one before we knew of its terms."""
    if isinstance(known, Leaving):
        return known.terminates_at
    return max(over_at(known.terms, known.period), known.since)


def at_end(customer_id: str, known: ContractState, now: datetime) -> tuple[ContractState, tuple[Event, ...]]:
    """Carry *known* over the end of its period if that has come (P2): it is prolonged, or it is over."""
    if isinstance(known, Ended) or ends_at(known) > now:
        return known, ()
    if isinstance(known, Running) and known.terms.months:
        # Later periods have later deadlines, so what was told of earlier ones can be forgotten.
        return replace(known, period=period_at(known.terms, now), told=()), ()
    return _ended(customer_id, known)


def covered(ending: Ending, terms: Terms) -> bool:
    """Tell whether *ending* is the end of a contract under *terms*, and not of an earlier period."""
    return covers(ending, terms.period_start, terms.first_end, terms.zone)


def _terminates_at(terms: Terms, notice: Notice, since: datetime, now: datetime) -> datetime:
    """Give the end that *notice* leads to.

    A contract that was prolonged meanwhile, since the notice was read late, ends now and not in the past: the
    customer had service until now, and the 90 days must not have begun before anybody could know.
    """
    return max(over_at(terms, notice.period), now if terms.months else since)


def _ended(customer_id: str, known: Running | Leaving) -> tuple[Ended, tuple[Event, ...]]:
    terms, at = known.terms, ends_at(known)
    notice = known.notice if isinstance(known, Leaving) else None
    end = end_of(terms, 0 if notice is None else notice.period)
    terminated = ContractTerminated(
        customer_id=customer_id,
        contract_id=terms.contract_id,
        basis="expiry" if notice is None else "notice",
        period_end=end,
        terminated_at=at,
        time_zone=terms.zone,
    )
    ending = Ending(decided=False, period_end=end, terminated_at=at, zone=terms.zone)
    return Ended(terms.contract_id, ending, terms, notice), (terminated,)
