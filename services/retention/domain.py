"""Decides when everything of a customer is deleted, and when that is proven: P3's clock, P7, P8, P10, P11."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from msgspec.structs import replace

from shared import contracts, holds
from shared.decision import Decided, Decision, Domain, Ignored, Input, Outcome, Overdue, Premature, Woke
from shared.events.event import Event
from shared.events.exporter import ConfirmationAccepted, ConfirmationVoided, ExportReady
from shared.events.notice import ContractTerminated
from shared.events.platform import (
    ContractRegistered,
    CustomerInformed,
    DeletionAcknowledged,
    DeletionApproved,
    EarlyDeletionRequested,
    ExportConfirmed,
    LegalHoldPlaced,
    LegalHoldReleased,
    WindowChanged,
)
from shared.events.retention import DeletionCompleted, EarlyDeletionRefused
from shared.windowchanges import change_of

from . import course
from .confirming import with_verdict, withdrawn
from .early import comparing, early_answer
from .expiry import upgraded
from .holders import DONE, Trouble, answered, outcomes, stalled_event, told, with_holders
from .holding import freed, hold_placed, hold_released
from .journal import noted
from .policy import RetentionPolicy
from .proof import (
    emptied,
    maps,
    mentioned,
    objection,
    read_otherwise,
    searched,
    seen,
    sought,
    unread,
    vouched,
    with_shown,
)
from .remapped import adopted, approved_by_name, awaits, not_surveyed, surveyed_anew
from .right import approved, informed, total
from .standing import as_before, awaits_answers, changed, commanded, cut_short, under, with_known
from .states import (
    Approval,
    Awaiting,
    Certifying,
    Checking,
    Confirmed,
    Deleting,
    Informed,
    Keeping,
    Load,
    Ready,
    Stalled,
    State,
    Surveying,
    Unknown,
    Verdict,
)
from .statutory import follow_up, retained_by, told_retained, unlike
from .tasks import (
    Amend,
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
    Upgrade,
    Upgraded,
)
from .telling import restated
from .waking import hold_ended, wakes_at, woke

# Any: each reaction takes the one type of event that it stands under in the table.
Reaction: TypeAlias = Callable[[State, Any, datetime, RetentionPolicy], Decision[State]]


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
        tasks=(Survey, Check, Certify, Amend, Upgrade),
    )


def decide(state: State, given: Input, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Decide what follows from *given*."""
    if isinstance(given, Woke):
        return _stamped(given, woke(state, now, policy), now, policy)
    event = given.event if isinstance(given, Overdue) else given
    if not state.known.customer_id:
        state = replace(state, known=replace(state.known, customer_id=event.customer_id))
    if hold_ended(state.known, now):
        return _stamped(given, _after_the_hold(state, given, now, policy), now, policy)
    return _stamped(given, _react(state, given, now, policy), now, policy)


