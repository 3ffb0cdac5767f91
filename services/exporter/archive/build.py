"""Builds the archive: every table of the map in every format and every object, counted twice, or nothing at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from datetime import datetime

from services.exporter.formats import FORMATS, Format
from shared.datamap.columns import ForeignKey
from shared.datamap.model import Bucket, DataMap
from shared.events.vocabulary import TableCount, iso
from shared.objects import ObjectStore

from . import completeness, descriptor, readme, verifying
from .archive import Archive, File
from .completeness import Complete, Expected, compared
from .descriptor import TableFile
from .faults import NothingLeftError
from .media import INDEX, MediaIndex, Tally, add_media, index_resource
from .names import SafeNames
from .sink import Sink
from .snapshot import Shown, Snapshot, snapshot
from .witness import Connect

ALL_FORMATS = tuple(FORMATS.values())


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the data is: a way to connect to the database, and the store of the media (None if the map has none)."""

    connect: Connect
    objects: ObjectStore | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What to archive: *customer*'s data by *map* in *formats*, under the name *export_id*, as of *now* (UTC).

    Tables with at most *compare_up_to* rows get a fingerprint, by which the archive is later compared with the source.
    """

    customer: str
    export_id: str
    map: DataMap
    now: datetime
    formats: Sequence[Format] = ALL_FORMATS
    compare_up_to: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: *done* of *total* rows or objects (None: nobody knows) of *stage*; *size* is all bytes so far."""

    stage: str
    done: int
    total: int | None
    size: int


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """The archive as it is: *size* in bytes and *sha256* of the whole ZIP, what it holds, and as of when.

    *compared* are the tables with a fingerprint: where their CSV lies below the bag, and what it must come to.
    """

    place: str
    size: int
    sha256: str
    tables: tuple[TableCount, ...]
    media_objects: int
    media_bytes: int
    snapshot_at: datetime
    map_sha256: str
    compared: tuple[Expected, ...] = ()


def _silent(_: Progress) -> None:
    """Tell nobody."""


async def build(
    sources: Sources, order: Order, sink: Sink, progress: Callable[[Progress], None] = _silent
) -> ArchiveReport:
    """Write the archive that *order* names to *sink*, which shows it when it is whole and not before.

    Raises ArchiveError (somebody must change something), StoreError, or asyncpg's errors; then *sink* holds nothing.
    """
    if order.map.buckets and sources.objects is None:
        raise _no_store(order.map.buckets[0])
    async with sink:
        complete = await _Build(sources, order, sink, progress).run()
    stored, media = sink.stored, complete.media
    counts = tuple(TableCount(table=table, rows=rows) for table, rows in complete.counts.items())
    whole = stored.place, stored.size, stored.sha256, counts
    return ArchiveReport(*whole, media.objects, media.size, order.now, order.map.sha256, complete.expected)


def _no_store(bucket: Bucket) -> NothingLeftError:
    return NothingLeftError(bucket.name, "the map names a bucket, no object store is given", "Give one")


def bag_name(export_id: str) -> str:
    """Name the one folder in the ZIP."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", export_id)


class _Build:
    """One archive on its way."""

    def __init__(self, sources: Sources, order: Order, sink: Sink, progress: Callable[[Progress], None]) -> None:
        self._sources = sources
        self._order = order
        self._progress = progress
        self._name = bag_name(order.export_id)
        self._archive = Archive(sink, self._name, order.now)
        self._names = SafeNames()
        self._files: list[TableFile] = []
        self._size = 0

    async def run(self) -> Complete:
        order = self._order
        with closing(self._archive), closing(MediaIndex()) as index:
            opened = snapshot(self._sources.connect, order.map, order.customer, order.compare_up_to)
            async with opened as rows:
                await self._archive.open_bag()
                keys = await rows.foreign_keys()
                for one in rows.shown:
                    await self._table(rows, one)
                counts = await rows.witness.counts()
            objects = await self._media(index)
            complete = compared(order.map, order.formats, self._files, counts, objects, rows.witness.fingerprints)
            await self._describe(complete, keys, index)
        return complete

    async def _table(self, rows: Snapshot, shown: Shown) -> None:
        for format in self._order.formats:  # noqa: A001 - the domain's word
            self._files.append(await self._table_as(rows, shown, format))

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
        self._progress(Progress(stage, done, total, self._size + size))

    async def _media(self, index: MediaIndex) -> Mapping[str, Tally]:
        return {bucket.name: await self._objects(bucket, index) for bucket in self._order.map.buckets}

    async def _objects(self, bucket: Bucket, index: MediaIndex) -> Tally:
        store, found = self._sources.objects, Tally()
        if store is None:
            raise _no_store(bucket)
        async with aclosing(add_media(self._archive, store, bucket, self._order.customer, index)) as tallies:
            async for found in tallies:
                self._tell(bucket.name, found.objects, None, found.size)
        return found

    async def _describe(self, complete: Complete, keys: Sequence[ForeignKey], index: MediaIndex) -> None:
        order, archive = self._order, self._archive
        written = await archive.add(INDEX, index.lines(), FORMATS["csv"].counter())
        resources = [descriptor.table_resource(file, self._files, keys) for file in self._files]
        resources.append(descriptor.resource("media", written, index_resource()))
        package = descriptor.package(f"{order.map.system}-export", order.now, resources)
        await archive.add(descriptor.PATH, [package])
        await archive.add(completeness.PATH, [completeness.report(order.map, complete, order.now)])
        text = readme.readme(order.map, complete.counts, complete.media, self._name, order.now)
        await archive.add(readme.PATH, [text])
        await archive.add(verifying.PROGRAM, [verifying.program()])
        await archive.add(verifying.STEPS, [verifying.steps(self._name)])
        await archive.close_bag(self._info())

    def _info(self) -> dict[str, str]:
        order = self._order
        return {
            "Bagging-Date": order.now.date().isoformat(),
            "Bag-Software-Agent": "Offramp",
            "External-Identifier": order.export_id,
            "Source-Customer": order.customer,
            "Snapshot-At": iso(order.now),
            "Data-Map-Sha256": order.map.sha256,
        }
