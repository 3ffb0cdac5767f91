"""Before an archive is ready it is read again from where it lies, and its rows are compared with the source's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import asyncpg
import pytest
from archive_school import School

from services.exporter.archive.build import build
from services.exporter.archive.faults import MapDisagreesError, NotReadBackError
from services.exporter.archive.kept import Kept, KeptFile, KeptObject
from services.exporter.archive.proof import Scratch, prove
from services.exporter.archive.report import ArchiveReport
from services.exporter.archive.sink import FileSink, Sink
from services.exporter.formats.csv import Csv
from shared.ranged import opened
from shared.signing.keys import make_keys
from shared.signing.signer import Signatures, Signer
from shared.signing.sshsig import ARCHIVE
from shared.store_faults import ObjectChangedError

KEY = "acme/export-1.zip"
HOSTILE = (Path(__file__).parent / "zoo.sql").read_text()
ZOO = """
  zoo:
    category: report
    owner: {column: customer_id}
  copy_of_zoo: {exempt: a copy}
  settings:"""


@pytest.fixture(params=["file", "store"])
def place(request: pytest.FixtureRequest, school: School, tmp_path: Path) -> tuple[Sink, Kept]:
    """Both places where an archive can go."""
    path = tmp_path / "a.zip"
    if request.param == "file":
        return FileSink(path), KeptFile(path)
    return school.store.upload(school.bucket, KEY), KeptObject(school.store, school.bucket, KEY)


async def built(school: School, sink: Sink, **changed: Any) -> ArchiveReport:
    return await build(school.sources, replace(school.order(), compare_up_to=100, **changed), sink)


async def left(school: School, kept: Kept) -> int:
    """Count what there is to mistake for an archive."""
    if isinstance(kept, KeptFile):
        return len([one for one in kept.path.parent.iterdir() if one.is_file()])
    return await school.store.count_left(school.bucket, "acme/")


async def test_an_archive_is_proven_by_restoring_it(school: School, place: tuple[Sink, Kept]) -> None:
    """Every table's rows come back from the archive as the source held them, whatever their types and values."""
    await school.run(HOSTILE)
    zoo = school.mapped("  settings:", ZOO)
    sink, kept = place
    report = await built(zoo, sink)

    proven = await prove(report, kept, Scratch(zoo.connect, zoo.dsn))
    assert proven.compared == ("customers", "users", "notes", "zoo")


WIDE = 500


async def wide(school: School) -> School:
    """Give a table whose rows, as texts, wouldn't fit into a page."""
    moments = ", ".join(["now()"] * WIDE)
    named = ", ".join(f"c{number} timestamptz" for number in range(WIDE))
    await school.run(
        f"create table wide (id integer primary key, customer_id text not null, nickname text, {named});"
        f"insert into wide select n, 'acme', case n when 2 then '\",(' end, {moments} from generate_series(1, 3) n"
    )
    return school.mapped("  settings:", "  wide: {category: user, owner: {column: customer_id}}\n  settings:")


async def test_a_table_is_compared_however_wide_it_is(school: School, place: tuple[Sink, Kept]) -> None:
    """A row of 500 moments is narrower in the source than the texts that it is restored from."""
    school = await wide(school)
    sink, kept = place

    proven = await prove(await built(school, sink), kept, Scratch(school.connect, school.dsn))
    assert proven.compared == ("customers", "users", "notes", "wide")


async def test_other_rows_of_a_wide_table_are_no_archive(school: School, place: tuple[Sink, Kept]) -> None:
    """It is compared as any other is: an empty text for none is found."""
    school = await wide(school)
    await school.run('alter table notes drop column "select ""odd"" column"; update users set nickname = \'\'')
    sink, kept = place
    report = await built(school, sink, formats=(Liar(),))

    with pytest.raises(NotReadBackError, match="wide: read back it has other rows"):
        await prove(report, kept, Scratch(school.connect, school.dsn))
    assert await left(school, kept) == 0


