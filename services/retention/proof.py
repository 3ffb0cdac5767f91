"""Whether what was read shows that all is gone and nobody else was touched; and what the certificate is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from shared.contracts import language_of
from shared.events.platform import CustomerInformed, ExportConfirmed, HolderMap
from shared.events.retention import StallReason
from shared.events.vocabulary import TableFingerprint

from .holders import claimed, counts, summed, with_holders
from .journal import Entry
from .policy import RetentionPolicy
from .right import approved, total
from .states import Approval, Bystander, Deletion, Holder, Known, Retained, RetainedRows, Seen
from .statutory import gone, retained_by, waiting
from .tasks import (
    AccessEnded,
    Amend,
    ApprovalEvidence,
    Certify,
    ContinuedPart,
    CopyToExpire,
    ExportEvidence,
    HolderAnswer,
    HolderReading,
    HoldEvidence,
    JournalEntry,
    RetainedPart,
    Searched,
    TableReading,
)


def seen(readings: Iterable[HolderReading]) -> tuple[Seen, ...]:
    """Keep *readings* as the state does."""
    return tuple(
        Seen(
            reading.holder,
            table.table,
            table.own,
            table.others,
            table.fingerprint,
            table.category or "",
            table.kept,
            table.objects,
            table.shared,
            table.method,
        )
        for reading in readings
        for table in reading.tables
    )


def readings(rows: tuple[Seen, ...]) -> tuple[HolderReading, ...]:
    """Write what was seen as tasks carry it."""
    names = dict.fromkeys(row.holder for row in rows)
    return tuple(
        HolderReading(holder=name, tables=tuple(_table(row) for row in rows if row.holder == name)) for name in names
    )


def searched(readings: Iterable[HolderReading]) -> tuple[tuple[str, int, tuple[str, ...]], ...]:
    """Keep, as the state does, where the check looked for the customer's ids."""
    return tuple((one.holder, one.searched.columns, one.searched.passed_over) for one in readings if one.searched)


def sought(readings: Iterable[HolderReading]) -> tuple[tuple[str, int, int, bool], ...]:
    """Keep, as the state does, for how many ids it looked, how many it left out, and whether there may be others."""
    found = ((one.holder, one.searched) for one in readings)
    return tuple((name, one.identifiers, one.left_out, one.others_unknown) for name, one in found if one)


def mentioned(readings: Iterable[HolderReading]) -> tuple[str, ...]:
    """Name the holders at which an id of the customer's was found in rows that nobody owns: copies, perhaps."""
    return tuple(one.holder for one in readings if one.searched and one.searched.mentions)


def unread(rows: tuple[Seen, ...], names: Iterable[str]) -> tuple[str, ...]:
    """Name the holders of which nothing was read: nothing is proven of them."""
    read = {row.holder for row in rows}
    return tuple(name for name in names if name not in read)


def maps(readings: Iterable[HolderReading]) -> tuple[tuple[str, str], ...]:
    """Tell by which data map each holder was read."""
    return tuple((one.holder, one.map_sha256) for one in readings if one.map_sha256 is not None)


