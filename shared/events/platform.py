"""Events that other platform services and support tooling publish; we only read them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from .event import Event
from .vocabulary import (
    AskedLanguage,
    Citation,
    Code,
    ContractDay,
    ContractId,
    Count,
    Country,
    Day,
    Days,
    GivenSha256,
    Language,
    Moment,
    Months,
    Positive,
    PublicKey,
    Ref,
    Sha256,
    TableCount,
    TableFingerprint,
    TableName,
    Value,
    VolumeSize,
    Zone,
)


class CalendarDays(Value):
    """Notice is counted in days of the calendar; weekends and holidays make no difference."""

    kind: Literal["calendar_days"] = "calendar_days"
    days: Days


class WorkingDays(Value):
    """Notice is counted in days that are neither weekend nor holiday in *country*."""

    kind: Literal["working_days"] = "working_days"
    days: Days
    country: Country


NoticeRule: TypeAlias = Annotated[CalendarDays | WorkingDays, Field(discriminator="kind")]


class NoRenewal(Value):
    """The contract ends with its period unless it is registered anew."""

    kind: Literal["none"] = "none"


class AutomaticRenewal(Value):
    """Without a notice in time the period is prolonged by *months*."""

    kind: Literal["automatic"] = "automatic"
    months: Months


class UntilFurtherNotice(Value):
    """Without a notice in time the contract goes on, and ends so many days after a later one as *notice* says."""

    kind: Literal["until_further_notice"] = "until_further_notice"
    notice: NoticeRule


class OpenEnded(Value):
    """There is no period: from its first day the contract goes on until further notice, by its own *notice* rule."""

    kind: Literal["open_ended"] = "open_ended"


class Vouched(Value):
    """Whoever publishes a notice vouches that it came from somebody who may give it."""

    kind: Literal["vouched"] = "vouched"


class Appointed(Value):
    """Only a notice *by* one of these counts: opaque references that the platform can resolve."""

    kind: Literal["appointed"] = "appointed"
    by: tuple[Ref, ...]


class ContractRegistered(Event):
    """A contract as it stands from *revision* on; the highest revision wins, whatever the order of arrival.

    *period_end* is the last day of the period; only an open-ended contract has none, and must have none. *notice*
    counts back from it (policy P1). No term that leads to a deletion has a default. *language*, *transfer_help* (P9)
    and *service_class* decide about no date.
    """

    version: ClassVar[int] = 2

    contract_id: ContractId
    revision: Positive
    period_start: ContractDay
    time_zone: Zone
    renewal: Annotated[NoRenewal | AutomaticRenewal | UntilFurtherNotice | OpenEnded, Field(discriminator="kind")]
    period_end: ContractDay | None = Field(default=None, validate_default=True)
    notice: NoticeRule
    notice_channels: tuple[Code, ...]
    authority: Annotated[Vouched | Appointed, Field(discriminator="kind")]
    language: Language | None = None
    transfer_help: Literal["agreed", "not_agreed"] | None = None
    service_class: Code | None = None

    @field_validator("period_end", mode="after")
    @classmethod
    def _ends_or_is_open(cls, period_end: date | None, info: ValidationInfo) -> date | None:
        renewal = info.data.get("renewal")
        if period_end is None and renewal is not None and not isinstance(renewal, OpenEnded):
            raise PydanticCustomError("without_end", "only an open-ended contract has no end")
        if period_end is not None and isinstance(renewal, OpenEnded):
            raise PydanticCustomError("with_end", "an open-ended contract has no end")
        start = info.data.get("period_start")
        if period_end is not None and start is not None and period_end < start:
            # A mistake: taken for a period that is over, it would end the contract and begin the 90 days.
            raise PydanticCustomError("before_its_start", "a period ends before it begins")
        return period_end


Ground: TypeAlias = Literal["non_renewal", "switch", "on_premises", "erasure"]


class NoticeReceived(Event):
    """Somebody said, at *received_at* and by *channel*, that the customer leaves (P1).

    *ground*: not to go on after the period; or, by the EU Data Act (Regulation (EU) 2023/2854, art. 25(3)), to switch
    to another provider, to move on premises, or to have everything erased. *given_by*: an opaque reference to whom it
    came from. The same *notice_id* by a second channel is the same notice.
    """

    contract_id: ContractId
    notice_id: Ref
    channel: Code
    received_at: Moment
    ground: Ground = "non_renewal"
    given_by: Ref | None = None


class NoticeWithdrawn(Event):
    """The customer took a notice back."""

    contract_id: ContractId
    notice_id: Ref
    withdrawn_at: Moment


class ByProvider(Value):
    """The provider can't do it in time, for *reason*, and said so within the time of art. 25(4)."""

    kind: Literal["provider"] = "provider"
    reason: Code


