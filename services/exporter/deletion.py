"""How the exporter answers as a holder (P7): its own look at the right to delete, its order, its answer."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec.structs import replace

from shared.decision import Decided
from shared.events.event import Event
from shared.events.exporter import ConfirmationRejected, ExportDeleted
from shared.events.platform import DeletionAcknowledged, NotErased
from shared.events.platform import Erased as ErasedAnswer
from shared.holds import Hold, in_force

from .confirming import unproven
from .copies import places_before
from .counting import window_under
from .policy import ExporterPolicy
from .states import Copy, Deleting, Erased, Keeping, Known, State
from .tasks import ArchiveCopy, ArchivesDeleted, DeleteArchives, DeleteFailed

Refusal: TypeAlias = Literal["held", "window_open", "contract_active", "not_declared", "clock", "failed"]
Decision: TypeAlias = Decided[State]


def objection(state: Deleting, now: datetime, policy: ExporterPolicy) -> Refusal | None:
    """Tell why nothing may be deleted, as far as this service itself knows; None if it may."""
    if held_here(state, now):
        return "held"
    window = window_under(state.known, policy)
    if window is None:
        return "contract_active"
    if now < window.closes_at or unproven(state.known, now, policy):
        return "window_open"
    return "clock" if now < state.window_closed_at else None


def held_here(state: Deleting, now: datetime) -> bool:
    """Tell whether a hold keeps the archives: each of them is of every category and every person, or all at once.

    Only a hold of tables can be of others' alone, as whoever commands knows; not if it was placed anew since.
    """
    return any(not _elsewhere(hold, state) for hold in in_force(state.known.holds, now))


def _elsewhere(hold: Hold, state: Deleting) -> bool:
    if hold.holds_everything or hold.scope != "table" or hold.hold_id not in state.elsewhere:
        return False
    return None not in (hold.placed_at, state.commanded_at) and hold.placed_at <= state.commanded_at  # type: ignore[operator]


def go_on(state: Deleting, now: datetime, policy: ExporterPolicy) -> Decision:
    """Order the deletion as soon as nothing more is being written, if there is still the right to."""
    known = state.known
    if known.building or known.revoking or known.delivering:
        return Decided(state)
    reason = objection(state, now, policy)
    if reason is not None:
        return Decided(Keeping(known), (refused(state.known.customer_id, state.deletion_id, reason, now, policy),))
    known = replace(known, attempts=known.attempts + 1)
    task = DeleteArchives(
        customer_id=known.customer_id,
        deletion_id=state.deletion_id,
        attempt=known.attempts,
        archives=tuple(map(_lying, known.copies)),
        deltas=tuple(_lying(one.copy) for one in known.deltas),
    )
    return Decided(replace(state, known=known), (), (task,))


def _lying(copy: Copy) -> ArchiveCopy:
    return ArchiveCopy(export_id=copy.export_id, place=copy.place, before=places_before(copy))


def ended(state: State, known: Known, said: tuple[Event, ...], now: datetime, policy: ExporterPolicy) -> Decided[State]:
    """Go on with what is *known* now that some work is over, and say what became of it.

    A deletion that waited for it goes on too: what was on its way meanwhile would have outlived it.
    """
    if not isinstance(state, Deleting):
        return Decided(replace(state, known=known), said)
    then = go_on(replace(state, known=known), now, policy)
    return Decided(then.state, (*said, *then.events), then.tasks)


def refused(
    customer_id: str, deletion_id: str, reason: Refusal, now: datetime, policy: ExporterPolicy
) -> DeletionAcknowledged:
    """Answer that nothing was deleted, and why."""
    return DeletionAcknowledged(
        customer_id=customer_id,
        deletion_id=deletion_id,
        holder=policy.holder,
        outcome=NotErased(reason=reason),
        answered_at=now,
    )


def failed(state: Deleting, event: DeleteFailed, now: datetime, policy: ExporterPolicy) -> Decision:
    """Answer what was in the way, what went in spite of it, and what is left."""
    # An object lock without an end is a hold; what else came up between order and deletion isn't the archives' doing.
    reason: Refusal = "held" if event.reason == "held" else "failed"
    answer = refused(event.customer_id, state.deletion_id, reason, now, policy)
    told = {"deleted": event.deleted, "saved": event.saved, "until": event.until}
    outcome = answer.outcome.model_copy(update=told)
    return Decided(Keeping(state.known), (answer.model_copy(update={"outcome": outcome}),))


def erased(state: Deleting, event: ArchivesDeleted, now: datetime, policy: ExporterPolicy) -> Decision:
    """Answer what was deleted and what remains; only if nothing remains are the archives said to be gone."""
    known = state.known
    answer = DeletionAcknowledged(
        customer_id=known.customer_id,
        deletion_id=state.deletion_id,
        holder=policy.holder,
        outcome=ErasedAnswer(
            deleted=event.deleted, remaining=event.remaining, bystanders=event.bystanders, sampled=event.sampled
        ),
        answered_at=now,
    )
    if any(count.rows for count in event.remaining):
        return Decided(Keeping(known), (answer,))
    gone = tuple(
        ExportDeleted(
            customer_id=known.customer_id,
            export_id=copy.export_id,
            place=copy.place,
            deleted_at=now,
            before=places_before(copy),
        )
        for copy in known.copies
    )
    # What is still being compared can't be any more: whoever confirmed it hears so, and waits for nothing.
    late = tuple(
        ConfirmationRejected(
            customer_id=known.customer_id,
            export_id=one.export_id,
            confirmed_by=one.confirmed_by,
            reason="window_closed",
        )
        for one in known.confirming
    )
    nothing = replace(known, archives=(), deltas=(), confirming=())
    return Decided(Erased(nothing, state.deletion_id, state.window_closed_at), (*gone, *late, answer))
