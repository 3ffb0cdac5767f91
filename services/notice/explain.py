"""Why each date of a contract is what it is: the rule, what went in, and the arithmetic (P12)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

from msgspec.structs import replace

from shared.contracts import Ending
from shared.days import first_moment_after, local_day
from shared.events.notice import DeadlineApproaching
from shared.moments import iso

from .announcements import announce, next_moment
from .calendar import Terms, counting_day, end_of, last_day_for_notice, period_at
from .contract import ends_at, goes_on
from .explained import ContractDates, CustomerDates, Explained, Inputs, Refused, Standing
from .grounds.dates import Dates
from .grounds.table import dates
from .policy import NoticePolicy
from .reckoning import CLAUSES, days_of, reckoned, rule_told
from .states import ContractState, Ended, Known, Leaving, Notice, Running, States, Told, Unknown, contract_id_of
from .wording import counted, day, wall

_INSTANT = timedelta(microseconds=1)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_GROUNDS = {
    "non_renewal": "not to renew",
    "switch": "to switch to another provider",
    "on_premises": "to move on premises",
    "erasure": "to have everything erased",
}


def explain(state: States, policy: NoticePolicy, now: datetime) -> CustomerDates:
    """Explain each date of each contract in *state*, and each refusal, as things stand *now*."""
    if isinstance(state, Unknown):
        return CustomerDates(None, policy.version, ())
    contracts = tuple(_contract(state, known, policy, now) for known in state.contracts)
    refused = tuple(_refused(state, policy))
    return CustomerDates(state.customer_id, policy.version, contracts, refused, _laws(contracts, policy))


def _contract(state: Known, known: ContractState, policy: NoticePolicy, now: datetime) -> ContractDates:
    terms = known.terms
    found = {Running: _running, Leaving: _leaving, Ended: _ended}[type(known)](known, policy)  # type: ignore[operator]
    explained = (*found, *_announcements(state.customer_id, known, policy, now))
    prolonged = isinstance(known, Running) and goes_on(known.terms)
    zone = known.ending.zone if isinstance(known, Ended) else known.terms.zone
    notice = None if isinstance(known, Running) else known.notice
    rules = notice.rules if notice is not None else terms.rules if terms is not None else None
    return ContractDates(contract_id_of(known), _standing(known, now), prolonged, zone, explained, rules)


def _standing(known: ContractState, now: datetime) -> Standing:
    if isinstance(known, Ended):
        return "ended" if known.ending.terminated_at <= now else "ending"
    return "leaving" if isinstance(known, Leaving) else "running"


def _refused(state: Known, policy: NoticePolicy) -> Iterator[Refused]:
    languages = {known.terms.contract_id: known.terms.language for known in state.contracts if known.terms is not None}
    for answer in state.answered:
        if answer.reason is not None:
            sentence = policy.in_force.sentence(answer.reason, languages.get(answer.contract_id))
            yield Refused(answer.contract_id, answer.notice_id, answer.reason, sentence)


def _laws(contracts: tuple[ContractDates, ...], policy: NoticePolicy) -> dict[str, str]:
    """Give the text of each clause that was used, as the rule set has it by which the contract was decided."""
    return {
        CLAUSES[law]: text
        for contract in contracts
        for law, text in (_texts(contract.rules, policy).items() if contract.rules else ())
        if any(one.rule == CLAUSES[law] for one in contract.dates) and law != "contract"
    }


def _texts(rules: str, policy: NoticePolicy) -> Mapping[str, str]:
    """Give the clauses' texts as *rules* have them; a clause that they didn't know yet as those in force do."""
    return {**policy.in_force.laws, **policy.rules_of(rules).laws}


def _running(known: Running, _: NoticePolicy) -> Iterator[Explained]:
    terms, end = known.terms, end_of(known.terms, known.period)
    if end is None:
        yield _open(terms)
        return
    yield from _period(terms, known.period, end, open_for_notice=True)
    if goes_on(terms):
        yield _prolonged(terms, known.period)
    else:
        yield from _end(terms.zone, end, ends_at(known) or known.since, "the contract was heard of")


def _leaving(known: Leaving, policy: NoticePolicy) -> Iterator[Explained]:
    yield from _missed_or_pointless(known)
    yield from _by_notice(known.terms, known.notice, dates(known.terms, known.notice, policy), policy)
    for other in known.standby:
        yield _in_reserve(other, known.notice)
    late = "the notice or its contract was heard of"
    if any(one.heard_at == known.terminates_at for one in known.notice.completions):
        late = "that the switch was complete was heard of"
    yield from _end(known.terms.zone, known.last_day, known.terminates_at, late)


def _missed_or_pointless(known: Leaving) -> Iterator[Explained]:
    """Tell the deadline for notice that doesn't matter any more to whoever leaves on another ground."""
    terms, notice = known.terms, known.notice
    period = period_at(terms, notice.received_at)
    end, last = end_of(terms, period), last_day_for_notice(terms, period)
    if notice.ground != "non_renewal" and end is not None and last is not None:
        yield rule_told(terms, end, last, applies=False)


