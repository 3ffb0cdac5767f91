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
    """The customer asks for its data (P3); asked again under another *request_id*, it is served again.

    *scope* names kinds of data (user, course, report), *formats* what the archive shall hold; all of them where none is
    named. One that there is not fails the export. *language* is that of the page for whoever opens the archive.
    """

    request_id: Ref
    requested_at: Moment
    scope: tuple[Code, ...] = ()
    formats: tuple[Code, ...] = ()
    language: Code = "en"


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
    """The holder deleted everything: *deleted* per table, *remaining* read again afterwards, bystanders compared."""

    kind: Literal["erased"] = "erased"
    deleted: tuple[TableCount, ...]
    remaining: tuple[TableCount, ...]
    bystanders: tuple[TableFingerprint, ...]


class NotErased(Value):
    """The holder deleted nothing, and why."""

    kind: Literal["not_erased"] = "not_erased"
    reason: Literal["held", "window_open", "contract_active", "not_declared", "clock", "failed"]


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
