"""Builds the archive: every table of the map in every format and every object, counted twice, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from services.exporter.formats.format import Format
from services.exporter.formats.registry import ALL, FORMATS
from services.exporter.formats.whole import Whole
from shared.datamap.columns import ForeignKey
from shared.datamap.document import Category
from shared.datamap.model import Bucket, DataMap, Table
from shared.datamap.names import quoted, reported
from shared.datamap.owners import CUSTOMER
from shared.datamap.referring import referring
from shared.events.vocabulary import TableCount
from shared.moments import iso
from shared.unfinished import Taken
from shared.verify.archive import ALLOWED_SIGNERS, NOBODY, PUBLIC_PEM, SIGNED_BY

from . import completeness, delta_page, delta_steps, descriptor, page, readme, verifying
from . import links as links_file
from .account import Account, account
from .archive import Archive, File
from .asked import EVERYTHING
from .completeness import Complete, compared
from .delta import Changes, DeltaArchive, Since
from .descriptor import TableFile
from .faults import NothingLeftError, RowsDisagreeError
from .links import Links, links_resource
from .media import INDEX, Media, MediaIndex, Tally, add_media, index_resource
from .names import SafeNames, bag_name
from .page import Contents, Language, Listed
from .references import References
from .referred import Referred
from .report import ArchiveReport, Delta
from .restoring import Dump, Restorable
from .sink import Sink
from .snapshot import Shown, Snapshot, snapshot
from .source import Files, Source
from .volumes import Volume, Volumes
from .witness import Connect

if TYPE_CHECKING:
    # What signs and what encrypts is megabytes: only who does either loads it.
    from shared.signing.signer import Signer

    from .encryption import Encryption

ALL_FORMATS = tuple(ALL.values())


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the data is: a way to connect to the database, and the store of the media (None if the map has none)."""

    connect: Connect
    objects: Media | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What to archive: *customer*'s data by *map* in *formats*, under the name *export_id*, as of *now* (UTC).

    *language* is that of the page for whoever opens the archive; *scope* names the categories that were asked for.
    Tables with at most *compare_up_to* rows get a fingerprint, by which the archive is later compared with the source;
    the dump of at most *restore_up_to* rows in all is to be restored then. *signer* is who signs it; without one the
    archive says wherever it says anything that nobody did. *accounted*: an account of the snapshot is kept, by which it
    can be told later whether anything changed. With *encryption* it is encrypted on its way, all of it. With *since*
    only what that archive hasn't is written: a delta, which is complete only together with it.
    """

    customer: str
    export_id: str
    map: DataMap
    now: datetime
    formats: Sequence[Format | Whole] = ALL_FORMATS
    language: Language = "en"
    scope: frozenset[Category] = EVERYTHING
    compare_up_to: int = 0
    restore_up_to: int = 0
    signer: Signer | None = None
    accounted: bool = False
    encryption: Encryption | None = None
    since: Since | None = None

    @property
    def encrypted_to(self) -> tuple[str, ...]:
        """Name those who can open the archive, if it isn't everybody."""
        return () if self.encryption is None else self.encryption.names

    @property
    def signed_by(self) -> str | None:
        """Name the key that signs, if any does."""
        return None if self.signer is None else self.signer.key_id

    def asks_for(self, part: Table | Bucket) -> bool:
        """Tell whether *part* of the map is in the scope."""
        return part.category in self.scope

    @property
    def asked(self) -> DataMap:
        """Give the map without what is outside the scope."""
        tables, buckets = filter(self.asks_for, self.map.tables), filter(self.asks_for, self.map.buckets)
        return replace(self.map, tables=tuple(tables), buckets=tuple(buckets))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: *done* of *total* rows or objects (None: nobody knows) of *stage*; *size* is all bytes so far.

    *taken* is what needn't be sent, since an earlier attempt had sent the same.
    """

    stage: str
    done: int
    total: int | None
    size: int
    taken: Taken = field(default_factory=Taken)


def _silent(_: Progress) -> None:
    """Tell nobody."""


async def build(
    sources: Sources, order: Order, sink: Volume | Volumes, progress: Callable[[Progress], None] = _silent
) -> ArchiveReport:
    """Write the archive that *order* names to *sink*, which shows it when it is whole and not before.

    Raises ArchiveError (somebody must change something), KeysError, StoreError, or asyncpg's errors; then *sink* shows
    nothing.
    """
    order = replace(order, map=order.map.of(order.customer))
    if order.map.buckets and sources.objects is None:
        raise _no_store(order.map.buckets[0])
    for one in referring(order.asked):
        if sources.objects is None:
            raise NothingLeftError(one.place, "it refers to objects, no object store is given", "Give one")
    if order.encryption is not None:
        through = order.encryption.sink
        sink = sink.encrypted(through) if isinstance(sink, Volumes) else through(sink)
    async with sink:
        building = _Build(sources, order, sink, progress)
        complete = await building.run()
    stored, media = sink.stored, complete.media
    counts = tuple(TableCount(table=reported(table), rows=rows) for table, rows in complete.counts.items())
    whole = stored.place, stored.size, stored.sha256, counts
    return ArchiveReport(
        *(*whole, media.objects, media.size, order.now, order.map.sha256),
        *(complete.expected, building.dump, order.signed_by, building.account, stored.etag, sink.taken, stored.version),
        encrypted_to=order.encrypted_to,
        volumes=sink.volumes if isinstance(sink, Volumes) else (),
        delta=building.delta,
        objects=building.objects,
    )


def _no_store(bucket: Bucket) -> NothingLeftError:
    return NothingLeftError(bucket.name, "the map names a bucket, no object store is given", "Give one")


def _restorable(shown: Shown, counts: Mapping[str, int], fingerprints: Mapping[str, str]) -> Restorable:
    name, columns = shown.table.name, tuple(quoted(column.name) for column in shown.bare)
    return Restorable(name, columns, counts[name], fingerprints.get(name))


class _Build:
    """One archive on its way."""

    def __init__(self, sources: Sources, order: Order, sink: Sink, progress: Callable[[Progress], None]) -> None:
        self._sources = sources
        self._order = order
        self._progress = progress
        self._sink = sink
        self._name = bag_name(order.export_id)
        self._archive = Archive(sink, self._name) if order.since is None else self._against(order.since)
        self._names = SafeNames()
        self._files: list[TableFile] = []
        self._listed: list[Listed] = []
        self._records: list[tuple[str, str, int]] = []
        self._size = 0
        self.dump: Dump | None = None
        self.account: Account = ()
        self.objects: tuple[TableCount, ...] = ()

    def _against(self, since: Since) -> DeltaArchive:
        """Begin a delta."""
        # Of what carries this bag: itself it is as readable as any.
        own = {"Encrypted-To": ", ".join(self._order.encrypted_to)} if self._order.encrypted_to else {}
        return DeltaArchive(self._sink, self._name, since, self._front, own)

    def _front(self, changes: Changes, volumes: int | None) -> Mapping[str, bytes]:
        """Write the page and the steps of a delta."""
        order = self._order
        if order.since is None:
            return {}
        parted = delta_page.Parted(order.customer, order.map.system, order.now, self._name, order.since, changes)
        return {
            page.PATH: delta_page.written(parted, order.language),
            verifying.STEPS: delta_steps.steps(parted, order.signed_by, order.encrypted_to, volumes),
        }

    @property
    def delta(self) -> Delta | None:
        """Tell what it needs, if it isn't all by itself."""
        since = self._order.since
        if since is None or not isinstance(self._archive, DeltaArchive):
            return None
        return Delta(since.named, self._archive.changes)

    async def run(self) -> Complete:
        order = self._order
        references = References(order.asked, order.customer)
        with closing(self._archive), closing(MediaIndex()) as index, closing(references), closing(Links()) as links:
            referred = Referred(self._archive, self._sources.objects, references, index, links)
            opened = snapshot(
                self._sources.connect, order.map, order.customer, order.compare_up_to, accounted=order.accounted
            )
            async with opened as rows:
                await self._archive.open_bag()
                keys = await rows.foreign_keys()
                shown = [one for one in rows.shown if order.asks_for(one.table)]
                await references.read(rows)
                for one in shown:
                    await self._table(rows, one)
                await self._together(Source(rows, shown, keys, order.map))
                counted = await rows.witness.counts()
            counts = {one.table.name: counted[one.table.name] for one in shown}
            self._compare(counts)
            await self._referred(referred)
            objects = await self._media(index, referred.has)
            tabular = [one for one in order.formats if not isinstance(one, Whole)]
            hashed = {name: one for name, one in rows.witness.fingerprints.items() if name in counts}
            self.dump = self._restorable(shown, counts, rows.witness.bare_fingerprints)
            complete = compared(
                order.asked, tabular, self._files, counts, objects, hashed, referred.found, rows.witness.references
            )
            await self._describe(complete, keys, index, links)
            if order.accounted:
                self.account = account(counts, rows.witness.sums, index.objects)
            self.objects = self._by_bucket(index.of_buckets)
        return complete

    def _by_bucket(self, found: Mapping[str, int]) -> tuple[TableCount, ...]:
        """Count the objects of each bucket that was asked for; of an empty one there are none."""
        asked, customer = self._order.asked, self._order.customer
        named = (one.reference.bucket.replace(CUSTOMER, customer) for one in referring(asked))
        buckets = {*found, *named, *(one.bucket for one in asked.buckets)}
        return tuple(TableCount(table=reported(one), rows=found.get(one, 0)) for one in sorted(buckets))

    def _compare(self, counts: Mapping[str, int]) -> None:
        for table, format, records in self._records:  # noqa: A001 - the domain's word
            if records != counts[table]:
                says = f"{records} records were written as {format}, the snapshot has {counts[table]} rows"
                raise RowsDisagreeError(table, says, "Report this: the archive would not be complete")

    def _restorable(
        self, shown: Sequence[Shown], counts: Mapping[str, int], fingerprints: Mapping[str, str]
    ) -> Dump | None:
        path = next((one.path for one in self._listed if one.format == "sql"), None)
        if path is None or sum(counts.values()) > self._order.restore_up_to:
            return None
        return Dump(path, tuple(_restorable(one, counts, fingerprints) for one in shown))

    async def _table(self, rows: Snapshot, shown: Shown) -> None:
        for format in self._order.formats:  # noqa: A001 - the domain's word
            if not isinstance(format, Whole):
                file = await self._table_as(rows, shown, format)
                self._files.append(file)
                self._listed.append(Listed(format.name, file.written.path, shown.table.name, counted=True))

    async def _together(self, source: Source) -> None:
        for whole in self._order.formats:
            if isinstance(whole, Whole):
                files = Files(self._archive, self._names, whole.name, whole.folder, self._passed)
                records = await whole.write(source, files)
                self._listed += files.listed
                self._size += files.size
                self._records += ((table, whole.name, count) for table, count in records.items())

    def _passed(self, stage: str, done: int, size: int) -> None:
        self._tell(stage, done, None, size)

    async def _table_as(self, rows: Snapshot, shown: Shown, format: Format) -> TableFile:  # noqa: A002
        table = shown.table
        name = self._names.path(format.folder, f"{table.category}/{table.name}.{format.suffix}")

        def passed(file: File) -> None:
            total = rows.witness.known.get(table.name)
            if file.records and total is not None:
                file.expect(file.size // file.records * total)
            self._tell(f"{table.name} {format.name}", file.records, total, file.size)

        async with self._archive.file(f"data/{name}", counter=format.counter(), passed=passed) as file:
            await rows.copy(shown, format, file.write)
        self._size += file.done().size
        return TableFile(shown, format, file.done())

    def _tell(self, stage: str, done: int, total: int | None, size: int) -> None:
        self._progress(Progress(stage, done, total, self._size + size, self._sink.taken))

    async def _referred(self, referred: Referred) -> None:
        """Fetch what rows refer to: after the snapshot, which may not wait for a terabyte."""
        async with aclosing(referred.write()) as tallies:
            async for found in tallies:
                self._tell("files of rows", found.objects, None, found.size)

    async def _media(self, index: MediaIndex, there: Callable[[str, str], bool]) -> Mapping[str, Tally]:
        return {bucket.name: await self._objects(bucket, index, there) for bucket in self._order.asked.buckets}

    async def _objects(self, bucket: Bucket, index: MediaIndex, there: Callable[[str, str], bool]) -> Tally:
        store, found = self._sources.objects, Tally()
        if store is None:
            raise _no_store(bucket)
        async with aclosing(add_media(self._archive, store, bucket, self._order.customer, index, there)) as tallies:
            async for found in tallies:
                self._tell(bucket.name, found.objects, None, found.size)
        return found

    async def _describe(self, complete: Complete, keys: Sequence[ForeignKey], index: MediaIndex, links: Links) -> None:
        order, archive = self._order, self._archive
        written = await archive.add(INDEX, index.lines(), FORMATS["csv"].counter())
        resources = descriptor.table_resources(self._files, keys)
        resources.append(descriptor.resource("media", written, index_resource()))
        if complete.referred:
            linked = await archive.add(links_file.PATH, links.lines(), FORMATS["csv"].counter())
            resources.append(descriptor.resource("media-references", linked, links_resource()))
        package = descriptor.package(f"{order.map.system}-export", resources)
        await archive.add(descriptor.PATH, [package])
        await archive.add(verifying.PROGRAM, [verifying.program()])
        if order.signer is not None:
            await archive.add(ALLOWED_SIGNERS, [order.signer.allowed_signers])
            await archive.add(PUBLIC_PEM, [order.signer.public_pem])
        # From here on files tell when it was; all those before are the same whenever the data is.
        await archive.add(
            completeness.PATH,
            [completeness.report(order.map, complete, order.now, self._listed, order.signed_by, self.dump)],
        )
        held = complete.counts, complete.media, self._name
        text = readme.readme(
            order.map, *held, order.now, order.signed_by, complete.lost, several=archive.volumes is not None
        )
        await archive.add(readme.PATH, [text])
        contents = Contents(
            order.customer,
            order.map,
            order.now,
            self._name,
            complete.counts,
            self._listed,
            complete.media,
            order.signed_by,
            complete.lost,
        )
        await archive.add(page.PATH, [page.written(contents, order.language)])
        await archive.add(
            verifying.STEPS,
            [verifying.steps(self._name, order.signed_by, order.now, self._opens_for, archive.volumes)],
        )
        await archive.close_bag(self._info(), order.signer, order.now)

    def _info(self) -> dict[str, str]:
        order = self._order
        return {
            "Bagging-Date": order.now.date().isoformat(),
            "Bag-Software-Agent": "Offramp",
            "External-Identifier": order.export_id,
            "Source-Customer": order.customer,
            "Snapshot-At": iso(order.now),
            "Data-Map-Sha256": order.map.sha256,
            "Scope": ", ".join(sorted(order.scope)),
            SIGNED_BY: order.signed_by or NOBODY,
            # Of what carries this bag: itself it is as readable as any.
            **({"Encrypted-To": ", ".join(self._opens_for)} if self._opens_for else {}),
        }

    @property
    def _opens_for(self) -> tuple[str, ...]:
        """Name those who alone can open it; what a delta and its base give is not encrypted."""
        return self._order.encrypted_to if self._order.since is None else ()
