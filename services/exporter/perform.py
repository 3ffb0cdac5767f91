"""What the exporter has done outside: archives built into the store, and archives deleted from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
import structlog
from msgspec.structs import replace

from shared.datamap.model import DataMap, load
from shared.declared import reading_dsn
from shared.errors import OperatorError
from shared.events.platform import NotErased
from shared.events.vocabulary import ArchiveVolume, FileChanges, TableCount
from shared.holder.declaration import PostgresHolder, S3Holder
from shared.holder.heard import Heard, Published, with_contracts, with_news
from shared.holder.objects import erase_objects
from shared.holder.right import RefusedError, Right, check_contracts
from shared.objects import ObjectStore
from shared.performer import Attempt, Performance
from shared.renewing import NotTheSameError, NotVersionedError, renew
from shared.settings import Settings
from shared.signing.signer import Signer
from shared.signing.sshsig import ARCHIVE
from shared.store_faults import ObjectMissingError, StoreOutageError, StoreRefusalError
from shared.upload import Stored
from shared.verify.archive import published

from .archive.account import Account, account_now
from .archive.asked import language_of, named_formats, scope_of
from .archive.base import Lying, kept_base
from .archive.build import Order, Progress, Sources, build
from .archive.delta import Since
from .archive.encryption import Encryption
from .archive.faults import ArchiveError, OtherMapError
from .archive.in_store import InStore
from .archive.proof import Proven, Scratch, prove
from .archive.report import ArchiveReport
from .archive.suffix import file_suffix
from .case import case_of
from .deletion import held_here
from .states import Deleting
from .tasks import (
    Accounted,
    ArchiveBuilt,
    ArchivesDeleted,
    BuildArchive,
    BuildFailed,
    CompareExport,
    CompareFailed,
    DeleteArchives,
    DeleteFailed,
    DeltaBuilt,
    ExportCompared,
    RevokeFailed,
    RevokeLinks,
    VersionsReplaced,
    VolumeCopy,
)
from .weight import is_heavy

_log = structlog.get_logger()
_CONNECT_SECONDS = 10.0
_NOT_REVOKED: dict[type[StoreRefusalError], str] = {
    NotVersionedError: "not_versioned",
    NotTheSameError: "not_the_same",
    ObjectMissingError: "missing",
}
# The owner of the database in which archives are restored for a moment; nothing is ever committed there.
SCRATCH = "exporter_scratch"


@dataclass(frozen=True, slots=True)
class Exporting:
    """Builds from *database* into the bucket of *archives*, and deletes there; outages are raised, and tried again.

    *keys* is the folder of the keys that sign the archives: nothing leaves this service unsigned. What was *published*
    of holds and isn't known to its cases yet counts for a deletion as well.
    """

    settings: Settings
    database: PostgresHolder
    archives: S3Holder
    keys: Path
    published: Published
    compare_up_to: int = 5_000_000
    restore_up_to: int = 5_000_000

    def performances(self) -> tuple[Performance, ...]:
        """Tell how each task of the service is performed."""
        return (
            Performance(BuildArchive, self.build, self.weigh),
            Performance(DeleteArchives, self.delete),
            Performance(CompareExport, self.compare),
            Performance(RevokeLinks, self.revoke),
        )

    async def weigh(self, task: BuildArchive) -> bool:
        """Tell whether it will be a large archive; where that can't be told, the build says why."""
        try:
            map = await asyncio.to_thread(load, self.database.map)  # noqa: A001 - the domain's word
            async with ObjectStore(self.settings.s3) as store:
                return await is_heavy(Sources(self._connected, store), map, task.customer_id)
        except StoreOutageError:
            raise
        except OperatorError:
            return False

    async def build(self, task: BuildArchive, attempt: Attempt) -> ArchiveBuilt | DeltaBuilt | BuildFailed:
        """Build one archive and prove it; what a try that was cut off has sent is gone on with, part by part.

        Raises KeysError, too, to be tried again: an operator may be about to put the keys back.
        """
        # Read each time, since an operator may have rotated them.
        signer = await asyncio.to_thread(Signer.load, self.keys, ARCHIVE)
        try:
            proven = await self._build(task, attempt, signer)
        except StoreOutageError:
            # It is no failure: what was sent is kept, and the task is tried again.
            raise
        except OperatorError as error:
            _log.error("no archive was made", customer=task.customer_id, export=task.export_id, says=str(error))
            reason = error.code if isinstance(error, ArchiveError) else "refused"
            await self._give_up(task, attempt)
            named = task.model_dump(include={"customer_id", "request_id", "export_id", "attempt"})
            return BuildFailed(**named, reason=reason)
        return _built(task, proven) if proven.report.delta is None else _delta_built(task, proven.report)

    async def _build(self, task: BuildArchive, attempt: Attempt, signer: Signer) -> Proven:
        # Read each time: the map grows with the schema, and a service lives for months.
        map = await asyncio.to_thread(load, self.database.map)  # noqa: A001 - the domain's word
        formats, scope = named_formats(task.formats), scope_of(task.scope)
        encryption = Encryption.to(task.encrypt_to)
        bucket, key = self._place_of(task)

        def tell(at: Progress) -> None:
            attempt.report(at.stage, at.done, at.total)

        async with ObjectStore(self.settings.s3) as store:
            place = InStore(store, bucket, key, task.volume_size, attempt.insist)
            # A crash after the upload, or between two volumes', leaves what nobody was told of: a copy too many.
            if await place.clear():
                _log.warning("an archive that nobody was told of was deleted; begun again", export=task.export_id)
            sources, now = Sources(self._connected, store), attempt.clock()
            named = task.customer_id, task.export_id, map, now
            comparing = self.compare_up_to, self.restore_up_to
            if task.since is not None:
                attempt.report("checks the base", 0, None)
            async with self._since(task, store, map, now) as since:
                order = Order(
                    *named,
                    formats,
                    language_of(task.language),
                    scope,
                    *comparing,
                    signer,
                    # Of what confirms nothing no account is needed.
                    accounted=since is None,
                    encryption=encryption,
                    since=since,
                )
                # A snapshot ends with its session, so all is read again from a new one; only sending it is spared.
                told = _log.bind(export=task.export_id).info
                report = await build(sources, order, place.sink(encryption, told), tell)
                attempt.report("read back", 0, None)
                scratch = Scratch(self._scratch, self._scratch_dsn)
                proven = await prove(report, place.kept, scratch, encryption, None if since is None else since.checked)
            # One that was overtaken may have completed its upload beside it.
            if await place.leave_alone(report):
                _log.warning("an archive that another worker made beside this one was deleted", place=report.place)
            return proven

    @asynccontextmanager
    async def _since(
        self,
        task: BuildArchive,
        store: ObjectStore,
        map: DataMap,  # noqa: A002 - the domain's word
        now: datetime,
    ) -> AsyncIterator[Since | None]:
        """Check the archive that a delta is to be made against, if it is to be one, and keep it open."""
        base = task.since
        if base is None:
            yield None
            return
        if map.of(task.customer_id).sha256 != base.map_sha256:
            raise OtherMapError(base.export_id, "it was made by another data map", "Make a full export instead")
        keys = await asyncio.to_thread(published, self.keys)
        if keys is None:
            raise OperatorError(f"{self.keys} has no published keys, by which {base.export_id} could be checked.")
        lying = [Lying(one.place, one.sha256) for one in base.volumes]
        async with kept_base(store, lying, keys, task.customer_id, task.export_id, now) as since:
            yield since

    def _place_of(self, task: BuildArchive) -> tuple[str, str]:
        name = f"{task.export_id}{file_suffix(encrypted=bool(task.encrypt_to))}"
        return self.archives.bucket, f"{self.archives.prefix_of(task.customer_id)}{name}"

    async def _give_up(self, task: BuildArchive, attempt: Attempt) -> None:
        """Drop what earlier tries have sent: a failure for good may come before the upload that would drop it."""
        try:
            async with ObjectStore(self.settings.s3) as store:
                await InStore(store, *self._place_of(task), task.volume_size, attempt.insist).abort()
        except StoreRefusalError as error:
            # It is no object, and the sweep of the customer's prefix names it if it is still there then.
            _log.error("an unfinished upload stays", export=task.export_id, says=str(error))

    async def compare(self, task: CompareExport, attempt: Attempt) -> ExportCompared | CompareFailed:
        """Take the account of what there is now; outages are raised, since nothing is known then."""
        step = task.model_dump(include={"customer_id", "export_id", "attempt"})
        # Before the snapshot: what it shows is of this moment or a later one.
        compared_at = attempt.clock()
        try:
            map = await asyncio.to_thread(load, self.database.map)  # noqa: A001 - the domain's word
            whole = map.of(task.customer_id)
            # Only the scope counts of this order.
            order = Order(task.customer_id, task.export_id, whole, compared_at, scope=scope_of(task.scope))
            async with ObjectStore(self.settings.s3) as store:
                account = await account_now(self._connected, store, whole, order.asked, task.customer_id)
        except StoreOutageError:
            raise
        except OperatorError as error:
            _log.error("not compared", customer=task.customer_id, export=task.export_id, says=str(error))
            return CompareFailed(**step, reason=error.code if isinstance(error, ArchiveError) else "refused")
        return ExportCompared(**step, account=_accounted(account), map_sha256=whole.sha256, compared_at=compared_at)

    async def revoke(self, task: RevokeLinks, attempt: Attempt) -> VersionsReplaced | RevokeFailed:
        """Put the archive in its own place as another version; cut off anywhere, it is there to read."""
        step = task.model_dump(include={"customer_id", "export_id", "attempt"})
        if task.sha256 is None:
            return RevokeFailed(**step, reason="checksum_unknown")
        last = VolumeCopy(place=task.place, sha256=task.sha256, object_version=task.object_version)
        versions = []
        try:
            async with ObjectStore(self.settings.s3) as store:
                for one in (*task.before, last):
                    bucket, _, key = one.place.removeprefix("s3://").partition("/")
                    renewed = await renew(store, bucket, key, one.sha256, one.object_version, may=attempt.insist)
                    versions.append(renewed.version)
        except StoreRefusalError as error:
            _log.error("links were not revoked", customer=task.customer_id, export=task.export_id, says=str(error))
            return RevokeFailed(**step, reason=_NOT_REVOKED.get(type(error), "refused"))
        *before, new = versions
        return VersionsReplaced(**step, replaced_at=attempt.clock(), object_version=new, before=tuple(before))

    async def delete(self, task: DeleteArchives, attempt: Attempt) -> ArchivesDeleted | DeleteFailed:
        """Delete all archives of the customer, if there is still the right to; what was deleted stays so.

        Outages are raised, Kafka's too: nobody knows then what is held.
        """
        step = task.model_dump(include={"customer_id", "deletion_id", "attempt"})
        async with self.published.opened() as heard:
            try:
                right = await self._right(task, heard, attempt)
            except RefusedError as refused:
                return DeleteFailed(**step, reason=refused.reason)
            if right is None:
                return DeleteFailed(**step, reason="not_asked")
            bucket, prefix = self.archives.bucket, self.archives.prefix_of(task.customer_id)
            deltas = (place for one in task.deltas for place in (*one.before, one.place))
            ours = f"s3://{bucket}/"
            first = tuple(place.removeprefix(ours) for place in deltas if place.startswith(ours))
            async with ObjectStore(self.settings.s3) as store:
                outcome = await erase_objects(store, bucket, prefix, right=right, now=attempt.clock(), first=first)
        if isinstance(outcome, NotErased):
            return DeleteFailed(**step, **outcome.model_dump(include={"reason", "deleted", "saved", "until"}))
        compared = {"bystanders": outcome.bystanders, "sampled": outcome.sampled}
        return ArchivesDeleted(**step, deleted=outcome.deleted, remaining=outcome.remaining, **compared)

    async def _right(self, task: DeleteArchives, heard: Heard, attempt: Attempt) -> Right | None:
        """Look at the case again, since a hold may have come after the order; None if the order no longer stands."""

        async def still_held() -> bool:
            # An order that was taken back meanwhile is no right to go on, either.
            state = await self._ordered(task, heard)
            return state is None or held_here(state, attempt.clock())

        state = await self._ordered(task, heard)
        if state is None:
            return None
        return Right(state.window_closed_at, held=held_here(state, attempt.clock()), still_held=still_held)

    async def _ordered(self, task: DeleteArchives, heard: Heard) -> Deleting | None:
        """Give the case with all holds that were published by the moment of asking; None if it no longer orders it.

        Raises ``RefusedError`` where another contract was published. The topics are looked at first: what the service
        commits to have read meanwhile is in its cases by then.
        """
        news = await heard.since(task.customer_id)
        state = await case_of(self.settings.dsn("exporter"), task.customer_id)
        if not isinstance(state, Deleting) or state.deletion_id != task.deletion_id:
            return None
        holds, contracts = with_news(state.known.holds, news), with_contracts(state.known.contracts, news)
        check_contracts(contracts, state.window_closed_at)
        return replace(state, known=replace(state.known, holds=holds))

    @property
    def _scratch_dsn(self) -> str:
        return self.settings.dsn(SCRATCH)

    @asynccontextmanager
    async def _scratch(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        connection = await asyncpg.connect(self._scratch_dsn, timeout=_CONNECT_SECONDS)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        read_only = {"default_transaction_read_only": "on", "application_name": "offramp exporter archive"}
        dsn = reading_dsn(self.settings, self.database)
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_SECONDS, server_settings=read_only)
        try:
            yield connection
        finally:
            await connection.close()


