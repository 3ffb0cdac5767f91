"""Builds the archive: every table of the map in every format and every object, counted twice, or nothing at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from datetime import datetime

from services.exporter.formats import ALL, FORMATS, Format, Whole
from shared.datamap.columns import ForeignKey
from shared.datamap.model import DataMap
from shared.events.vocabulary import TableCount, iso
from shared.objects import ObjectStore

from . import descriptor, index, readme
from .archive import Archive, File
from .descriptor import TableFile
from .faults import NothingLeftError, RowsDisagreeError
from .index import Contents, Language, Listed
from .media import INDEX, MediaIndex, Tally, add_media, index_resource
from .names import SafeNames
from .sink import Sink
from .snapshot import Connect, Shown, Snapshot, snapshot
from .source import Files, Source

ALL_FORMATS = tuple(ALL.values())


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the data is: a way to connect to the database, and the store of the media (None if the map has none)."""

    connect: Connect
    objects: ObjectStore | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What to archive: *customer*'s data by *map* in *formats*, under the name *export_id*, as of *now* (UTC).

    *language* is that of index.html.
    """

    customer: str
    export_id: str
    map: DataMap
    now: datetime
    formats: Sequence[Format | Whole] = ALL_FORMATS
    language: Language = "en"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: *done* of *total* rows or objects (None: nobody knows) of *stage*; *size* is all bytes so far."""

    stage: str
    done: int
    total: int | None
    size: int


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """The archive as it is: *size* in bytes and *sha256* of the whole ZIP, what it holds, and as of when."""

    place: str
    size: int
    sha256: str
    tables: tuple[TableCount, ...]
    media_objects: int
    media_bytes: int
    snapshot_at: datetime
    map_sha256: str


def _silent(_: Progress) -> None:
    """Tell nobody."""


async def build(
    sources: Sources, order: Order, sink: Sink, progress: Callable[[Progress], None] = _silent
) -> ArchiveReport:
    """Write the archive that *order* names to *sink*, which shows it when it is whole and not before.

    Raises ArchiveError (somebody must change something), StoreError, or asyncpg's errors; then *sink* holds nothing.
    """
    if order.map.buckets and sources.objects is None:
        raise NothingLeftError(
            order.map.buckets[0].name, "the map names a bucket, no object store is given", "Give one"
        )
    async with sink:
        shown, media = await _Build(sources, order, sink, progress).run()
    stored, counts = sink.stored, tuple(TableCount(table=one.table.name, rows=one.rows) for one in shown)
    whole = stored.place, stored.size, stored.sha256, counts
    return ArchiveReport(*whole, media.objects, media.size, order.now, order.map.sha256)


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
        self._listed: list[Listed] = []
        self._size = 0

    async def run(self) -> tuple[tuple[Shown, ...], Tally]:
        order = self._order
        with closing(self._archive), closing(MediaIndex()) as media:
            await self._archive.open_bag()
            async with snapshot(self._sources.connect, order.map, order.customer) as rows:
                shown, keys = await rows.shown(), await rows.foreign_keys()
                for one in shown:
                    await self._table(rows, one)
                await self._together(Source(rows, shown, keys, order.map, order.now))
            await self._media(media)
            await self._describe(shown, keys, media)
        return shown, media.tally

    async def _table(self, rows: Snapshot, shown: Shown) -> None:
        for format in self._order.formats:  # noqa: A001 - the domain's word
            if not isinstance(format, Whole):
                self._files.append(await self._table_as(rows, shown, format))

    async def _together(self, source: Source) -> None:
        for whole in self._order.formats:
            if isinstance(whole, Whole):
                files = Files(self._archive, self._names, whole, self._passed)
                self._compare(whole, source.tables, await whole.write(source, files))
                self._listed += files.listed

    def _passed(self, stage: str, file: File) -> None:
        self._tell(stage, file.records, None, file.size)

    def _compare(self, whole: Whole, tables: Sequence[Shown], written: Mapping[str, int]) -> None:
        for shown in tables:
            name = shown.table.name
            if name in written and written[name] != shown.rows:
                says = f"{written[name]} records were written as {whole.name} where the snapshot has {shown.rows} rows"
                raise RowsDisagreeError(name, says, "Report this: the archive would not be complete")

    async def _table_as(self, rows: Snapshot, shown: Shown, format: Format) -> TableFile:  # noqa: A002
        table = shown.table
        name = self._names.path(format.folder, f"{table.category}/{table.name}.{format.suffix}")

        def passed(file: File) -> None:
            if file.records:
                file.expect(file.size // file.records * shown.rows)
            self._tell(f"{table.name} {format.name}", file.records, shown.rows, file.size)

        async with self._archive.file(f"data/{name}", counter=format.counter(), passed=passed) as file:
            await rows.copy(shown, format, file.write)
        written = file.done()
        self._size += written.size
        if written.records != shown.rows:
            says = f"{written.records} records were written as {format.name} where the snapshot has {shown.rows} rows"
            raise RowsDisagreeError(table.name, says, "Report this: the archive would not be complete")
        return TableFile(shown, format, written)

    def _tell(self, stage: str, done: int, total: int | None, size: int) -> None:
        self._progress(Progress(stage, done, total, self._size + size))

    async def _media(self, index: MediaIndex) -> None:
        store = self._sources.objects
        if store is None:
            return
        for bucket in self._order.map.buckets:
            async with aclosing(add_media(self._archive, store, bucket, self._order.customer, index)) as tallies:
                async for tally in tallies:
                    self._tell(bucket.name, tally.objects, None, tally.size)

    async def _describe(self, shown: Sequence[Shown], keys: Sequence[ForeignKey], media: MediaIndex) -> None:
        order = self._order
        counter = FORMATS["csv"].counter()
        written = await self._archive.add(INDEX, media.lines(), counter)
        resources = [descriptor.table_resource(file, self._files, keys) for file in self._files]
        resources.append(descriptor.resource("media", written, index_resource()))
        package = descriptor.package(f"{order.map.system}-export", order.now, resources)
        await self._archive.add(descriptor.PATH, [package])
        await self._archive.add(readme.PATH, [readme.readme(order.map, shown, media.tally, self._name, order.now)])
        await self._archive.add(index.PATH, [index.page(self._contents(shown, media.tally), order.language)])
        await self._archive.close_bag(self._info())

    def _contents(self, shown: Sequence[Shown], media: Tally) -> Contents:
        order = self._order
        rows = {one.table.name: one.rows for one in shown}
        tables = (Listed(one.format.name, one.written.path, one.shown.table.name) for one in self._files)
        return Contents(order.customer, order.map, order.now, self._name, rows, (*tables, *self._listed), media)

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
