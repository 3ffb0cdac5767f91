"""The course of a case: from which state to which it goes, with the events and tasks that go along."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, TypeAlias

from msgspec.structs import replace

from shared.days import first_moment
from shared.decision import Decided, Task
from shared.events.event import Event
from shared.events.retention import AccountClosed, CertificateAmended, RetentionExpired, StallReason
from shared.holds import all_held, in_force
from shared.window import Window

from .expiry import expiring
from .holders import (
    DONE,
    Trouble,
    again_at,
    all_again,
    asked_anew,
    chased,
    in_trouble,
    is_due,
    kept_at,
    not_commanded,
    remapped,
    stalled_event,
    told,
    with_holders,
)
from .late import hold_answers
from .policy import RetentionPolicy
from .proof import amend, certify, copies, readings, with_shown
from .right import Lack, NoRightToDeleteError, insist, lacking, promise_of, window_under
from .states import (
    Approval,
    Awaiting,
    Certifying,
    Checking,
    Closed,
    Deleting,
    Deletion,
    Held,
    Holder,
    InWindow,
    Keeping,
    Known,
    Load,
    Retained,
    RetainedRows,
    Retaining,
    Seen,
    Serving,
    Stalled,
    State,
    Surveying,
    Unknown,
    window_of_state,
)
from .statutory import concerned, due_at, follow_up, retained_by, told_retained, waiting
from .tasks import Certified, Check, HeldAt, Survey
from .telling import announced as told_of
from .telling import in_window, warned_late

Decision: TypeAlias = Decided[State]


def from_contracts(known: Known, now: datetime, policy: RetentionPolicy) -> Decision:
    """Begin where the contracts say: unknown, serving, or in a window that is counted by the policy of today."""
    fresh = replace(known, window_days=policy.window_days, policy_version=policy.version)
    window = window_under(fresh)
    if window is not None:
        return Decided(in_window(fresh, window, now, policy))
    known = replace(known, window_days=0, policy_version="")
    return Decided(Serving(known) if known.contracts else Unknown(known))


def announced(state: InWindow, now: datetime, policy: RetentionPolicy) -> Decision:
    """Tell the customer what is owed now (P12)."""
    return Decided(*told_of(state, now, policy))


def expired(state: InWindow, now: datetime, policy: RetentionPolicy) -> Decision:
    """Say once that the window is over; a hold may keep everything, otherwise the deletion begins with a survey."""
    over = RetentionExpired(
        customer_id=state.known.customer_id,
        terminated_at=state.window.opens_at,
        window_days=state.known.window_days,
        window_closed_at=state.window.closes_at,
    )
    if all_held(state.known.holds, now):
        return Decided(Held(state.known, state.window), (over,))
    return survey(state.known, state.window, policy, (over,))


def survey(known: Known, window: Window, policy: RetentionPolicy, events: tuple[Event, ...] = ()) -> Decision:
    """Have everything read before anything is deleted, and how much else is due."""
    known = replace(known, attempts=known.attempts + 1)
    return Decided(Surveying(known, window), events, (_survey(known, window, policy),))


def _survey(known: Known, window: Window, policy: RetentionPolicy) -> Survey:
    return Survey(
        customer_id=known.customer_id,
        deletion_id=deletion_id(known, window),
        attempt=known.attempts,
        holders=policy.readable,
    )


def considered(state: Surveying | Awaiting, now: datetime, policy: RetentionPolicy) -> Decision:
    """Command every holder that the policy names (P7) if nothing stands against it; else wait for who decides."""
    known, window, load = state.known, state.window, state.load
    if load is None or not state.seen:
        raise NoRightToDeleteError("what there is wasn't read")
    if window_under(known) != window and follow_up(known) is None:
        raise NoRightToDeleteError("a contract goes on, or the window is another one")
    missing = lacking(
        known,
        window,
        deletion_id=deletion_id(known, window),
        seen=state.seen,
        load=load,
        now=now,
        policy=policy,
    )
    if missing:
        return awaited(state, load, missing, now, policy)
    names = needed(known, now, tuple(holder.name for holder in policy.holders))
    holders = tuple(not_commanded(name, now) for name in names)
    before = tuple(row for row in state.seen if row.holder in names)
    deletion = Deletion(deletion_id(known, window), window, before, holders, state.maps)
    return chase(known, deletion, now, policy)


def needed(known: Known, now: datetime, names: tuple[str, ...]) -> tuple[str, ...]:
    """Tell which holders a deletion is about: all of *names*, or, of what laws have kept, those where some is due."""
    retained = follow_up(known)
    return names if retained is None else concerned(retained, now)


def awaited(
    state: Surveying | Awaiting, load: Load, missing: tuple[Lack, ...], now: datetime, policy: RetentionPolicy
) -> Decision:
    """Wait for what is *missing*; a warning that couldn't be given before is given now, and has its time."""
    known, told = _warned(state, missing, now, policy)
    promise = promise_of(known, "deletion")
    due_at = None if promise is None or promise.past(now) else promise.due_at
    for_operators = tuple(lack for lack in missing if lack != "not_informed" or due_at is None)
    waiting = Awaiting(known, state.window, state.seen, state.maps, load, missing, 0, due_at)
    if not for_operators:
        return Decided(waiting, told)
    tries = 1 + (state.tries if isinstance(state, Awaiting) else 0)
    trouble = Trouble(for_operators[0], missing=for_operators, seen=state.seen, load=load)
    event = stalled_event(known, deletion_id(known, state.window), trouble, tries, policy)
    return Decided(replace(waiting, tries=tries, wakes_at=again_at(tries, now, policy)), (*told, event))