async def test_more_columns_than_a_table_may_have_are_told(school: School, tmp_path: Path) -> None:
    """With what they mean 900 coded columns are more than Postgres writes: the table is named, not only its error."""
    named = ", ".join(f"c{number} integer" for number in range(900))
    await school.run(f"create table wide (id integer primary key, customer_id text not null, {named})")
    coded = ", ".join(f'c{number}: {{labels: {{"1": x}}}}' for number in range(900))
    declared = f"  wide: {{category: user, owner: {{column: customer_id}}, coded: {{{coded}}}}}\n  settings:"

    with pytest.raises(MapDisagreesError, match="wide: with what its coded columns mean it has 1,802 columns"):
        await built(school.mapped("  settings:", declared), FileSink(tmp_path / "a.zip"))


class Liar(Csv):
    """Writes as many rows as there are, but not as they are: an empty text where there is none."""

    def select(self, columns: Any, rows: Any) -> str:
        shown = ", ".join(f"coalesce(t.{one.name}, '')" if one.name == "nickname" else f't."{one.name}"'
                          for one in columns if '"' not in one.name)  # fmt: skip
        return f"select {shown} {rows}"


async def test_other_rows_than_the_source_had_are_no_archive(school: School, place: tuple[Sink, Kept]) -> None:
    """Though all counts and digests agree, the table is named and the archive is withdrawn."""
    sink, kept = place
    await school.run('alter table notes drop column "select ""odd"" column"')
    report = await built(school, sink, formats=(Liar(),))

    with pytest.raises(NotReadBackError, match="users: read back it has other rows"):
        await prove(report, kept, Scratch(school.connect, school.dsn))
    assert await left(school, kept) == 0


async def test_rows_that_cannot_be_restored_are_no_archive(school: School, place: tuple[Sink, Kept]) -> None:
    """A CSV that another database refuses is named."""
    sink, kept = place
    report = await built(school, sink)
    narrow = tuple(replace(one, columns=one.columns[:-1]) for one in report.compared)

    with pytest.raises(NotReadBackError, match="customers: read back it can't be restored"):
        await prove(replace(report, compared=narrow), kept, Scratch(school.connect, school.dsn))
    assert await left(school, kept) == 0


