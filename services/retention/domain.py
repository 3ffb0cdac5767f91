"""Decides when everything of a customer is deleted, and when that is proven: P3's clock, P7, P8, P10, P11."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from msgspec.structs import replace

from shared import contracts, holds
from shared.decision import Decided, Decision, Domain, Ignored, Input, Outcome, Overdue, Woke
from shared.events.event import Event
from shared.events.notice import ContractTerminated
from shared.events.platform import (
    ContractRegistered,
    CustomerInformed,
    DeletionAcknowledged,
    ExportConfirmed,
    LegalHoldPlaced,
    LegalHoldReleased,
)
from shared.events.retention import AccountClosed, DeletionCompleted
from shared.window import Window, window_of

from . import course
from .holders import answered, outcomes, released, stalled_event, told, with_holders
from .policy import RetentionPolicy
from .proof import objection, seen, unread
from .states import (
    Certifying,
    Checking,
    Closed,
    Confirmed,
    Deleting,
    Held,
    Informed,
    InWindow,
    Known,
    Serving,
    Stalled,
    State,
    Surveying,
    Unknown,
)
from .tasks import (
    Certified,
    Certify,
    CertifyFailed,
    Check,
    Checked,
    CheckFailed,
    ProofOutcome,
    Survey,
    Surveyed,
    SurveyFailed,
)

# Any: each reaction takes the one type of event that it stands under in the table.
Reaction: TypeAlias = Callable[[State, Any, datetime, RetentionPolicy], Decision[State]]
# Two machines' clocks differ by less; more is a clock that was put back.
_CLOCK_SKEW = timedelta(minutes=1)


def domain(policy: RetentionPolicy) -> Domain[State, RetentionPolicy]:
    """Give the retention service as the machine runs it, under *policy*."""
    return Domain(
        name="retention",
        states=State,
        initial=Unknown(),
        consumes=tuple(REACTIONS),
        decide=decide,
        wakes_at=wakes_at,
        policy=policy,
        tasks=(Survey, Check, Certify),
    )


def decide(state: State, given: Input, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Decide what follows from *given*."""
    if isinstance(given, Woke):
        return _stamped(woke(state, now, policy), now)
    event = given.event if isinstance(given, Overdue) else given
    if not state.known.customer_id:
        state = replace(state, known=replace(state.known, customer_id=event.customer_id))
    reaction = OUTCOMES[type(event)] if isinstance(event, Outcome) else REACTIONS[type(event)]
    return _stamped(reaction(state, event, now, policy), now)


def contract_registered(
    state: State, event: ContractRegistered, now: datetime, policy: RetentionPolicy
) -> Decision[State]:
    """Take on a contract: while one goes on, nothing is deleted (P2)."""
    news = contracts.registered(state.known.contracts, event)
    return Ignored("an older revision") if news is None else _under(state, news, now, policy)


def contract_terminated(
    state: State, event: ContractTerminated, now: datetime, policy: RetentionPolicy
) -> Decision[State]:
    """Note that a contract is over; when all are, the window opens (P3)."""
    news = contracts.terminated(state.known.contracts, event)
    return Ignored("known to be over") if news is None else _under(state, news, now, policy)


