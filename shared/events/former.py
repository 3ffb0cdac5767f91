"""Versions of events that are no longer written, and what each says in the words of the next."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from .event import Event
from .exporter import ConfirmationRejected, ExportReady, ExportRefused
from .notice import ContractTerminated, DeadlineApproaching, NoticeRejected
from .platform import (
    CalendarDays,
    ContractRegistered,
    DeletionAcknowledged,
    DeletionApproved,
    Erased,
    HolderMap,
    NoRenewal,
    NotErased,
    Vouched,
)
from .retention import DeletionStalled, HolderOutcome
from .vocabulary import (
    ArchiveVolume,
    Code,
    ContractId,
    Count,
    Day,
    KeyId,
    Moment,
    Place,
    Positive,
    RecipientId,
    Ref,
    Sha256,
    TableCount,
    Value,
    Version,
    Zone,
)


class AutomaticRenewal(Value):
    """Without a notice in time the period is prolonged by *months*."""

    kind: Literal["automatic"] = "automatic"
    months: Positive


class ContractRegisteredV1(Event):
    """A contract as it stands from *revision* on; the highest revision wins, whatever the order of arrival.

    *period_end* is the last day of service; *notice_days* counts back from it (policy P1).
    No term that leads to a deletion has a default.
    """

    contract_id: ContractId
    revision: Positive
    period_start: Day
    period_end: Day
    time_zone: Zone
    renewal: Annotated[NoRenewal | AutomaticRenewal, Field(discriminator="kind")]
    notice_days: Count
    notice_channels: tuple[Code, ...]

    @classmethod
    def type(cls) -> str:
        """Name the event as its topic does."""
        return ContractRegistered.type()


def contract_registered(old: ContractRegisteredV1) -> ContractRegistered:
    """Say it in the words of version 2: the days were of the calendar, and who may give notice wasn't asked."""
    return ContractRegistered(
        **old.model_dump(exclude={"notice_days"}),
        notice=CalendarDays(days=old.notice_days),
        authority=Vouched(),
    )


class NoticeRejectedV1(Event):
    """The notice does not count, for *reason*; *earliest_end* is the day on which the contract can end now."""

    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    notice_id: Ref
    reason: Literal["late", "channel_not_accepted", "unknown_contract", "already_given", "contract_ended"]
    last_day_for_notice: Day | None = None
    earliest_end: Day | None = None

    @classmethod
    def type(cls) -> str:
        """Name the event as its topic does."""
        return NoticeRejected.type()


def notice_rejected(old: NoticeRejectedV1) -> NoticeRejected:
    """Say the same: a late notice of then stood for nothing."""
    return NoticeRejected(**old.model_dump())


class ContractTerminatedV1(Event):
    """The contract is over since *terminated_at*, the first moment after *period_end* in *time_zone* (P2).

    The notice service publishes it at the end of the period; any platform service may for a breach or a bankruptcy.
    """

    owner: ClassVar[str] = "notice"

    contract_id: ContractId
    basis: Literal["notice", "expiry", "breach", "bankruptcy", "other"]
    period_end: Day
    terminated_at: Moment
    time_zone: Zone

    @classmethod
    def type(cls) -> str:
        """Name the event as its topic does."""
        return ContractTerminated.type()


def contract_terminated(old: ContractTerminatedV1) -> ContractTerminated:
    """Say the same; what the customer was told wasn't said."""
    return ContractTerminated(**old.model_dump())


class DeadlineApproachingV1(Event):
    """A date that matters to the customer is near and has to be told (P12); answered by ``CustomerInformed``."""

    owner: ClassVar[str] = "notice, exporter, retention"

    announcement_id: Ref
    deadline: Literal["notice_deadline", "period_end", "window_closes", "deletion"]
    due_at: Moment

    @classmethod
    def type(cls) -> str:
        """Name the event as its topic does."""
        return DeadlineApproaching.type()


def deadline_approaching(old: DeadlineApproachingV1) -> DeadlineApproaching:
    """Say the same; changes weren't told apart."""
    return DeadlineApproaching(**old.model_dump())


class DeletionStalledV1(Event):
    """The deletion can't go on without an operator: *holders* are those that it waits for."""

    owner: ClassVar[str] = "retention"

    deletion_id: Ref
    reason: Literal["unanswered", "refused", "residue", "bystanders", "check_failed", "contract_active"]
    holders: tuple[Code, ...]

    @classmethod
    def type(cls) -> str:
        """Name the event as its topic does."""
        return DeletionStalled.type()


