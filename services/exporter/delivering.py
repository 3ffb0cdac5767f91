"""Who gets an archive sent (P9): only with an agreement, only inside the window, only what is ready.

What has arrived at the far end is the customer's and no copy of ours, so a delivery that is over is never taken back;
one that isn't is given up as soon as there is no longer the right to it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec.structs import replace

from shared.decision import Decided, Decision, Ignored, Premature
from shared.events.exporter import DeliveryFailed, ExportDelivered
from shared.events.platform import DeliveryRequested, TransferAgreed, TransferWithdrawn

from .announced import any_of, needed_by
from .copies import as_base, volumes_before
from .counting import expired, window_under
from .deletion import ended
from .policy import ExporterPolicy
from .states import Agreement, Copy, Deleting, Delivering, Erased, Known, State
from .tasks import Delivered, DeliverExport, NotDelivered

# Another topic may hold what is missing, and lag; all others are said at once.
Early: TypeAlias = Literal["unknown_customer", "window_not_open", "not_agreed", "agreement_withdrawn"]
Closed: TypeAlias = Literal["window_closed", "already_erased"]
Left: TypeAlias = Literal["nothing", "parts", "object"]
Unready: TypeAlias = Literal["unknown_export", "not_ready", "checksum_unknown"]
_EARLY: dict[str, str] = {
    "unknown_customer": "no contract of the customer is known yet",
    "window_not_open": "the window is not open yet",
    "not_agreed": "no agreement on help with moving is known yet",
    "agreement_withdrawn": "the agreement was withdrawn, and no other one is known yet",
}


def objection(state: State, now: datetime, policy: ExporterPolicy) -> Early | Closed | None:
    """Tell why nothing of the customer's may be sent anywhere at *now*; None if it may."""
    window = window_under(state.known, policy)
    if isinstance(state, Erased):
        return "already_erased"
    if not state.known.contracts:
        return "unknown_customer"
    if window is None or now < window.opens_at:
        return "window_not_open"
    # Not the moment at which it was asked for: what is sent later is sent from what had to be deleted.
    if isinstance(state, Deleting) or now >= window.closes_at or expired(state.known, window):
        return "window_closed"
    return _not_agreed(state.known)


def _not_agreed(known: Known) -> Early | None:
    if any(one.agreed_at is not None and one.withdrawn_at is None for one in known.agreements):
        return None
    return "agreement_withdrawn" if known.agreements else "not_agreed"


def ready(known: Known, export_id: str) -> Copy | Unready:
    """Give the archive of *export_id*, or tell why there is none to send."""
    if any(one.export_id == export_id for one in known.building):
        return "not_ready"
    copy = any_of(known, export_id)
    if copy is None:
        return "unknown_export"
    return copy if copy.sha256 else "checksum_unknown"


def transfer_agreed(state: State, event: TransferAgreed, _: datetime, __: ExporterPolicy) -> Decision[State]:
    """Note the agreement: from now on exports may be delivered."""
    before = _agreement(state.known, event.agreement_id)
    if before.agreed_at is not None:
        return Ignored("known")
    return Decided(_agreements(state, replace(before, agreed_at=event.agreed_at)))


def transfer_withdrawn(state: State, event: TransferWithdrawn, _: datetime, __: ExporterPolicy) -> Decision[State]:
    """Note that the agreement is over; what is being sent because of it looks at this before each part."""
    before = _agreement(state.known, event.agreement_id)
    if before.withdrawn_at is not None:
        return Ignored("known")
    return Decided(_agreements(state, replace(before, withdrawn_at=event.withdrawn_at)))


def _agreement(known: Known, agreement_id: str) -> Agreement:
    found = (one for one in known.agreements if one.agreement_id == agreement_id)
    return next(found, Agreement(agreement_id))


def _agreements(state: State, news: Agreement) -> State:
    others = tuple(one for one in state.known.agreements if one.agreement_id != news.agreement_id)
    return replace(state, known=replace(state.known, agreements=(*others, news)))