def read_otherwise(deletion: Deletion, read: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Name the holders that the check has *read* by another data map than the case's.

    What is left of the customer may be nobody's by it, and what was compared before may be other rows.
    """
    known, by = dict(deletion.maps), dict(read)
    names = (one.name for one in deletion.holders)
    return tuple(name for name in names if name in known and by.get(name) != known[name])


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a deletion isn't complete, and at which holders; *disputed* if it is about what these say that they keep."""

    reason: StallReason
    holders: tuple[str, ...]
    disputed: bool = False


def objection(
    known: Known, deletion: Deletion, after: tuple[Seen, ...], copied: tuple[str, ...], policy: RetentionPolicy
) -> Objection | None:
    """Tell what speaks against calling the deletion complete; None if nothing does.

    At the holders *copied* an id of the customer's stands in rows that nobody owns.
    """
    readable = (holder.name for holder in deletion.holders if holder.name not in policy.access_only)
    missing = unread(after, readable) or _not_read_again(deletion.before, after)
    if missing:
        return Objection("check_failed", missing)
    left = tuple(dict.fromkeys((*_names(row for row in after if row.own), *copied)))
    if left:
        return Objection("residue", left)
    unlike = _unlike(deletion, after)
    if unlike:
        return Objection("counts", unlike, disputed=True)
    lost = _lost(deletion, after)
    if lost and not approved(known, deletion.deletion_id, "kept_gone", total(deletion.before)):
        return Objection("kept_gone", tuple(lost))
    short = _short(deletion, lost)
    if short and not approved(known, deletion.deletion_id, "counts", total(deletion.before)):
        return Objection("counts", short)
    touched = _changed(deletion.before, after) if policy.bystanders == "strict" else ()
    return Objection("bystanders", touched) if touched else None


def certify(
    known: Known, deletion: Deletion, after: tuple[Seen, ...], checked_at: datetime, policy: RetentionPolicy
) -> Certify:
    """Order the certificate, with all that it says."""
    return Certify(
        customer_id=known.customer_id,
        deletion_id=deletion.deletion_id,
        attempt=known.attempts,
        terminated_at=deletion.window.opens_at,
        window_days=known.window_days,
        window_closed_at=deletion.window.closes_at,
        policy_version=known.policy_version,
        answers=tuple(
            _answer(holder) for holder in with_shown(deletion, after).holders if holder.name not in policy.access_only
        ),
        before=readings(deletion.before),
        after=_checked(deletion, after),
        checked_at=checked_at,
        holds=_holds(known, checked_at),
        informed=_informed(known),
        confirmed=_confirmed(known),
        access_ended=tuple(_access(holder) for holder in deletion.holders if holder.name in policy.access_only),
        approvals=_approvals(known, deletion),
        exported=_exported(known),
        copies=copies(checked_at, policy),
        sub_processors=policy.sub_processors,
        journal=tuple(_entry(entry) for entry in known.journal.entries),
        language=language_of(known.contracts),
        retained=_retained(deletion, retained_by(deletion)),
        continues=None if known.retained is None else _first(known.retained),
    )


def amend(known: Known, deletion: Deletion, after: tuple[Seen, ...], checked_at: datetime, retained: Retained) -> Amend:
    """Order the addendum to the certificate that *retained* is of."""
    left = waiting(retained, deletion)
    return Amend(
        customer_id=known.customer_id,
        deletion_id=deletion.deletion_id,
        attempt=known.attempts,
        number=retained.addenda + 1,
        first=_first(retained),
        answers=tuple(_answer(holder) for holder in with_shown(deletion, after).holders),
        before=readings(deletion.before),
        after=_checked(deletion, after),
        checked_at=checked_at,
        holds=_holds(known, checked_at),
        approvals=_approvals(known, deletion),
        gone=_retained(deletion, gone(retained.rows, left)),
        retained=_retained(deletion, left),
        journal=tuple(_entry(entry) for entry in known.journal.entries),
        language=language_of(known.contracts),
    )


def emptied(readings: Iterable[HolderReading]) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Keep, as the state does, which columns the check found emptied."""
    return tuple((one.holder, table.table, table.columns) for one in readings for table in one.emptied)


def copies(checked_at: datetime, policy: RetentionPolicy) -> tuple[CopyToExpire, ...]:
    """Name the copies that expire by themselves, and until when each may still hold what was deleted."""
    return tuple(
        CopyToExpire(copy_name=one.name, of=one.of, expires_at=checked_at + timedelta(days=one.kept_days))
        for one in policy.backups
    )


def _checked(deletion: Deletion, after: tuple[Seen, ...]) -> tuple[HolderReading, ...]:
    """Write what the check saw, and where it looked for the customer's ids."""
    told = {name: Searched(columns=columns, passed_over=over) for name, columns, over in deletion.searched}
    for name, identifiers, left_out, unknown in deletion.sought:
        counted = {"identifiers": identifiers, "left_out": left_out, "others_unknown": unknown}
        told[name] = told[name].model_copy(update=counted)
    return tuple(one.model_copy(update={"searched": told.get(one.holder)}) for one in readings(after))


def _retained(deletion: Deletion, rows: Iterable[RetainedRows]) -> tuple[RetainedPart, ...]:
    empty = {(holder, table): columns for holder, table, columns in deletion.emptied}
    return tuple(
        RetainedPart(
            holder=one.holder,
            table=one.table,
            basis=one.basis,
            until=one.until,
            rows=one.rows,
            minimised=empty.get((one.holder, one.table), ()),
        )
        for one in rows
    )


def _first(retained: Retained) -> ContinuedPart:
    return ContinuedPart(
        deletion_id=retained.deletion_id,
        certificate=retained.certificate,
        certificate_sha256=retained.certificate_sha256,
    )


def _table(row: Seen) -> TableReading:
    return TableReading(
        table=row.table,
        own=row.own,
        others=row.others,
        fingerprint=row.fingerprint,
        kept=row.kept,
        objects=row.objects,
        shared=row.shared,
        method=row.method,
    )


def _names(rows: Iterable[Seen]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.holder for row in rows))


