"""``offramp export`` makes an archive out of a plain database."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from zipfile import ZipFile

import pytest
from archive_school import MAP, MEDIA, School
from typer.testing import CliRunner, Result

from services.exporter.archive.faults import PapersAloneError
from services.exporter.archive.restoring import ScratchAwayError
from services.exporter.commands import app
from services.exporter.formats.registry import ALL
from shared.errors import OperatorError
from shared.signing.keys import make_keys
from shared.signing.signer import Signer
from shared.signing.sshsig import ARCHIVE
from shared.verify.archive import verify


async def exported(school: School, folder: Path, to: str, *more: str) -> Result:
    path = folder / "map.yaml"
    await asyncio.to_thread(path.write_text, MAP.replace("BUCKET", school.bucket))
    arguments = ["--map", str(path), "--dsn", school.dsn, "--customer", "acme", "--to", to, *more]
    return await asyncio.to_thread(CliRunner().invoke, app, arguments)


async def test_it_exports_into_a_folder(school: School, tmp_path: Path) -> None:
    """The archive is there, is whole, and the command says where and how large."""
    result = await exported(school, tmp_path, str(tmp_path / "out"))

    assert result.exit_code == 0, result.output
    path = Path(result.stdout.splitlines()[0])
    assert path.parent == tmp_path / "out"
    assert "6 rows of 3 tables and 9 files" in result.stdout
    assert verify(path).findings == ()


async def test_an_archive_with_nothing_in_it_is_told(school: School, tmp_path: Path) -> None:
    """Whoever mistyped the customer's id has to see it; a program that reads the report does there."""
    told = await exported(school, tmp_path, str(tmp_path / "out"), "--customer", "acmee", "--json")

    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["tables"] == {"customers": 0, "users": 0, "notes": 0}
    assert "NOTHING IN IT: no row and no file of 'acmee' is there. Look at --customer." in told.stderr
    assert "NOTHING IN IT" not in (await exported(school, tmp_path, str(tmp_path / "out"))).stderr


async def test_it_exports_into_a_store_and_tells_machines(school: School, tmp_path: Path) -> None:
    """With --json the report is all that is printed."""
    result = await exported(school, tmp_path, f"s3://{school.bucket}/acme/one.zip", "--json", "--format", "csv")

    report = json.loads(result.stdout)
    assert report["tables"] == {"customers": 1, "users": 2, "notes": 3}
    assert report["objects"] == {school.bucket: len(MEDIA)}
    assert (await school.store.head(school.bucket, "acme/one.zip")).size == report["size"]


async def test_it_exports_what_was_asked_for(school: School, tmp_path: Path) -> None:
    """Only the kinds of data and the formats that were named; the page says what wasn't asked for."""
    more = ("--scope", "course", "--format", "xml", "--format", "xlsx", "--language", "sv")
    result = await exported(school, tmp_path, str(tmp_path / "out"), *more)

    path = Path(result.stdout.splitlines()[0])
    with ZipFile(path) as opened:
        names = {name.partition("/data/")[2] for name in opened.namelist()} - {""}
        page = opened.read(f"{path.stem}/index.html").decode()
        info = opened.read(f"{path.stem}/bag-info.txt").decode()
    assert {name for name in names if not name.startswith("media/")} == {
        "xml/course/notes.xml",
        "xml/course/notes.xsd",
        "xlsx/course.xlsx",
        "media.csv",
        "datapackage.json",
        "README.txt",
        "completeness.json",
    }
    assert "<code>users</code>: den här sortens uppgifter efterfrågades inte" in page
    assert "Scope: course\n" in info
    assert verify(path).findings == ()


@pytest.mark.parametrize("name", [name for name in ALL if name not in {"pdf", "docx"}])
async def test_each_format_that_holds_rows_is_enough_alone(school: School, tmp_path: Path, name: str) -> None:
    """An archive of it is complete."""
    result = await exported(school, tmp_path, str(tmp_path / "out"), "--format", name)

    assert result.exit_code == 0, result.exception
    assert verify(Path(result.stdout.splitlines()[0])).findings == ()


@pytest.mark.parametrize("names", [("pdf",), ("docx",), ("docx", "pdf")])
async def test_papers_alone_are_refused_before_anything_is_read(
    school: School, tmp_path: Path, names: tuple[str, ...]
) -> None:
    """Nobody waits for what can't be complete: not even the database is asked."""
    asked = [part for name in names for part in ("--format", name)]
    result = await exported(school, tmp_path, str(tmp_path / "out"), *asked, "--dsn", "postgresql://127.0.0.1:1/none")

    assert isinstance(result.exception, PapersAloneError)
    assert "Ask for csv, jsonlines, sql, xml, xlsx, documents as well" in str(result.exception)


