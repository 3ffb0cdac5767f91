"""Before an archive is ready psql restores its dump, compares it with the source, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import asyncpg
import pytest
from archive_school import School, database_of_its_own

from services.exporter.archive import restoring
from services.exporter.archive.build import build
from services.exporter.archive.faults import NotReadBackError
from services.exporter.archive.kept import KeptFile
from services.exporter.archive.proof import Proven, Scratch, prove
from services.exporter.archive.report import ArchiveReport
from services.exporter.archive.restoring import Dump, Restorable, ScratchAwayError, restore
from services.exporter.archive.sink import FileSink
from services.exporter.formats.registry import FORMATS, WHOLE
from shared.database_fates import DATABASE_OUTAGES
from shared.errors import OperatorError
from shared.settings import Settings

HOSTILE = (Path(__file__).parent / "zoo.sql").read_text()
ZOO = """
  zoo:
    category: report
    owner: {column: customer_id}
  copy_of_zoo: {exempt: a copy}
  settings:"""
SECRET = "    leave_out: {password_hash: a secret}\n"
CODED = SECRET + "    coded: {boss: {lookup: settings.key, text: value}}\n"
CERTAIN = Dump("data/sql/dump.sql", (Restorable("t", ('"a"',), 2, None),))
GOOD = "begin;\ncreate table public.t (a int);\ncopy public.t (a) from stdin;\n1\n2\n\\.\ncommit;\n"


@pytest.fixture
async def empty(settings: Settings) -> AsyncIterator[str]:
    async with database_of_its_own(settings.postgres) as dsn:
        yield dsn


async def tables_at(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("select count(*) from pg_class where relnamespace = 'public'::regnamespace")
    finally:
        await connection.close()


async def built(school: School, path: Path, restore_up_to: int) -> ArchiveReport:
    formats, up_to = (FORMATS["csv"], WHOLE["sql"]), max(restore_up_to, 100)
    order = replace(school.order(), formats=formats, compare_up_to=up_to, restore_up_to=restore_up_to)
    return await build(school.sources, order, FileSink(path))


def scratch_at(empty: str) -> Scratch:
    @asynccontextmanager
    async def connect() -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(empty)
        yield connection
        await connection.close()

    return Scratch(connect, empty)


async def proven(school: School, empty: str, path: Path, restore_up_to: int = 100) -> Proven:
    return await prove(await built(school, path, restore_up_to), KeptFile(path), scratch_at(empty))


async def restored(text: str, dsn: str, dump: Dump = CERTAIN) -> tuple[str, ...]:
    async def pieces() -> AsyncIterator[bytes]:
        yield text.encode()

    return await restore(dump, pieces(), dsn)


@pytest.mark.parametrize("large", ["512kB", "0"])
async def test_the_dump_of_an_archive_is_restored_and_compared(
    school: School, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: str
) -> None:
    """Whatever its types and values, by several workers too; afterwards nothing is left, and the archive says so."""
    monkeypatch.setattr(restoring, "TOGETHER", restoring.TOGETHER.replace("512kB", large))
    await school.run(HOSTILE)
    path = tmp_path / "a.zip"

    found = await proven(school.mapped("  settings:", ZOO), empty, path)

    assert found.restored == ("customers", "users", "notes", "zoo")
    assert await tables_at(empty) == 0
    with ZipFile(path) as archive:
        together = json.loads(archive.read("export-1/data/completeness.json"))["together"]
    assert {"path": "data/sql/dump.sql", "format": "sql", "read_back": "restored by psql"} in together


class Counted(FileIO):
    """Counts what is read of all files that are open."""

    total = 0

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer) or 0
        Counted.total += count
        return count


class Counting(KeptFile):
    async def open(self, report: ArchiveReport) -> Any:
        return BufferedReader(Counted(self.path), 4096)


async def test_what_is_restored_is_read_once_for_all_that_is_done_with_it(
    school: School, empty: str, tmp_path: Path
) -> None:
    """All of it is read for its digest, then once: psql gets the very bytes that the file's own digest is taken of."""
    rows = "select gen_random_uuid(), 1, md5(n::text) from generate_series(1, 20000) n"
    await school.run(f"insert into notes (id, user_id, title) {rows}")
    report = await built(school, tmp_path / "a.zip", sys.maxsize)
    before = Counted.total

    await prove(report, Counting(tmp_path / "a.zip"), scratch_at(empty))
    assert 2 * report.size <= Counted.total - before < 2 * report.size + 1_000_000