def _not_read_again(before: tuple[Seen, ...], after: tuple[Seen, ...]) -> tuple[str, ...]:
    again = {(row.holder, row.table) for row in after}
    return _names(row for row in before if (row.holder, row.table) not in again)


def vouched(deletion: Deletion, names: tuple[str, ...], after: tuple[Seen, ...]) -> Deletion:
    """Keep of the holders *names*, whose answers are disputed, how many rows they said to keep where there are fewer.

    If they aren't there again by the end, rows are gone that perhaps had to stay.
    """
    news = {}
    for holder in (one for one in deletion.holders if one.name in names):
        found = _kept(holder.name, after)
        most = {table: rows for table, rows in holder.kept if found[table] < rows}
        for table, rows in holder.vouched:
            most[table] = max(rows, most.get(table, 0))
        news[holder.name] = replace(holder, vouched=tuple(sorted(most.items())))
    return with_holders(deletion, news)


def _lost(deletion: Deletion, after: tuple[Seen, ...]) -> dict[str, Counter[str]]:
    """Tell of which holders rows are gone that they had said to keep, by table."""
    lost = {}
    for holder in deletion.holders:
        found = _kept(holder.name, after)
        less = Counter({table: rows - found[table] for table, rows in holder.vouched if found[table] < rows})
        if less:
            lost[holder.name] = less
    return lost


def _kept(name: str, after: tuple[Seen, ...]) -> Counter[str]:
    return Counter({row.table: row.kept for row in after if row.holder == name})


def _short(deletion: Deletion, lost: dict[str, Counter[str]]) -> tuple[str, ...]:
    """Name the holders that say they deleted less than there was: somebody else did, or what they say isn't true.

    What they kept is not gone, and what is *lost* of it has a name of its own.
    """
    told: Counter[tuple[str, str]] = Counter()
    for name, rows_lost in lost.items():
        told.update({(name, table): rows for table, rows in rows_lost.items()})
    for holder in deletion.holders:
        told.update({(holder.name, table): rows for table, rows in claimed(holder)})
        told.update({(holder.name, table): rows for table, rows in holder.kept})
    return _names(row for row in deletion.before if told[row.holder, row.table] < row.own)


def _unlike(deletion: Deletion, after: tuple[Seen, ...]) -> tuple[str, ...]:
    """Name the holders at which other rows are kept than they say: something that had to stay may be gone."""
    found = Counter({(row.holder, row.table): row.kept for row in after if row.kept})
    told = Counter({(holder.name, table): rows for holder in deletion.holders for table, rows in holder.kept if rows})
    differing = {holder for holder, table in {*found, *told} if found[holder, table] != told[holder, table]}
    return tuple(holder.name for holder in deletion.holders if holder.name in differing)


def _changed(before: tuple[Seen, ...], after: tuple[Seen, ...]) -> tuple[str, ...]:
    then = {(row.holder, row.table): (row.others, row.fingerprint) for row in before}
    return _names(row for row in after if then.get((row.holder, row.table)) != (row.others, row.fingerprint))