def hold_placed(state: State, event: LegalHoldPlaced, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Let nothing be deleted while a hold is placed (P8); a survey is made anew after it."""
    news = holds.placed(state.known.holds, event)
    if news is state.known.holds:
        return Ignored("the hold is known")
    known = replace(state.known, holds=news)
    if holds.held(news) and (isinstance(state, Surveying) or (isinstance(state, Stalled) and state.step == "survey")):
        return Decided(Held(known, state.window))
    return Decided(_with(state, known, now, policy))


def hold_released(state: State, event: LegalHoldReleased, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Let go on what the last hold has kept waiting; a release read before its placing is remembered."""
    news = holds.released(state.known.holds, event)
    if news is state.known.holds:
        return Ignored("the release is known")
    was_held, known = holds.held(state.known.holds), replace(state.known, holds=news)
    if not was_held or holds.held(news):
        return Decided(_with(state, known, now, policy))
    return _freed(state, known, now, policy)


def deletion_acknowledged(
    state: State, event: DeletionAcknowledged, now: datetime, policy: RetentionPolicy
) -> Decision[State]:
    """Count a holder's answer, once; a refusal or a residue is an operator's business, never a success."""
    deletion = state.deletion if isinstance(state, Deleting | Stalled) and _awaits_answers(state) else None
    if deletion is None:
        return Ignored("no answer is awaited")
    if event.deletion_id != deletion.deletion_id:
        return Ignored("the answer to another deletion")
    holder = next((one for one in deletion.holders if one.name == event.holder), None)
    if holder is None or not holder.sent:
        return Ignored("not one of the holders that were commanded")
    if holder.status == "erased":
        return Ignored("the holder has answered")
    news = answered(holder, event, now, policy)
    events: tuple[Event, ...] = ()
    if news.status == "refused":
        events = (stalled_event(event.customer_id, deletion.deletion_id, told(news), (news.name,)),)
    return course.with_answers(state.known, with_holders(deletion, {news.name: news}), now, policy, events)


def customer_informed(state: State, event: CustomerInformed, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Keep as evidence that an announcement of ours arrived, or didn't (P12)."""
    if event.announcement_id not in state.known.told:
        return Ignored("another service's announcement")
    news = Informed(event.announcement_id, event.channel, event.outcome, event.informed_at)
    if news in state.known.informed:
        return Ignored("known")
    return Decided(_with(state, replace(state.known, informed=(*state.known.informed, news)), now, policy))


def export_confirmed(state: State, event: ExportConfirmed, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Keep as evidence who confirmed which export (P10)."""
    news = Confirmed(event.export_id, event.sha256, event.confirmed_by, event.confirmed_at)
    if news in state.known.confirmed:
        return Ignored("known")
    return Decided(_with(state, replace(state.known, confirmed=(*state.known.confirmed, news)), now, policy))


# Who reacts to what. The events that this service reads are the keys.
REACTIONS: dict[type[Event], Reaction] = {
    ContractRegistered: contract_registered,
    ContractTerminated: contract_terminated,
    LegalHoldPlaced: hold_placed,
    LegalHoldReleased: hold_released,
    DeletionAcknowledged: deletion_acknowledged,
    CustomerInformed: customer_informed,
    ExportConfirmed: export_confirmed,
}


def surveyed(state: State, event: Surveyed, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Keep what was read; the commands follow on waking, where alone they are given."""
    if not isinstance(state, Surveying) or not _awaited(state, event):
        return Ignored("no survey is awaited")
    rows = seen(event.readings)
    missing = unread(rows, (holder.name for holder in policy.holders))
    if missing:
        return course.stall(state, "check_failed", missing, now, policy)
    return Decided(replace(state, seen=rows, wakes_at=now))


def checked(state: State, event: Checked, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Call the deletion complete only if nothing is left, everything was read and nobody else was touched."""
    if not isinstance(state, Checking) or not _awaited(state, event):
        return Ignored("no check is awaited")
    deletion, after = state.deletion, seen(event.readings)
    against = objection(deletion, after, policy)
    if against is not None:
        return course.stall(state, *against, now, policy)
    completed = DeletionCompleted(
        customer_id=event.customer_id,
        deletion_id=deletion.deletion_id,
        holders=outcomes(deletion),
        checked_at=now,
    )
    return course.certificate(state.known, deletion, after, now, policy=policy, events=(completed,))


def certified(state: State, event: Certified, now: datetime, _: RetentionPolicy) -> Decision[State]:
    """Close the account (P11)."""
    if not isinstance(state, Certifying) or not _awaited(state, event):
        return Ignored("no certificate is awaited")
    deletion = state.deletion
    closed = AccountClosed(
        customer_id=event.customer_id,
        deletion_id=deletion.deletion_id,
        certificate=event.certificate,
        certificate_sha256=event.certificate_sha256,
        rows_deleted=sum(number for holder in deletion.holders for _, number in holder.deleted),
        closed_at=now,
    )
    return Decided(
        Closed(state.known, deletion.window, deletion.deletion_id, event.certificate, event.certificate_sha256, now),
        (closed,),
    )


def proof_failed(state: State, event: ProofOutcome, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Tell an operator that a step of the proof failed, and try it again later."""
    if not isinstance(state, _FAILS_AT[type(event)]) or not _awaited(state, event):
        return Ignored("no such step is awaited")
    return course.stall(state, "check_failed", (), now, policy)


# What became of the service's own tasks; never published.
OUTCOMES: dict[type[Outcome], Reaction] = {
    Surveyed: surveyed,
    SurveyFailed: proof_failed,
    Checked: checked,
    CheckFailed: proof_failed,
    Certified: certified,
    CertifyFailed: proof_failed,
}
_FAILS_AT: dict[type[Outcome], Any] = {SurveyFailed: Surveying, CheckFailed: Checking, CertifyFailed: Certifying}


def woke(state: State, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Do what is due: announce, say that the window is over, command, go after holders, try again."""
    if isinstance(state, InWindow):
        return course.expired(state, policy) if now >= state.window.closes_at else course.announced(state, now, policy)
    if isinstance(state, Surveying):
        return course.command_all(state, now, policy)
    if isinstance(state, Deleting):
        return course.chase(state.known, state.deletion, now, policy)
    if isinstance(state, Stalled):
        return course.again(state, now, policy)
    return Ignored("nothing is due")


def wakes_at(state: State) -> datetime | None:
    """Tell when something is due; never while a hold keeps a deletion, nor before the time of the last decision.

    The second stops a clock that went back by more than a minute: everything that leads to a command happens on
    waking, so the case stays as it is, without a command, until the clock has caught up.
    """
    due, last = _due(state), state.known.decided_at
    if due is None or last is None:
        return due
    due = max(due, last - _CLOCK_SKEW)
    # A clock that differs by less than that still may not wake a deletion before the window has closed.
    return max(due, _window(state).closes_at) if isinstance(state, Surveying | Deleting | Stalled) else due


def _due(state: State) -> datetime | None:
    if isinstance(state, InWindow | Surveying):
        return state.wakes_at
    if not isinstance(state, Deleting | Stalled) or holds.held(state.known.holds):
        return None
    if isinstance(state, Stalled) and state.step != "answers":
        return state.retry_at
    deletion = state.deletion
    dues = () if deletion is None else (holder.due for holder in deletion.holders)
    return min((due for due in dues if due is not None), default=None)


def _under(state: State, news: contracts.Contracts, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Go on under changed contracts; if the right to delete is gone, nothing goes on as if it weren't."""
    window, known = window_of(news, policy.window_days), replace(state.known, contracts=news)
    if isinstance(state, Unknown | Serving):
        return course.from_contracts(known, now, policy)
    before = _window(state)
    commanded = isinstance(state, Deleting | Checking | Certifying) or (
        isinstance(state, Stalled) and state.deletion is not None
    )
    if window == before or (commanded and window is not None and window.closes_at <= now and not _waits(state)):
        return Decided(_with(state, known, now, policy))
    if not commanded:
        return course.from_contracts(known, now, policy)
    return _lost_the_right(state, known, now, policy)


def _window(
    state: InWindow | Held | Surveying | Deleting | Checking | Certifying | Closed | Stalled,
) -> Window:
    return state.deletion.window if isinstance(state, Deleting | Checking | Certifying) else state.window


def _lost_the_right(state: Any, known: Known, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Tell an operator that a contract goes on though commands are out; with it over again, all begins anew."""
    deletion = state.deletion
    names = tuple(holder.name for holder in deletion.holders if holder.status != "erased")
    event = stalled_event(known.customer_id, deletion.deletion_id, "contract_active", names)
    events = () if _waits(state) else (event,)
    if window_of(known.contracts, policy.window_days) is not None:
        return course.from_contracts(known, now, policy, events)
    return Decided(Stalled(known, deletion.window, "contract", "contract_active", names, deletion), events)


def _awaits_answers(state: Deleting | Stalled) -> bool:
    return isinstance(state, Deleting) or state.step == "answers"


def _waits(state: State) -> bool:
    return isinstance(state, Stalled) and state.step == "contract"


def _freed(state: State, known: Known, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Go on without a hold: what was in flight when it was placed is looked at again."""
    if isinstance(state, Held):
        return course.survey(known, state.window, policy)
    if isinstance(state, Checking):
        return course.check(known, state.deletion)
    if isinstance(state, Certifying):
        return course.certificate(known, state.deletion, state.after, state.checked_at, policy=policy)
    if isinstance(state, Deleting | Stalled) and state.deletion is not None and _awaits_answers(state):
        return course.with_answers(known, released(state.deletion, now), now, policy)
    return Decided(_with(state, known, now, policy))


def _awaited(state: Surveying | Checking | Certifying, event: ProofOutcome) -> bool:
    """Tell whether *event* is the outcome of the step ordered last, and nothing holds it up."""
    return event.attempt == state.known.attempts and not holds.held(state.known.holds)


def _with(state: State, known: Known, now: datetime, policy: RetentionPolicy) -> State:
    if isinstance(state, InWindow):
        return course.in_window(known, state.window, now, policy)
    return replace(state, known=known)


def _stamped(decision: Decision[State], now: datetime) -> Decision[State]:
    if not isinstance(decision, Decided):
        return decision
    known = decision.state.known
    if known.decided_at is not None and known.decided_at >= now:
        return decision
    state = replace(decision.state, known=replace(known, decided_at=now))
    return Decided(state, decision.events, decision.tasks)
