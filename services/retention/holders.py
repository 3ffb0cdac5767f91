"""How one holder's answer counts, and when it is commanded again (P7)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from msgspec.structs import replace

from shared.events.platform import DeletionAcknowledged, Erased
from shared.events.retention import DeletionRequested, DeletionStalled, HolderOutcome
from shared.events.vocabulary import TableCount

from .policy import RetentionPolicy
from .states import Deletion, Holder, Rows

Reason: TypeAlias = Literal["unanswered", "refused", "residue", "bystanders", "check_failed", "contract_active"]

# A holder's own words for what an operator is told.
_TOLD: dict[str, Reason] = {
    "unanswered": "unanswered",
    "residue": "residue",
    "bystanders": "bystanders",
}


def not_commanded(name: str, now: datetime) -> Holder:
    """Give a holder that is to be commanded on the next waking."""
    return Holder(name, "asked", 0, now, now)


def answered(holder: Holder, event: DeletionAcknowledged, now: datetime, policy: RetentionPolicy) -> Holder:
    """Note a holder's answer: erased only if nothing remains of what it deleted and it shows that it touched nobody."""
    if not isinstance(event.outcome, Erased):
        return replace(holder, status="refused", reason=event.outcome.reason, due=again_at(holder.sent, now, policy))
    noted = _with_counts(holder, event.outcome, event.answered_at)
    if _residue(event.outcome):
        return replace(noted, status="refused", reason="residue", due=again_at(holder.sent, now, policy))
    if _touched_others(event.outcome) or (policy.bystanders == "in_transaction" and _silent_on_others(event.outcome)):
        # Doing it again could only hide what happened: an operator has to look, and then the holder answers again.
        return replace(noted, status="refused", reason="bystanders", due=None)
    return replace(noted, status="erased", reason="", due=None)


def chased(
    customer_id: str, deletion: Deletion, now: datetime, policy: RetentionPolicy
) -> tuple[Deletion, tuple[DeletionRequested | DeletionStalled, ...]]:
    """Go after the holders that are due: who hasn't answered is late, who was late or refused is commanded again."""
    due = [holder for holder in deletion.holders if holder.due is not None and holder.due <= now]
    news: dict[str, Holder] = {}
    events: list[DeletionRequested | DeletionStalled] = []
    for holder in due:
        if holder.status == "asked" and holder.sent:
            again = again_at(holder.sent, now, policy)
            news[holder.name] = replace(holder, status="late", reason="unanswered", due=again)
        else:
            command = _command(customer_id, deletion, holder.name, now, policy)
            news[holder.name] = replace(
                holder,
                status="asked",
                reason="",
                sent=holder.sent + 1,
                commanded_at=holder.commanded_at if holder.sent else now,
                due=command.respond_by,
            )
            events.append(command)
    late = tuple(name for name, holder in news.items() if holder.status == "late")
    if late:
        events.insert(0, stalled_event(customer_id, deletion.deletion_id, "unanswered", late))
    return with_holders(deletion, news), tuple(events)


def released(deletion: Deletion, now: datetime) -> Deletion:
    """Let what waited for a hold go on: who refused because of it, or ran out of time meanwhile, is due now."""
    return with_holders(
        deletion,
        {
            holder.name: replace(holder, status="late", reason=holder.reason or "unanswered", due=now)
            for holder in deletion.holders
            if holder.reason == "held" or (holder.due is not None and holder.due <= now)
        },
    )


def all_again(deletion: Deletion, now: datetime) -> Deletion:
    """Have every holder commanded again: something is left, and nobody says whose it is."""
    again = {holder.name: replace(holder, status="late", due=now) for holder in deletion.holders}
    return with_holders(deletion, again)


def with_holders(deletion: Deletion, news: dict[str, Holder]) -> Deletion:
    """Put *news* of some holders in their places."""
    return replace(deletion, holders=tuple(news.get(holder.name, holder) for holder in deletion.holders))


def in_trouble(deletion: Deletion) -> tuple[Holder, ...]:
    """Give the holders that an operator was told of."""
    return tuple(holder for holder in deletion.holders if holder.status in ("late", "refused"))


def told(holder: Holder) -> Reason:
    """Give the reason that an operator is told: any refusal by the holder itself is one."""
    return _TOLD.get(holder.reason, "refused")


def stalled_event(customer_id: str, deletion_id: str, reason: Reason, holders: tuple[str, ...]) -> DeletionStalled:
    """Tell an operator that the deletion can't go on by itself."""
    return DeletionStalled(customer_id=customer_id, deletion_id=deletion_id, reason=reason, holders=holders)


def again_at(tries: int, now: datetime, policy: RetentionPolicy) -> datetime:
    """Tell when to try again after so many *tries*."""
    days = policy.retry_after[min(max(tries, 1), len(policy.retry_after)) - 1]
    return now + timedelta(days=days)


def outcomes(deletion: Deletion) -> tuple[HolderOutcome, ...]:
    """Sum up what each holder deleted."""
    return tuple(HolderOutcome(holder=holder.name, deleted=counts(holder.deleted)) for holder in deletion.holders)


def counts(rows: tuple[Rows, ...]) -> tuple[TableCount, ...]:
    """Write counts as events carry them."""
    return tuple(TableCount(table=table, rows=number) for table, number in rows)


def _command(
    customer_id: str, deletion: Deletion, name: str, now: datetime, policy: RetentionPolicy
) -> DeletionRequested:
    within = {holder.name: holder.respond_within for holder in policy.holders}
    # A holder that the policy doesn't name any more was commanded once and still owes an answer.
    patience = within.get(name, max(within.values()))
    return DeletionRequested(
        customer_id=customer_id,
        deletion_id=deletion.deletion_id,
        holder=name,
        window_closed_at=deletion.window.closes_at,
        policy_version=policy.version,
        respond_by=now + patience,
    )


def _with_counts(holder: Holder, outcome: Erased, answered_at: datetime) -> Holder:
    deleted = dict(holder.deleted)
    for count in outcome.deleted:
        deleted[count.table] = deleted.get(count.table, 0) + count.rows
    return replace(
        holder,
        answered_at=answered_at,
        deleted=tuple(sorted(deleted.items())),
        remaining=tuple((count.table, count.rows) for count in outcome.remaining),
        bystanders=tuple(
            (other.table, other.rows_before, other.rows_after, other.before, other.after)
            for other in outcome.bystanders
        ),
    )


def _residue(outcome: Erased) -> bool:
    """Tell whether something remains, or was deleted from where nobody looked afterwards."""
    read_again = {count.table for count in outcome.remaining}
    unread = any(count.table not in read_again for count in outcome.deleted)
    return unread or any(count.rows for count in outcome.remaining)


def _silent_on_others(outcome: Erased) -> bool:
    """Tell whether rows went from where the holder didn't compare the others': then nobody has looked after them."""
    compared = {other.table for other in outcome.bystanders}
    return any(count.rows and count.table not in compared for count in outcome.deleted)


def _touched_others(outcome: Erased) -> bool:
    return any(other.before != other.after or other.rows_before != other.rows_after for other in outcome.bystanders)
