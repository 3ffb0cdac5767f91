"""A "complete" that isn't is impossible: whatever goes wrong, no archive appears."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from archive_school import MAP, MEDIA, School

from services.exporter.archive.archive import File
from services.exporter.archive.build import ALL_FORMATS, Progress, Sources, build
from services.exporter.archive.faults import (
    ArchiveError,
    MapDisagreesError,
    MediaChangedError,
    NothingLeftError,
    RowsDisagreeError,
)
from services.exporter.archive.sink import FileSink, Sink
from services.exporter.formats.csv import Csv
from services.exporter.formats.jsonlines import JsonLines
from shared.objects import Listed, ObjectStore
from shared.upload import Upload

KEY = "acme/export-1.zip"


def upload(school: School) -> Upload:
    return school.store.upload(school.bucket, KEY, part_bytes=5 << 20)


async def left(school: School) -> int:
    """Count what there is of the archive in the store: versions, markers, unfinished uploads."""
    return await school.store.count_left(school.bucket, "acme/")


async def fails(school: School, fault: type[ArchiveError], match: str, **changed: object) -> None:
    with pytest.raises(fault, match=match):
        await build(school.sources, replace(school.order(), **changed), upload(school))

    assert await left(school) == 0


async def test_an_archive_in_the_store_is_there_whole(school: School) -> None:
    """The object has the size that the report says, and no unfinished upload stays."""
    report = await build(school.sources, school.order(), upload(school))

    assert (await school.store.head(school.bucket, KEY)).size == report.size
    assert await left(school) == 1


async def test_an_undeclared_table_fails_the_export_by_its_name(school: School) -> None:
    """Nothing is skipped in silence."""
    await school.run("create table grades (id bigint, user_id bigint)")

    await fails(school, MapDisagreesError, "grades")


async def test_a_vanished_table_fails_the_export_by_its_name(school: School) -> None:
    """What the map declares must be there."""
    await school.run("drop table notes")

    await fails(school, MapDisagreesError, "notes")


async def test_a_table_with_every_column_left_out_fails(school: School) -> None:
    """An empty file would look like an empty table."""
    hidden = school.mapped("owner: {column: id}}", "owner: {column: id}, leave_out: {id: secret, name: secret}}")

    await fails(hidden, NothingLeftError, "customers")


class Forgetful(Csv):
    """Reads one row less than there is."""

    def select(self, columns: Any, rows: Any) -> str:
        return f"{super().select(columns, rows)} limit 1"


class Torn(JsonLines):
    """Writes every object in two lines."""

    def select(self, columns: Any, rows: Any) -> str:
        return f"select row_to_json(r)::text || E'\\n' from (select id {rows}) as r"


@pytest.mark.parametrize("faulty", [Forgetful(), Torn()], ids=["too few", "too many"])
async def test_other_records_than_rows_fail_the_export(school: School, faulty: Csv | JsonLines) -> None:
    """The witness' count is the judge of what each format wrote."""
    await fails(school, RowsDisagreeError, "users" if isinstance(faulty, Csv) else "customers", formats=(faulty,))


class Ghostly(ObjectStore):
    """Lists an object otherwise than it is."""

    wrong: Listed

    async def list(self, bucket: str, prefix: str) -> AsyncIterator[Listed]:
        yield self.wrong


@pytest.mark.parametrize("change", [{"key": "media/acme/gone.mp4"}, {"etag": "0" * 32}, {"size": 1}], ids=str)
async def test_media_other_than_listed_fail_the_export(school: School, change: dict[str, str]) -> None:
    """An object that vanished or changed between listing and reading is no part of one moment's archive."""
    listed = await school.store.head(school.bucket, "media/acme/Film.mp4")
    async with Ghostly(school.store._address) as ghostly:
        ghostly.wrong = replace(listed, **change)

        await fails(replace(school, store=ghostly), MediaChangedError, "media/acme")


async def test_media_without_a_store_fail_the_export(school: School) -> None:
    """A bucket in the map can't be left out because nobody gave a store."""
    with pytest.raises(NothingLeftError, match="uploads"):
        await build(Sources(school.connect), school.order(), upload(school))


async def test_a_cancelled_export_leaves_nothing(school: School) -> None:
    """A worker that is stopped while it exports cleans up after itself."""
    task: asyncio.Task[object]

    def stop(at: Progress) -> None:
        if at.stage == "uploads":
            task.cancel()

    task = asyncio.create_task(build(school.sources, school.order(), upload(school), stop))
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await left(school) == 0


KILLED = """
import asyncio, os, signal, sys
sys.path.insert(0, sys.argv[1])
from archive_school import School
from services.exporter.archive.build import build
from shared.datamap.model import parse
from shared.objects import ObjectStore
from shared.settings import read_settings

async def main():
    async with ObjectStore(read_settings().s3) as store:
        school = School(sys.argv[2], store, sys.argv[3], parse(sys.stdin.buffer.read(), "map.yaml"))
        upload = store.upload(school.bucket, "acme/export-1.zip", part_bytes=5 << 20)
        def kill(at):
            if at.stage == "uploads" and at.size > 5_000_000:
                os.kill(os.getpid(), signal.SIGKILL)
        await build(school.sources, school.order(), upload, kill)

asyncio.run(main())
"""


async def test_a_killed_export_leaves_nothing_to_mistake_for_an_archive(school: School) -> None:
    """No object is there after SIGKILL; what the store still holds goes when the export begins again."""
    arguments = [str(Path(__file__).parent), school.dsn, school.bucket]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, *arguments, stdin=asyncio.subprocess.PIPE, env=environment
    )
    await child.communicate(MAP.replace("BUCKET", school.bucket).encode())

    assert child.returncode == -signal.SIGKILL
    assert [one async for one in school.store.list(school.bucket, "acme/")] == []
    assert len([one async for one in school.store.unfinished(school.bucket, "acme/")]) == 1

    report = await build(school.sources, school.order(), upload(school))
    assert report.media_objects == len(MEDIA)
    assert await left(school) == 1