StallReasonV2: TypeAlias = Literal[
    "unanswered", "refused", "held", "residue", "counts", "bystanders", "check_failed", "contract_active",
    "not_informed", "blast_radius", "size", "policy_unknown", "not_approved", "hold_review",
]  # fmt: skip


class DeletionStalledV2(Event):
    """The deletion can't go on without somebody: *holders* are those that it waits for, *holds* what keeps it.

    ``unanswered`` by ``exporter``: its second comparison of what was confirmed (P10) hasn't come; nothing goes early.
    *missing* is all that stands against it, *reason* the first of that. *counts* is the dry run: what would be
    deleted, which ``DeletionApproved`` has to name in all. *escalate_to* is who has to know by now. *maps* are other
    data maps than the deletion began with: *counts* are by them, and an approval has to name them.
    """

    version: ClassVar[int] = 2
    owner: ClassVar[str] = "retention"

    deletion_id: Ref
    reason: StallReasonV2
    holders: tuple[Code, ...]
    missing: tuple[StallReasonV2, ...] = ()
    holds: tuple[Ref, ...] = ()
    counts: tuple[HolderOutcome, ...] = ()
    customers_due: Count | None = None
    escalate_to: Code | None = None
    maps: tuple[HolderMap, ...] = ()

    @classmethod
    def type(cls) -> str:
        """Name the event as its topic does."""
        return DeletionStalled.type()


def deletion_stalled(old: DeletionStalledV1) -> DeletionStalledV2:
    """Say the same; whether anything else was missing wasn't said."""
    return DeletionStalledV2(**old.model_dump())


StallReasonV3: TypeAlias = Literal[
    "unanswered", "refused", "held", "residue", "counts", "bystanders", "check_failed", "contract_active",
    "not_informed", "blast_radius", "size", "policy_unknown", "not_approved", "hold_review", "not_compared",
    "other_map",
]  # fmt: skip


class DeletionStalledV3(Event):
    """The deletion can't go on without somebody: *holders* are those that it waits for, *holds* what keeps it.

    ``not_compared``: the second comparison of what was confirmed (P10) hasn't come; nothing goes early. ``other_map``:
    the check read *holders* by another data map than the case's. ``counts``: what they say doesn't add up.
    *missing* is all that stands against it, *reason* the first of that. *counts* is the dry run: what would be
    deleted, which ``DeletionApproved`` has to name in all. *escalate_to* is who has to know by now. *maps* are other
    data maps than the deletion began with: *counts* are by them, and an approval has to name them.
    """

    version: ClassVar[int] = 3
    owner: ClassVar[str] = "retention"

    deletion_id: Ref
    reason: StallReasonV3
    holders: tuple[Code, ...]
    missing: tuple[StallReasonV3, ...] = ()
    holds: tuple[Ref, ...] = ()
    counts: tuple[HolderOutcome, ...] = ()
    customers_due: Count | None = None
    escalate_to: Code | None = None
    maps: tuple[HolderMap, ...] = ()

    @classmethod
    def type(cls) -> str:
        """Name the event as its topic does."""
        return DeletionStalled.type()


def deletion_stalled_2(old: DeletionStalledV2) -> DeletionStalledV3:
    """Say the same: which of two things ``counts`` and ``unanswered`` meant wasn't said in words."""
    return DeletionStalledV3(**old.model_dump())


def deletion_stalled_3(old: DeletionStalledV3) -> DeletionStalled:
    """Say the same: of kept rows that are gone ``counts`` spoke, too."""
    return DeletionStalled(**old.model_dump())


class DeletionApprovedV1(Event):
    """A second person lets a deletion go on in spite of what made it wait; who asked for it can't be the same.

    *rows*: how many the dry run showed in all. A deletion that has grown since is not what was approved.
    With *maps*, those by which the dry run was made, it goes on by other data maps than it began with.
    """

    deletion_id: Ref
    in_spite_of: tuple[Literal["not_informed", "blast_radius", "size", "policy_unknown", "counts"], ...]
    rows: Count
    requested_by: Ref
    approved_by: Ref
    approved_at: Moment
    maps: tuple[HolderMap, ...] = ()

    @classmethod
    def type(cls) -> str:
        """Name the event as its topic does."""
        return DeletionApproved.type()


