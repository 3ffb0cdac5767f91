"""How one holder's answer counts, and when it is commanded again (P7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from msgspec.structs import replace

from shared.events.platform import (
    DeletionAcknowledged,
    Erased,
    ErasedInPart,
    HeldRows,
    HolderMap,
    NotErased,
    OfTables,
)
from shared.events.platform import RetainedRows as LawRows
from shared.events.retention import DeletionRequested, DeletionStalled, HolderOutcome, Keep, StallReason
from shared.events.vocabulary import TableCount, TableFingerprint
from shared.holds import Hold, Holds, in_force, scope_of

from .policy import RetentionPolicy
from .right import window_under
from .states import Bystander, Deletion, Holder, Known, Load, RetainedRows, Rows, Seen
from .statutory import over_at, sums_up

# A holder's own words for what an operator is told.
_TOLD: dict[str, StallReason] = {
    "unanswered": "unanswered",
    "residue": "residue",
    "bystanders": "bystanders",
    "held": "held",
    "counts": "counts",
}


# Whoever answered so has nothing left to delete now.
DONE = ("erased", "retained")


def not_commanded(name: str, now: datetime) -> Holder:
    """Give a holder that is to be commanded on the next waking."""
    return Holder(name, "asked", 0, now, now)


def answered(
    holder: Holder, event: DeletionAcknowledged, now: datetime, policy: RetentionPolicy, holds: Holds
) -> Holder:
    """Note a holder's answer: erased only if nothing remains of what it deleted and it shows that it touched nobody.

    So it is with what it kept, besides which nothing may remain.
    *holds* are in force: who refuses though it was told of all of them isn't asked again before one is over.
    Of an answer whose numbers can't be any system's none is taken over: it would be in every sum from then on.
    """
    if isinstance(event.outcome, NotErased):
        return _not_erased(holder, event.outcome, now, policy, holds)
    noted = _with_counts(holder, event.outcome, event.answered_at)
    why = _wrong(noted, event.outcome, now, policy, holds)
    if not why:
        return replace(noted, status=_status(noted), reason="", due=None)
    # Doing it again could only hide what happened: an operator has to look, and then the holder answers again.
    due = None if why == "bystanders" else again_at(holder.sent, now, policy)
    if _rows_in(event.outcome) > _MOST_ROWS:
        noted = replace(holder, differed=noted.differed)
    return replace(noted, status="refused", reason=why, due=due)


def _wrong(
    noted: Holder, outcome: Erased | ErasedInPart, now: datetime, policy: RetentionPolicy, holds: Holds
) -> Literal["residue", "bystanders", "held", "counts", ""]:
    """Tell what an operator has to hear of an answer that says that all went which had to."""
    if _residue(outcome):
        return "residue"
    if _touched_others(outcome) or (policy.bystanders == "in_transaction" and _silent_on_others(outcome)):
        return "bystanders"
    if _rows_in(outcome) > _MOST_ROWS:
        return "counts"
    if noted.kept and not _kept_by(noted, holds, now):
        # For a hold that we don't know, or that is over, or a law whose time has come: it is asked again later.
        return "held"
    return "" if sums_up(noted) else "counts"


def _not_erased(holder: Holder, outcome: NotErased, now: datetime, policy: RetentionPolicy, holds: Holds) -> Holder:
    if _rows_in(outcome) > _MOST_ROWS:
        return replace(holder, status="refused", reason="counts", due=again_at(holder.sent, now, policy))
    reason = outcome.reason
    due: datetime | None = again_at(holder.sent, now, policy)
    if holds and reason == "held":
        due = None if {hold.hold_id for hold in holds} <= {*holder.told} else now
    runs = outcome.map_sha256 or ""
    if runs and runs != holder.runs:
        # What there is by that map is looked at now, for whoever is to decide.
        due = now
    deleted = _sum(holder, outcome.deleted)
    return replace(holder, status="refused", reason=reason, due=due, deleted=deleted, runs=runs)


def _rows_in(outcome: Erased | ErasedInPart | NotErased) -> int:
    """Add up all that *outcome* counts, so that no part of it is taken for granted."""
    counted: list[TableCount | HeldRows | LawRows] = [*outcome.deleted]
    if isinstance(outcome, NotErased):
        counted += outcome.saved
    else:
        counted += (*outcome.remaining, *outcome.shared)
    if isinstance(outcome, ErasedInPart):
        counted += (*outcome.kept, *outcome.needed, *outcome.minimised)
        counted += outcome.held
        counted += outcome.retained
    return sum(one.rows for one in counted)


# A million millions; some thousand such answers can still be added up exactly (RFC 8259, section 6).
_MOST_ROWS = 10**12


def _status(holder: Holder) -> Literal["kept", "retained", "erased"]:
    if not holder.kept:
        return "erased"
    return "kept" if holder.held else "retained"


def _kept_by(holder: Holder, holds: Holds, now: datetime) -> bool:
    by = {hold_id for hold_id, _, _ in holder.held}
    lawful = all(over_at(one.until) > now for one in holder.retained)
    return lawful and bool(by or holder.retained) and by <= {hold.hold_id for hold in holds}


def chased(
    known: Known, deletion: Deletion, now: datetime, policy: RetentionPolicy
) -> tuple[Deletion, tuple[DeletionRequested | DeletionStalled, ...]]:
    """Go after the holders that are due: who hasn't answered is late, who was late or refused is commanded again."""
    due = [holder for holder in deletion.holders if is_due(holder, now) and not remapped(holder)]
    by = _by_the_last_end(known, deletion) if due else deletion
    news: dict[str, Holder] = {}
    events: list[DeletionRequested | DeletionStalled] = []
    for holder in due:
        if holder.status == "asked" and holder.sent:
            again = again_at(holder.sent, now, policy)
            news[holder.name] = replace(holder, status="late", reason="unanswered", due=again)
        else:
            command = _command(known, by, holder.name, now, policy)
            events.append(command)
            news[holder.name] = _commanded(holder, command, now)
    late = [holder for holder in news.values() if holder.status == "late"]
    if late:
        tries = max(holder.sent for holder in late)
        told_of = Trouble("unanswered", tuple(holder.name for holder in late))
        events.insert(0, stalled_event(known, deletion.deletion_id, told_of, tries, policy))
    return with_holders(deletion, news), tuple(events)


