"""The second stage of a certificate: the copies that expire by themselves have expired (P7)."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from shared.contracts import language_of
from shared.decision import Decided, Decision, Ignored
from shared.events.retention import ErasureUpgraded

from .policy import RetentionPolicy
from .states import Expiring, Known, State
from .tasks import Certified, CopyToExpire, Upgrade, Upgraded


def expiring(known: Known, event: Certified, copies: tuple[CopyToExpire, ...]) -> Known:
    """Remember what is still to expire of a deletion that was certified, whatever becomes of the customer."""
    if not copies:
        return known
    kept = tuple((copy.copy_name, copy.of, copy.expires_at) for copy in copies)
    due_at = max(copy.expires_at for copy in copies)
    news = Expiring(event.deletion_id, event.certificate, event.certificate_sha256, kept, due_at)
    return replace(known, expiring=(*known.expiring, news))


def expiry_due(known: Known) -> datetime | None:
    """Tell when the next second certificate is due."""
    return min((one.due_at for one in known.expiring if one.due_at is not None), default=None)


def expired(state: State, now: datetime) -> Decision[State]:
    """Have the second certificates made that are due."""
    due = [one for one in state.known.expiring if one.due_at is not None and one.due_at <= now]
    tasks = tuple(_upgrade(state.known, one) for one in due)
    ordered = {one.deletion_id: replace(one, due_at=None, attempt=one.attempt + 1) for one in due}
    return Decided(_with(state, ordered), (), tasks)


def upgraded(state: State, event: Upgraded, now: datetime, _: RetentionPolicy) -> Decision[State]:
    """Say that the last copy has expired."""
    one = _ordered(state.known, event)
    if one is None:
        return Ignored("no such certificate is awaited")
    said = ErasureUpgraded(
        customer_id=event.customer_id,
        deletion_id=event.deletion_id,
        certificate=event.certificate,
        certificate_sha256=event.certificate_sha256,
        first_sha256=one.certificate_sha256,
        upgraded_at=now,
    )
    left = tuple(other for other in state.known.expiring if other is not one)
    return Decided(replace(state, known=replace(state.known, expiring=left)), (said,))


def _ordered(known: Known, event: Upgraded) -> Expiring | None:
    return next(
        (one for one in known.expiring if one.deletion_id == event.deletion_id and one.attempt == event.attempt), None
    )


def _with(state: State, news: dict[str, Expiring]) -> State:
    changed = tuple(news.get(one.deletion_id, one) for one in state.known.expiring)
    return replace(state, known=replace(state.known, expiring=changed))


def _upgrade(known: Known, one: Expiring) -> Upgrade:
    return Upgrade(
        customer_id=known.customer_id,
        deletion_id=one.deletion_id,
        attempt=one.attempt + 1,
        certificate=one.certificate,
        certificate_sha256=one.certificate_sha256,
        copies=tuple(CopyToExpire(copy_name=name, of=of, expires_at=at) for name, of, at in one.copies),
        language=language_of(known.contracts),
    )