def _react(state: State, given: Event | Overdue, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    event = given.event if isinstance(given, Overdue) else given
    reaction = OUTCOMES[type(event)] if isinstance(event, Outcome) else REACTIONS[type(event)]
    decision = reaction(state, event, now, policy)
    if isinstance(given, Overdue) and isinstance(decision, Premature) and isinstance(event, EarlyDeletionRequested):
        return _early_answered(state, event, now, policy)
    return decision


def _after_the_hold(state: State, given: Event | Overdue, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Let go on what a hold kept that has come to its end; *given* was read before the waking that would have."""
    first = freed(state, state.known, now, policy)
    then = _react(first.state, given, now, policy)
    if isinstance(then, Premature):
        # It waits, and the waking frees what the hold kept.
        return then
    if not isinstance(then, Decided):
        return first
    return Decided(then.state, (*first.events, *then.events), (*first.tasks, *then.tasks))


def contract_registered(
    state: State, event: ContractRegistered, now: datetime, policy: RetentionPolicy
) -> Decision[State]:
    """Take on a contract: while one goes on, nothing is deleted (P2)."""
    news = contracts.registered(state.known.contracts, event)
    return Ignored("an older revision") if news is None else under(state, news, now, policy)


def contract_terminated(
    state: State, event: ContractTerminated, now: datetime, policy: RetentionPolicy
) -> Decision[State]:
    """Note that a contract is over; when all are, the window opens (P3)."""
    news = contracts.terminated(state.known.contracts, event)
    return Ignored("known to be over") if news is None else under(state, news, now, policy)


def deletion_acknowledged(
    state: State, event: DeletionAcknowledged, now: datetime, policy: RetentionPolicy
) -> Decision[State]:
    """Count a holder's answer, once; a refusal or a residue is an operator's business, never a success."""
    deletion = state.deletion if isinstance(state, Deleting | Stalled) and awaits_answers(state) else None
    if deletion is None:
        return Ignored("no answer is awaited")
    if event.deletion_id != deletion.deletion_id:
        return Ignored("the answer to another deletion")
    holder = next((one for one in deletion.holders if one.name == event.holder), None)
    if holder is None or not holder.sent:
        return Ignored("not one of the holders that were commanded")
    if holder.status in DONE:
        return Ignored("the holder has answered")
    if any(counted is not None and event.answered_at <= counted for counted in (holder.heard, holder.disputed)):
        return Ignored("an answer that has been counted, or one before it")
    news = answered(holder, event, now, policy, holds.in_force(state.known.holds, now))
    news = replace(news, heard=event.answered_at)
    events: tuple[Event, ...] = ()
    if news.status == "refused":
        trouble = Trouble(told(news), (news.name,))
        events = (stalled_event(state.known, deletion.deletion_id, trouble, news.sent, policy),)
    return course.with_answers(state.known, with_holders(deletion, {news.name: news}), now, policy, events)


def window_changed(state: State, event: WindowChanged, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Let the window be longer than the policy says, or no longer so (P3)."""
    return changed(state, change_of(event), now, policy)


def deletion_approved(state: State, event: DeletionApproved, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Go on in spite of what made the deletion wait, if a second person said so and knew how much it is about.

    Where that is what holders say that they keep, they are commanded again, and nothing else follows from it.
    """
    news = _approval(event)
    if news in (*state.known.approvals, *state.known.asked_anew):
        return Ignored("known")
    if not isinstance(state, Awaiting | Stalled) or event.deletion_id != course.deletion_id(state.known, state.window):
        return Ignored("no such deletion waits for it")
    unlike = bool(event.maps) and not (isinstance(state, Stalled) and approved_by_name(state, event))
    if event.approved_by == event.requested_by or unlike or (not event.maps and event.rows < _rows(state)):
        trouble = Trouble("not_approved")
        return Decided(state, (stalled_event(state.known, event.deletion_id, trouble, 1, policy),))
    return _gone_on(state, event, news, now)


def _gone_on(state: Awaiting | Stalled, event: DeletionApproved, news: Approval, now: datetime) -> Decision[State]:
    if isinstance(state, Stalled) and state.disputed and "counts" in event.in_spite_of:
        return course.ask_anew(state, news, now)
    known = replace(state.known, approvals=(*state.known.approvals, news))
    if isinstance(state, Awaiting):
        return Decided(replace(state, known=known, wakes_at=now))
    if event.maps and state.deletion is not None:
        return Decided(replace(state, known=known, deletion=adopted(state.deletion, now)))
    return Decided(replace(state, known=known, retry_at=now if state.reason in event.in_spite_of else state.retry_at))


def export_ready(state: State, event: ExportReady, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Keep which export was ready, for whoever confirms it, and what was in it, to compare with what is deleted."""
    tables = tuple((count.table, count.rows) for count in (*event.tables, event.media))
    objects = tuple((count.table, count.rows) for count in event.objects)
    news = Ready(event.export_id, event.sha256, event.snapshot_at, tables, objects)
    if any(one.export_id == news.export_id for one in state.known.ready):
        return Ignored("known")
    return Decided(with_known(state, replace(state.known, ready=(*state.known.ready, news)), now, policy))


def early_deletion_requested(
    state: State, event: EarlyDeletionRequested, now: datetime, policy: RetentionPolicy
) -> Decision[State]:
    """Close the window early if the customer confirmed the very export that we made (P10); say so, or why not."""
    if event.request_id in state.known.early_asked:
        return Ignored("answered already")
    if comparing(state, event.export_id):
        return Premature("the exporter still compares what was confirmed", now + policy.confirmation_wait)
    return _early_answered(state, event, now, policy)


def _early_answered(
    state: State, event: EarlyDeletionRequested, now: datetime, policy: RetentionPolicy
) -> Decision[State]:
    known = replace(state.known, early_asked=(*state.known.early_asked, event.request_id))
    answer = early_answer(state, event, now, policy)
    if isinstance(answer, EarlyDeletionRefused):
        return Decided(with_known(state, known, now, policy), (answer,))
    return cut_short(replace(state, known=known), answer, now, policy)


def customer_informed(state: State, event: CustomerInformed, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Keep as evidence that an announcement of ours arrived, or didn't (P12)."""
    if event.announcement_id not in state.known.told:
        return Ignored("another service's announcement")
    news = Informed(event.announcement_id, event.channel, event.outcome, event.informed_at)
    if news in state.known.informed:
        return Ignored("known")
    known = replace(state.known, informed=(*state.known.informed, news))
    if isinstance(state, Awaiting) and "not_informed" in state.missing and informed(known, state.window, now):
        return Decided(replace(state, known=known, wakes_at=now))
    return Decided(with_known(state, known, now, policy))


def export_confirmed(state: State, event: ExportConfirmed, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Keep as evidence who confirmed which export (P10)."""
    news = Confirmed(event.export_id, event.sha256, event.confirmed_by, event.confirmed_at)
    if news in state.known.confirmed:
        return Ignored("known")
    return Decided(with_known(state, replace(state.known, confirmed=(*state.known.confirmed, news)), now, policy))


def confirmation_accepted(
    state: State, event: ConfirmationAccepted, now: datetime, policy: RetentionPolicy
) -> Decision[State]:
    """Keep that a confirmation was found to hold, and when: the end of a window may wait for that."""
    known = with_verdict(state.known, Verdict(event.export_id, event.sha256, event.compared_at, holds=True))
    return Ignored("something later is known") if known is None else Decided(with_known(state, known, now, policy))


def confirmation_voided(
    state: State, event: ConfirmationVoided, now: datetime, policy: RetentionPolicy
) -> Decision[State]:
    """Keep that a confirmation doesn't hold; a window that it cut short is as long as before."""
    void = Verdict(event.export_id, event.sha256, event.compared_at, holds=False)
    known = with_verdict(state.known, void)
    if known is None:
        return Ignored("something later is known")
    longer = None if commanded(state) else withdrawn(known, void, now)
    if longer is None:
        return Decided(with_known(state, known, now, policy))
    return as_before(replace(state, known=known), longer, now, policy)


# Who reacts to what. The events that this service reads are the keys.
REACTIONS: dict[type[Event], Reaction] = {
    ContractRegistered: contract_registered,
    ContractTerminated: contract_terminated,
    LegalHoldPlaced: hold_placed,
    LegalHoldReleased: hold_released,
    DeletionAcknowledged: deletion_acknowledged,
    CustomerInformed: customer_informed,
    ExportReady: export_ready,
    ExportConfirmed: export_confirmed,
    ConfirmationAccepted: confirmation_accepted,
    ConfirmationVoided: confirmation_voided,
    WindowChanged: window_changed,
    EarlyDeletionRequested: early_deletion_requested,
    DeletionApproved: deletion_approved,
}


def surveyed(state: State, event: Surveyed, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Keep what was read; the commands follow on waking, where alone they are given."""
    if isinstance(state, Stalled) and awaits(state, event):
        return surveyed_anew(state, event, now, policy)
    if not isinstance(state, Surveying) or not _awaited(state, event):
        return Ignored("no survey is awaited")
    rows = seen(event.readings)
    names = dict.fromkeys((*policy.readable, *course.needed(state.known, now, ())))
    missing = unread(rows, names)
    if missing:
        return course.stall(state, "check_failed", missing, now, policy)
    load = Load(event.due, event.customers, event.usual_rows)
    return Decided(replace(state, seen=rows, maps=maps(event.readings), load=load, wakes_at=now))


def checked(state: State, event: Checked, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Call the deletion complete only if nothing is left, everything was read and nobody else was touched.

    What a hold keeps is left; it is complete when that has gone as well. What nothing but a law keeps stays, and what
    was found of that has to be what the holders named, to the last day and row.
    """
    if not isinstance(state, Checking) or not _proves(state, event, now):
        return Ignored("no check is awaited")
    deletion, after, copied = state.deletion, seen(event.readings), mentioned(event.readings)
    if follow_up(state.known) is not None:
        # What laws keep elsewhere has a time of its own.
        after = tuple(row for row in after if row.holder in {one.name for one in deletion.holders})
    against = objection(state.known, deletion, after, copied, policy)
    if against is not None and against.disputed:
        state = replace(state, deletion=vouched(deletion, against.holders, after))
    if against is not None:
        return course.stall(state, against.reason, against.holders, now, policy, disputed=against.disputed)
    by_another = read_otherwise(deletion, maps(event.readings))
    if by_another and not approved(state.known, deletion.deletion_id, "other_map", total(deletion.before)):
        return course.stall(state, "other_map", by_another, now, policy)
    other = unlike(deletion, ((one.holder, one.retained) for one in event.readings))
    if other:
        return course.stall(state, "counts", other, now, policy, disputed=True)
    if holds.held(state.known.holds, now) or any(holder.status == "kept" for holder in deletion.holders):
        return Decided(Keeping(state.known, deletion, after, now))
    completed = DeletionCompleted(
        customer_id=event.customer_id,
        deletion_id=deletion.deletion_id,
        holders=outcomes(with_shown(deletion, after)),
        checked_at=now,
        retained=told_retained(retained_by(deletion)),
    )
    read = event.readings
    deletion = replace(deletion, emptied=emptied(read), searched=searched(read), sought=sought(read))
    return course.certificate(state.known, deletion, after, now, policy=policy, events=(completed,))


def certified(state: State, event: Certified, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Close the account (P11), or say what has become of that which laws kept."""
    if not isinstance(state, Certifying) or not _proves(state, event, now):
        return Ignored("no certificate is awaited")
    retained = follow_up(state.known)
    if retained is not None:
        return course.amended(state, event, retained, now)
    return course.closed(state, event, now, policy)


def proof_failed(state: State, event: ProofOutcome, now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Tell an operator that a step of the proof failed, and try it again later."""
    if isinstance(state, Stalled) and isinstance(event, SurveyFailed) and awaits(state, event):
        return not_surveyed(state, (), policy)
    if not isinstance(state, _FAILS_AT[type(event)]) or not _awaited(state, event):
        return Ignored("no such step is awaited")
    if _held_up(state, now):
        return Ignored("a hold keeps it; the step is made again when that is over")
    return course.stall(state, "check_failed", (), now, policy)


# What became of the service's own tasks; never published.
OUTCOMES: dict[type[Outcome], Reaction] = {
    Surveyed: surveyed,
    SurveyFailed: proof_failed,
    Checked: checked,
    CheckFailed: proof_failed,
    Certified: certified,
    CertifyFailed: proof_failed,
    Upgraded: upgraded,
}
_FAILS_AT: dict[type[Outcome], Any] = {SurveyFailed: Surveying, CheckFailed: Checking, CertifyFailed: Certifying}


def _approval(event: DeletionApproved) -> Approval:
    return Approval(
        event.deletion_id,
        event.in_spite_of,
        event.rows,
        event.requested_by,
        event.approved_by,
        event.approved_at,
        tuple((one.holder, one.map_sha256) for one in event.maps),
    )


def _rows(state: Awaiting | Stalled) -> int:
    """Count what there was when it was surveyed."""
    if isinstance(state, Awaiting):
        return total(state.seen)
    return total(state.deletion.before) if state.deletion is not None else 0


def _awaited(state: Surveying | Checking | Certifying, event: ProofOutcome) -> bool:
    """Tell whether *event* is the outcome of the step ordered last."""
    return event.attempt == state.known.attempts


def _proves(state: Checking | Certifying, event: ProofOutcome, now: datetime) -> bool:
    """Tell whether *event* is the outcome of the step ordered last, and nothing holds it up."""
    return _awaited(state, event) and not _held_up(state, now)


def _held_up(state: Surveying | Checking | Certifying, now: datetime) -> bool:
    """Tell whether a hold keeps the step from counting: one of a part lets it be checked what that part is."""
    known = state.known.holds
    return holds.held(known, now) if isinstance(state, Certifying) else holds.all_held(known, now)


def _stamped(given: Input, decision: Decision[State], now: datetime, policy: RetentionPolicy) -> Decision[State]:
    """Tell of changed dates, note the decision in the journal, and remember when it was made."""
    if not isinstance(decision, Decided):
        return decision
    state, changes = restated(decision.state, now)
    events = (*decision.events, *changes)
    if changes:
        state = with_known(state, state.known, now, policy)
    known = state.known
    known = replace(
        known,
        journal=noted(known.journal, now, _named(given), _kind(state), map(_named, events)),
        decided_at=max(known.decided_at or now, now),
    )
    return Decided(replace(state, known=known), events, decision.tasks)


def _named(given: Input) -> str:
    if isinstance(given, Woke):
        return "Woke"
    return (given.event if isinstance(given, Overdue) else given).type()


def _kind(state: State) -> str:
    return str(state.__struct_config__.tag)
