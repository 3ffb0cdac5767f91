"""What an archive holds, and that every ordinary tool reads it."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from archive_school import MEDIA, NOW, School, run


async def unpacked(school: School, folder: Path) -> Path:
    """Export acme, unpack with Python's zipfile, give the bag."""
    path, _ = await school.archive(folder)
    with ZipFile(path) as opened:
        opened.extractall(folder)
    return folder / "export-1"


async def test_an_archive_holds_every_row_in_every_format_and_every_object(school: School, tmp_path: Path) -> None:
    """All that the map declares is in the archive, and the report counts it."""
    path, report = await school.archive(tmp_path)

    with ZipFile(path) as opened:
        names = opened.namelist()
    assert {one.table: one.rows for one in report.tables} == {"customers": 1, "users": 2, "notes": 3}
    assert report.media_objects == len(MEDIA)
    assert [(one.table, one.rows) for one in report.objects] == [(school.bucket, len(MEDIA))]
    assert report.media_bytes == sum(map(len, MEDIA.values()))
    assert report.snapshot_at == NOW
    assert report.map_sha256 == school.map.sha256
    assert names[:4] == [
        "export-1/bagit.txt",
        "export-1/data/csv/user/customers.csv",
        "export-1/data/json/user/customers.jsonl",
        "export-1/data/csv/user/users.csv",
    ]
    assert names[-2:] == ["export-1/manifest-sha256.txt", "export-1/tagmanifest-sha256.txt"]


async def test_a_bucket_without_objects_is_counted_too(school: School, tmp_path: Path) -> None:
    """What is put there after the export is to be told from what the export didn't look at."""
    _, report = await school.mapped("media/{customer}/", "{customer}/").archive(tmp_path)

    assert [(one.table, one.rows) for one in report.objects] == [(school.bucket, 0)]


async def test_the_report_knows_the_size_and_digest_of_the_whole_file(school: School, tmp_path: Path) -> None:
    """What ExportReady will say of the archive is what sha256sum says."""
    path, report = await school.archive(tmp_path)

    said = run(["sha256sum", path], tmp_path).split()[0]
    assert (report.sha256, report.size) == (said, path.stat().st_size)


async def test_no_other_customers_row_or_object_is_in_it(school: School, tmp_path: Path) -> None:
    """Nothing of the other customer is anywhere in the bag."""
    bag = await unpacked(school, tmp_path)

    # The verifier is the same file in every archive, and speaks of others in its comments.
    found = b"".join(path.read_bytes() for path in bag.rglob("*") if path.is_file() and path.name != "verify.py")
    assert b"other" not in found
    assert b"somebody else" not in found
    assert b"not acme's" not in found


async def test_a_secret_is_left_out_and_said_to_be(school: School, tmp_path: Path) -> None:
    """A column that the map leaves out is in no file, and README and descriptor give the reason."""
    bag = await unpacked(school, tmp_path)

    assert "password_hash" not in (bag / "data/csv/user/users.csv").read_text()
    assert "password_hash" not in (bag / "data/json/user/users.jsonl").read_text()
    assert "users.password_hash: a secret" in (bag / "data/README.txt").read_text()
    resources = json.loads((bag / "data/datapackage.json").read_text())["resources"]
    assert [one["leftOut"] for one in resources if "leftOut" in one] == [{"password_hash": "a secret"}] * 2


async def test_every_object_is_there_under_a_name_that_the_index_explains(school: School, tmp_path: Path) -> None:
    """Whatever the key, the bytes are in the file that data/media.csv names for it."""
    bag = await unpacked(school, tmp_path)

    with (bag / "data/media.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    found = {row["key"].removeprefix("media/acme/"): (bag / "data" / row["path"]).read_bytes() for row in rows}
    # SeaweedFS takes a backslash for a slash.
    assert found == {key.replace("\\", "/"): body for key, body in MEDIA.items()}
    assert all(re.fullmatch(r"media/uploads/[\w.~ -]+(/[\w.~ -]+)*", row["path"]) for row in rows)


async def test_many_small_objects_are_all_there_in_order(school: School, tmp_path: Path) -> None:
    """They are fetched ahead of being written, and still each is in its own file."""
    for number in range(40):
        await school.store.put(school.bucket, f"media/acme/many/{number:02}.txt", f"{number}".encode())
    await school.store.put(school.bucket, "media/acme/many/20.mp4", bytes(300_000))

    bag = await unpacked(school, tmp_path)
    found = {path.stem: path.read_text() for path in sorted((bag / "data/media/uploads/many").glob("*.txt"))}
    assert found == {f"{number:02}": f"{number}" for number in range(40)}


async def test_sha256sum_finds_nothing_wrong(school: School, tmp_path: Path) -> None:
    """The stock tool checks the payload and the tag files with no more than the manifests."""
    bag = await unpacked(school, tmp_path)

    for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        run(["sha256sum", "--strict", "--quiet", "-c", manifest], bag)


async def test_bagit_validates_the_bag(school: School, tmp_path: Path) -> None:
    """The Library of Congress' validator agrees: complete, sums right, oxum right."""
    bag = await unpacked(school, tmp_path)

    assert "is valid" in run(["bagit.py", "--validate", bag], tmp_path)


async def test_frictionless_validates_the_data_package(school: School, tmp_path: Path) -> None:
    """Types, required fields, keys between tables, sizes, digests and row counts are as the descriptor says."""
    bag = await unpacked(school, tmp_path)

    command = [sys.executable, "-W", "ignore", "-m", "frictionless", "validate", "--json", "data/datapackage.json"]
    report = json.loads(run(command, bag, check=False))
    assert [(task["name"], task["errors"]) for task in report["tasks"] if task["errors"]] == []
    assert {task["name"]: task["stats"]["rows"] for task in report["tasks"]} == {
        "csv.customers": 1, "json.customers": 1, "csv.users": 2, "json.users": 2, "csv.notes": 3, "json.notes": 3,
        "media": len(MEDIA),
    }  # fmt: skip


@pytest.mark.parametrize("command", [["unzip", "-tq"], ["7zz", "t"], ["bsdtar", "-tf"]], ids=lambda command: command[0])
async def test_ordinary_unpackers_read_it(school: School, tmp_path: Path, command: list[str]) -> None:
    """The ZIP is sound to the unpackers that are installed here."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    path, _ = await school.archive(tmp_path)

    run([*command, path], tmp_path)
