"""How one contract stands, by what was heard of it; and how it goes over the end of its period (P2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from shared.contracts import covers, ending_of, order
from shared.days import first_moment_after
from shared.events.event import Event
from shared.events.notice import Announced, Basis, ContractTerminated

from .calendar import OPEN, Terms, counting_day, end_of, over_at, period_at
from .grounds.dates import Dates
from .grounds.non_renewal import non_renewal
from .grounds.table import BASES, dates
from .policy import NoticePolicy
from .states import NOTHING_TOLD, ContractState, Ended, Leaving, Notice, Over, Running, Told

# Beside the one that counts. Each is earlier than any that is left out, which could count only if all were undone.
_MOST_STANDBY = 20
# The latest: a contract is over with the last of its ends.
_MOST_OVERS = 20


class Facts(Struct, frozen=True):
    """What was heard of one contract, in whatever order: how it stands follows from this alone.

    *since*: when its *terms* were heard. *overs*: every end of it that was told. *undone_until*: see ``Running``.
    """

    terms: Terms
    since: datetime
    notices: tuple[Notice, ...] = ()
    overs: tuple[Over, ...] = ()
    undone_until: datetime | None = None
    told: Told = NOTHING_TOLD


def facts_of(known: ContractState, terms: Terms, since: datetime, notices: tuple[Notice, ...] | None = None) -> Facts:
    """Give what was heard of a contract so far, under *terms* since a moment; or with other *notices*, if given."""
    kept = notices_of(known) if notices is None else notices
    return Facts(terms, since, kept, overs_of(known), known.undone_until, known.told)


def overs_of(known: ContractState) -> tuple[Over, ...]:
    """Give every end of the contract that was told."""
    return (*known.earlier, Over(known.ending, known.basis)) if isinstance(known, Ended) else known.earlier


def with_over(known: ContractState, over: Over) -> tuple[Over, ...]:
    """Give every end of the contract that was told, *over* too; the last is the one that counts."""
    return tuple(sorted((*overs_of(known), over), key=lambda one: order(one.ending))[-_MOST_OVERS:])


def notices_of(known: ContractState) -> tuple[Notice, ...]:
    """Give the notices that were kept, the one that counts first."""
    if isinstance(known, Running):
        return ()
    return known.standby if known.notice is None else (known.notice, *known.standby)


def standing(facts: Facts, now: datetime, policy: NoticePolicy) -> ContractState:
    """Tell how a contract stands by *facts*: an end that covers it ends it, unless it ends before by itself."""
    over = _latest([one for one in facts.overs if covered(one, facts.terms)])
    if over is None:
        return _going(facts, now, policy)
    if over.ending.terminated_at > now:
        going = _going(facts, now, policy)
        end = final_end(going)
        if end is not None and end < over.ending.terminated_at:
            return going
    return _ended(facts, over, now, policy)


def _latest(overs: Iterable[Over]) -> Over | None:
    return max(overs, key=lambda one: order(one.ending), default=None)


def _ended(facts: Facts, over: Over, now: datetime, policy: NoticePolicy) -> Ended:
    terms = facts.terms
    # What was taken back in vain is still told.
    counting, standby = _first_and_others(replace(facts, undone_until=None), now, policy)
    earlier = tuple(one for one in facts.overs if one is not over)
    return Ended(
        terms.contract_id, over.ending, over.basis, terms, facts.since, counting, standby, facts.told, earlier,
        facts.undone_until,
    )  # fmt: skip


def still_unknown(known: Ended, over: Over) -> Ended:
    """Take *over* into what is known of a contract that was never registered here; the latest of its ends counts."""
    *earlier, last = with_over(known, over)
    return replace(known, ending=last.ending, basis=last.basis, earlier=tuple(earlier))


def ends_at(known: Running | Leaving) -> datetime | None:
    """Give the moment at which the contract's period is over, and never one before we knew of its terms.

    None if it goes on until further notice.
    """
    if isinstance(known, Leaving):
        return known.terminates_at
    over = over_at(known.terms, known.period)
    return None if over is None else max(over, known.since)


def final_end(known: ContractState) -> datetime | None:
    """Give the moment at which the contract is over, unless something else is heard; None if it goes on."""
    if isinstance(known, Ended):
        return known.ending.terminated_at
    if isinstance(known, Running) and goes_on(known.terms):
        return None
    return ends_at(known)


def goes_on(terms: Terms) -> bool:
    """Tell whether the contract goes on after its period if nobody gives notice."""
    return terms.months > 0 or terms.open_notice is not None


def at_end(customer_id: str, known: ContractState, now: datetime) -> tuple[ContractState, tuple[Event, ...]]:
    """Carry *known* over the end of its period if that has come (P2): it goes on, or it is over."""
    if isinstance(known, Ended):
        return known, ()
    end = ends_at(known)
    if end is None or end > now:
        return known, ()
    if isinstance(known, Running) and goes_on(known.terms):
        # Later periods have later dates, so what was told of earlier ones can be forgotten.
        told = Told(changes=known.told.changes)
        return replace(known, period=max(period_at(known.terms, now), OPEN), told=told), ()
    return _over(customer_id, known, end)


def covered(over: Over, terms: Terms) -> bool:
    """Tell whether *over* is the end of a contract under *terms*, and not of an earlier time."""
    return covers(over.ending, terms.period_start, terms.first_end, terms.zone, terms.revision)


def over_until(overs: tuple[Over, ...], terms: Terms, now: datetime) -> datetime | None:
    """Tell when the last of the times before the one under *terms* was over: what was received until then is past."""
    if not overs:
        return None
    past = [one.ending.terminated_at for one in overs if one.ending.terminated_at <= now and not covered(one, terms)]
    return max(past, default=None)


def terminates_at(notice: Notice, reckoned: Dates, terms: Terms, since: datetime) -> datetime:
    """Give the end that *notice* leads to.

    A contract that would have gone on, had the notice not been read so late, ends when it is read and not in the past:
    the customer had service until then, and the 90 days must not have begun before anybody could know.
    """
    over = max(first_moment_after(reckoned.last_day, terms.zone), since)
    would_end = notice.ground == "non_renewal" and not goes_on(terms)
    return over if would_end else max(over, _heard_at(notice, reckoned, terms))


def _heard_at(notice: Notice, reckoned: Dates, terms: Terms) -> datetime:
    """Tell since when it was known that *notice* leads to this end: since a completion was heard of, if it is that."""
    if not notice.completions:
        return notice.heard_at
    known = (one for one in notice.completions if counting_day(one.completed_at, terms.zone) == reckoned.completed)
    return min((max(one.heard_at, notice.heard_at) for one in known), default=notice.heard_at)


def _going(facts: Facts, now: datetime, policy: NoticePolicy) -> Running | Leaving:
    terms, since = facts.terms, facts.since
    counting, standby = _first_and_others(facts, now, policy)
    if counting is None:
        return Running(terms, since, period_at(terms, now), facts.told, facts.overs, facts.undone_until)
    reckoned = dates(terms, counting, policy)
    at = terminates_at(counting, reckoned, terms, since)
    return Leaving(terms, since, counting, reckoned.last_day, at, standby, facts.told, facts.overs, facts.undone_until)


def _first_and_others(facts: Facts, now: datetime, policy: NoticePolicy) -> tuple[Notice | None, tuple[Notice, ...]]:
    """Give the notice that counts and those in reserve: neither taken back nor about a time that is over."""
    found = _sorted(facts, now, policy)
    return (found[0], tuple(found[1 : _MOST_STANDBY + 1])) if found else (None, ())


def _sorted(facts: Facts, now: datetime, policy: NoticePolicy) -> Sequence[Notice]:
    """Give the notices that may count, the one with the earliest end first."""
    notices, begins = facts.notices, over_until(facts.overs, facts.terms, now)
    if facts.undone_until is not None:
        notices = tuple(one for one in notices if one.received_at > facts.undone_until)
    if begins is not None:
        notices = tuple(one for one in notices if one.received_at >= begins)
    if len(notices) <= 1:
        return notices
    return sorted(notices, key=lambda one: (_end(one, facts, policy), one.received_at, one.notice_id))


def _end(notice: Notice, facts: Facts, policy: NoticePolicy) -> datetime:
    return terminates_at(notice, dates(facts.terms, notice, policy), facts.terms, facts.since)


def _over(customer_id: str, known: Running | Leaving, end: datetime) -> tuple[Ended, tuple[Event, ...]]:
    terms = known.terms
    last_day = known.last_day if isinstance(known, Leaving) else end_of(terms, known.period)
    terminated = ContractTerminated.model_validate(
        {"customer_id": customer_id, "contract_id": terms.contract_id, "basis": _basis(known), "period_end": last_day,
         "terminated_at": end, "time_zone": terms.zone, "revision": terms.revision, "announced": _announced(known.told)}
    )  # fmt: skip
    notice, standby = (known.notice, known.standby) if isinstance(known, Leaving) else (None, ())
    over = Over(ending_of(terminated), terminated.basis)
    follows = Ended(
        terms.contract_id, over.ending, over.basis, terms, known.since, notice, standby, known.told, known.earlier,
        known.undone_until,
    )  # fmt: skip
    return follows, (terminated,)


def _basis(known: Running | Leaving) -> Basis:
    """Name the basis; a notice too late for a contract that ends with its period all the same changed nothing."""
    if isinstance(known, Running):
        return "expiry"
    notice, terms = known.notice, known.terms
    if notice.ground == "non_renewal" and not goes_on(terms):
        late = non_renewal(terms, counting_day(notice.received_at, terms.zone), kept=notice.in_time).late
        return "expiry" if late else "notice"
    return BASES[notice.ground]


def _announced(told: Told) -> tuple[Announced, ...]:
    """Offer as evidence what became of each announcement (P12)."""
    found = {one.announcement_id: one for one in told.evidence}
    return tuple(
        Announced(announcement_id=one, outcome=found[one].outcome, informed_at=found[one].informed_at)
        if one in found
        else Announced(announcement_id=one, outcome="unanswered")
        for one in told.ids
    )
