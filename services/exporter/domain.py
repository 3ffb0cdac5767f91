"""Decides which requests are served (P3, P4), and when the archives, which are copies too, are deleted (P7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from msgspec.structs import replace

from shared import contracts, holds
from shared.decision import Decided, Decision, Domain, Ignored, Input, Outcome, Overdue, Premature, Woke
from shared.events.event import Event
from shared.events.exporter import ExportRefused, NoBase, Unserved
from shared.events.notice import ContractTerminated
from shared.events.platform import (
    ContractRegistered,
    DeliveryRequested,
    ExportConfirmed,
    ExportRequested,
    LegalHoldPlaced,
    LegalHoldReleased,
    LinkRevocationRequested,
    TransferAgreed,
    TransferWithdrawn,
    WindowChanged,
)
from shared.events.retention import DeletionRequested, EarlyDeletionAccepted, EarlyDeletionWithdrawn, RetentionExpired
from shared.identity import derived
from shared.window import Window
from shared.windowchanges import Changes, change_of, early_of, taken, withdrawn_of

from .building import archive_built, build, build_failed, delta_built
from .confirming import compare_failed, export_compared, export_confirmed, upheld, uphold_at
from .counting import expired, under_contracts, window_under
from .deletion import erased, failed, go_on, objection, refused
from .delivering import (
    deliver_failed,
    delivered,
    delivery_requested,
    transfer_agreed,
    transfer_withdrawn,
)
from .delivering import overdue as delivery_overdue
from .deltas import no_base
from .policy import ExporterPolicy
from .revoking import link_revocation_requested, links_cut, revoke_failed, versions_replaced
from .revoking import overdue as revocation_overdue
from .states import Building, Deleting, Erased, Keeping, Known, State
from .tasks import (
    ArchiveBuilt,
    ArchivesDeleted,
    BuildArchive,
    BuildFailed,
    CompareExport,
    CompareFailed,
    DeleteArchives,
    DeleteFailed,
    Delivered,
    DeliverExport,
    DeltaBuilt,
    ExportCompared,
    NotDelivered,
    RevokeFailed,
    RevokeLinks,
    VersionsReplaced,
)

# Any: each reaction takes the one type of event that it stands under in the table.
Reaction: TypeAlias = Callable[[State, Any, datetime, ExporterPolicy], Decision[State]]
Refusal: TypeAlias = Unserved | NoBase


def domain(policy: ExporterPolicy) -> Domain[State, ExporterPolicy]:
    """Give the exporter as the machine runs it, under *policy*."""
    return Domain(
        name="exporter",
        states=State,
        initial=Keeping(),
        consumes=tuple(REACTIONS),
        decide=decide,
        wakes_at=wakes_at,
        policy=policy,
        tasks=(BuildArchive, DeleteArchives, CompareExport, RevokeLinks, DeliverExport),
    )


def decide(state: State, given: Input, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Decide what follows from *given*."""
    return links_cut(state, _decided(state, given, now, policy), now, policy)