def _warned(
    state: Surveying | Awaiting, missing: tuple[Lack, ...], now: datetime, policy: RetentionPolicy
) -> tuple[Known, tuple[Event, ...]]:
    promise = promise_of(state.known, "deletion")
    if "not_informed" not in missing or (promise is not None and promise.stands(state.window.opens_at)):
        return state.known, ()
    known, event = warned_late(state.known, state.window, now, policy)
    return known, (event,)


def chase(known: Known, deletion: Deletion, now: datetime, policy: RetentionPolicy) -> Decision:
    """Go after the holders; the only place where a command is given, so the right to is looked at again here.

    What a holder has that runs another data map than its command named is read anew first.
    """
    insist(known, deletion.window, now)
    anew = {one.name: one for one in deletion.holders if remapped(one) and is_due(one, now)}
    deletion, events = chased(known, deletion, now, policy)
    if not anew:
        return with_answers(known, deletion, now, policy, events)
    known = replace(known, attempts=known.attempts + 1)
    due = again_at(known.attempts, now, policy)
    deletion = with_holders(deletion, {name: replace(one, due=due) for name, one in anew.items()})
    decision = with_answers(known, deletion, now, policy, events)
    return Decided(decision.state, decision.events, (*decision.tasks, _survey(known, deletion.window, policy)))


def with_answers(
    known: Known, deletion: Deletion, now: datetime, policy: RetentionPolicy, events: tuple[Event, ...] = ()
) -> Decision:
    """Say where a deletion stands by its holders: under way, stalled, or to be checked."""
    known, answers = hold_answers(known, deletion, now)
    events = (*events, *answers)
    trouble = in_trouble(deletion)
    if trouble:
        names = tuple(holder.name for holder in trouble)
        return Decided(Stalled(known, deletion.window, "answers", told(trouble[0]), names, deletion), events)
    commanded = {holder.name for holder in deletion.holders}
    everyone = () if follow_up(known) else policy.holders
    missing = tuple(not_commanded(one.name, now) for one in everyone if one.name not in commanded)
    deletion = replace(deletion, holders=(*deletion.holders, *missing))
    if any(holder.status not in (*DONE, "kept") for holder in deletion.holders):
        return Decided(Deleting(known, deletion), events)
    return check(known, deletion, now, policy, events)


