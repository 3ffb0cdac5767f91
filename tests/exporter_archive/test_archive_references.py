"""What rows refer to is in the archive, as it is, under readable names, and linked to its rows; or the export fails."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from hashlib import sha1, sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from archive_school import School, run

from services.exporter.archive.build import build
from services.exporter.archive.faults import (
    ArchiveError,
    MediaDiffersError,
    MediaMissingError,
    NothingLeftError,
    NotReadBackError,
    RowsDisagreeError,
)
from services.exporter.archive.kept import KeptFile
from services.exporter.archive.links import Links
from services.exporter.archive.proof import prove
from services.exporter.archive.references import References
from services.exporter.archive.report import ArchiveReport
from services.exporter.archive.sink import FileSink
from shared.datamap.model import parse
from shared.store_faults import StoreRefusalError
from shared.verify.archive import verify

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SCHEMA = """
    create table files (
        id bigint primary key, customer_id text not null, hash text, name text, type text, size text
    );
    create table links (customer_id text not null, url text);
"""
TABLES = """
  files:
    category: course
    owner: {column: customer_id}
    media:
      hash: {bucket: BUCKET, key: "pool/{value[0:2]}/{value}", name: name, media_type: type, size: size,
             digest: {sha1: hash}}
  links:
    category: user
    owner: {column: customer_id}
    media: {url: {bucket: BUCKET, url: "https://cdn.example/", none: [""]}}
buckets:
"""


def hashed(body: bytes) -> str:
    return sha1(body).hexdigest()  # noqa: S324 - as such stores call their files


class Referring:
    """The school, in which files lie in a pool by their SHA-1."""

    def __init__(self, school: School) -> None:
        self.school = school.mapped("buckets:\n", TABLES.replace("BUCKET", school.bucket).lstrip("\n"))
        self.count = 0

    def mapped(self, old: str, new: str) -> Referring:
        """Give it with a map in which *old* reads *new*."""
        text = TABLES.replace("BUCKET", self.school.bucket)
        assert old in text
        changed = Referring(self.school)
        changed.school = self.school.mapped("buckets:\n", text.replace(old, new).lstrip("\n"))
        return changed

    async def file(self, body: bytes, name: str | None, customer: str = "acme", put: bytes | None = None) -> str:
        """Put a file there, with a row; *put*: what lies there in its place."""
        self.count += 1
        key = f"pool/{hashed(body)[:2]}/{hashed(body)}"
        if put != b"":
            await self.school.store.put(self.school.bucket, key, body if put is None else put)
        row = self.count, customer, hashed(body), name, "text/plain", str(len(body))
        async with self.school.connect() as connection:
            await connection.execute("insert into files values ($1, $2, $3, $4, $5, $6)", *row)
        return key

    async def link(self, url: str | None) -> None:
        async with self.school.connect() as connection:
            await connection.execute("insert into links values ('acme', $1)", url)

    async def archive(self, folder: Path) -> ArchiveReport:
        return (await self.school.archive(folder))[1]


@pytest.fixture
async def referring(school: School) -> AsyncIterator[Referring]:
    await school.run(SCHEMA)
    yield Referring(school)
    await school.store.delete_all_versions(school.bucket, "pool/")


def contents(folder: Path) -> dict[str, bytes]:
    with ZipFile(folder / "export-1.zip") as opened:
        return {name.removeprefix("export-1/"): opened.read(name) for name in opened.namelist()}


def table(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode(), newline="")))


def links(files: dict[str, bytes]) -> Iterator[tuple[str, str, str, str]]:
    for one in table(files["data/media_references.csv"]):
        yield one["table"], one["row"], one["outcome"], one["path"]


async def test_what_rows_refer_to_is_in_the_archive_once_and_linked(referring: Referring, tmp_path: Path) -> None:
    """Each object is one file, with its bytes and its name; each row says which; nobody else's is there."""
    await referring.file(b"one", "Essay.txt")
    await referring.file(b"one", "Copy of essay.txt")
    await referring.file(b"two", "Essay.txt", "other")
    big = bytes(range(256)) * 4_000
    await referring.file(big, "film.mp4")
    await referring.link("https://cdn.example/pool/a%20b.png?v=1#top")
    await referring.link(None)
    await referring.link("")
    await referring.school.store.put(referring.school.bucket, "pool/a b.png", b"a face")
    report = await referring.archive(tmp_path)
    files = contents(tmp_path)
    index = {one["path"]: one for one in table(files["data/media.csv"])}
    here = {path: files[f"data/{path}"] for path in index if "uploads" not in path}

    assert sorted(here.values()) == sorted([b"one", big, b"a face"])
    assert all(one["sha256"] == sha256(files[f"data/{path}"]).hexdigest() for path, one in index.items())
    found = list(links(files))
    by_row = {(one[0], one[1]): here[one[3]] for one in found}
    assert by_row == {
        ("files", '{"id": 1}'): b"one",
        ("files", '{"id": 2}'): b"one",
        ("files", '{"id": 4}'): big,
        ("links", "{}"): b"a face",
    }
    assert {Path(path).name for path in here if "~" not in path} == {"Copy of essay.txt", "film.mp4", "a b.png"}
    assert report.media_objects == len(index)
    assert [(one.table, one.rows) for one in report.objects] == [(referring.school.bucket, len(index))]
    assert verify(tmp_path / "export-1.zip").findings == ()
    objects = json.loads(files["data/completeness.json"])["objects"]
    assert [(one["column"], one["outcome"], one["rows"], one["objects"], one["files"]) for one in objects[1:]] == [
        ("files.hash", "exported", 3, 2, 2),
        ("links.url", "exported", 1, 1, 1),
    ]


