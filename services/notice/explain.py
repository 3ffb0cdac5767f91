"""Why each date of a contract is what it is: the rule, what went in, and the arithmetic (P12)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from msgspec.structs import replace

from shared.contracts import Ending
from shared.days import first_moment_after, local_day
from shared.events.notice import DeadlineApproaching
from shared.events.vocabulary import iso

from .announcements import announce, next_moment
from .calendar import Terms, end_of, in_time, last_day_for_notice, period_at
from .contract import ends_at
from .explained import ContractDates, CustomerDates, Explained, Inputs
from .policy import NoticePolicy
from .states import ContractState, Ended, Known, Leaving, Notice, Running, States, Unknown
from .wording import counted, day, times, wall

_INSTANT = timedelta(microseconds=1)
_LONGEST = 31
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def explain(state: States, policy: NoticePolicy) -> CustomerDates:
    """Explain each date of each contract in *state*."""
    if isinstance(state, Unknown):
        return CustomerDates(None, policy.version, ())
    contracts = tuple(_contract(state, known, policy) for known in state.contracts)
    return CustomerDates(state.customer_id, policy.version, contracts)


def _contract(state: Known, known: ContractState, policy: NoticePolicy) -> ContractDates:
    if isinstance(known, Ended):
        return ContractDates(
            known.contract_id, "ended", prolonged=False, zone=known.ending.zone, dates=tuple(_ended(known))
        )
    terms, customer_id = known.terms, state.customer_id
    if isinstance(known, Leaving):
        dates = (*_leaving(known), *_announcements(customer_id, known, policy))
        return ContractDates(terms.contract_id, "leaving", prolonged=False, zone=terms.zone, dates=dates)
    dates = (*_running(known), *_announcements(customer_id, known, policy))
    return ContractDates(terms.contract_id, "running", prolonged=terms.months > 0, zone=terms.zone, dates=dates)


def _running(known: Running) -> Iterator[Explained]:
    terms = known.terms
    yield from _period(terms, known.period, open_for_notice=True)
    if terms.months:
        yield _prolonged(terms, known.period)
    else:
        yield from _end(terms.zone, end_of(terms, known.period), ends_at(known), "the contract was heard of")


def _leaving(known: Leaving) -> Iterator[Explained]:
    terms, notice = known.terms, known.notice
    yield from _period(terms, notice.period, open_for_notice=False)
    yield _notice(terms, notice)
    for other in known.standby:
        yield _in_reserve(other, notice)
    late = "the notice or its contract was heard of"
    yield from _end(terms.zone, end_of(terms, notice.period), known.terminates_at, late)


def _ended(known: Ended) -> Iterator[Explained]:
    terms, ending, notice = known.terms, known.ending, known.notice
    if terms is not None:
        period = period_at(terms, ending.terminated_at - _INSTANT) if notice is None else notice.period
        passed = notice is None and first_moment_after(last_day_for_notice(terms, period), terms.zone)
        yield from _period(terms, period, open_for_notice=bool(passed and passed <= ending.terminated_at))
        if notice is not None:
            yield _notice(terms, notice)
    if ending.decided:
        yield from _decided(ending)
    else:
        yield from _end(ending.zone, ending.period_end, ending.terminated_at, "this was known")


def _period(terms: Terms, period: int, *, open_for_notice: bool) -> Iterator[Explained]:
    yield _period_end(terms, period)
    yield _last_day(terms, period, applies=open_for_notice)
    yield _before(terms, period, applies=open_for_notice)


def _period_end(terms: Terms, period: int) -> Explained:
    end, first = end_of(terms, period), terms.first_end
    because = f"{day(first)}: the contract says so, in revision {terms.revision}"
    if period:
        clamped = f", since that month has no {first.day}{'st' if first.day == _LONGEST else 'th'}" * (
            end.day < first.day
        )
        because = (
            f"{day(first)} (contract, revision {terms.revision}), prolonged {times(period)} by"
            f" {counted(terms.months, 'month')}: {counted(terms.months * period, 'month')} later is"
            f" {day(end)}{clamped}"
        )
    inputs: Inputs = {
        "first_end": first.isoformat(),
        "revision": terms.revision,
        "months": terms.months,
        "prolonged": period,
    }
    return Explained("period_end", end, "contract", because, inputs)


def _last_day(terms: Terms, period: int, *, applies: bool) -> Explained:
    end, last = end_of(terms, period), last_day_for_notice(terms, period)
    because = f"{counted(terms.notice_days, 'day')} before {day(end)}: {day(last)}"
    inputs: Inputs = {"period_end": end.isoformat(), "notice_days": terms.notice_days, "revision": terms.revision}
    return Explained("last_day_for_notice", last, "P1", because, inputs, applies)


def _before(terms: Terms, period: int, *, applies: bool) -> Explained:
    last = last_day_for_notice(terms, period)
    moment = first_moment_after(last, terms.zone)
    because = f"that day counts in full: a notice counts if received before {wall(moment, terms.zone)}"
    inputs: Inputs = {"last_day_for_notice": last.isoformat(), "time_zone": terms.zone}
    return Explained("notice_before", moment, "P1", because, inputs, applies)


def _notice(terms: Terms, notice: Notice) -> Explained:
    received = local_day(notice.received_at, terms.zone)
    spare = (last_day_for_notice(terms, notice.period) - received).days
    verdict = f"in time, {counted(spare, 'day')} to spare" if spare else "in time, on the last day"
    # A revision that was heard later can't make a notice late that was accepted.
    kept = in_time(terms, notice.period, notice.received_at)
    because = f"{notice.notice_id} was received on {wall(notice.received_at, terms.zone)}: " + (
        verdict if kept else "in time by the terms of then, and it stays accepted"
    )
    inputs: Inputs = {"notice_id": notice.notice_id, "received_at": iso(notice.received_at), "time_zone": terms.zone}
    return Explained("notice", notice.received_at, "P1", because, inputs)


def _in_reserve(other: Notice, counting: Notice) -> Explained:
    because = (
        f"{other.notice_id} was answered as already given; it counts if {counting.notice_id} turns out to have been"
        f" withdrawn before {iso(other.received_at)}"
    )
    inputs: Inputs = {"notice_id": other.notice_id, "received_at": iso(other.received_at)}
    return Explained("notice_in_reserve", other.received_at, "P1", because, inputs)


def _prolonged(terms: Terms, period: int) -> Explained:
    end = end_of(terms, period + 1)
    because = (
        f"automatic renewal by {counted(terms.months, 'month')}: without a notice in time the contract goes on to"
        f" {day(end)}, counted from {day(terms.first_end)}"
    )
    inputs: Inputs = {"first_end": terms.first_end.isoformat(), "months": terms.months, "prolonged": period + 1}
    return Explained("prolonged_to", end, "contract", because, inputs)


def _end(zone: str, period_end: date, moment: datetime, heard: str) -> Iterator[Explained]:
    over = first_moment_after(period_end, zone)
    inputs: Inputs = {"period_end": period_end.isoformat(), "time_zone": zone}
    because, last = f"service goes on to the end of {day(period_end)}: over at {wall(over, zone)}", period_end
    if moment > over:
        last = local_day(moment - _INSTANT, zone)
        because += f"; but {heard} only at {iso(moment)}, and nothing ends in the past"
    yield Explained("terminates_at", moment, "P2", because, inputs)
    yield Explained("last_day_of_service", last, "P2", f"the last day with service before {iso(moment)}", inputs)


def _decided(ending: Ending) -> Iterator[Explained]:
    last = local_day(ending.terminated_at - _INSTANT, ending.zone)
    because = f"another service ended it, not the calendar, from {wall(ending.terminated_at, ending.zone)} on"
    inputs: Inputs = {"period_end": ending.period_end.isoformat(), "time_zone": ending.zone, "decided": True}
    yield Explained("terminates_at", ending.terminated_at, "contract", because, inputs)
    yield Explained(
        "last_day_of_service", last, "contract", f"the last day with service before {iso(ending.terminated_at)}", inputs
    )


def _announcements(customer_id: str, known: Running | Leaving, policy: NoticePolicy) -> Iterator[Explained]:
    """Walk through the plan with the functions that carry it out, so that what is explained is what happens."""
    walked, now = replace(known, told=()), _LONG_AGO
    while now < ends_at(walked):
        now = next_moment(walked, now, policy)
        follows, events = announce(customer_id, walked, now, policy)
        for event in events:
            if isinstance(event, DeadlineApproaching):
                yield _announcement(event, now, known)
        if isinstance(follows, Ended):
            return
        walked = follows


def _announcement(event: DeadlineApproaching, moment: datetime, known: Running | Leaving) -> Explained:
    zone = known.terms.zone
    last = local_day(event.due_at - _INSTANT, zone)
    ahead, told = (last - local_day(moment, zone)).days, event.announcement_id in known.told
    subject = "the last day for notice" if event.deadline == "notice_deadline" else "the end of the period"
    because = (
        f"{counted(ahead, 'day')} before {subject}, {day(last)}: from {wall(moment, zone)} on;"
        f" {'told' if told else 'not told'}"
    )
    inputs: Inputs = {"announcement_id": event.announcement_id, "days_before": ahead, "time_zone": zone, "told": told}
    return Explained("announcement", moment, "P12", because, inputs)