def check(
    known: Known, deletion: Deletion, now: datetime, policy: RetentionPolicy, events: tuple[Event, ...] = ()
) -> Decision:
    """Have it looked at, by another way, whether all is gone that nothing holds."""
    known = replace(known, attempts=known.attempts + 1)
    names = tuple(holder.name for holder in deletion.holders if holder.name not in policy.access_only)
    holds = in_force(known.holds, now)
    held = (HeldAt(holder=name, keep=kept_at(name, deletion.before, holds)) for name in names)
    task = Check(
        customer_id=known.customer_id,
        deletion_id=deletion.deletion_id,
        attempt=known.attempts,
        holders=names,
        before=readings(deletion.before),
        held=tuple(one for one in held if one.keep),
    )
    return Decided(Checking(known, deletion), events, (task,))


def certificate(
    known: Known,
    deletion: Deletion,
    after: tuple[Seen, ...],
    checked_at: datetime,
    *,
    policy: RetentionPolicy,
    events: tuple[Event, ...] = (),
) -> Decision:
    """Have the certificate made, or the addendum to the one that there is."""
    known = replace(known, attempts=known.attempts + 1)
    retained = follow_up(known)
    if retained is None:
        task: Task = certify(known, deletion, after, checked_at, policy)
    else:
        task = amend(known, deletion, after, checked_at, retained)
    return Decided(Certifying(known, deletion, after, checked_at), events, (task,))


def closed(state: Certifying, event: Certified, now: datetime, policy: RetentionPolicy) -> Decision:
    """Close the account (P11); what laws keep waits for its time."""
    deletion, retained = state.deletion, retained_by(state.deletion)
    ended = AccountClosed(
        customer_id=event.customer_id,
        deletion_id=deletion.deletion_id,
        certificate=event.certificate,
        certificate_sha256=event.certificate_sha256,
        rows_deleted=sum(number for holder in _shown(state) for _, number in holder.deleted),
        closed_at=now,
        retained=told_retained(retained),
    )
    # What was promised was kept; nobody is to be told later that it doesn't come.
    known = replace(state.known, closed=(*state.known.closed, deletion.deletion_id), promised=())
    known = expiring(known, event, copies(state.checked_at, policy))
    return Decided(_at_rest(known, state, event, retained, now), (ended,))


def amended(state: Certifying, event: Certified, retained: Retained, now: datetime) -> Decision:
    """Say what of the retained is gone, and wait for the rest, if there is any."""
    deletion, left = state.deletion, waiting(retained, state.deletion)
    said = CertificateAmended(
        customer_id=event.customer_id,
        deletion_id=deletion.deletion_id,
        certificate=event.certificate,
        certificate_sha256=event.certificate_sha256,
        first_sha256=retained.certificate_sha256,
        rows_deleted=sum(number for holder in _shown(state) for _, number in holder.deleted),
        retained=told_retained(left),
        amended_at=now,
    )
    known = replace(state.known, closed=(*state.known.closed, deletion.deletion_id))
    return Decided(_at_rest(known, state, event, left, now, retained), (said,))


def _shown(state: Certifying) -> tuple[Holder, ...]:
    return with_shown(state.deletion, state.after).holders


def _at_rest(
    known: Known,
    state: Certifying,
    event: Certified,
    rows: tuple[RetainedRows, ...],
    now: datetime,
    first: Retained | None = None,
) -> Retaining | Closed:
    """Come to the end, or, where laws keep *rows*, to where they wait; of the *first* certificate, if there was one."""
    deletion = state.deletion
    deleted = tuple((holder.name, holder.deleted) for holder in _shown(state))
    place, sha256 = event.certificate, event.certificate_sha256
    if not rows:
        known = replace(known, retained=None)
        return Closed(known, deletion.window, deletion.deletion_id, place, sha256, now, deleted)
    if first is None:
        retained = Retained(deletion.deletion_id, place, sha256, rows, due_at(rows))
    else:
        retained = replace(first, rows=rows, due_at=due_at(rows), addenda=first.addenda + 1)
    return Retaining(replace(known, retained=retained), deletion.window, deletion.deletion_id, now, deleted)


def came_due(state: Retaining, now: datetime, policy: RetentionPolicy) -> Decision:
    """Begin to delete what laws have kept: with a survey, as ever; a hold of everything comes first."""
    if all_held(state.known.holds, now):
        return Decided(Held(state.known, state.window))
    return survey(state.known, state.window, policy)