class DeletionApprovedV2(Event):
    """A second person lets a deletion go on in spite of what made it wait; who asked for it can't be the same.

    *rows*: how many the dry run showed in all. A deletion that has grown since is not what was approved.
    With *maps*, those by which the dry run was made, it goes on by other data maps than it began with. In spite of
    ``counts`` rows needn't add up, or, where holders keep other rows than they named, these are asked again. In spite
    of ``other_map`` a check by another map than the case's counts.
    """

    version: ClassVar[int] = 2

    deletion_id: Ref
    in_spite_of: tuple[Literal["not_informed", "blast_radius", "size", "policy_unknown", "counts", "other_map"], ...]
    rows: Count
    requested_by: Ref
    approved_by: Ref
    approved_at: Moment
    maps: tuple[HolderMap, ...] = ()

    @classmethod
    def type(cls) -> str:
        """Name the event as its topic does."""
        return DeletionApproved.type()


def deletion_approved(old: DeletionApprovedV1) -> DeletionApprovedV2:
    """Say the same: in spite of ``counts``, and of no check by another map, which is asked for by its own name."""
    return DeletionApprovedV2(**old.model_dump())


def deletion_approved_2(old: DeletionApprovedV2) -> DeletionApproved:
    """Say the same: in spite of no kept row's being gone, which is asked for by its own name."""
    return DeletionApproved(**old.model_dump())


class DeletionAcknowledgedV1(Event):
    """A holder answers a ``DeletionRequested``."""

    deletion_id: Ref
    holder: Code
    outcome: Annotated[Erased | NotErased, Field(discriminator="kind")]
    answered_at: Moment

    @classmethod
    def type(cls) -> str:
        """Name the event as its topic does."""
        return DeletionAcknowledged.type()


def deletion_acknowledged(old: DeletionAcknowledgedV1) -> DeletionAcknowledged:
    """Say the same: nobody kept a part then."""
    return DeletionAcknowledged(**old.model_dump())


class ExportReadyV1(Event):
    """The archive at *place* is complete: every declared table was read to its end at *snapshot_at*.

    *signed_by* names the key that signed the archive, as ``ssh-keygen -l`` does. *sha256* is that of the object at
    *place* in its version *object_version*, until links to it are revoked: ``LinksRevoked`` names the next one.
    Where it is *encrypted_to* somebody with age, *size_bytes* and *sha256* are those of the encrypted file.
    """

    owner: ClassVar[str] = "exporter"

    request_id: Ref
    export_id: Ref
    place: Place
    size_bytes: Count
    sha256: Sha256
    tables: tuple[TableCount, ...]
    media: TableCount
    map_sha256: Sha256
    snapshot_at: Moment
    available_until: Moment
    signed_by: KeyId | None = None
    object_version: Version | None = None
    encrypted_to: tuple[RecipientId, ...] = ()

    @classmethod
    def type(cls) -> str:
        """Name the event as its topic does."""
        return ExportReady.type()


def export_ready(old: ExportReadyV1) -> ExportReady:
    """Say the same: an archive was one file then."""
    of_file = {"place", "size_bytes", "sha256", "object_version"}
    return ExportReady(**old.model_dump(exclude=of_file), volumes=(ArchiveVolume(**old.model_dump(include=of_file)),))


class ExportRefusedV1(Event):
    """The request was outside the window, which closed on *closed_on* or has not opened."""

    owner: ClassVar[str] = "exporter"

    request_id: Ref
    reason: Literal["window_closed", "window_not_open", "unknown_customer", "already_erased"]
    closed_on: Day | None = None

    @classmethod
    def type(cls) -> str:
        """Name the event as its topic does."""
        return ExportRefused.type()


def export_refused(old: ExportRefusedV1) -> ExportRefused:
    """Say the same: nobody could ask for a delta then."""
    return ExportRefused(**old.model_dump())


class ConfirmationRejectedV1(Event):
    """The confirmation doesn't count, and why: nothing that is ready has this id and this checksum (P10)."""

    owner: ClassVar[str] = "exporter"

    export_id: Ref
    confirmed_by: Ref
    reason: Literal["unknown_export", "other_checksum", "window_not_open", "window_closed"]

    @classmethod
    def type(cls) -> str:
        """Name the event as its topic does."""
        return ConfirmationRejected.type()


def confirmation_rejected(old: ConfirmationRejectedV1) -> ConfirmationRejected:
    """Say the same: all that was ready was complete then."""
    return ConfirmationRejected(**old.model_dump())