def _ended(known: Ended, policy: NoticePolicy) -> Iterator[Explained]:
    terms, ending, notice = known.terms, known.ending, known.notice
    # One that was received after the end is kept as well: it may count if the contract is registered anew.
    if terms is not None and notice is not None and notice.received_at < ending.terminated_at:
        yield from _by_notice(terms, notice, dates(terms, notice, policy), policy)
    elif terms is not None:
        period = period_at(terms, ending.terminated_at - _INSTANT)
        end, last = end_of(terms, period), last_day_for_notice(terms, period)
        if end is not None and last is not None:
            passed = first_moment_after(last, terms.zone) <= ending.terminated_at
            yield from _period(terms, period, end, open_for_notice=passed)
    if known.basis in ("breach", "bankruptcy", "other"):
        yield from _decided(ending, known.basis)
    else:
        yield from _end(ending.zone, ending.period_end, ending.terminated_at, "this was known")


def _by_notice(terms: Terms, notice: Notice, found: Dates, policy: NoticePolicy) -> Iterator[Explained]:
    for step in found.steps:
        yield reckoned(step, terms, policy.rules_of(notice.rules), applies=step.figure != "last_day_for_notice")
        if step.figure == "last_day_for_notice":
            yield _before(terms, step.result, applies=False)
    yield _notice(terms, notice, found)


def _period(terms: Terms, period: int, end: date, *, open_for_notice: bool) -> Iterator[Explained]:
    yield days_of(terms, period, end)
    last = last_day_for_notice(terms, period) or end
    yield rule_told(terms, end, last, applies=open_for_notice)
    yield _before(terms, last, applies=open_for_notice)


def _before(terms: Terms, last: date, *, applies: bool) -> Explained:
    moment = first_moment_after(last, terms.zone)
    because = f"that day counts in full: a notice counts if received before {wall(moment, terms.zone)}"
    inputs: Inputs = {"last_day_for_notice": last.isoformat(), "time_zone": terms.zone}
    return Explained("notice_before", moment, "P1", because, inputs, applies)


def _notice(terms: Terms, notice: Notice, found: Dates) -> Explained:
    received = counting_day(notice.received_at, terms.zone)
    verdict = _verdict(notice, found, received)
    because = f"{notice.notice_id} was received on {wall(notice.received_at, terms.zone)}: {verdict}"
    inputs: Inputs = {
        "notice_id": notice.notice_id,
        "received_at": iso(notice.received_at),
        "time_zone": terms.zone,
        "ground": notice.ground,
        "rules": notice.rules,
    }
    return Explained("notice", notice.received_at, "P1", because, inputs)


def _verdict(notice: Notice, found: Dates, received: date) -> str:
    if notice.ground != "non_renewal":
        return f"{_GROUNDS[notice.ground]}, which is possible on any day"
    spare = (found.last_day_for_notice - received).days
    if found.late:
        return f"late by {counted(-spare, 'day')}; it stands for {day(found.last_day)}, the earliest end possible"
    if spare < 0:
        return "in time by the terms of then, and it stays accepted"
    return f"in time, {counted(spare, 'day')} to spare" if spare else "in time, on the last day"


def _in_reserve(other: Notice, counting: Notice) -> Explained:
    because = (
        f"{other.notice_id} leads to no earlier end; it counts if {counting.notice_id} turns out to have been withdrawn"
        f" before {iso(other.received_at)}"
    )
    inputs: Inputs = {"notice_id": other.notice_id, "received_at": iso(other.received_at)}
    return Explained("notice_in_reserve", other.received_at, "P1", because, inputs)