def with_shown(deletion: Deletion, after: tuple[Seen, ...]) -> Deletion:
    """Count of what disputed answers said to have deleted only what the check shows to be gone.

    That is no more than there was before, less what is there after it, and what other answers account for.
    """
    left = {(row.holder, row.table): row.own + row.kept for row in after}
    there = {(row.holder, row.table): row.own for row in deletion.before}
    news = {}
    for holder in (one for one in deletion.holders if one.doubted):
        counted = dict(holder.deleted)
        shown = tuple(
            (table, min(rows, max(0, there.get(at, 0) - left.get(at, 0) - counted.get(table, 0))))
            for table, rows in holder.doubted
            for at in [(holder.name, table)]
        )
        news[holder.name] = replace(holder, deleted=summed(holder.deleted, shown))
    return with_holders(deletion, news)


def _answer(holder: Holder) -> HolderAnswer:
    return HolderAnswer(
        holder=holder.name,
        commanded_at=holder.commanded_at,
        answered_at=holder.answered_at or holder.commanded_at,
        deleted=counts(holder.deleted),
        remaining=counts(holder.remaining),
        bystanders=tuple(map(_comparison, holder.bystanders)),
        shared=counts(holder.shared),
        sampled=holder.sampled,
        accounted=holder.accounted,
        differed=tuple(map(_comparison, holder.differed)),
        kept=counts(holder.kept),
        needed=counts(holder.needed),
        minimised=counts(holder.minimised),
        disputed=counts(holder.doubted),
    )


def _comparison(one: Bystander) -> TableFingerprint:
    table, rows_before, rows_after, before, after = one
    return TableFingerprint(table=table, rows_before=rows_before, rows_after=rows_after, before=before, after=after)


def _holds(known: Known, now: datetime) -> tuple[HoldEvidence, ...]:
    return tuple(
        HoldEvidence(
            hold_id=hold.hold_id,
            basis=hold.basis,
            placed_at=hold.placed_at,
            released_at=hold.released_at,
            scope=hold.scope,
            ended_at=hold.ends_at if hold.active and not hold.active_at(max(now, known.decided_at or now)) else None,
        )
        for hold in known.holds
    )


def _access(holder: Holder) -> AccessEnded:
    answered_at = holder.answered_at or holder.commanded_at
    return AccessEnded(holder=holder.name, commanded_at=holder.commanded_at, answered_at=answered_at)


def _approvals(known: Known, deletion: Deletion) -> tuple[ApprovalEvidence, ...]:
    """Give the words of a second person, those that let something pass and those that had holders asked anew."""
    said = [(one, False) for one in known.approvals] + [(one, True) for one in known.asked_anew]
    mine = [one for one in said if one[0].deletion_id == deletion.deletion_id]
    return tuple(_approval(one, asked_anew) for one, asked_anew in sorted(mine, key=lambda one: one[0].approved_at))


def _approval(one: Approval, asked_anew: bool) -> ApprovalEvidence:  # noqa: FBT001 - which of two lists it is of
    return ApprovalEvidence(
        in_spite_of=one.in_spite_of,
        rows=one.rows,
        requested_by=one.requested_by,
        approved_by=one.approved_by,
        approved_at=one.approved_at,
        maps=tuple(HolderMap(holder=name, map_sha256=sha256) for name, sha256 in one.maps),
        asked_anew=asked_anew,
    )


def _exported(known: Known) -> ExportEvidence | None:
    last = max(known.ready, key=lambda one: one.snapshot_at, default=None)
    if last is None:
        return None
    return ExportEvidence(
        export_id=last.export_id,
        sha256=last.sha256,
        snapshot_at=last.snapshot_at,
        tables=counts(last.tables),
        objects=counts(last.objects),
    )


def _entry(entry: Entry) -> JournalEntry:
    return JournalEntry(at=entry.at, given=entry.given, state=entry.state, events=entry.events, seal=entry.seal)


def _informed(known: Known) -> tuple[CustomerInformed, ...]:
    return tuple(
        CustomerInformed(
            customer_id=known.customer_id,
            announcement_id=one.announcement_id,
            channel=one.channel,
            outcome=one.outcome,
            informed_at=one.informed_at,
        )
        for one in known.informed
    )


def _confirmed(known: Known) -> tuple[ExportConfirmed, ...]:
    return tuple(
        ExportConfirmed(
            customer_id=known.customer_id,
            export_id=one.export_id,
            sha256=one.sha256,
            confirmed_by=one.confirmed_by,
            confirmed_at=one.confirmed_at,
        )
        for one in known.confirmed
    )
