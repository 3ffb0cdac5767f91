"""The exporter's long work on the simulated platform: archives built in several steps, and deleted."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from services.exporter import tasks
from services.exporter.states import Deleting, State
from shared.events.vocabulary import TableCount, TableFingerprint
from shared.holds import held
from shared.performer import Attempt, Performance
from shared.statecodec import StateCodec

from .systems import BUCKET, DATABASE, MEDIA, TABLES, work

if TYPE_CHECKING:
    from .systems import Platform
    from .worker import Worker

_states: StateCodec[State] = StateCodec(State)


async def build(worker: Worker, task: tasks.BuildArchive, attempt: Attempt) -> tasks.ArchiveBuilt | tasks.BuildFailed:
    """Take a snapshot, then write it, as the product does: in place of whatever an earlier try has left."""
    platform, named = worker.world.platform, {"customer_id": task.customer_id, "request_id": task.request_id}
    await work(worker)
    if worker.world.unlucky(0.1):
        return tasks.BuildFailed(**named, export_id=task.export_id, attempt=task.attempt, reason="undeclared_table")
    snapshot_at, tables = attempt.clock(), (*TABLES[DATABASE], *TABLES[MEDIA])
    contents = tuple(row for table in tables for row in platform.own(table, task.customer_id))
    counts = {table: len(platform.own(table, task.customer_id)) for table in tables}
    # Every archive differs, if only by the moment it was made at.
    digest = sha256(f"{snapshot_at} {contents}".encode()).hexdigest()
    platform.contents[digest] = contents
    worker.world.checker.snapshots[digest] = worker.world.checker.rows_of(task.customer_id)
    await work(worker)
    place = f"s3://offramp-exports/{task.customer_id}/{task.export_id}.zip"
    platform.put_archive(place, task.customer_id, digest)
    await work(worker)
    return tasks.ArchiveBuilt(
        **named, account=_account(platform, task.customer_id),
        export_id=task.export_id, place=place, size_bytes=len(contents), sha256=digest,
        tables=tuple(TableCount(table=name, rows=counts[name]) for name in TABLES[DATABASE]),
        media=TableCount(table="media", rows=counts[TABLES[MEDIA][0]]), map_sha256="0" * 64, snapshot_at=snapshot_at,
    )  # fmt: skip


async def compare(worker: Worker, task: tasks.CompareExport, attempt: Attempt) -> tasks.ExportCompared:
    """Take the account of what there is."""
    compared_at = attempt.clock()
    await work(worker)
    named = {"customer_id": task.customer_id, "export_id": task.export_id, "attempt": task.attempt}
    account = _account(worker.world.platform, task.customer_id)
    return tasks.ExportCompared(**named, account=account, map_sha256="0" * 64, compared_at=compared_at)


async def revoke(worker: Worker, task: tasks.RevokeLinks, attempt: Attempt) -> tasks.VersionsReplaced:
    """Put the archive in its own place."""
    await work(worker)
    named = {"customer_id": task.customer_id, "export_id": task.export_id, "attempt": task.attempt}
    return tasks.VersionsReplaced(**named, replaced_at=attempt.clock())


async def deliver(worker: Worker, task: tasks.DeliverExport, attempt: Attempt) -> tasks.Delivered:
    """Send the archive to whom it is promised."""
    await work(worker)
    named = {"customer_id": task.customer_id, "export_id": task.export_id, "attempt": task.attempt}
    return tasks.Delivered(**named, size_bytes=1, sha256=task.sha256, sent="copied", delivered_at=attempt.clock())


def _account(platform: Platform, customer_id: str) -> tuple[tasks.Accounted, ...]:
    rows = {table: sorted(platform.own(table, customer_id)) for table in (*TABLES[DATABASE], *TABLES[MEDIA])}
    return tuple(
        tasks.Accounted(place=table, rows=len(own), fingerprint=sha256("\n".join(own).encode()).hexdigest())
        for table, own in rows.items()
    )


async def delete(worker: Worker, task: tasks.DeleteArchives, _: Attempt) -> tasks.ArchivesDeleted | tasks.DeleteFailed:
    """Delete all of the customer's archives, if the order still stands."""
    platform = worker.world.platform
    step = {"customer_id": task.customer_id, "deletion_id": task.deletion_id, "attempt": task.attempt}
    await work(worker)
    row = worker.service.database.cases[task.customer_id]
    state = _states.load(row["state"])
    if (
        not isinstance(state, Deleting)
        or state.deletion_id != task.deletion_id
        or held(state.known.holds, worker.world.now())
    ):
        return tasks.DeleteFailed(**step, reason="not_asked")
    if worker.world.unlucky(0.05):
        return tasks.DeleteFailed(**step, reason="refused")
    before, deleted = platform.others(BUCKET, task.customer_id), len(platform.own(BUCKET, task.customer_id))
    platform.erase([BUCKET], task.customer_id)
    return _deleted(platform, task, step, deleted, before)


def _deleted(
    platform: Platform, task: tasks.DeleteArchives, step: dict[str, object], deleted: int, before: tuple[int, str]
) -> tasks.ArchivesDeleted:
    after = platform.others(BUCKET, task.customer_id)
    others = TableFingerprint(
        table=BUCKET, rows_before=before[0], rows_after=after[0], before=before[1], after=after[1]
    )
    return tasks.ArchivesDeleted(
        **step,
        deleted=(TableCount(table=BUCKET, rows=deleted),),
        remaining=(TableCount(table=BUCKET, rows=len(platform.own(BUCKET, task.customer_id))),),
        bystanders=(others,),
    )


def exporter_work(worker: Worker) -> list[Performance]:
    """Give the exporter's work."""
    return [
        Performance(tasks.BuildArchive, lambda task, attempt: build(worker, task, attempt)),
        Performance(tasks.DeleteArchives, lambda task, attempt: delete(worker, task, attempt)),
        Performance(tasks.CompareExport, lambda task, attempt: compare(worker, task, attempt)),
        Performance(tasks.RevokeLinks, lambda task, attempt: revoke(worker, task, attempt)),
        Performance(tasks.DeliverExport, lambda task, attempt: deliver(worker, task, attempt)),
    ]
