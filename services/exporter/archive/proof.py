"""The proof: the archive is read again from where it lies, as a stranger would, and compared with its source."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import asyncpg

from shared.database_fates import DATABASE_OUTAGES
from shared.lease import LeaseLostError
from shared.store_faults import StoreError
from shared.verify.archive import UNREADABLE, Checked, Directory, Files, Joined, Read, Volume, Zips, verify_volumes
from shared.verify.by_library import by_library

from . import links
from .completeness import Expected
from .faults import NotReadBackError
from .from_csv import takes, tells
from .kept import Kept, KeptVolumes
from .linked import first_dangling
from .passing import Passing, passing
from .report import ArchiveReport
from .restoring import restore
from .witness import Connect, Connection

if TYPE_CHECKING:
    from .encryption import Encryption

_PIECE = 1 << 20
# What keeps an archive that isn't proven from being taken away; whoever has the task by then sees to it.
_TROUBLE: tuple[type[BaseException], ...] = (StoreError, LeaseLostError, *DATABASE_OUTAGES)
Volumes: TypeAlias = "Sequence[Kept]"


@dataclass(frozen=True, slots=True)
class Proven:
    """An archive that was read back whole; only ``prove`` makes one.

    *compared* are the tables whose rows were compared from their CSV, *restored* those that psql restored.
    """

    report: ArchiveReport
    compared: tuple[str, ...]
    restored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scratch:
    """An empty database for the proof: a way to connect to it, and its URL for psql."""

    connect: Connect
    dsn: str


async def prove(
    report: ArchiveReport,
    kept: Kept | KeptVolumes,
    scratch: Scratch | None,
    encryption: Encryption | None = None,
    base: Checked | None = None,
) -> Proven:
    """Read the archive of *report* back: its digest, every file, every row, its signatures; then compare tables.

    Tables with a fingerprint are restored one after the other into a temporary table at *scratch*, if there is one, and
    the dump into tables that are never committed. Raises NotReadBackError where anything is other than it was written.
    Then, and when the reading fails or is cancelled, the archive is withdrawn: what isn't ready must not lie there.

    What is encrypted is decrypted by *encryption*'s own reader, as its recipients will; its digest is that of what
    lies there. Of a delta the full archive is proven that it and its *base* are, as that was read before.
    """
    volumes = kept.of(report) if isinstance(kept, KeptVolumes) else (kept,)
    try:
        # First, since nothing is to be run as SQL that isn't what was written.
        for digest, one, what in zip(_digests(report), volumes, _reports(report), strict=True):
            with await one.open(what) as file:
                await asyncio.to_thread(_check_digest, report.place, digest, file)
        plain = volumes if encryption is None else tuple(map(encryption.kept, volumes))
        if scratch is None:
            await _check_files(report, plain, base)
            return Proven(report, ())
        async with _all_open(report, plain) as files:
            archive = await asyncio.to_thread(_zips, report, files)
        with passing(_restored_from(report, base)) as through:
            against = archive, plain, scratch, base, through
            beside = (
                _check_files(report, plain, base, through.reads),
                _compare(report, *against),
                _restore_dump(report, *against),
            )
            _, compared, restored = await _all(*beside)
            return Proven(report, compared, restored)
    except BaseException as cause:
        # The last one first: as long as it is there the others would have to be, too.
        for one, what in reversed(tuple(zip(volumes, _reports(report), strict=True))):
            await _withdraw(one, what, cause)
        raise


def _restored_from(report: ArchiveReport, base: Checked | None) -> list[str]:
    """Name the files that are read by who restores them; of those of a base it is known already what they are."""
    if base is not None:
        return []
    return [*(one.path for one in report.compared), *(() if report.dump is None else (report.dump.path,))]


def _digests(report: ArchiveReport) -> tuple[str, ...]:
    return tuple(one.sha256 for one in report.volumes) or (report.sha256,)


def _reports(report: ArchiveReport) -> tuple[ArchiveReport, ...]:
    """Give what tells each volume from what others put at the same place."""
    return tuple(replace(report, etag=one.etag, version=one.version) for one in report.volumes) or (report,)


async def _withdraw(kept: Kept, report: ArchiveReport, cause: BaseException) -> None:
    try:
        await asyncio.shield(kept.withdraw(report))
    except _TROUBLE as trouble:
        cause.add_note(f"an archive that is not proven may still lie there: {trouble}")


async def _all(*doings: Coroutine[Any, Any, Any]) -> list[Any]:
    """Do all at once; the first that fails ends the others."""
    tasks = [asyncio.create_task(one) for one in doings]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _check_digest(place: str, written: str, file: IO[bytes]) -> None:
    digest = hashlib.sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    if digest.hexdigest() != written:
        raise _fault(place, f"its SHA-256 is {digest.hexdigest()}, written was {written}")


@asynccontextmanager
async def _all_open(report: ArchiveReport, volumes: Volumes) -> AsyncIterator[list[IO[bytes]]]:
    with ExitStack() as stack:
        each = zip(volumes, _reports(report), strict=True)
        yield [stack.enter_context(await one.open(what)) for one, what in each]


async def _check_files(
    report: ArchiveReport, volumes: Volumes, base: Checked | None, passing: Mapping[str, Future[Read]] | None = None
) -> None:
    async with _all_open(report, volumes) as files:
        opened = _named(report, files)
        checking = partial(verify_volumes, opened, checker=by_library, base=base, passing=passing or {})
        verdict = await asyncio.to_thread(checking)
        nowhere = None if verdict.findings else await asyncio.to_thread(_dangling, report, files, base)
    for found in verdict.findings:
        raise _fault(f"{report.place}: {found.path}", f"{found.kind}: {found.says}")
    if verdict.needs is not None:
        raise _fault(report.place, f"read back it is a delta, and its base {verdict.needs.export_id} was not looked at")
    if (verdict.signature.key_id or None) != report.signed_by:
        said = f"{verdict.signature.state} {verdict.signature.key_id}".strip()
        raise _fault(report.place, f"read back it is {said}, but it was to be signed by {report.signed_by}")
    if nowhere is not None:
        raise _fault(f"{report.place}: {links.PATH}", nowhere)


def _named(report: ArchiveReport, files: Sequence[IO[bytes]]) -> list[Volume]:
    names = [one.place.rpartition("/")[2] for one in report.volumes] or [report.place]
    return [Volume(*one) for one in zip(names, files, _digests(report), strict=True)]


def _dangling(report: ArchiveReport, files: Sequence[IO[bytes]], base: Checked | None) -> str | None:
    return first_dangling(_files(_zips(report, files), base))


def _zips(report: ArchiveReport, files: Sequence[IO[bytes]]) -> Zips:
    """Read where the files of an archive are; in a thread, since it waits for stores."""
    try:
        return Zips([Directory(one) for one in _named(report, files)])
    except UNREADABLE as error:
        raise _fault(report.place, f"read back it is no whole ZIP: {error}") from error


def _files(zips: Zips, base: Checked | None) -> Files:
    """Give the files of an archive; of a delta those of the full one. In a thread, as above."""
    return zips if base is None else Joined(zips, base.files)


async def _compare(
    report: ArchiveReport, zips: Zips, volumes: Volumes, scratch: Scratch, base: Checked | None, through: Passing
) -> tuple[str, ...]:
    async with _all_open(report, volumes) as files:
        archive = await asyncio.to_thread(_files, zips.through(files), base)
        async with scratch.connect() as connection:
            for one in report.compared:
                async with aclosing(through.pieces(archive, one.path)) as csv:
                    await _restore(connection, one, csv)
    return tuple(one.table for one in report.compared)


async def _restore_dump(
    report: ArchiveReport, zips: Zips, volumes: Volumes, scratch: Scratch, base: Checked | None, through: Passing
) -> tuple[str, ...]:
    if report.dump is None:
        return ()
    async with _all_open(report, volumes) as files:
        archive = await asyncio.to_thread(_files, zips.through(files), base)
        async with aclosing(through.pieces(archive, report.dump.path)) as sql:
            return await restore(report.dump, sql, scratch.dsn)


async def _restore(connection: Connection, one: Expected, csv: AsyncIterator[bytes]) -> None:
    columns = len(one.columns)
    async with connection.transaction():
        await connection.execute(takes(columns))
        try:
            await connection.copy_to_table(
                "restored", schema_name="pg_temp", source=csv, format="csv", header=True, encoding="utf8"
            )
        except asyncpg.DataError as error:
            raise _fault(one.table, f"read back it can't be restored: {error}") from error
        found = await connection.fetchrow(tells(columns))
    if found is None or tuple(found) != (one.rows, one.fingerprint):
        says = f"read back it has other rows than the source had: {found and found[0]} of them, {one.rows} there"
        raise _fault(one.table, says)


def _fault(place: str, says: str) -> NotReadBackError:
    return NotReadBackError(place, says, "Export again; if it happens twice, the store or the exporter is at fault")