def stays_longer(state: Serving, retained: Retained, now: datetime, policy: RetentionPolicy) -> Decision:
    """Tell an operator that rows have had their time which can't go, since a contract goes on."""
    known = replace(state.known, retained=replace(retained, told=True))
    trouble = Trouble("contract_active", concerned(retained, now))
    return Decided(replace(state, known=known), (stalled_event(known, retained.deletion_id, trouble, 1, policy),))


def reviewed(state: Held | Keeping, now: datetime, policy: RetentionPolicy) -> Decision:
    """Tell whoever answers for the holds that they have to be looked at again."""
    window = window_of_state(state)
    due = {hold_id: day for hold_id, day in _to_review(state) if first_moment(day, window.zone) <= now}
    reviewed = tuple(_reviewed(hold_id, day) for hold_id, day in due.items())
    known = replace(state.known, reviewed=(*state.known.reviewed, *reviewed))
    trouble = Trouble("hold_review", holds=tuple(due))
    event = stalled_event(known, deletion_id(known, window), trouble, 1, policy)
    return Decided(replace(state, known=known), (event,))


def review_due(state: Held | Keeping) -> datetime | None:
    """Tell when the next hold has to be looked at again."""
    zone = window_of_state(state).zone
    return min((first_moment(day, zone) for _, day in _to_review(state)), default=None)


def _to_review(state: Held | Keeping) -> tuple[tuple[str, date], ...]:
    due = ((hold.hold_id, hold.review_on) for hold in state.known.holds if hold.active)
    return tuple((name, day) for name, day in due if day and _reviewed(name, day) not in state.known.reviewed)


def _reviewed(hold_id: str, review_on: date) -> str:
    return f"{hold_id}:{review_on}"


def stall(
    state: Surveying | Checking | Certifying,
    reason: StallReason,
    holders: tuple[str, ...],
    now: datetime,
    policy: RetentionPolicy,
    *,
    disputed: bool = False,
) -> Decision:
    """Wait at the step that failed, and tell an operator why; it is *disputed* what the holders say that they keep."""
    known, step = state.known, _STEPS[type(state)]
    deletion = None if isinstance(state, Surveying) else state.deletion
    window = state.window if isinstance(state, Surveying) else state.deletion.window
    stalled = Stalled(known, window, step, reason, holders, deletion, again_at(known.attempts, now, policy))
    if isinstance(state, Certifying):
        stalled = replace(stalled, after=state.after, checked_at=state.checked_at)
    if disputed:
        stalled = replace(stalled, disputed=holders)
    trouble = Trouble(reason, holders)
    return Decided(stalled, (stalled_event(known, deletion_id(known, window), trouble, known.attempts, policy),))


def ask_anew(state: Stalled, word: Approval, now: datetime) -> Decision:
    """Have those commanded again, by a second person's *word*, of which the check found something else than they say.

    It lets nothing pass: the right to delete is asked for before the command, and the new answer is checked as well.
    """
    if state.deletion is None:
        raise ValueError("only the answers of a deletion can be disputed")
    known = replace(state.known, asked_anew=(*state.known.asked_anew, word))
    deletion = asked_anew(state.deletion, state.disputed, now)
    return Decided(Stalled(known, state.window, "answers", "counts", state.disputed, deletion))


def again(state: Stalled, now: datetime, policy: RetentionPolicy) -> Decision:
    """Try again what failed."""
    if state.deletion is None:
        return survey(state.known, state.window, policy)
    if state.step == "answers":
        return chase(state.known, state.deletion, now, policy)
    if state.checked_at is not None:
        return certificate(state.known, state.deletion, state.after, state.checked_at, policy=policy)
    if state.reason == "residue":
        return chase(state.known, all_again(state.deletion, now), now, policy)
    return check(state.known, state.deletion, now, policy)


def deletion_id(known: Known, window: Window) -> str:
    """Name the deletion readably: whose, after which termination, and the how manieth if there was one after it."""
    name = f"{known.customer_id}:{window.opened_on.isoformat()}"
    ended = (*known.closed, *known.given_up)
    before = sum(one == name or one.startswith(f"{name}:") for one in ended)
    return f"{name}:{before + 1}" if before else name


_STEPS: dict[type, Any] = {Surveying: "survey", Checking: "check", Certifying: "certify"}
