"""Events of the retention service: the 90 days, the deletion, the proof, the end (P7, P8, P10, P11)."""

from __future__ import annotations

from typing import ClassVar, Literal

from .event import Event
from .vocabulary import Code, Count, Moment, Place, Positive, Ref, Sha256, TableCount, Value


class RetentionExpired(Event):
    """The window is over since *window_closed_at*; from now on the data may be deleted, unless it is held."""

    owner: ClassVar[str] = "retention"

    terminated_at: Moment
    window_days: Positive
    window_closed_at: Moment


class DeletionRequested(Event):
    """The command to one *holder* to delete all it has of the customer; it checks the right to once more."""

    owner: ClassVar[str] = "retention"

    deletion_id: Ref
    holder: Code
    window_closed_at: Moment
    policy_version: Ref
    respond_by: Moment


class HolderOutcome(Value):
    """What one holder deleted, in all."""

    holder: Code
    deleted: tuple[TableCount, ...]


class DeletionCompleted(Event):
    """Every holder answered and a check by another way found nothing left and nobody else touched."""

    owner: ClassVar[str] = "retention"

    deletion_id: Ref
    holders: tuple[HolderOutcome, ...]
    checked_at: Moment


class DeletionStalled(Event):
    """The deletion can't go on without an operator: *holders* are those that it waits for."""

    owner: ClassVar[str] = "retention"

    deletion_id: Ref
    reason: Literal["unanswered", "refused", "residue", "bystanders", "check_failed", "contract_active"]
    holders: tuple[Code, ...]


class AccountClosed(Event):
    """The end (P11): the certificate at *certificate* says what was deleted, when, by whom, and how it was checked."""

    owner: ClassVar[str] = "retention"

    deletion_id: Ref
    certificate: Place
    certificate_sha256: Sha256
    rows_deleted: Count
    closed_at: Moment