def _open(terms: Terms) -> Explained:
    begins = terms.period_start if terms.first_end is None else terms.first_end + timedelta(days=1)
    rule = terms.open_notice or terms.notice
    unit = "day" if rule.country is None else f"working day in {rule.country}"
    because = (
        f"from {day(begins)} on the contract goes on until further notice: it ends"
        f" {counted(rule.days, unit)} after the day on which notice is received"
    )
    inputs: Inputs = {"days": rule.days, "country": rule.country, "revision": terms.revision}
    return Explained("open_since", begins, "contract", because, inputs)


def _prolonged(terms: Terms, period: int) -> Explained:
    first, further = terms.first_end, end_of(terms, period + 1)
    if first is None or further is None:
        return _open(terms)
    because = (
        f"automatic renewal by {counted(terms.months, 'month')}: without a notice in time the contract goes on to"
        f" {day(further)}, counted from {day(first)}"
    )
    inputs: Inputs = {"first_end": first.isoformat(), "months": terms.months, "prolonged": period + 1}
    return Explained("prolonged_to", further, "contract", because, inputs)


def _end(zone: str, last_day: date, moment: datetime, heard: str) -> Iterator[Explained]:
    over = first_moment_after(last_day, zone)
    inputs: Inputs = {"period_end": last_day.isoformat(), "time_zone": zone}
    because, last = f"service goes on to the end of {day(last_day)}: over at {wall(over, zone)}", last_day
    if moment > over:
        last = local_day(moment - _INSTANT, zone)
        because += f"; but {heard} only at {iso(moment)}, and nothing ends in the past"
    yield Explained("terminates_at", moment, "P2", because, inputs)
    yield Explained("last_day_of_service", last, "P2", f"the last day with service before {iso(moment)}", inputs)


def _decided(ending: Ending, basis: str) -> Iterator[Explained]:
    last = local_day(ending.terminated_at - _INSTANT, ending.zone)
    because = f"another service ended it ({basis}), not the calendar, from {wall(ending.terminated_at, ending.zone)} on"
    inputs: Inputs = {"period_end": ending.period_end.isoformat(), "time_zone": ending.zone, "basis": basis}
    yield Explained("terminates_at", ending.terminated_at, "contract", because, inputs)
    yield Explained(
        "last_day_of_service", last, "contract", f"the last day with service before {iso(ending.terminated_at)}", inputs
    )


def _announcements(customer_id: str, known: ContractState, policy: NoticePolicy, now: datetime) -> Iterator[Explained]:
    """Walk through the plan with the functions that carry it out, so that what is explained is what happens."""
    if _standing(known, now) == "ended":
        return
    walked = replace(known, told=Told())
    end = known.ending.terminated_at if isinstance(known, Ended) else ends_at(known)
    moment = next_moment(walked, _LONG_AGO, policy)
    while moment is not None and (end is None or moment < end):
        follows, events = announce(customer_id, walked, moment, policy)
        walked = follows
        yield from (_announcement(one, moment, known) for one in events if isinstance(one, DeadlineApproaching))
        moment = next_moment(walked, moment, policy)


def _announcement(event: DeadlineApproaching, moment: datetime, known: ContractState) -> Explained:
    zone = known.ending.zone if isinstance(known, Ended) else known.terms.zone
    last = local_day(event.due_at - _INSTANT, zone)
    ahead, told = (last - local_day(moment, zone)).days, event.announcement_id in known.told.ids
    because = (
        f"{counted(ahead, 'day')} before {_SUBJECTS[event.deadline]}, {day(last)}: from {wall(moment, zone)} on;"
        f" {_outcome(known.told, event.announcement_id)}"
    )
    inputs: Inputs = {"announcement_id": event.announcement_id, "days_before": ahead, "time_zone": zone, "told": told}
    return Explained("announcement", moment, "P12", because, inputs)


def _outcome(told: Told, announcement_id: str) -> str:
    if announcement_id not in told.ids:
        return "not told"
    found = next((one for one in told.evidence if one.announcement_id == announcement_id), None)
    return "told" if found is None else f"told, and {found.outcome} on {iso(found.informed_at)} by {found.channel}"


_SUBJECTS = {
    "notice_deadline": "the last day for notice",
    "period_end": "the end of the period",
    "transition_end": "the end of the transition",
}