async def test_it_signs_if_there_are_keys(school: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the exporter's keys the archive is signed; without, or when told so, it isn't, and the command says that."""
    monkeypatch.setenv("OFFRAMP_EXPORTER_KEYS", str(tmp_path / "keys"))
    out = str(tmp_path / "out")
    bare = await exported(school, tmp_path, out, "--format", "csv")
    make_keys(tmp_path / "keys", ARCHIVE)
    key_id = Signer.load(tmp_path / "keys", ARCHIVE).key_id
    signed = await exported(school, tmp_path, out, "--format", "csv")
    report = json.loads((await exported(school, tmp_path, out, "--format", "csv", "--json")).stdout)
    told = await exported(school, tmp_path, out, "--format", "csv", "--unsigned")

    for result in (bare, told):
        assert result.exit_code == 0, result.output
        assert "NOT SIGNED" in result.stdout
    assert f"signed by {key_id}" in signed.stdout
    assert report["signed_by"] == key_id


async def test_in_production_nothing_goes_out_unsigned_by_accident(
    school: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without keys the command stops and says how to make them; only a person's word makes an unsigned archive."""
    monkeypatch.setenv("OFFRAMP_EXPORTER_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("OFFRAMP_ENV", "production")
    refused = await exported(school, tmp_path, str(tmp_path / "out"), "--format", "csv")
    told = await exported(school, tmp_path, str(tmp_path / "out"), "--format", "csv", "--unsigned")

    assert isinstance(refused.exception, OperatorError)
    assert "offramp keys make --archives" in str(refused.exception)
    assert (told.exit_code, "NOT SIGNED" in told.stdout) == (0, True)


@pytest.mark.parametrize(
    ("to", "more", "says"),
    [
        (
            "out",
            ["--format", "excel"],
            "format excel: there is no such format. There are csv, jsonlines",
        ),
        ("out", ["--scope", "users"], "scope users: there is no such scope. There are course, report, user"),
        ("s3://bucket", [], "--to s3://bucket: an object's place is s3://bucket/key"),
        ("out", ["--dsn", "postgresql://nobody@127.0.0.1:1/none"], "the database can't be reached"),
        ("/dev/null/out", [], "the archive can't be written"),
    ],
)
async def test_a_mistake_is_a_sentence(school: School, tmp_path: Path, to: str, more: list[str], says: str) -> None:
    """What is wrong, where, and what to do; no trace."""
    result = await exported(school, tmp_path, to, *more)

    assert isinstance(result.exception, OperatorError)
    assert says in str(result.exception)


async def test_a_scratch_database_that_is_not_there_is_told_before_anything_is_read(
    school: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It isn't found out after hours of reading, and it is a sentence that names the option."""

    def read(*_: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr("services.exporter.commands.build", read)
    away = school.dsn.rpartition("/")[0] + "/not_there"
    result = await exported(school, tmp_path, str(tmp_path / "out"), "--scratch", away)

    assert isinstance(result.exception, OperatorError)
    assert "Look at --scratch" in str(result.exception)
    assert list(tmp_path.rglob("*.zip*")) == []


async def test_a_scratch_database_that_goes_away_is_told(
    school: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What psql ran into is a sentence too, and no archive is left."""

    async def away(*_: object) -> None:
        raise ScratchAwayError("the scratch database went away (SQLSTATE 57P01)")

    monkeypatch.setattr("services.exporter.archive.proof.restore", away)
    result = await exported(school, tmp_path, str(tmp_path / "out"), "--scratch", school.dsn)

    assert isinstance(result.exception, OperatorError)
    assert "57P01). No archive was made. Look at --scratch" in str(result.exception)
    assert list(tmp_path.rglob("*.zip")) == []


@pytest.mark.parametrize("customer", ["", " ", "a\nb", "a\x00"])
def test_what_is_nobodys_id_is_refused(tmp_path: Path, customer: str) -> None:
    """An empty one would make an archive of nothing, one with a line end would be another one's in bag-info.txt."""
    arguments = ["--map", str(tmp_path), "--dsn", "x", "--customer", customer, "--to", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)

    assert isinstance(result.exception, OperatorError)
    assert "--customer" in str(result.exception)
