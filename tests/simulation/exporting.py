"""The exporter's long work on the simulated platform: archives built in several steps, and deleted."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING

from services.exporter import tasks
from services.exporter.announced import any_of, needed_by
from services.exporter.delivering import objection
from services.exporter.states import Copy, Deleting, State
from shared.events.vocabulary import ArchiveVolume, FileChanges, TableCount, TableFingerprint
from shared.holder.heard import with_contracts
from shared.holder.right import RefusedError, check_contracts
from shared.holds import held
from shared.lease import LeaseLostError
from shared.performer import Attempt, Performance
from shared.statecodec import StateCodec

from .faults import PassingError
from .systems import BUCKET, DATABASE, MEDIA, TABLES, work

if TYPE_CHECKING:
    from datetime import datetime

    from .systems import Platform
    from .worker import Worker

_states: StateCodec[State] = StateCodec(State)
# How often what an earlier try has sent is gone on with: not where it was encrypted.
_TAKEN_OVER = 0.7


async def build(
    worker: Worker, task: tasks.BuildArchive, attempt: Attempt
) -> tasks.ArchiveBuilt | tasks.DeltaBuilt | tasks.BuildFailed:
    """Take a snapshot, then write it, as the product does: in place of whatever an earlier try has left."""
    platform, named = worker.world.platform, {"customer_id": task.customer_id, "request_id": task.request_id}
    await work(worker)
    if worker.world.unlucky(0.1):
        return tasks.BuildFailed(**named, export_id=task.export_id, attempt=task.attempt, reason="undeclared_table")
    base = None if task.since is None else _read(platform, task.since)
    if task.since is not None and base is None:
        return tasks.BuildFailed(**named, export_id=task.export_id, attempt=task.attempt, reason="unusable_base")
    snapshot_at, tables = attempt.clock(), (*TABLES[DATABASE], *TABLES[MEDIA])
    contents = tuple(row for table in tables for row in platform.own(table, task.customer_id))
    counts = {table: len(platform.own(table, task.customer_id)) for table in tables}
    account = _account(platform, task.customer_id)
    # Every archive differs, if only by the moment it was made at.
    digest = sha256(f"{snapshot_at} {task.since} {contents}".encode()).hexdigest()
    # Of a delta only what its base hasn't, and a list of what that one has.
    platform.contents[digest] = tuple(row for row in contents if row not in (base or ()))
    platform.taken[digest] = tuple(row for row in contents if row in (base or ()))
    worker.world.checker.snapshots[digest] = worker.world.checker.rows_left_of(task.customer_id)
    places = _places(task, len(contents))
    await _clear(worker, attempt, task)
    # Those before the last are the same whenever the data is; the last has their digests, and its own is that of all.
    digests = [sha256(f"{contents} {place}".encode()).hexdigest() for place in places[:-1]]
    written = await _put(worker, attempt, tuple(zip(places, [*digests, digest], strict=True)))
    await _leave_alone(worker, attempt, task, written)
    *before, (place, version) = written.items()
    if task.since is not None:
        return _delta(platform, task, written, (*digests, digest), counts, snapshot_at)
    return tasks.ArchiveBuilt(
        **named, account=account, before=tuple(
            ArchiveVolume(place=one, size_bytes=1, sha256=sha, object_version=its)
            for (one, its), sha in zip(before, digests, strict=True)
        ),
        export_id=task.export_id, place=place, size_bytes=len(contents), sha256=digest,
        tables=tuple(TableCount(table=name, rows=counts[name]) for name in TABLES[DATABASE]),
        media=TableCount(table="media", rows=counts[TABLES[MEDIA][0]]), map_sha256="0" * 64, snapshot_at=snapshot_at,
        object_version=version,
    )  # fmt: skip


def _read(platform: Platform, base: tasks.BaseCopy) -> tuple[str, ...] | None:
    """Give what is in the archive, if it lies there as it was announced: in whichever version."""
    for one in base.volumes:
        if one.sha256 not in list(platform.shelf.of(one.place).values())[-1:]:
            return None
    return platform.contents[base.volumes[-1].sha256]


def _delta(
    platform: Platform, task: tasks.BuildArchive, written: dict[str, str], digests: tuple[str, ...],
    counts: dict[str, int], snapshot_at: datetime,
) -> tasks.DeltaBuilt:  # fmt: skip
    size, taken = len(platform.contents[digests[-1]]), len(platform.taken[digests[-1]])
    return tasks.DeltaBuilt(
        customer_id=task.customer_id, request_id=task.request_id, export_id=task.export_id,
        base_id=task.since.export_id if task.since else "", map_sha256="0" * 64, snapshot_at=snapshot_at,
        files=FileChanges(new=size, changed=0, unchanged=taken, gone=0), signed_by=f"SHA256:{'k' * 43}",
        volumes=tuple(
            ArchiveVolume(place=place, size_bytes=size, sha256=sha, object_version=version)
            for (place, version), sha in zip(written.items(), digests, strict=True)
        ),
        tables=tuple(TableCount(table=name, rows=counts[name]) for name in TABLES[DATABASE]),
        media=TableCount(table="media", rows=counts[TABLES[MEDIA][0]]),
    )  # fmt: skip


def _places(task: tasks.BuildArchive, rows: int) -> list[str]:
    """Name the volumes: as many as there are rows for, so that another try may have fewer or more."""
    stem = f"s3://{BUCKET}/{task.customer_id}/{task.export_id}"
    if task.volume_size is None:
        return [f"{stem}.zip"]
    return [f"{stem}.vol{number:03}.zip" for number in range(1, 2 + rows // 4)]


def _lying(worker: Worker, task: tasks.BuildArchive) -> list[str]:
    """Name what lies there, or is under way, of the export: the last volume first."""
    shelf, stem = worker.world.platform.shelf, f"s3://{BUCKET}/{task.customer_id}/{task.export_id}."
    return sorted((one for one in {*shelf.versions, *shelf.uploads} if one.startswith(stem)), reverse=True)


async def _clear(worker: Worker, attempt: Attempt, task: tasks.BuildArchive) -> None:
    """Remove what an earlier try has left."""
    shelf = worker.world.platform.shelf
    for place in _lying(worker, task):
        found = shelf.of(place)
        if found:
            await attempt.insist()
            shelf.remove(place, found)
            await work(worker)


async def _put(worker: Worker, attempt: Attempt, all_of: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Put all volumes there as the product does: each begun and full first, then completed, the last of them last.

    If one can't be, those before it are taken back, unless they are by now what somebody else told of.
    """
    shelf, begun, done = worker.world.platform.shelf, list[tuple[str, str, str]](), dict[str, str]()
    for place, digest in all_of:
        begun.append((place, await _begun(worker, attempt, place), digest))
        await work(worker)
    try:
        for place, upload, digest in begun:
            await attempt.insist()
            done[place] = shelf.complete(place, upload, digest)
            await work(worker)
    except (PassingError, LeaseLostError) as cause:
        for place, version in reversed(done.items()):
            try:
                await attempt.insist()
            except LeaseLostError:
                raise cause from None
            shelf.remove(place, [version])
        raise
    return done