async def test_an_archive_that_changed_where_it_lies_is_none(school: School, tmp_path: Path) -> None:
    """One flipped bit is found before anybody is told of it; ours goes, what somebody else put there stays."""
    kept = KeptObject(school.store, school.bucket, KEY)
    report = await built(school, school.store.upload(school.bucket, KEY))
    body = bytearray(await school.store.get(school.bucket, KEY))
    body[len(body) // 2] ^= 1
    await school.store.put(school.bucket, KEY, bytes(body))

    # As where a bucket keeps no versions; else what is announced is the version, which lies there as it was written.
    with pytest.raises(NotReadBackError, match="its SHA-256 is"):
        await prove(replace(report, version=None), kept, None)
    assert await school.store.get(school.bucket, KEY) == bytes(body)
    assert await left(school, kept) == 1


class Scrawler(Signer):
    """Signs something else than it is given."""

    def sign(self, data: bytes, at: Any) -> Signatures:
        return super().sign(data + b"x", at)


async def test_an_archive_whose_signature_does_not_hold_is_none(
    school: School, place: tuple[Sink, Kept], tmp_path: Path
) -> None:
    """The read-back checks the signatures as a stranger would, so that a bad signer or key is found by us first."""
    sink, kept = place
    make_keys(tmp_path / "keys", ARCHIVE)
    report = await built(school, sink, signer=Scrawler.load(tmp_path / "keys", ARCHIVE))

    with pytest.raises(NotReadBackError, match=r"tagmanifest-sha256\.txt\.sshsig: altered"):
        await prove(report, kept, None)
    assert await left(school, kept) == 0


async def test_an_archive_that_lacks_its_signature_is_none(school: School, place: tuple[Sink, Kept]) -> None:
    """One that was to be signed and isn't is not ready, and does not lie there."""
    sink, kept = place
    report = await built(school, sink)
    key_id = f"SHA256:{'A' * 43}"

    with pytest.raises(NotReadBackError, match=f"read back it is unsigned, but it was to be signed by {key_id}"):
        await prove(replace(report, signed_by=key_id), kept, None)
    assert await left(school, kept) == 0


async def test_a_signed_archive_is_proven(school: School, place: tuple[Sink, Kept], tmp_path: Path) -> None:
    """The report names the key, and what was read back is signed by it."""
    sink, kept = place
    make_keys(tmp_path / "keys", ARCHIVE)
    signer = Signer.load(tmp_path / "keys", ARCHIVE)
    report = await built(school, sink, signer=signer)

    assert (await prove(report, kept, None)).report.signed_by == signer.key_id


async def test_a_scratch_database_that_is_away_leaves_nothing_unproven(
    school: School, place: tuple[Sink, Kept]
) -> None:
    """What could not be compared is not ready, and does not lie there as if it were."""
    sink, kept = place
    report = await built(school, sink)

    @asynccontextmanager
    async def away() -> AsyncIterator[asyncpg.Connection]:
        raise ConnectionRefusedError
        yield

    with pytest.raises(ConnectionRefusedError):
        await prove(report, kept, Scratch(away, school.dsn))
    assert await left(school, kept) == 0


async def test_large_tables_are_counted_only_and_the_archive_says_so(school: School, tmp_path: Path) -> None:
    """Above the size that the policy says rows are not compared; per table the archive tells which it was."""
    path = tmp_path / "a.zip"
    report = await build(school.sources, replace(school.order(), compare_up_to=2), FileSink(path))

    proven = await prove(report, KeptFile(path), Scratch(school.connect, school.dsn))
    with ZipFile(path) as opened_zip:
        said = json.loads(opened_zip.read("export-1/data/completeness.json"))["tables"]
    assert proven.compared == ("customers", "users")
    assert [one["read_back"]["compared"] for one in said] == ["rows", "rows", "counts"]


async def test_an_outsider_comes_to_the_same_fingerprint(school: School, tmp_path: Path) -> None:
    """The archive tells each table's fingerprint, which any Postgres computes from the imported rows."""
    path = tmp_path / "a.zip"
    await build(school.sources, replace(school.order(), compare_up_to=100), FileSink(path))

    with ZipFile(path) as opened_zip:
        said = json.loads(opened_zip.read("export-1/data/completeness.json"))["tables"]
    async with school.connect() as connection:
        mine = await connection.fetchval(
            "select sum(hashtextextended(row(id, name)::text, 0))::text from customers where id = 'acme'"
        )
    assert said[0]["read_back"] == {"compared": "rows", "fingerprint": mine}


async def test_closing_does_not_wait_for_a_thread_that_waits_for_the_loop(school: School) -> None:
    """What is cancelled in the middle of a read would else stop the whole worker, and no signal would end it."""
    await school.store.put(school.bucket, "acme/a", b"x")
    found = await school.store.head(school.bucket, "acme/a")
    asked, never = asyncio.Event(), asyncio.Event()

    async def stream(*_: object, **__: object) -> AsyncIterator[bytes]:
        asked.set()
        await never.wait()
        yield b""

    class Slow:
        pass

    slow: Any = Slow()
    slow.stream = stream
    with opened(slow, school.bucket, found) as file:
        reading = asyncio.create_task(asyncio.to_thread(file.read))
        await asked.wait()
    with pytest.raises(OSError, match="closed while it was read"):
        await reading


async def test_an_object_reads_like_a_file(school: School) -> None:
    """At any place, in any size, to its end; never in the event loop's own thread; never another version."""
    await school.store.put(school.bucket, "acme/a", bytes(range(256)) * 100)
    found = await school.store.head(school.bucket, "acme/a")
    with opened(school.store, school.bucket, found) as file:
        first = await asyncio.to_thread(file.read, 10)
        await asyncio.to_thread(file.seek, -3, 2)
        assert (first, await asyncio.to_thread(file.read)) == (bytes(range(10)), b"\xfd\xfe\xff")

    with opened(school.store, school.bucket, found) as file, pytest.raises(RuntimeError, match="in a thread"):
        file.read(1)

    await school.store.put(school.bucket, "acme/a", b"another")
    with opened(school.store, school.bucket, found) as file:
        assert await asyncio.to_thread(file.read, 10) == bytes(range(10))
    unnamed = replace(found, version=None)
    with opened(school.store, school.bucket, unnamed) as file, pytest.raises(ObjectChangedError):
        await asyncio.to_thread(file.read)
