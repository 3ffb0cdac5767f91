"""Events of the retention service: the 90 days, the deletion, the proof, the end (P7, P8, P10, P11)."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from .event import Event
from .platform import HolderMap, HoldScope, RetainedRows
from .vocabulary import Citation, Code, Count, Day, Moment, Place, Positive, Ref, Sha256, TableCount, Value


class RetentionExpired(Event):
    """The window is over since *window_closed_at*; from now on the data may be deleted, unless it is held."""

    owner: ClassVar[str] = "retention"

    terminated_at: Moment
    window_days: Positive
    window_closed_at: Moment


class Keep(Value):
    """A legal hold that concerns a holder only in part: what is in *scope* has to stay.

    Of tables it names those that were seen at this holder, and those that were seen at none.
    """

    hold_id: Ref
    scope: HoldScope
    basis: Citation | None = None


class DeletionRequested(Event):
    """The command to one *holder* to delete all it has of the customer; it checks the right to once more.

    What is in *keep* has to stay; a holder that can't spare it deletes nothing and answers ``held``. *holds* are all
    that are in force: one that is not in *keep* doesn't concern this holder. *map_sha256* is the data map by which its
    rows were counted before: a holder that deletes by another one deletes nothing, and answers with that one.
    """

    owner: ClassVar[str] = "retention"

    deletion_id: Ref
    holder: Code
    window_closed_at: Moment
    policy_version: Ref
    respond_by: Moment
    keep: tuple[Keep, ...] = ()
    map_sha256: Sha256 | None = None
    holds: tuple[Ref, ...] = ()


class HolderOutcome(Value):
    """What one holder deleted, in all."""

    holder: Code
    deleted: tuple[TableCount, ...]


class HolderKept(Value):
    """What one holder keeps for a hold."""

    holder: Code
    kept: tuple[TableCount, ...]


class HolderRetained(Value):
    """What one holder keeps since laws say so, and until when."""

    holder: Code
    retained: tuple[RetainedRows, ...]


class DeletionCompleted(Event):
    """Every holder answered and a check by another way found nothing left and nobody else touched.

    But for what is *retained* since laws say so: the check found just that, and what it needs.
    """

    owner: ClassVar[str] = "retention"

    deletion_id: Ref
    holders: tuple[HolderOutcome, ...]
    checked_at: Moment
    retained: tuple[HolderRetained, ...] = ()


StallReason: TypeAlias = Literal[
    "unanswered", "refused", "held", "residue", "counts", "bystanders", "check_failed", "contract_active",
    "not_informed", "blast_radius", "size", "policy_unknown", "not_approved", "hold_review", "not_compared",
    "other_map", "kept_gone",
]  # fmt: skip


class DeletionStalled(Event):
    """The deletion can't go on without somebody: *holders* are those that it waits for, *holds* what keeps it.

    ``not_compared``: the second comparison of what was confirmed (P10) hasn't come; nothing goes early. ``other_map``:
    the check read *holders* by another data map than the case's. ``counts``: what they say doesn't add up.
    ``kept_gone``: rows that they had said to keep are gone; perhaps a hold or a law was to keep them.
    *missing* is all that stands against it, *reason* the first of that. *counts* is the dry run: what would be
    deleted, which ``DeletionApproved`` has to name in all. *escalate_to* is who has to know by now. *maps* are other
    data maps than the deletion began with: *counts* are by them, and an approval has to name them.
    """

    version: ClassVar[int] = 4
    owner: ClassVar[str] = "retention"

    deletion_id: Ref
    reason: StallReason
    holders: tuple[Code, ...]
    missing: tuple[StallReason, ...] = ()
    holds: tuple[Ref, ...] = ()
    counts: tuple[HolderOutcome, ...] = ()
    customers_due: Count | None = None
    escalate_to: Code | None = None
    maps: tuple[HolderMap, ...] = ()


class LegalHoldAnswered(Event):
    """What a hold that came while a deletion ran could still save, by holder, and what it came too late for.

    Of *unanswered* holders it can't be said yet: another answer follows when they have spoken. *kept* is what of this
    hold's those keep that deleted the rest.
    """

    owner: ClassVar[str] = "retention"

    hold_id: Ref
    deletion_id: Ref
    saved: tuple[Code, ...]
    too_late: tuple[HolderOutcome, ...]
    unanswered: tuple[Code, ...]
    answered_at: Moment
    kept: tuple[HolderKept, ...] = ()


class EarlyDeletionAccepted(Event):
    """The window closes at the end of *last_day*, since the customer confirmed *export_id* and asked for it (P10)."""

    owner: ClassVar[str] = "retention"

    request_id: Ref
    export_id: Ref
    sha256: Sha256
    terminated_at: Moment
    last_day: Day
    closes_at: Moment
    accepted_at: Moment


class EarlyDeletionRefused(Event):
    """Everything stays until the window is over, and why."""

    owner: ClassVar[str] = "retention"

    request_id: Ref
    reason: Literal["not_confirmed", "not_in_window", "held"]


class EarlyDeletionWithdrawn(Event):
    """The window is as long as before, to the end of *last_day*: the confirmation that cut it short doesn't hold (P10).

    *confirmation_void*: the exporter found that the data had changed since; *not_upheld*: it didn't say in time that it
    hadn't.
    """

    owner: ClassVar[str] = "retention"

    request_id: Ref
    export_id: Ref
    reason: Literal["confirmation_void", "not_upheld"]
    terminated_at: Moment
    last_day: Day
    closes_at: Moment
    withdrawn_at: Moment


class ErasureUpgraded(Event):
    """The last copy that the first certificate said would expire has: the second one, at *certificate*, says so."""

    owner: ClassVar[str] = "retention"

    deletion_id: Ref
    certificate: Place
    certificate_sha256: Sha256
    first_sha256: Sha256
    upgraded_at: Moment


class CertificateAmended(Event):
    """Of what laws had kept some has had its time, and is gone: the addendum at *certificate* says so.

    It belongs to the certificate with the digest *first_sha256*. What is still *retained* waits; nothing: all is gone.
    """

    owner: ClassVar[str] = "retention"

    deletion_id: Ref
    certificate: Place
    certificate_sha256: Sha256
    first_sha256: Sha256
    rows_deleted: Count
    retained: tuple[HolderRetained, ...]
    amended_at: Moment


class AccountClosed(Event):
    """The end (P11): the certificate at *certificate* says what was deleted, when, by whom, and how it was checked.

    What is *retained*, since laws say so, goes when its time has come, with a ``CertificateAmended``.
    """

    owner: ClassVar[str] = "retention"

    deletion_id: Ref
    certificate: Place
    certificate_sha256: Sha256
    rows_deleted: Count
    closed_at: Moment
    retained: tuple[HolderRetained, ...] = ()