class ByCustomer(Value):
    """The customer wants more time, once (art. 25(5))."""

    kind: Literal["customer"] = "customer"


class TransitionProlonged(Event):
    """The transition after a switching notice was prolonged to the end of *until* (EU Data Act, art. 25(4) and (5))."""

    contract_id: ContractId
    notice_id: Ref
    prolongation_id: Ref
    by: Annotated[ByProvider | ByCustomer, Field(discriminator="kind")]
    until: Day
    prolonged_at: Moment


class SwitchCompleted(Event):
    """The switch that *notice_id* asked for has succeeded, which ends the contract (EU Data Act, art. 25(2)(c)(i)).

    *confirmed_by*: an opaque reference to whoever said so for the customer; only one who may give notice can.
    """

    contract_id: ContractId
    notice_id: Ref
    completed_at: Moment
    confirmed_by: Ref


class ExportRequested(Event):
    """The customer asks for its data (P3); asked again under another *request_id*, it is served again.

    *scope* names kinds of data (user, course, report), *formats* what the archive shall hold; all of them where none is
    named. One that there is not fails the export. *language* is that of the page for whoever opens the archive.
    With *encrypt_to* the archive is encrypted with age, and only who has a secret key to one of these can open it; one
    that can't be used fails the export. ``ExportReady.encrypted_to`` says that it was done. With a *volume_size*, in
    bytes, another file is begun where one has so much, and ``ExportReady.volumes`` names all of them.
    With *since*, the id of a ready export of the same window, scope, formats and language, only what changed since is
    made: ``DeltaReady`` answers, never ``ExportReady``, or ``ExportRefused`` why that export can be no base. Who knows
    of no deltas makes all of it.
    """

    request_id: Ref
    requested_at: Moment
    scope: tuple[Code, ...] = ()
    formats: tuple[Code, ...] = ()
    language: AskedLanguage = "en"
    encrypt_to: tuple[PublicKey, ...] = ()
    volume_size: VolumeSize | None = None
    since: Ref | None = None


class ExportConfirmed(Event):
    """A person confirmed that one export, named by its checksum, holds all that is needed (P10).

    Of several volumes it is that of the last, which has the digests of all others.
    """

    export_id: Ref
    sha256: GivenSha256
    confirmed_by: Ref
    confirmed_at: Moment


class LinkRevocationRequested(Event):
    """All links to the archive of *export_id* that were given until now are to lead nowhere; new ones can be given."""

    request_id: Ref
    export_id: Ref
    requested_by: Ref
    requested_at: Moment


class TransferAgreed(Event):
    """Help with moving to a new provider was agreed on (P9): from then on exports may be delivered."""

    agreement_id: Ref
    agreed_at: Moment


class TransferWithdrawn(Event):
    """An agreement on help with moving is over, for good: nothing more is sent because of it (P9)."""

    agreement_id: Ref
    withdrawn_by: Ref
    withdrawn_at: Moment


class DeliveryRequested(Event):
    """A ready export is to be put where the customer, or its new provider, wants it (P9).

    *destination* is the name of a place that the operators have written down, with the customers it may take.
    """

    request_id: Ref
    export_id: Ref
    destination: Code
    requested_by: Ref
    requested_at: Moment


class Everything(Value):
    """All that there is of the customer."""

    kind: Literal["all"] = "all"


class OfCategories(Value):
    """What the data maps count among these categories."""

    kind: Literal["category"] = "category"
    categories: tuple[Code, ...]


class OfTables(Value):
    """The rows of these tables, or the objects of these buckets."""

    kind: Literal["table"] = "table"
    tables: tuple[TableName, ...]


class OfPersons(Value):
    """What there is of these persons: opaque references that the platform can resolve."""

    kind: Literal["person"] = "person"
    refs: tuple[Ref, ...]


HoldScope: TypeAlias = Annotated[Everything | OfCategories | OfTables | OfPersons, Field(discriminator="kind")]


class LegalHoldPlaced(Event):
    """Nothing in *scope* may be deleted until the hold is released, or to the end of *ends_at* if there is one (P8).

    A scope that names nothing holds everything. *responsible* answers for it and looks again on *review_on*.
    """

    hold_id: Ref
    basis: Citation
    placed_by: Ref
    placed_at: Moment
    scope: HoldScope = Everything()
    responsible: Ref | None = None
    review_on: Day | None = None
    ends_at: Moment | None = None


class LegalHoldReleased(Event):
    """A hold is over; what it held goes when its time has come."""

    hold_id: Ref
    released_by: Ref
    released_at: Moment


