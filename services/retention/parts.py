"""What certificates and their addenda say of holders: what each answered, and what the check found there."""

from __future__ import annotations

from typing import Literal

from shared.events.vocabulary import (
    Code,
    Count,
    Fingerprint,
    Moment,
    Positive,
    TableCount,
    TableFingerprint,
    TableName,
    Value,
)

from .tasks import HolderAnswer, HolderReading, TableReading


class VerificationPart(Value):
    """What the holder itself counted and compared when it had deleted; of what is *sampled* only some of the others'.

    Before it compared *accounted* batches had gone, of which the database's counters showed that they wrote nothing
    else. *differed* are earlier comparisons that were not equal, after which it was looked at and answered again. What
    laws keep is *kept*, with what such rows *needed*, and *minimised* are how many of them were emptied in part.
    """

    remaining: tuple[TableCount, ...]
    bystanders: tuple[TableFingerprint, ...]
    sampled: tuple[TableName, ...] = ()
    accounted: Count = 0
    differed: tuple[TableFingerprint, ...] = ()
    kept: tuple[TableCount, ...] = ()
    needed: tuple[TableCount, ...] = ()
    minimised: tuple[TableCount, ...] = ()


class HolderPart(Value):
    """What one holder answered: *deleted* per table or bucket; *shared* stays, since others' rows refer to it too.

    *disputed* is what earlier answers said to have deleted that the check found otherwise: of that only as much is
    among the *deleted* as the check shows to be gone.
    """

    holder: Code
    commanded_at: Moment
    answered_at: Moment
    method: Literal["clear"]
    deleted: tuple[TableCount, ...]
    shared: tuple[TableCount, ...] = ()
    disputed: tuple[TableCount, ...] = ()
    verification: VerificationPart


class ReadPart(Value):
    """One table or bucket as the check found it: *left* of the customer's, and everybody else's before and after.

    *kept* are the customer's, too, and stay for a law. *fingerprint_method* is how rows were written to be hashed; it
    is None of a bucket, and missing where a former release hashed by 1, the only one that it had.
    """

    table: TableName
    left: Count
    others_before: Count | None
    others_after: Count
    fingerprint_before: Fingerprint | None
    fingerprint_after: Fingerprint
    fingerprint_method: Literal[1, 2] | None = None
    kept: Count = 0


class SearchedPart(Value):
    """In how many *columns* the customer's ids were looked for, and found in no row that is nobody's.

    Tables in which customers' ids may stand, as the data map says why, were *passed_over*. Of the ids by which the
    customer goes *identifiers* were looked for; *left_out* could be anything or are another's, too. With
    *others_unknown* it may have gone by more, which nobody read before its rows went.
    """

    columns: Count
    passed_over: tuple[TableName, ...] = ()
    identifiers: Positive
    left_out: Count
    others_unknown: bool


class ReadHolderPart(Value):
    """What the check found at one holder; *searched* is None where no id was looked for."""

    holder: Code
    tables: tuple[ReadPart, ...]
    searched: SearchedPart | None = None


class ValidationPart(Value):
    """The check, by another path than the one that deleted."""

    checked_at: Moment
    holders: tuple[ReadHolderPart, ...]


def answered(answer: HolderAnswer) -> HolderPart:
    """Write one holder's answer."""
    compared = answer.model_dump(include={*VerificationPart.model_fields})
    verification = VerificationPart.model_validate(compared)
    told = answer.model_dump(include={"holder", "commanded_at", "answered_at", "deleted", "shared", "disputed"})
    return HolderPart(**told, method="clear", verification=verification)


def compared(before: tuple[HolderReading, ...], after: tuple[HolderReading, ...]) -> tuple[ReadHolderPart, ...]:
    """Write what was read before and after beside each other."""
    known = {(at.holder, one.table): one for at in before for one in at.tables}
    return tuple(
        ReadHolderPart(
            holder=at.holder,
            tables=tuple(_read(known.get((at.holder, one.table)), one) for one in at.tables),
            searched=at.searched and SearchedPart(**at.searched.model_dump(exclude={"mentions"})),
        )
        for at in after
    )


def _read(before: TableReading | None, after: TableReading) -> ReadPart:
    return ReadPart(
        table=after.table,
        left=after.own,
        others_before=before and before.others,
        others_after=after.others,
        fingerprint_before=before and before.fingerprint,
        fingerprint_after=after.fingerprint,
        fingerprint_method=after.method if after.objects is None else None,
        kept=after.kept,
    )