def is_due(holder: Holder, now: datetime) -> bool:
    """Tell whether something has to be done about *holder*."""
    return holder.due is not None and holder.due <= now


def remapped(holder: Holder) -> bool:
    """Tell whether *holder* refused since it runs another data map: before a command what there is is read anew."""
    return holder.status == "refused" and bool(holder.runs)


def _commanded(holder: Holder, command: DeletionRequested, now: datetime) -> Holder:
    return replace(
        holder,
        status="asked",
        reason="",
        sent=holder.sent + 1,
        commanded_at=holder.commanded_at if holder.sent else now,
        due=command.respond_by,
        told=command.holds,
    )


def released(deletion: Deletion, now: datetime) -> Deletion:
    """Let what waited for a hold go on: who refused or kept because of it, or ran out of time meanwhile, is due now."""
    return with_holders(
        deletion,
        {
            holder.name: replace(holder, status="late", reason=_waited_for(holder), due=now)
            for holder in deletion.holders
            if waited(holder) or (holder.status not in DONE and holder.due is not None and holder.due <= now)
        },
    )


def waited(holder: Holder) -> bool:
    """Tell whether *holder* has something left because of a hold."""
    return holder.status == "kept" or holder.reason == "held"


def _waited_for(holder: Holder) -> str:
    return "held" if waited(holder) else holder.reason or "unanswered"


def all_again(deletion: Deletion, now: datetime) -> Deletion:
    """Have every holder commanded again: something is left, and nobody says whose it is.

    The answers of before answer no other command; of a case that a former release wrote only these are known.
    """
    again = {
        holder.name: replace(holder, status="late", due=now, heard=holder.heard or holder.answered_at)
        for holder in deletion.holders
    }
    return with_holders(deletion, again)


def asked_anew(deletion: Deletion, names: tuple[str, ...], now: datetime) -> Deletion:
    """Have the holders *names* commanded again: the check found otherwise what they say, and that counts no more."""
    again = {
        holder.name: replace(
            holder,
            status="late",
            reason="counts",
            due=now,
            disputed=holder.answered_at,
            deleted=(),
            doubted=summed(holder.doubted, holder.deleted),
        )
        for holder in deletion.holders
        if holder.name in names
    }
    return with_holders(deletion, again)