async def _begun(worker: Worker, attempt: Attempt, place: str) -> str:
    """Begin an upload, or take over one that an earlier try left."""
    shelf = worker.world.platform.shelf
    uploads = [*shelf.uploads.get(place, [])]
    await attempt.insist()
    if uploads and worker.world.rng.random() < _TAKEN_OVER:
        shelf.abort(place, uploads[:-1])
        return uploads[-1]
    shelf.abort(place, uploads)
    upload = shelf.begin(place)
    try:
        await attempt.insist()
    except LeaseLostError:
        shelf.abort(place, [upload])
        raise
    return upload


async def _leave_alone(
    worker: Worker, attempt: Attempt, task: tasks.BuildArchive, written: dict[str, str]
) -> None:  # fmt: skip
    """Remove what others have laid beside it, when they can lay nothing any more."""
    shelf = worker.world.platform.shelf
    for place in _lying(worker, task):
        uploads = [*shelf.uploads.get(place, [])]
        await attempt.insist()
        shelf.abort(place, uploads)
    await work(worker)
    for place in _lying(worker, task):
        others = [one for one in shelf.of(place) if one != written.get(place)]
        if others:
            await attempt.insist()
            shelf.remove(place, others)


async def _renewed(worker: Worker, attempt: Attempt, place: str, written: Callable[[], str]) -> str:
    """Put a file there anew as the product does, so that whoever was overtaken neither leaves nor removes one."""
    shelf = worker.world.platform.shelf
    uploads = [*shelf.uploads.get(place, [])]
    await attempt.insist()
    shelf.abort(place, uploads)
    upload = shelf.begin(place)
    try:
        await attempt.insist()
    except LeaseLostError:
        shelf.abort(place, [upload])
        raise
    await work(worker)
    version = shelf.complete(place, upload, written())
    await work(worker)
    others = [one for one in shelf.of(place) if one != version]
    if others:
        await attempt.insist()
        shelf.remove(place, others)
    return version


