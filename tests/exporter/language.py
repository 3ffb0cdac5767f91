"""Short words for the exporter's tests."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

from services.exporter.domain import domain
from services.exporter.policy import ExporterPolicy
from services.exporter.tasks import (
    Accounted,
    ArchiveBuilt,
    ArchivesDeleted,
    BuildArchive,
    BuildFailed,
    CompareExport,
    DeleteArchives,
    Delivered,
    DeliverExport,
    DeltaBuilt,
    ExportCompared,
    RevokeLinks,
    VersionsReplaced,
)
from shared.decision import Outcome, Task
from shared.events.notice import ContractTerminated
from shared.events.platform import (
    CalendarDays,
    ContractRegistered,
    DeliveryRequested,
    ExportConfirmed,
    ExportRequested,
    LegalHoldPlaced,
    LegalHoldReleased,
    NoRenewal,
    TransferAgreed,
    TransferWithdrawn,
    Vouched,
)
from shared.events.retention import DeletionRequested, RetentionExpired
from shared.events.vocabulary import ArchiveVolume, FileChanges, TableCount
from shared.policy import load_policy
from tests.casework import Casework, at

KEY = f"SHA256:{'k' * 43}"
POLICY = load_policy(Path(__file__).parents[2] / "deploy" / "policy.yaml", "exporter", ExporterPolicy)
OVER = at("2027-01-01T00:00")
CLOSES = at("2027-04-02T00:00")
LAST_DAY = date(2027, 4, 1)
# What there is of the customer, in short.
ACCOUNT = (
    Accounted(place="users", rows=10, fingerprint="a1"),
    Accounted(place="media", rows=2, fingerprint="b2"),
)


def casework(now: datetime = OVER) -> Casework:
    """Give a customer never heard of."""
    return Casework(domain(POLICY), now)


def in_window() -> Casework:
    """Give a customer whose only contract is over."""
    work = casework()
    work.tell(contract(), terminated())
    return work


def contract(contract_id: str = "c1", period_end: date = date(2026, 12, 31)) -> ContractRegistered:
    """Register a contract for the year 2026."""
    return ContractRegistered(
        customer_id="acme",
        contract_id=contract_id,
        revision=1,
        period_start=date(2026, 1, 1),
        period_end=period_end,
        time_zone="Europe/Stockholm",
        renewal=NoRenewal(),
        notice=CalendarDays(days=30),
        notice_channels=("email",),
        authority=Vouched(),
    )


def terminated(contract_id: str = "c1", moment: datetime = OVER) -> ContractTerminated:
    """End a contract with the year 2026."""
    return ContractTerminated(
        customer_id="acme",
        contract_id=contract_id,
        basis="expiry",
        period_end=date(2026, 12, 31),
        terminated_at=moment,
        time_zone="Europe/Stockholm",
    )


def request(requested_at: datetime, request_id: str = "r1") -> ExportRequested:
    """Ask for the data."""
    return ExportRequested(customer_id="acme", request_id=request_id, requested_at=requested_at)


def expired() -> RetentionExpired:
    """Say that the window is over."""
    return RetentionExpired(customer_id="acme", terminated_at=OVER, window_days=90, window_closed_at=CLOSES)


def command(holder: str = POLICY.holder, window_closed_at: datetime = CLOSES) -> DeletionRequested:
    """Command a holder to delete."""
    return DeletionRequested(
        customer_id="acme",
        deletion_id="acme:2027-01-01",
        holder=holder,
        window_closed_at=window_closed_at,
        policy_version="1",
        respond_by=at("2027-05-01T00:00"),
    )


def hold(moment: datetime) -> LegalHoldPlaced:
    """Place a legal hold."""
    return LegalHoldPlaced(customer_id="acme", hold_id="h1", basis="T 1-26", placed_by="staff-7", placed_at=moment)


def release(moment: datetime) -> LegalHoldReleased:
    """Release a legal hold."""
    return LegalHoldReleased(customer_id="acme", hold_id="h1", released_by="staff-7", released_at=moment)


def built(task: Task, snapshot_at: datetime = OVER) -> ArchiveBuilt:
    """Build an archive as ordered."""
    assert isinstance(task, BuildArchive)
    return ArchiveBuilt(
        customer_id="acme",
        request_id=task.request_id,
        export_id=task.export_id,
        place=place_of(task, 3),
        size_bytes=1000,
        sha256="0" * 64,
        tables=(TableCount(table="users", rows=10),),
        media=TableCount(table="media", rows=2),
        map_sha256="1" * 64,
        snapshot_at=snapshot_at,
        signed_by=KEY,
        encrypted_to=task.encrypt_to,
        account=ACCOUNT,
        object_version="v1",
        before=() if task.volume_size is None else tuple(volume(task, number) for number in (1, 2)),
        objects=(TableCount(table="offramp-media", rows=2),),
    )


def delta_built(task: Task, snapshot_at: datetime = OVER) -> DeltaBuilt:
    """Build a delta as ordered."""
    assert isinstance(task, BuildArchive)
    assert task.since is not None
    before = () if task.volume_size is None else tuple(volume(task, number) for number in (1, 2))
    last = ArchiveVolume(place=place_of(task, 3), size_bytes=10, sha256="d" * 64, object_version="v1")
    return DeltaBuilt(
        customer_id="acme",
        request_id=task.request_id,
        export_id=task.export_id,
        base_id=task.since.export_id,
        files=FileChanges(new=1, changed=2, unchanged=3, gone=4),
        volumes=(*before, last),
        tables=(TableCount(table="users", rows=11),),
        media=TableCount(table="media", rows=2),
        map_sha256="1" * 64,
        snapshot_at=snapshot_at,
        signed_by=KEY,
        encrypted_to=task.encrypt_to,
    )


def place_of(task: BuildArchive, number: int) -> str:
    """Name the file, or the volume of this number."""
    numbered = "" if task.volume_size is None else f".vol{number:03}"
    return f"s3://exports/acme/{task.export_id}{numbered}.zip{'.age' * bool(task.encrypt_to)}"


def volume(task: BuildArchive, number: int) -> ArchiveVolume:
    """Give a volume before the last."""
    named = {"place": place_of(task, number), "sha256": f"{number}" * 64, "object_version": f"v1-{number}"}
    return ArchiveVolume(size_bytes=task.volume_size, **named)


def confirmed(export_id: str, sha256: str = "0" * 64, confirmed_by: str = "head-1") -> ExportConfirmed:
    """Confirm an export."""
    return ExportConfirmed(
        customer_id="acme", export_id=export_id, sha256=sha256, confirmed_by=confirmed_by, confirmed_at=OVER
    )


def compared(
    task: Task, moment: datetime, account: tuple[Accounted, ...] = ACCOUNT, map_sha256: str = "1" * 64
) -> ExportCompared:
    """Compare an export as ordered."""
    assert isinstance(task, CompareExport)
    return ExportCompared(
        customer_id="acme",
        export_id=task.export_id,
        attempt=task.attempt,
        account=account,
        map_sha256=map_sha256,
        compared_at=moment,
    )


def not_built(task: Task, reason: str = "rows_disagree") -> BuildFailed:
    """Fail to build an archive."""
    assert isinstance(task, BuildArchive)
    return BuildFailed(
        customer_id="acme",
        request_id=task.request_id,
        export_id=task.export_id,
        attempt=task.attempt,
        reason=reason,
    )


def deleted(task: Task, remaining: int = 0) -> ArchivesDeleted:
    """Delete the archives as ordered."""
    assert isinstance(task, DeleteArchives)
    return ArchivesDeleted(
        customer_id="acme",
        deletion_id=task.deletion_id,
        attempt=task.attempt,
        deleted=(TableCount(table="exports", rows=len(task.archives)),),
        remaining=(TableCount(table="exports", rows=remaining),),
        bystanders=(),
    )


def replaced(task: Task) -> VersionsReplaced:
    """Take links back as ordered."""
    assert isinstance(task, RevokeLinks)
    return VersionsReplaced(
        customer_id="acme",
        export_id=task.export_id,
        attempt=task.attempt,
        replaced_at=OVER,
        object_version=f"{task.object_version}.{task.attempt}",
        before=tuple(f"{one.object_version}.{task.attempt}" for one in task.before),
    )


def agreed(agreement_id: str = "ta-1") -> TransferAgreed:
    """Agree on help with moving."""
    return TransferAgreed(customer_id="acme", agreement_id=agreement_id, agreed_at=OVER)


def withdrawn(agreement_id: str = "ta-1") -> TransferWithdrawn:
    """Withdraw an agreement."""
    return TransferWithdrawn(customer_id="acme", agreement_id=agreement_id, withdrawn_by="head-1", withdrawn_at=OVER)


def deliver(export_id: str, request_id: str = "d1", destination: str = "new-provider") -> DeliveryRequested:
    """Ask for an export to be delivered."""
    return DeliveryRequested(
        customer_id="acme",
        request_id=request_id,
        export_id=export_id,
        destination=destination,
        requested_by="staff-1",
        requested_at=OVER,
    )


def arrived(task: Task, moment: datetime = OVER) -> Delivered:
    """Deliver an export as ordered."""
    assert isinstance(task, DeliverExport)
    return Delivered(
        customer_id="acme",
        export_id=task.export_id,
        attempt=task.attempt,
        size_bytes=1000,
        sha256=task.sha256,
        sent="copied",
        delivered_at=moment,
        volumes=len(task.before) + 1 + (0 if task.base is None else len(task.base.volumes)),
    )


def performed(task: Task) -> Outcome:
    """Perform a task as it should go."""
    if isinstance(task, CompareExport):
        return compared(task, OVER)
    if isinstance(task, RevokeLinks):
        return replaced(task)
    if isinstance(task, DeliverExport):
        return arrived(task)
    if isinstance(task, BuildArchive):
        return built(task) if task.since is None else delta_built(task)
    return deleted(task)


def outcome_of(answer: Any) -> Any:
    """Say an acknowledgement's outcome in a word."""
    return "erased" if answer.outcome.kind == "erased" else answer.outcome.reason