def delivery_requested(
    state: State, event: DeliveryRequested, now: datetime, policy: ExporterPolicy
) -> Decision[State]:
    """Have the archive sent, or say why not; what may only have been read too early waits."""
    known = state.known
    if event.request_id in known.delivery_requests:
        return Ignored("the request was taken on already")
    reason = objection(state, now, policy)
    if reason in _EARLY:
        waits = policy.unknown_customer_wait if reason == "unknown_customer" else policy.not_open_wait
        return Premature(_EARLY[reason], now + waits)
    copy = ready(known, event.export_id)
    if reason is not None:
        return _refuse(state, event, reason)
    if not isinstance(copy, Copy):
        return _refuse(state, event, copy)
    under_way = {
        sent for one in known.delivering if one.destination == event.destination for sent in _sent(known, one.export_id)
    }
    if under_way & _sent(known, event.export_id):
        # Two at once would each drop what the other has sent.
        return _refuse(state, event, "under_way")
    return _order(state, event, copy)


def _sent(known: Known, export_id: str) -> set[str]:
    """Name the exports of which something goes: of a delta its base, too, without which it is nothing."""
    base = needed_by(known, export_id)
    return {export_id} if base is None else {export_id, base.export_id}


def overdue(state: State, event: DeliveryRequested, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Say what the request has waited for in vain."""
    return _refuse(state, event, objection(state, now, policy) or "not_agreed")


def _order(state: State, event: DeliveryRequested, copy: Copy) -> Decided[State]:
    known = _taken_on(state.known, event)
    number, base = known.deliveries + 1, needed_by(known, copy.export_id)
    order = DeliverExport(
        customer_id=event.customer_id,
        export_id=copy.export_id,
        attempt=number,
        place=copy.place,
        sha256=copy.sha256,
        destination=event.destination,
        before=volumes_before(copy),
        base=None if base is None else as_base(base),
    )
    news = Delivering(copy.export_id, event.request_id, event.destination, number)
    known = replace(known, delivering=(*known.delivering, news), deliveries=number)
    return Decided(replace(state, known=known), (), (order,))


def _refuse(state: State, event: DeliveryRequested, reason: str) -> Decided[State]:
    said = DeliveryFailed(
        customer_id=event.customer_id,
        request_id=event.request_id,
        export_id=event.export_id,
        destination=event.destination,
        reason=reason,
    )
    return Decided(replace(state, known=_taken_on(state.known, event)), (said,))


def _taken_on(known: Known, event: DeliveryRequested) -> Known:
    return replace(known, delivery_requests=(*known.delivery_requests, event.request_id))


def delivered(state: State, event: Delivered, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Say that the archive lies at its destination; it does, whatever became of the window or the agreement since."""
    found = _awaited(state.known, event.attempt)
    if found is None:
        return Ignored("no such delivery is awaited")
    copy, base = any_of(state.known, found.export_id), needed_by(state.known, found.export_id)
    ordered = sum(len(one.volumes) for one in (copy, base) if one is not None)
    if copy is not None and event.volumes != ordered:
        # A worker of a release that knows no volumes has sent the last, and that isn't the archive.
        return _not_delivered(state, found, "not_all", "object", now, policy)
    said = ExportDelivered(
        customer_id=event.customer_id,
        request_id=found.request_id,
        export_id=found.export_id,
        destination=found.destination,
        size_bytes=event.size_bytes,
        sha256=event.sha256,
        delivered_at=event.delivered_at,
        sent=event.sent,
        checked="read_back",
        volumes=event.volumes,
        with_base=None if base is None else base.export_id,
    )
    return ended(state, _over(state.known, found), (said,), now, policy)


def deliver_failed(state: State, event: NotDelivered, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Say that nothing was delivered, and why; whoever mends it asks again."""
    found = _awaited(state.known, event.attempt)
    if found is None:
        return Ignored("no such delivery is awaited")
    return _not_delivered(state, found, event.reason, event.left_behind, now, policy)


def _not_delivered(
    state: State, found: Delivering, reason: str, left: Left, now: datetime, policy: ExporterPolicy
) -> Decision[State]:
    said = DeliveryFailed(
        customer_id=state.known.customer_id,
        request_id=found.request_id,
        export_id=found.export_id,
        destination=found.destination,
        reason=reason,
        left_behind=left,
    )
    return ended(state, _over(state.known, found), (said,), now, policy)


def _over(known: Known, found: Delivering) -> Known:
    return replace(known, delivering=tuple(one for one in known.delivering if one != found))


def _awaited(known: Known, attempt: int) -> Delivering | None:
    return next((one for one in known.delivering if one.attempt == attempt), None)
