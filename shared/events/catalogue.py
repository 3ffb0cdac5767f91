"""Every event there is, on one screen."""

from __future__ import annotations

from .event import Event, Instruction
from .exporter import (
    ConfirmationAccepted,
    ConfirmationRejected,
    ConfirmationVoided,
    DeliveryFailed,
    DeltaReady,
    ExportDeleted,
    ExportDelivered,
    ExportFailed,
    ExportReady,
    ExportRefused,
    LinkRevocationFailed,
    LinksRevoked,
)
from .notice import (
    CompletionAccepted,
    CompletionRejected,
    ContractTerminated,
    DeadlineApproaching,
    NoticeAccepted,
    NoticeRejected,
    ProlongationAccepted,
    ProlongationRejected,
    WithdrawalAccepted,
    WithdrawalRejected,
)
from .operators import DeadLettersReplayed, ServicePaused, ServiceResumed
from .platform import (
    ContractRegistered,
    CustomerInformed,
    DeletionAcknowledged,
    DeletionApproved,
    DeliveryRequested,
    EarlyDeletionRequested,
    ExportConfirmed,
    ExportRequested,
    LegalHoldPlaced,
    LegalHoldReleased,
    LinkRevocationRequested,
    NoticeReceived,
    NoticeWithdrawn,
    SwitchCompleted,
    TransferAgreed,
    TransferWithdrawn,
    TransitionProlonged,
    WindowChanged,
)
from .retention import (
    AccountClosed,
    CertificateAmended,
    DeletionCompleted,
    DeletionRequested,
    DeletionStalled,
    EarlyDeletionAccepted,
    EarlyDeletionRefused,
    EarlyDeletionWithdrawn,
    ErasureUpgraded,
    LegalHoldAnswered,
    RetentionExpired,
)

# fmt: off
EVENTS: dict[str, type[Event]] = {event.type(): event for event in (
    # from other platform services and support tooling
    ContractRegistered, NoticeReceived, NoticeWithdrawn, TransitionProlonged, SwitchCompleted, ExportRequested,
    ExportConfirmed, TransferAgreed, WindowChanged, EarlyDeletionRequested, LegalHoldPlaced, LegalHoldReleased,
    DeletionApproved, DeletionAcknowledged, CustomerInformed, LinkRevocationRequested, TransferWithdrawn,
    DeliveryRequested,
    # notice
    NoticeAccepted, NoticeRejected, WithdrawalAccepted, WithdrawalRejected, ProlongationAccepted, ProlongationRejected,
    CompletionAccepted, CompletionRejected, ContractTerminated, DeadlineApproaching,
    # exporter
    ExportReady, DeltaReady, ExportRefused, ExportFailed, ExportDeleted, ConfirmationAccepted, ConfirmationRejected,
    ConfirmationVoided, LinksRevoked, LinkRevocationFailed, ExportDelivered, DeliveryFailed,
    # retention
    RetentionExpired, EarlyDeletionAccepted, EarlyDeletionRefused, EarlyDeletionWithdrawn, DeletionRequested,
    DeletionCompleted, DeletionStalled, LegalHoldAnswered, AccountClosed, ErasureUpgraded,
    CertificateAmended,
)}
INSTRUCTIONS: dict[str, type[Instruction]] = {instruction.type(): instruction for instruction in (
    DeadLettersReplayed, ServicePaused, ServiceResumed,
)}
# fmt: on