async def test_an_outsiders_program_follows_the_links(referring: Referring, tmp_path: Path) -> None:
    """Frictionless finds for each reference the line of its file."""
    key = await referring.file(b"one", "Essay.txt")
    await referring.link(f"https://cdn.example/{key}")
    await referring.archive(tmp_path)
    run(["unzip", "-q", "export-1.zip"], tmp_path)

    assert "INVALID" not in run(["frictionless", "validate", "data/datapackage.json"], tmp_path / "export-1")


HOSTILE = [
    "../../etc/passwd",
    "..",
    ".",
    "/",
    "CON",
    "con.txt",
    "a\\b",
    "line\nend",
    "per%cent",
    "x" * 300 + ".pdf",
    "same.txt",
    "Same.txt",
    "SAME.TXT",
    "same.txt",
    "räksmörgås.txt",
    "ra\u0308ksmo\u0308rga\u030as.txt",
    "~",
    "=1+1",
    "\u202egnp.exe",
    "",
    None,
]


async def test_whatever_a_file_is_called_it_has_a_name_of_its_own(referring: Referring, tmp_path: Path) -> None:
    """Hostile names, and one name for many files: all unpack on any file system, and each row finds its own bytes."""
    for number, name in enumerate(HOSTILE):
        await referring.file(f"file {number}".encode(), name)
    await referring.archive(tmp_path)
    files = contents(tmp_path)
    paths = {one[1]: one[3] for one in links(files)}

    assert len({path.casefold() for path in paths.values()}) == len(HOSTILE)
    for number, name in enumerate(HOSTILE):
        path = paths[f'{{"id": {number + 1}}}']
        assert files[f"data/{path}"] == f"file {number}".encode()
        file = r"[^/\\\x00-\x1f\u202e]{1,180}" if name else "pool/../[0-9a-f]{40}"
        assert re.fullmatch(f"media/{referring.school.bucket}/{file}", path), path
        assert Path(path).name not in {"..", "."}
    assert verify(tmp_path / "export-1.zip").findings == ()


@pytest.mark.parametrize(
    ("put", "error", "says"),
    [
        (b"", MediaMissingError, r"files\.hash of the row \{\"id\": 1\}: it refers to s3://.*, which is not there"),
        (b"12", MediaDiffersError, "has 2 bytes, recorded are 3"),
        (b"othe", MediaDiffersError, "has 4 bytes, recorded are 3"),
        (b"eno", MediaDiffersError, "the sha1 of s3://"),
    ],
)
async def test_what_is_missing_or_other_than_recorded_fails_the_export(
    referring: Referring, tmp_path: Path, put: bytes, error: type[ArchiveError], says: str
) -> None:
    """By the row's name and the object's, and no archive appears."""
    await referring.file(b"one", "a.txt", put=put)

    with pytest.raises(error, match=says):
        await referring.archive(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_where_the_map_says_why_it_is_listed_and_never_silent(referring: Referring, tmp_path: Path) -> None:
    """The reason is in the report and in what people read; the row's link says it; what differs is there as it is."""
    said = referring.mapped("size: size,", "size: size, missing: lost in a fire, differing: cut off in 2019,")
    await said.file(b"gone", "gone.txt", put=b"")
    await said.file(b"whole", "cut.txt", put=b"who")
    await said.file(b"here", "here.txt")
    report = await said.archive(tmp_path)
    files = contents(tmp_path)
    told = json.loads(files["data/completeness.json"])["objects"][1]

    assert {one[1]: one[2] for one in links(files)} == {
        '{"id": 1}': "missing",
        '{"id": 2}': "differing",
        '{"id": 3}': "exported",
    }
    assert (told["outcome"], told["objects"], told["files"]) == ("incomplete", 3, 2)
    assert [(one["outcome"], one["objects"], one["reason"]) for one in told["lost"]] == [
        ("differing", 1, "cut off in 2019"),
        ("missing", 1, "lost in a fire"),
    ]
    assert f"s3://{said.school.bucket}/pool/" in told["named"][0]["says"]
    for page in ("index.html", "data/README.txt"):
        text = files[page].decode()
        assert "lost in a fire" in text
        assert "cut off in 2019" in text
    assert await prove(report, KeptFile(tmp_path / "export-1.zip"), None)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://cdn.example/media/other/secret.jpg", "another customer's by its prefix"),
        ("https://cdn.example/pool/../other/secret.jpg", "no object's key"),
        ("https://cdn.example/", "no object's key"),
        ("https://cdn.example/%ff%fe", "no object's key"),
        ("https://cdn.example/" + "x" * 1025, "no object's key"),
        ("file:///etc/passwd", "lies elsewhere"),
    ],
)
async def test_what_a_value_may_not_name_is_not_fetched(
    referring: Referring, tmp_path: Path, url: str, says: str
) -> None:
    """Values are somebody's input; with a reason in the map such values are listed, and still not fetched."""
    await referring.link(url)
    with pytest.raises(MediaMissingError, match=rf"links\.url of the row .*{says}"):
        await referring.archive(tmp_path)
    said = referring.mapped('none: [""]', 'none: [""], missing: typed in, elsewhere: typed in')
    await said.archive(tmp_path)
    files = contents(tmp_path)

    assert [one[2:] for one in links(files)] in ([("missing", "")], [("elsewhere", "")])
    assert b"not acme's" not in b"".join(files.values())