async def compare(worker: Worker, task: tasks.CompareExport, attempt: Attempt) -> tasks.ExportCompared:
    """Take the account of what there is."""
    compared_at = attempt.clock()
    await work(worker)
    named = {"customer_id": task.customer_id, "export_id": task.export_id, "attempt": task.attempt}
    account = _account(worker.world.platform, task.customer_id)
    worker.world.checker.compared(task, compared_at)
    await work(worker)
    return tasks.ExportCompared(**named, account=account, map_sha256="0" * 64, compared_at=compared_at)


async def revoke(
    worker: Worker, task: tasks.RevokeLinks, attempt: Attempt
) -> tasks.VersionsReplaced | tasks.RevokeFailed:
    """Put each volume in its own place, from the version that was ordered, or the newest where that is gone."""
    await work(worker)
    named = {"customer_id": task.customer_id, "export_id": task.export_id, "attempt": task.attempt}
    before = [(one.place, one.object_version) for one in task.before]
    try:
        versions = [await _copied(worker, attempt, *one) for one in (*before, (task.place, task.object_version))]
    except MissingError:
        return tasks.RevokeFailed(**named, reason="missing")
    *others, last = versions
    return tasks.VersionsReplaced(
        **named, replaced_at=attempt.clock(), object_version=last, before=tuple(others)
    )  # fmt: skip


async def _copied(worker: Worker, attempt: Attempt, place: str, version: str | None) -> str:
    there = worker.world.platform.shelf.of(place)
    source = version if version in there else next(reversed(there), None)

    def copied() -> str:
        found = worker.world.platform.shelf.of(place).get(source or "")
        if found is None:
            raise MissingError
        return found

    return await _renewed(worker, attempt, place, copied)


class MissingError(Exception):
    """What was to be copied isn't there."""


async def deliver(worker: Worker, task: tasks.DeliverExport, attempt: Attempt) -> tasks.Delivered | tasks.NotDelivered:
    """Send the archive to whom it is promised, while there is the right to."""
    named = {"customer_id": task.customer_id, "export_id": task.export_id, "attempt": task.attempt}
    platform, key = worker.world.platform, (task.destination, task.export_id)
    needed = () if task.base is None else task.base.volumes
    places = [*(one.place for one in (*needed, *task.before)), task.place]
    state = _state(worker, task.customer_id)
    for _ in range(2):
        reason = objection(state, attempt.clock(), worker.service.domain.policy)
        if reason is not None:
            return tasks.NotDelivered(**named, reason=reason)
        copies = _copies(state, task)
        lying = {one.place: platform.shelf.of(one.place).get(one.version) for copy in copies for one in copy.volumes}
        digest = lying.get(task.place) if all(lying.get(one) for one in places) else None
        await work(worker)
        state = _state(worker, task.customer_id)
    found = platform.sent.get(key)
    if digest is None:
        if copies != _copies(state, task) or _is_revoking(state, task):
            raise PassingError("its links are being taken back")
        return tasks.NotDelivered(**named, reason="missing")
    if task.base is not None:
        platform.sent.setdefault((task.destination, task.base.export_id), lying[needed[-1].place] or "")
    platform.sent.setdefault(key, digest)
    worker.world.checker.sent(task.customer_id)
    await work(worker)
    how = "copied" if found is None else "found"
    what = {"size_bytes": 1, "sha256": platform.sent[key], "volumes": len(places)}
    return tasks.Delivered(**named, **what, sent=how, delivered_at=attempt.clock())


def _state(worker: Worker, customer_id: str) -> State:
    return _states.load(worker.service.database.cases[customer_id]["state"])


def _copies(state: State, task: tasks.DeliverExport) -> list[Copy]:
    found = needed_by(state.known, task.export_id), any_of(state.known, task.export_id)
    return [one for one in found if one is not None]


def _is_revoking(state: State, task: tasks.DeliverExport) -> bool:
    sent = {task.export_id} if task.base is None else {task.export_id, task.base.export_id}
    return any(one.export_id in sent for one in state.known.revoking)


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
    try:
        # Also what its consumers have not read yet: it looks at the topics.
        published = worker.world.checker.contracts(task.customer_id)
        check_contracts(with_contracts(state.known.contracts, published), state.window_closed_at)
    except RefusedError as refused:
        return tasks.DeleteFailed(**step, reason=refused.reason)
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