def with_holders(deletion: Deletion, news: dict[str, Holder]) -> Deletion:
    """Put *news* of some holders in their places."""
    return replace(deletion, holders=tuple(news.get(holder.name, holder) for holder in deletion.holders))


def in_trouble(deletion: Deletion) -> tuple[Holder, ...]:
    """Give the holders that an operator was told of."""
    return tuple(holder for holder in deletion.holders if holder.status in ("late", "refused"))


def told(holder: Holder) -> StallReason:
    """Give the reason that an operator is told: any refusal by the holder itself is one."""
    return _TOLD.get(holder.reason, "refused")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an operator is told of: the *reason* and all that is *missing*, at which *holders*, and the dry run.

    *maps* are other data maps than before, by which the dry run was made.
    """

    reason: StallReason
    holders: tuple[str, ...] = ()
    missing: tuple[StallReason, ...] = ()
    seen: tuple[Seen, ...] = ()
    load: Load | None = None
    holds: tuple[str, ...] | None = None
    maps: tuple[tuple[str, str], ...] = ()


def stalled_event(
    known: Known, deletion_id: str, trouble: Trouble, tries: int, policy: RetentionPolicy
) -> DeletionStalled:
    """Tell an operator, or whoever has to know after so many *tries*, that the deletion can't go on by itself."""
    known_to = [one.to for one in policy.escalation if one.after <= max(tries, 1)]
    placed = tuple(hold.hold_id for hold in known.holds if hold.active) if trouble.holds is None else trouble.holds
    return DeletionStalled(
        customer_id=known.customer_id,
        deletion_id=deletion_id,
        reason=trouble.reason,
        holders=trouble.holders,
        missing=trouble.missing or (trouble.reason,),
        holds=placed,
        counts=surveyed_counts(trouble.seen),
        customers_due=None if trouble.load is None else trouble.load.due,
        escalate_to=known_to[-1] if known_to else policy.escalation[0].to,
        maps=tuple(HolderMap(holder=name, map_sha256=sha256) for name, sha256 in trouble.maps),
    )


def surveyed_counts(seen: tuple[Seen, ...]) -> tuple[HolderOutcome, ...]:
    """Write what was surveyed as counts by holder and table: what a deletion would delete."""
    names = dict.fromkeys(row.holder for row in seen)
    return tuple(
        HolderOutcome(holder=name, deleted=counts(tuple((row.table, row.own) for row in seen if row.holder == name)))
        for name in names
    )


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


def _by_the_last_end(known: Known, deletion: Deletion) -> Deletion:
    """Name the window of the last end that was heard of, if it is over as well: holders refuse what is of before it."""
    window = window_under(known)
    if window is None or window.closes_at <= deletion.window.closes_at:
        return deletion
    return replace(deletion, window=window)


def _command(known: Known, deletion: Deletion, name: str, now: datetime, policy: RetentionPolicy) -> DeletionRequested:
    within = {holder.name: holder.respond_within for holder in policy.holders}
    # A holder that the policy doesn't name any more was commanded once and still owes an answer.
    patience = within.get(name, max(within.values()))
    return DeletionRequested(
        customer_id=known.customer_id,
        deletion_id=deletion.deletion_id,
        holder=name,
        window_closed_at=deletion.window.closes_at,
        policy_version=known.policy_version,
        respond_by=now + patience,
        keep=kept_at(name, deletion.before, in_force(known.holds, now)),
        holds=tuple(hold.hold_id for hold in in_force(known.holds, now)),
        map_sha256=dict(deletion.maps).get(name),
    )


def kept_at(name: str, seen: tuple[Seen, ...], holds: Holds) -> tuple[Keep, ...]:
    """Tell which of *holds* concern the holder *name*, as far as it was seen what it has; in doubt one does.

    Of the tables of a hold only those are named that were seen here, or nowhere: whoever gets them has to know them.
    """
    mine = [row for row in seen if row.holder == name]
    # A bucket in which rows say whose an object is counts under another name.
    here = {written for row in mine for written in (row.table, row.table.removeprefix("objects."))}
    elsewhere = {row.table for row in seen if row.holder != name} - here
    return tuple(_keep(hold, elsewhere) for hold in holds if _concerns(hold, seen, mine, elsewhere))