def _built(task: BuildArchive, proven: Proven) -> ArchiveBuilt:
    report = proven.report
    before = tuple(
        ArchiveVolume(place=one.place, size_bytes=one.size, sha256=one.sha256, object_version=one.version)
        for one in report.volumes[:-1]
    )
    return ArchiveBuilt(
        customer_id=task.customer_id,
        request_id=task.request_id,
        export_id=task.export_id,
        place=report.place,
        size_bytes=report.volumes[-1].size if report.volumes else report.size,
        sha256=report.sha256,
        tables=report.tables,
        media=TableCount(table="media", rows=report.media_objects),
        map_sha256=report.map_sha256,
        snapshot_at=report.snapshot_at,
        signed_by=report.signed_by,
        encrypted_to=report.encrypted_to,
        account=_accounted(report.account),
        object_version=report.version,
        before=before,
        objects=report.objects,
    )


def _delta_built(task: BuildArchive, report: ArchiveReport) -> DeltaBuilt:
    if report.delta is None or report.signed_by is None:
        raise ValueError("a delta is of a base, and signed")
    stored = report.volumes or (Stored(report.place, report.size, report.sha256, report.etag, report.version),)
    changes = report.delta.changes
    return DeltaBuilt(
        customer_id=task.customer_id,
        request_id=task.request_id,
        export_id=task.export_id,
        base_id=report.delta.base.export_id,
        files=FileChanges(new=changes.new, changed=changes.changed, unchanged=changes.unchanged, gone=changes.gone),
        volumes=tuple(
            ArchiveVolume(place=one.place, size_bytes=one.size, sha256=one.sha256, object_version=one.version)
            for one in stored
        ),
        tables=report.tables,
        media=TableCount(table="media", rows=report.media_objects),
        map_sha256=report.map_sha256,
        snapshot_at=report.snapshot_at,
        signed_by=report.signed_by,
        encrypted_to=report.encrypted_to,
    )


def _accounted(account: Account) -> tuple[Accounted, ...]:
    return tuple(Accounted(place=one.place, rows=one.rows, fingerprint=one.fingerprint) for one in account)