def _decided(state: State, given: Input, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    if isinstance(given, Woke):
        return upheld(state, now)
    event = given.event if isinstance(given, Overdue) else given
    if not state.known.customer_id:
        state = replace(state, known=replace(state.known, customer_id=event.customer_id))
    reaction = OUTCOMES[type(event)] if isinstance(event, Outcome) else REACTIONS[type(event)]
    decision = reaction(state, event, now, policy)
    if isinstance(given, Overdue) and isinstance(decision, Premature):
        return overdue(state, event, now, policy)
    return decision


def wakes_at(state: State) -> datetime | None:
    """Tell when a window closes early; every other date is told by an event, and what waits is woken by the machine."""
    return uphold_at(state)


def contract_registered(
    state: State, event: ContractRegistered, now: datetime, policy: ExporterPolicy
) -> Decision[State]:
    """Take on a contract: while one goes on the window isn't open."""
    news = contracts.registered(state.known.contracts, event)
    return Ignored("an older revision") if news is None else _under(state, news, now, policy)


def contract_terminated(
    state: State, event: ContractTerminated, now: datetime, policy: ExporterPolicy
) -> Decision[State]:
    """Note that a contract is over; when all are, the window opens (P3)."""
    news = contracts.terminated(state.known.contracts, event)
    return Ignored("known to be over") if news is None else _under(state, news, now, policy)


def hold_placed(state: State, event: LegalHoldPlaced, _: datetime, __: ExporterPolicy) -> Decision[State]:
    """Note a hold: the archives are held too (P8)."""
    return _holds(state, holds.placed(state.known.holds, event))


def hold_released(state: State, event: LegalHoldReleased, _: datetime, __: ExporterPolicy) -> Decision[State]:
    """Note that a hold is over; retention gives its command again."""
    return _holds(state, holds.released(state.known.holds, event))


def export_requested(state: State, event: ExportRequested, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Serve a request made inside the window, as often as there are any; refuse others with the date (P3).

    What counts is when it was made: one that was made inside and is read later is tried, and served if its snapshot
    is still from inside the window; after that the data may be gone at any moment, and nothing that was read then
    may be called complete. A request made before the window but read inside it is served as well. One for a delta is
    refused where what it names can be no base.
    """
    if event.request_id in state.known.asked:
        return Ignored("the request was taken on already")
    window = window_under(state.known, policy)
    if not state.known.contracts:
        return Premature("no contract of the customer is known yet", now + policy.unknown_customer_wait)
    if isinstance(state, Erased):
        return _refuse(state, event, "already_erased", window)
    if window is None or now < window.opens_at:
        return Premature("the window is not open yet", now + policy.not_open_wait)
    # What we hold in our hands was made by now, whatever its sender's clock says.
    made_at = min(event.requested_at, now)
    if isinstance(state, Deleting) or made_at >= window.closes_at or expired(state.known, window):
        return _refuse(state, event, "window_closed", window)
    unusable = no_base(state.known, event, window)
    return _serve(state, event, window) if unusable is None else _refuse(state, event, unusable, None)


def retention_expired(state: State, event: RetentionExpired, _: datetime, __: ExporterPolicy) -> Decision[State]:
    """Note that the window is over for good: from now on data may be gone at any moment."""
    known = state.known
    if known.expired_at is not None and known.expired_at >= event.window_closed_at:
        return Ignored("known")
    known = replace(known, expired_at=event.window_closed_at, expired_from=event.terminated_at)
    return Decided(_with(state, known))


def window_changed(state: State, event: WindowChanged, _: datetime, __: ExporterPolicy) -> Decision[State]:
    """Keep the data available for as long as the window lasts now (P4)."""
    return _changes(state, taken(state.known.changes, change_of(event)))


def early_deletion_accepted(
    state: State, event: EarlyDeletionAccepted, _: datetime, __: ExporterPolicy
) -> Decision[State]:
    """Note that the customer has all it needs: the window closes early (P10)."""
    return _changes(state, taken(state.known.changes, early_of(event)))


def early_deletion_withdrawn(
    state: State, event: EarlyDeletionWithdrawn, _: datetime, __: ExporterPolicy
) -> Decision[State]:
    """Keep the data available to the end of the whole window again (P4, P10)."""
    return _changes(state, taken(state.known.changes, withdrawn_of(event)))


def deletion_requested(
    state: State, event: DeletionRequested, now: datetime, policy: ExporterPolicy
) -> Decision[State]:
    """Delete the archives, if this service too sees the right to; otherwise answer why not (P7, P8).

    No part of an archive can be spared.
    """
    if event.holder != policy.holder:
        return Ignored("for another holder")
    if isinstance(state, Deleting):
        return Ignored("a deletion is under way")
    if not state.known.contracts:
        return Premature("no contract of the customer is known yet", now + policy.unknown_customer_wait)
    begun = Deleting(state.known, event.deletion_id, event.window_closed_at, event.holds, now)
    reason = "held" if event.keep else objection(begun, now, policy)
    if reason is not None:
        return Decided(state, (refused(event.customer_id, event.deletion_id, reason, now, policy),))
    return go_on(begun, now, policy)


# Who reacts to what. The events that this service reads are the keys.
REACTIONS: dict[type[Event], Reaction] = {
    ContractRegistered: contract_registered,
    ContractTerminated: contract_terminated,
    LegalHoldPlaced: hold_placed,
    LegalHoldReleased: hold_released,
    ExportRequested: export_requested,
    RetentionExpired: retention_expired,
    WindowChanged: window_changed,
    EarlyDeletionAccepted: early_deletion_accepted,
    EarlyDeletionWithdrawn: early_deletion_withdrawn,
    ExportConfirmed: export_confirmed,
    LinkRevocationRequested: link_revocation_requested,
    TransferAgreed: transfer_agreed,
    TransferWithdrawn: transfer_withdrawn,
    DeliveryRequested: delivery_requested,
    DeletionRequested: deletion_requested,
}


def archives_deleted(state: State, event: ArchivesDeleted, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Answer the command, and tell of each archive that it is gone."""
    if not isinstance(state, Deleting) or event.attempt != state.known.attempts:
        return Ignored("no deletion is awaited")
    return erased(state, event, now, policy)


def delete_failed(state: State, event: DeleteFailed, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Answer that not all is deleted."""
    if not isinstance(state, Deleting) or event.attempt != state.known.attempts:
        return Ignored("no deletion is awaited")
    return failed(state, event, now, policy)


# What became of the service's own tasks; never published.
OUTCOMES: dict[type[Outcome], Reaction] = {
    ArchiveBuilt: archive_built,
    DeltaBuilt: delta_built,
    BuildFailed: build_failed,
    ArchivesDeleted: archives_deleted,
    DeleteFailed: delete_failed,
    ExportCompared: export_compared,
    CompareFailed: compare_failed,
    VersionsReplaced: versions_replaced,
    RevokeFailed: revoke_failed,
    Delivered: delivered,
    NotDelivered: deliver_failed,
}


def overdue(state: State, event: Event, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Answer what has waited in vain."""
    if isinstance(event, ExportRequested):
        reason: Refusal = "window_not_open" if state.known.contracts else "unknown_customer"
        return _refuse(state, event, reason, None)
    if isinstance(event, DeletionRequested):
        return Decided(state, (refused(event.customer_id, event.deletion_id, "not_declared", now, policy),))
    if isinstance(event, LinkRevocationRequested):
        return revocation_overdue(state, event)
    if isinstance(event, DeliveryRequested):
        return delivery_overdue(state, event, now, policy)
    return Ignored("nobody waits for an answer")


def _under(state: State, news: contracts.Contracts, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Go on under changed contracts; a customer that comes back is served again."""
    known = under_contracts(state.known, news, policy)
    window = window_under(known, policy)
    if isinstance(state, Erased) and (window is None or now < window.closes_at):
        return Decided(Keeping(known))
    return Decided(_with(state, known))


def _holds(state: State, news: holds.Holds) -> Decision[State]:
    if news is state.known.holds:
        return Ignored("known")
    return Decided(_with(state, replace(state.known, holds=news)))


def _changes(state: State, news: Changes | None) -> Decision[State]:
    if news is None:
        return Ignored("known")
    return Decided(_with(state, replace(state.known, changes=news)))


def _serve(state: State, event: ExportRequested, window: Window) -> Decision[State]:
    known = replace(state.known, asked=(*state.known.asked, event.request_id))
    export_id = str(derived("export", event.customer_id, event.request_id))
    asked = event.scope, event.formats, event.language, event.encrypt_to, event.volume_size, event.since or ""
    return build(known, Building(event.request_id, export_id, 1, window.closes_at, *asked))


def _refuse(state: State, event: ExportRequested, reason: Refusal, window: Window | None) -> Decision[State]:
    answer = ExportRefused(
        customer_id=event.customer_id,
        request_id=event.request_id,
        reason=reason,
        closed_on=None if window is None else window.last_day,
    )
    return Decided(_with(state, replace(state.known, asked=(*state.known.asked, event.request_id))), (answer,))


def _with(state: State, known: Known) -> State:
    return replace(state, known=known)