class Meddling(FileSink):
    """Changes the database while the archive is written."""

    def __init__(self, path: Path, school: School) -> None:
        super().__init__(path)
        self._school = school
        self._writes = 0

    async def write(self, data: bytes) -> None:
        self._writes += 1
        # The first write is bagit.txt, in the snapshot already; the second one the first table.
        if self._writes == 2:
            await self._school.run("""
                insert into users values (4, 'acme', 'late@acme.test', null, 'x', null, true, null, null);
                insert into notes (id, user_id) values (gen_random_uuid(), 4);
                delete from notes where title = '=1+1';
            """)
        await super().write(data)


async def test_all_tables_are_of_one_moment(school: School, tmp_path: Path) -> None:
    """What comes and goes while the export runs is neither half in it nor missing from it."""
    report = await build(school.sources, school.order(), Meddling(tmp_path / "a.zip", school))

    assert {one.table: one.rows for one in report.tables} == {"customers": 1, "users": 2, "notes": 3}


async def test_the_witness_counts_the_rows_of_the_same_moment(school: School) -> None:
    """What comes after the snapshot and before its witness is neither in the archive nor in the count."""
    sessions = 0

    @asynccontextmanager
    async def connect() -> AsyncIterator[asyncpg.Connection]:
        nonlocal sessions
        sessions += 1
        if sessions == 2:
            await school.run(
                "insert into users values (4, 'acme', 'late@acme.test', null, 'x', null, true, null, null)"
            )
        async with school.connect() as connection:
            yield connection

    report = await build(Sources(connect, school.store), school.order(), upload(school))

    assert sessions == 2
    assert {one.table: one.rows for one in report.tables} == {"customers": 1, "users": 2, "notes": 3}


async def test_no_archive_without_a_witness(school: School) -> None:
    """An export whose rows nobody else could count is no export."""
    sessions = 0

    @asynccontextmanager
    async def connect() -> AsyncIterator[asyncpg.Connection]:
        nonlocal sessions
        sessions += 1
        if sessions == 2:
            raise ConnectionRefusedError
        async with school.connect() as connection:
            yield connection

    with pytest.raises(ConnectionRefusedError):
        await build(Sources(connect, school.store), school.order(), upload(school))

    assert await left(school) == 0


async def test_rows_that_a_policy_would_hide_fail_the_export(school: School) -> None:
    """A role that row-level security shows a part of the rows gets an error, and no short table."""
    role = f"r_{school.bucket.replace('-', '_')}"
    await school.run(f"""
        create role {role};
        grant select on all tables in schema public to {role};
        alter table users enable row level security;
        create policy only_one on users for select using (id = 1);
    """)

    @asynccontextmanager
    async def as_role() -> AsyncIterator[asyncpg.Connection]:
        async with school.connect() as connection:
            await connection.execute(f"set role {role}")
            yield connection

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await build(Sources(as_role, school.store), school.order(), upload(school))

    await school.run(f"drop owned by {role}; drop role {role}")
    assert await left(school) == 0


@pytest.fixture(params=["file", "store"])
def sink(request: pytest.FixtureRequest, school: School, tmp_path: Path) -> Sink:
    """Both places where an archive can go; the suite below is for both."""
    return FileSink(tmp_path / "deep" / "a.zip") if request.param == "file" else upload(school)


async def content(sink: Sink, school: School) -> bytes | None:
    """Read what can be taken for an archive, if there is anything."""
    if isinstance(sink, FileSink):
        found = list(sink._path.parent.iterdir())
        return found[0].read_bytes() if found else None
    listed = [one async for one in school.store.list(school.bucket, "acme/")]
    return await school.store.get(school.bucket, KEY) if listed else None


async def test_a_sink_is_complete_after_its_block(sink: Sink, school: School) -> None:
    """Before that nothing can be taken for it, after it the bytes and their digest are right."""
    async with sink:
        await sink.write(b"who")
        with pytest.raises(RuntimeError, match="not complete"):
            _ = sink.stored
        await sink.write(b"le")

    assert await content(sink, school) == b"whole"
    assert sink.stored.size == 5
    assert sink.stored.sha256 == sha256(b"whole").hexdigest()


async def test_a_sink_whose_block_fails_holds_nothing(sink: Sink, school: School) -> None:
    """Neither a whole nor a half archive."""

    async def fail() -> None:
        async with sink:
            await sink.write(bytes(6 << 20))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await content(sink, school) is None
    assert await left(school) == 0


@pytest.mark.parametrize("stopped", [OSError("no space left"), asyncio.CancelledError()])
async def test_what_cannot_be_written_ends_the_export(
    school: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: BaseException
) -> None:
    """Also where the server has sent all of a table by then, and has nothing left to cancel: nobody waits for ever."""
    write = File.write

    async def refuse(file: File, data: bytes) -> None:
        if data.startswith(FIRST_DOCUMENT):
            raise stopped
        await write(file, data)

    monkeypatch.setattr(File, "write", refuse)
    async with asyncio.timeout(20):
        with pytest.raises(type(stopped)):
            await build(school.sources, replace(school.order(), formats=ALL_FORMATS), FileSink(tmp_path / "a.zip"))
    assert not list(tmp_path.iterdir())


FIRST_DOCUMENT = b'{"rows"'
