"""Answers a legal hold that came while a deletion ran: what it still saved, and what it came too late for (P8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from shared.events.platform import Everything, LegalHoldPlaced, OfTables
from shared.events.retention import HolderKept, HolderOutcome, LegalHoldAnswered

from .holders import DONE, claimed, counts
from .states import Closed, Deletion, Holder, Known, RetainedRows, Retaining, Rows


def hold_answered(hold_id: str, customer_id: str, deletion: Deletion, now: datetime) -> LegalHoldAnswered:
    """Say how far *deletion* was; of a holder that was commanded and hasn't answered it can't be said yet."""
    silent = tuple(one.name for one in deletion.holders if one.sent and one.status in ("asked", "late"))
    # For whoever has a hold it counts what may be gone, even by an answer that is disputed.
    gone = [one for one in deletion.holders if one.status in DONE or any(rows for _, rows in claimed(one))]
    names = {one.name for one in gone} | set(silent)
    return LegalHoldAnswered(
        customer_id=customer_id,
        hold_id=hold_id,
        deletion_id=deletion.deletion_id,
        saved=tuple(one.name for one in deletion.holders if one.name not in names),
        too_late=tuple(HolderOutcome(holder=one.name, deleted=counts(claimed(one))) for one in gone),
        unanswered=silent,
        answered_at=now,
        kept=tuple(_kept(hold_id, one) for one in deletion.holders if any(by == hold_id for by, _, _ in one.held)),
    )


def _kept(hold_id: str, holder: Holder) -> HolderKept:
    rows = tuple((table, number) for by, table, number in holder.held if by == hold_id)
    return HolderKept(holder=holder.name, kept=counts(rows))


def hold_too_late(event: LegalHoldPlaced, state: Closed | Retaining, now: datetime) -> LegalHoldAnswered:
    """Say that everything is gone but what laws keep, and what of that the hold covers, as far as it can be told."""
    retained = () if state.known.retained is None or isinstance(state, Closed) else state.known.retained.rows
    kept = [one for one in retained if _covers(event, one)]
    return LegalHoldAnswered(
        customer_id=state.known.customer_id,
        hold_id=event.hold_id,
        deletion_id=state.deletion_id,
        saved=(),
        too_late=tuple(HolderOutcome(holder=name, deleted=counts(rows)) for name, rows in state.deleted),
        unanswered=(),
        answered_at=now,
        kept=tuple(
            HolderKept(holder=name, kept=counts(_by_table(one for one in kept if one.holder == name)))
            for name in dict.fromkeys(one.holder for one in kept)
        ),
    )


def _covers(event: LegalHoldPlaced, one: RetainedRows) -> bool:
    match event.scope:
        case Everything():
            return True
        case OfTables(tables=names):
            return not names or one.table in names
    return False


def _by_table(rows: Iterable[RetainedRows]) -> tuple[Rows, ...]:
    found: Counter[str] = Counter()
    for one in rows:
        found[one.table] += one.rows
    return tuple(sorted(found.items()))


def hold_answers(known: Known, deletion: Deletion, now: datetime) -> tuple[Known, tuple[LegalHoldAnswered, ...]]:
    """Give the last word to the holds that are owed one, once every holder that was commanded has spoken."""
    if not known.unanswered:
        return known, ()
    answers = tuple(hold_answered(hold_id, known.customer_id, deletion, now) for hold_id in known.unanswered)
    if any(answer.unanswered for answer in answers):
        return known, ()
    return replace(known, unanswered=()), answers