async def test_what_lies_under_the_own_prefix_is_one_file(referring: Referring, tmp_path: Path) -> None:
    """An object that is listed and referred to is not there twice, and is linked."""
    await referring.link("https://cdn.example/media/acme/film.mp4")
    report = await referring.archive(tmp_path)
    files = contents(tmp_path)
    keys = [one["key"] for one in table(files["data/media.csv"])]

    assert keys.count("media/acme/film.mp4") == 1
    assert len(keys) == report.media_objects == 9
    assert verify(tmp_path / "export-1.zip").findings == ()


async def test_a_bucket_that_is_not_there_is_no_bucket_in_which_all_is_missing(
    referring: Referring, tmp_path: Path
) -> None:
    """Even where the map says that objects may be missing."""
    said = referring.mapped(f"bucket: {referring.school.bucket}, key", "missing: any, bucket: t-nowhere, key")
    await said.file(b"one", "a.txt")

    with pytest.raises(StoreRefusalError, match="t-nowhere"):
        await said.archive(tmp_path)


async def test_without_a_store_nothing_is_called_complete(referring: Referring, tmp_path: Path) -> None:
    """The column is named."""
    order = replace(referring.school.order(), map=replace(referring.school.map, buckets=()))
    sources = replace(referring.school.sources, objects=None)

    with pytest.raises(NothingLeftError, match=r"files\.hash"):
        await build(sources, order, FileSink(tmp_path / "a.zip"))


async def test_the_witness_counts_the_references_too(
    referring: Referring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reference that the reading lost is missed: the count is another session's."""
    await referring.file(b"one", "a.txt")
    await referring.file(b"two", "b.txt")
    groups = References.groups
    monkeypatch.setattr(References, "groups", lambda self: islice(groups(self), 1, None))

    with pytest.raises(RowsDisagreeError, match=r"files\.hash: 1 rows .* the snapshot has 2"):
        await referring.archive(tmp_path)


async def test_a_schema_a_customer_is_exported_with_its_files(school: School, tmp_path: Path) -> None:
    """Where the place has the customer's id in it, it is that customer's."""
    await school.run(
        "create schema tenant_acme; create table tenant_acme.files (id int primary key, path text);"
        "insert into tenant_acme.files values (1, 'a.txt')"
    )
    await school.store.put(school.bucket, "media/acme/only.txt", b"x")
    await school.store.put(school.bucket, "acme/media/a.txt", b"acme's")
    text = f"""
version: 1
system: school
tenancy: {{schema: "tenant_{{customer}}"}}
tables:
  files: {{category: course, media: {{path: {{bucket: {school.bucket}, key: "{{customer}}/media/{{value}}"}}}}}}
"""
    await school.run("drop table notes, users, customers, settings")
    own = replace(school, map=parse(text.encode(), "map.yaml"))
    await own.archive(tmp_path)
    files = contents(tmp_path)

    assert b"acme's" in files.values()


async def test_a_link_that_leads_nowhere_is_found_when_the_archive_is_read_back(
    referring: Referring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever imports the archive would find no file there."""
    await referring.file(b"one", "a.txt")
    add = Links.add
    monkeypatch.setattr(Links, "add", lambda self, *link: add(self, *link[:-1], "x"))
    report = await referring.archive(tmp_path)

    with pytest.raises(NotReadBackError, match=r"media_references\.csv: line 2: files\.hash is exported"):
        await prove(report, KeptFile(tmp_path / "export-1.zip"), None)
