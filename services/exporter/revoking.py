"""Links that were given are taken back: when somebody asks for it, and when the window got shorter than they live.

A link is to one version of an archive. To take all links to an archive back, the version is put in another's place.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from shared.decision import Decided, Decision, Ignored, Premature
from shared.events.exporter import LinkRevocationFailed, LinksRevoked
from shared.events.platform import LinkRevocationRequested

from .announced import any_of
from .copies import volumes_before
from .counting import expired, window_under
from .deletion import ended
from .link import LONGEST
from .policy import ExporterPolicy
from .states import Copy, Keeping, Known, Revoking, State
from .tasks import RevokeFailed, RevokeLinks, VersionsReplaced


def link_revocation_requested(
    state: State, event: LinkRevocationRequested, now: datetime, policy: ExporterPolicy
) -> Decision[State]:
    """Take back the links to one archive, or say that there is none; one that is being deleted takes them along."""
    copy = any_of(state.known, event.export_id)
    if copy is None:
        return Decided(state, (_failed(event.customer_id, event.export_id, event.request_id, "unknown_export"),))
    if not isinstance(state, Keeping):
        return Premature("the archive is being deleted, and its links with it", now + policy.not_open_wait)
    return _order(Decided(state), (copy,), event.request_id)


def overdue(state: State, event: LinkRevocationRequested) -> Decision[State]:
    """Say that the deletion goes on, so that nothing was taken back for this request."""
    return Decided(state, (_failed(event.customer_id, event.export_id, event.request_id, "deletion_requested"),))


def links_cut(before: State, decision: Decision[State], now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Take back all links if they could outlive the window as it has become by *decision*."""
    if not isinstance(decision, Decided) or not isinstance(decision.state, Keeping):
        return decision
    was, is_now = _last_until(before, now, policy), _last_until(decision.state, now, policy)
    if is_now >= min(was, now + LONGEST):
        return decision
    return _order(decision, decision.state.known.copies, None)


def _last_until(state: State, now: datetime, policy: ExporterPolicy) -> datetime:
    """Tell until when a link may live that is given now, or was given before."""
    window = window_under(state.known, policy)
    if window is None or not isinstance(state, Keeping) or now < window.opens_at:
        return now
    if expired(state.known, window) and state.known.expired_at is not None:
        return max(now, min(window.closes_at, state.known.expired_at))
    return max(now, window.closes_at)


def _order(decision: Decided[State], copies: tuple[Copy, ...], request_id: str | None) -> Decided[State]:
    """Order it of each of *copies*; where it is under way, no link was given since, and that one answers this too."""
    known, tasks = decision.state.known, list[RevokeLinks]()
    for copy in copies:
        under_way = next((one for one in known.revoking if one.export_id == copy.export_id), None)
        if under_way is None:
            known = replace(known, revocations=known.revocations + 1)
            tasks.append(_task(known, copy))
        elif request_id is None:
            continue
        number = known.revocations if under_way is None else under_way.attempt
        known = replace(known, revoking=(*known.revoking, Revoking(copy.export_id, request_id, number)))
    return Decided(replace(decision.state, known=known), decision.events, (*decision.tasks, *tasks))


def _task(known: Known, copy: Copy) -> RevokeLinks:
    return RevokeLinks(
        customer_id=known.customer_id,
        export_id=copy.export_id,
        attempt=known.revocations,
        place=copy.place,
        sha256=copy.sha256 or None,
        object_version=copy.version or None,
        before=volumes_before(copy),
    )


def versions_replaced(state: State, event: VersionsReplaced, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Say that no link given before leads to the archive any more, and remember where it lies now."""
    found = _awaited(state.known, event.attempt)
    if not found:
        return Ignored("no such revocation is awaited")
    before, export_id = state.known, found[0].export_id
    known = replace(
        before,
        archives=tuple(_renewed(one, event) if one.export_id == export_id else one for one in before.archives),
        deltas=tuple(
            replace(one, copy=_renewed(one.copy, event)) if one.copy.export_id == export_id else one
            for one in before.deltas
        ),
    )
    known = _over(known, found)
    if any(len(one.before) != len(event.before) for one in known.copies if one.export_id == export_id):
        # A worker of a release that knows no volumes has done it: links to those before the last lead there still.
        failed = tuple(_failed(event.customer_id, one.export_id, one.request_id, "not_all") for one in found)
        return ended(state, known, failed, now, policy)
    said = tuple(
        LinksRevoked(
            customer_id=event.customer_id,
            export_id=one.export_id,
            request_id=one.request_id,
            revoked_at=event.replaced_at,
            object_version=event.object_version,
            before=event.before,
        )
        for one in found
    )
    return ended(state, known, said, now, policy)


def _renewed(copy: Copy, event: VersionsReplaced) -> Copy:
    before = tuple(replace(one, version=version) for one, version in zip(copy.before, event.before, strict=False))
    return replace(copy, version=event.object_version or "", before=(*before, *copy.before[len(before) :]))


def revoke_failed(state: State, event: RevokeFailed, now: datetime, policy: ExporterPolicy) -> Decision[State]:
    """Say that links may still lead to the archive, and why."""
    found = _awaited(state.known, event.attempt)
    if not found:
        return Ignored("no such revocation is awaited")
    said = tuple(_failed(event.customer_id, one.export_id, one.request_id, event.reason) for one in found)
    return ended(state, _over(state.known, found), said, now, policy)


def _over(known: Known, found: tuple[Revoking, ...]) -> Known:
    return replace(known, revoking=tuple(one for one in known.revoking if one not in found))


def _awaited(known: Known, attempt: int) -> tuple[Revoking, ...]:
    return tuple(one for one in known.revoking if one.attempt == attempt)


def _failed(customer_id: str, export_id: str, request_id: str | None, reason: str) -> LinkRevocationFailed:
    return LinkRevocationFailed(customer_id=customer_id, export_id=export_id, request_id=request_id, reason=reason)