async def test_what_a_code_means_is_no_part_of_the_comparison(school: School, empty: str, tmp_path: Path) -> None:
    """A dump holds the codes alone; the tables in which their meaning stands may be nobody's, and aren't in it."""
    await school.run("alter table settings alter column key type bigint using 1")
    assert "users" in (await proven(school.mapped(SECRET, CODED), empty, tmp_path / "a.zip")).restored


@pytest.mark.parametrize(
    ("dump", "says"),
    [
        (GOOD.replace("\n2\n", "\n"), "t: restored from the dump it has 1 rows, not 2"),
        (GOOD.replace("\n2\n", "\ntwo\n"), "data/sql/dump.sql: psql can't restore it: SQLSTATE 22P02"),
        (GOOD.replace("commit;\n", "alter table public.t add unique (a), add check (a < 2);\ncommit;\n"), "23514"),
        (GOOD.removesuffix("commit;\n"), "it doesn't end with its commit"),
        (GOOD[: GOOD.index("2")], "doesn't end with its commit"),
        (GOOD.replace("create table", "create tabel"), "SQLSTATE 42601"),
    ],
)
async def test_a_dump_that_does_not_restore_is_named(empty: str, dump: str, says: str) -> None:
    """Lost rows, a value or a key that doesn't fit, a dump cut short: said by code, without the value."""
    with pytest.raises(NotReadBackError, match=says) as caught:
        await restored(dump, empty)
    assert "two" not in str(caught.value)
    assert await tables_at(empty) == 0


async def test_other_rows_than_the_source_had_are_no_dump(empty: str) -> None:
    """As many rows, but not the same."""
    other = replace(CERTAIN, tables=(replace(CERTAIN.tables[0], fingerprint="12345"),))
    with pytest.raises(NotReadBackError, match="t: restored from the dump it has other rows than the source had"):
        await restored(GOOD, empty, other)


async def test_a_scratch_database_that_is_not_empty_is_told(empty: str) -> None:
    """It is the operator's to mend, no fault of the archive, and what was there stays."""
    connection = await asyncpg.connect(empty)
    await connection.execute("create table t (kept int)")
    await connection.close()
    with pytest.raises(OperatorError, match="must be empty"):
        await restored(GOOD, empty)
    assert await tables_at(empty) == 1


async def test_a_scratch_database_that_is_away_is_waited_for(empty: str) -> None:
    """Nothing is known about the dump then."""
    with pytest.raises(ScratchAwayError) as caught:
        await restored(GOOD, empty.replace("/t_", "/not_there_"))
    assert isinstance(caught.value, DATABASE_OUTAGES)


async def test_two_proofs_at_once_do_not_disturb_each_other(empty: str) -> None:
    """They make tables of the same names, each in an order of its own; the one waits for the other."""
    rows = "select from generate_series(1, 200000);\n"
    there = f"begin;\ncreate table public.t (a int);\n{rows}create table public.u (a int);\ncommit;\n"
    back = there.replace("public.t", "public.x").replace("public.u", "public.t").replace("public.x", "public.u")
    dump = Dump("dump.sql", tuple(Restorable(table, ('"a"',), 0, None) for table in "tu"))
    assert await asyncio.gather(*(restored(one, empty, dump) for one in (there, back) * 3)) == [("t", "u")] * 6
    assert await tables_at(empty) == 0


async def test_a_large_dump_is_not_restored_and_the_archive_says_so(school: School, empty: str, tmp_path: Path) -> None:
    """Above the size that the policy says; its digest was compared all the same."""
    path = tmp_path / "a.zip"
    found = await proven(school, empty, path, restore_up_to=3)
    assert found.restored == ()
    with ZipFile(path) as archive:
        together = json.loads(archive.read("export-1/data/completeness.json"))["together"]
    assert [one["read_back"] for one in together] == ["digest"]


async def test_the_password_is_no_argument_of_psql(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody on the machine can read the arguments of a process."""
    seen: list[object] = []
    real = asyncio.create_subprocess_exec

    async def noted(*arguments: object, **named: object) -> asyncio.subprocess.Process:
        seen.extend(arguments)
        return await real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    await restored(GOOD, empty.replace("postgres@", "postgres:s3cret@"))
    assert not any("s3cret" in str(one) for one in seen)