class Erased(Value):
    """The holder deleted everything: *deleted* per table, *remaining* read again afterwards, bystanders compared.

    Of the tables and buckets in *sampled* only some bystanders were compared: those that were counted.
    Rows may have gone in *accounted* batches before the last transaction, in whose snapshot the bystanders were
    compared. Of each of those batches the database's own counters showed that it wrote nothing but its deletes.
    Objects in *shared* were the customer's too, and stay since others' rows refer to them.
    """

    kind: Literal["erased"] = "erased"
    deleted: tuple[TableCount, ...]
    remaining: tuple[TableCount, ...]
    bystanders: tuple[TableFingerprint, ...]
    accounted: Count = 0
    sampled: tuple[TableName, ...] = ()
    shared: tuple[TableCount, ...] = ()


class HeldRows(Value):
    """Rows of *table* (or objects, for a bucket) that a hold covers; one that two holds cover is counted at each."""

    table: TableName
    rows: Count
    hold_id: Ref
    basis: Citation | None = None


class RetainedRows(Value):
    """Rows of *table* that the law cited as *basis* keeps to the end of the day *until*."""

    table: TableName
    basis: Citation
    until: Day
    rows: Count


class ErasedInPart(Value):
    """The holder deleted all but what has to stay: *kept* in all, per table, none of which is in *remaining*.

    *held* says how much each hold covers, *retained* how much a law keeps until when. *needed* is what none of these
    covers, but what kept rows refer to, or are found by. *minimised* of the kept rows were emptied as the map says.
    *bystanders* are everybody else's rows, as in ``Erased``; the kept ones are not among them. *shared* is as there.
    """

    kind: Literal["erased_in_part"] = "erased_in_part"
    deleted: tuple[TableCount, ...]
    kept: tuple[TableCount, ...]
    held: tuple[HeldRows, ...]
    needed: tuple[TableCount, ...]
    remaining: tuple[TableCount, ...]
    bystanders: tuple[TableFingerprint, ...]
    accounted: Count = 0
    sampled: tuple[TableName, ...] = ()
    retained: tuple[RetainedRows, ...] = ()
    minimised: tuple[TableCount, ...] = ()
    shared: tuple[TableCount, ...] = ()


class NotErased(Value):
    """The holder did not delete everything, and why.

    Nothing is gone, unless *deleted* says what went before the reason came up: then *saved* is what is left of it.
    What is left may be locked *until* a moment at which it is worth asking again. *map_sha256* is the data map that the
    holder runs, where that isn't the one which the command names: by another one nobody has looked at what would go.
    """

    kind: Literal["not_erased"] = "not_erased"
    reason: Literal["held", "window_open", "contract_active", "not_declared", "clock", "failed"]
    deleted: tuple[TableCount, ...] = ()
    saved: tuple[TableCount, ...] = ()
    until: Moment | None = None
    map_sha256: Sha256 | None = None


class DeletionAcknowledged(Event):
    """A holder answers a ``DeletionRequested``."""

    version: ClassVar[int] = 2

    deletion_id: Ref
    holder: Code
    outcome: Annotated[Erased | ErasedInPart | NotErased, Field(discriminator="kind")]
    answered_at: Moment


class WindowChanged(Event):
    """The days in which the data can be fetched last to the end of *last_day*; the latest change counts (P3).

    It can make the window longer, or take back that it was made longer. It is never shorter than the policy says.
    """

    change_id: Ref
    last_day: Day
    changed_by: Ref
    changed_at: Moment


class EarlyDeletionRequested(Event):
    """The customer, having confirmed *export_id*, asks that everything be deleted before the window is over (P10)."""

    request_id: Ref
    export_id: Ref
    requested_by: Ref
    requested_at: Moment


class HolderMap(Value):
    """By which data map a holder is read and deletes."""

    holder: Code
    map_sha256: Sha256


class DeletionApproved(Event):
    """A second person lets a deletion go on in spite of what made it wait; who asked for it can't be the same.

    *rows*: how many the dry run showed in all. A deletion that has grown since is not what was approved.
    With *maps*, those by which the dry run was made, it goes on by other data maps than it began with. In spite of
    ``counts`` rows needn't add up, or, where holders keep other rows than they named, these are asked again. In spite
    of ``other_map`` a check by another map than the case's counts, and in spite of ``kept_gone`` it is certified though
    rows are gone that a holder had said to keep.
    """

    version: ClassVar[int] = 3

    deletion_id: Ref
    in_spite_of: tuple[
        Literal["not_informed", "blast_radius", "size", "policy_unknown", "counts", "other_map", "kept_gone"], ...
    ]
    rows: Count
    requested_by: Ref
    approved_by: Ref
    approved_at: Moment
    maps: tuple[HolderMap, ...] = ()


class CustomerInformed(Event):
    """An announcement reached the customer, or came back."""

    announcement_id: Ref
    channel: Code
    outcome: Literal["delivered", "bounced"]
    informed_at: Moment