def _keep(hold: Hold, elsewhere: set[str]) -> Keep:
    scope = scope_of(hold)
    if isinstance(scope, OfTables):
        here = tuple(name for name in scope.tables if name not in elsewhere)
        # Without a name it would be everything.
        scope = OfTables(tables=here) if here else scope
    return Keep(hold_id=hold.hold_id, scope=scope, basis=hold.basis)


def _concerns(hold: Hold, seen: tuple[Seen, ...], mine: list[Seen], elsewhere: set[str]) -> bool:
    if hold.scope == "table" and hold.names and mine:
        return not elsewhere.issuperset(hold.names)
    if hold.scope == "category" and hold.names and mine and all(row.category for row in mine):
        # A category that nobody has is perhaps a mistake.
        unseen = set(hold.names) - {row.category for row in seen}
        return bool(unseen) or any(row.category in hold.names for row in mine)
    return True


def _with_counts(holder: Holder, outcome: Erased | ErasedInPart, answered_at: datetime) -> Holder:
    in_part = outcome if isinstance(outcome, ErasedInPart) else None
    return replace(
        holder,
        answered_at=answered_at,
        runs="",
        deleted=_sum(holder, outcome.deleted),
        remaining=tuple((count.table, count.rows) for count in outcome.remaining),
        bystanders=tuple(map(_bystander, outcome.bystanders)),
        # A later comparison that shows nothing takes nothing back of one that showed something.
        differed=tuple(dict.fromkeys((*holder.differed, *map(_bystander, filter(_differs, outcome.bystanders))))),
        kept=tuple((count.table, count.rows) for count in in_part.kept if count.rows) if in_part else (),
        held=tuple((one.hold_id, one.table, one.rows) for one in in_part.held) if in_part else (),
        retained=tuple(
            RetainedRows(holder.name, one.table, one.basis, one.until, one.rows) for one in in_part.retained if one.rows
        )
        if in_part
        else (),
        needed=tuple((count.table, count.rows) for count in in_part.needed if count.rows) if in_part else (),
        minimised=tuple((count.table, count.rows) for count in in_part.minimised if count.rows) if in_part else (),
        shared=tuple((count.table, count.rows) for count in outcome.shared),
        sampled=outcome.sampled,
        accounted=outcome.accounted,
    )


def _sum(holder: Holder, more: Iterable[TableCount]) -> tuple[Rows, ...]:
    return summed(holder.deleted, ((count.table, count.rows) for count in more))


def summed(rows: Iterable[Rows], more: Iterable[Rows]) -> tuple[Rows, ...]:
    """Add up counts by table."""
    found: dict[str, int] = {}
    for table, number in (*rows, *more):
        found[table] = found.get(table, 0) + number
    return tuple(sorted(found.items()))


def claimed(holder: Holder) -> tuple[Rows, ...]:
    """Give what all answers of *holder* say to have deleted, whether or not they stand."""
    return summed(holder.deleted, holder.doubted) if holder.doubted else holder.deleted


def _residue(outcome: Erased | ErasedInPart) -> bool:
    """Tell whether something remains, or was deleted from where nobody looked afterwards."""
    read_again = {count.table for count in outcome.remaining}
    unread = any(count.table not in read_again for count in outcome.deleted)
    return unread or any(count.rows for count in outcome.remaining)


def _silent_on_others(outcome: Erased | ErasedInPart) -> bool:
    """Tell whether rows went from where the holder didn't compare the others': then nobody has looked after them."""
    compared = {other.table for other in outcome.bystanders}
    return any(count.rows and count.table not in compared for count in outcome.deleted)


def _touched_others(outcome: Erased | ErasedInPart) -> bool:
    return any(map(_differs, outcome.bystanders))


def _differs(other: TableFingerprint) -> bool:
    return other.before != other.after or other.rows_before != other.rows_after


def _bystander(other: TableFingerprint) -> Bystander:
    return other.table, other.rows_before, other.rows_after, other.before, other.after
