"""Events that other platform services and support tooling publish; we only read them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .event import Event
from .vocabulary import (
    Citation,
    Code,
    ContractId,
    Count,
    Day,
    Moment,
    Positive,
    Ref,
    Sha256,
    TableCount,
    TableFingerprint,
    TableName,
    Value,
    Zone,
)


class NoRenewal(Value):
    """The contract ends with its period unless it is registered anew."""

    kind: Literal["none"] = "none"


class AutomaticRenewal(Value):
    """Without a notice in time the period is prolonged by *months*."""

    kind: Literal["automatic"] = "automatic"
    months: Positive


class ContractRegistered(Event):
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


class NoticeReceived(Event):
    """Somebody said, at *received_at* and by *channel*, that the customer leaves (P1)."""

    contract_id: ContractId
    notice_id: Ref
    channel: Code
    received_at: Moment


class NoticeWithdrawn(Event):
    """The customer took a notice back."""

    contract_id: ContractId
    notice_id: Ref
    withdrawn_at: Moment


class ExportRequested(Event):
    """The customer asks for its data (P3); asked again under another *request_id*, it is served again."""

    request_id: Ref
    requested_at: Moment


class ExportConfirmed(Event):
    """A person confirmed that one export, named by its checksum, holds all that is needed (P10)."""

    export_id: Ref
    sha256: Sha256
    confirmed_by: Ref
    confirmed_at: Moment


class TransferAgreed(Event):
    """Help with moving to a new provider was agreed on (P9)."""

    agreement_id: Ref
    agreed_at: Moment


class LegalHoldPlaced(Event):
    """Nothing of the customer's may be deleted until the hold is released (P8)."""

    hold_id: Ref
    basis: Citation
    placed_by: Ref
    placed_at: Moment


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
    """

    kind: Literal["erased"] = "erased"
    deleted: tuple[TableCount, ...]
    remaining: tuple[TableCount, ...]
    bystanders: tuple[TableFingerprint, ...]
    accounted: Count = 0
    sampled: tuple[TableName, ...] = ()


class NotErased(Value):
    """The holder did not delete everything, and why.

    Nothing is gone, unless *deleted* says what went before the reason came up: then *saved* is what is left of it.
    What is left may be locked *until* a moment at which it is worth asking again.
    """

    kind: Literal["not_erased"] = "not_erased"
    reason: Literal["held", "window_open", "contract_active", "not_declared", "clock", "failed"]
    deleted: tuple[TableCount, ...] = ()
    saved: tuple[TableCount, ...] = ()
    until: Moment | None = None


class DeletionAcknowledged(Event):
    """A holder answers a ``DeletionRequested``."""

    deletion_id: Ref
    holder: Code
    outcome: Annotated[Erased | NotErased, Field(discriminator="kind")]
    answered_at: Moment


class CustomerInformed(Event):
    """An announcement reached the customer, or came back."""

    announcement_id: Ref
    channel: Code
    outcome: Literal["delivered", "bounced"]
    informed_at: Moment
