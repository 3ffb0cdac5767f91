"""The verifier names whatever is altered, missing or added."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from archive_school import opened_school, run
from typer.testing import CliRunner

from shared.settings import Settings
from shared.verify.archive import PAYLOAD_MANIFEST, TAG_MANIFEST, main, verify
from shared.verify.commands import app

Files = dict[str, bytes]
USERS = "export-1/data/csv/user/users.csv"


@pytest.fixture(scope="module")
def made(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make one archive for all tests here, without the film, which would only take time."""

    async def make() -> bytes:
        async with opened_school(settings) as school:
            await school.store.delete_all_versions(school.bucket, "media/acme/film")
            return (await school.archive(tmp_path_factory.mktemp("made")))[0].read_bytes()

    return asyncio.run(make())


@pytest.fixture
def archive(made: bytes, tmp_path: Path) -> Path:
    (tmp_path / "export-1.zip").write_bytes(made)
    return tmp_path / "export-1.zip"


def files_of(archive: Path) -> Files:
    with ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def rewritten(archive: Path, change: Callable[[Files], None]) -> Path:
    """Give another archive, changed by somebody with an ordinary ZIP program."""
    files = files_of(archive)
    change(files)
    changed = archive.with_name("changed.zip")
    with ZipFile(changed, "w") as opened:
        for name, body in files.items():
            opened.writestr(name, body)
    return changed


def found(archive: Path) -> set[tuple[str, str]]:
    return {(one.kind, one.path) for one in verify(archive).findings}


def test_an_archive_as_it_was_made_is_whole(archive: Path) -> None:
    """Nothing is wrong with it, and the rows are counted once more."""
    verdict = verify(archive, hashlib.sha256(archive.read_bytes()).hexdigest())

    assert verdict.findings == ()
    assert verdict.rows["csv.notes"] == verdict.rows["json.notes"] == 3
    assert main([str(archive)]) == 0


def report(files: Files, change: Callable[[Any], object]) -> None:
    """Change the report of completeness."""
    said = json.loads(files["export-1/data/completeness.json"])
    change(said)
    files["export-1/data/completeness.json"] = json.dumps(said).encode()


CHANGES: dict[str, tuple[Callable[[Files], object], tuple[str, str]]] = {
    "a changed letter": (
        lambda files: files.update({USERS: files[USERS].replace(b"a@acme", b"z@acme")}),
        ("altered", "data/csv/user/users.csv"),
    ),
    "a file taken out": (lambda files: files.pop(USERS), ("missing", "data/csv/user/users.csv")),
    "an object taken out": (
        lambda files: files.pop("export-1/data/media/uploads/Film.mp4"),
        ("missing", "data/media/uploads/Film.mp4"),
    ),
    "a file put in": (lambda files: files.update({"export-1/data/x": b""}), ("added", "data/x")),
    "a tag file put in": (lambda files: files.update({"export-1/x.txt": b""}), ("added", "x.txt")),
    "a file beside the bag": (lambda files: files.update({"x/data/x": b""}), ("added", "x/data/x")),
    "a way out of the bag": (lambda files: files.update({"export-1/../../x": b""}), ("added", "export-1/../../x")),
    "another declaration": (lambda files: files.update({"export-1/bagit.txt": b"?"}), ("broken", "bagit.txt")),
    "another bag-info": (
        lambda files: files.update({"export-1/bag-info.txt": b"Payload-Oxum: 1.1\n"}),
        ("altered", "bag-info.txt"),
    ),
    "no manifest": (lambda files: files.pop(f"export-1/{PAYLOAD_MANIFEST}"), ("missing", PAYLOAD_MANIFEST)),
    "an unreadable manifest": (
        lambda files: files.update({f"export-1/{PAYLOAD_MANIFEST}": b"?\n"}),
        ("broken", PAYLOAD_MANIFEST),
    ),
    "no tag manifest": (lambda files: files.pop(f"export-1/{TAG_MANIFEST}"), ("missing", TAG_MANIFEST)),
    "a table forgotten in the report": (
        lambda files: report(files, lambda said: said["tables"][1]["files"].clear()),
        ("missing", "data/completeness.json"),
    ),
    "other rows in the report": (
        lambda files: report(files, lambda said: said["tables"][1].update(rows=3)),
        ("altered", "data/csv/user/users.csv"),
    ),
    "fewer objects in the report": (
        lambda files: report(files, lambda said: said["objects"][0].update(files=1)),
        ("altered", "data/media/"),
    ),
    "no report": (lambda files: files.pop("export-1/data/completeness.json"), ("broken", "data/completeness.json")),
    "no descriptor": (lambda files: files.pop("export-1/data/datapackage.json"), ("broken", "data/datapackage.json")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_named(archive: Path, name: str) -> None:
    """Whatever somebody changes, takes out or puts in is named."""
    change, finding = CHANGES[name]

    assert finding in found(rewritten(archive, change))


def unpacked(archive: Path) -> Path:
    with ZipFile(archive) as opened:
        opened.extractall(archive.parent)
    return archive.parent / "export-1"


def test_the_unpacked_archive_is_checked_too(archive: Path) -> None:
    """In a folder the same is found: nothing, a changed letter, a file taken out, one put in, a link."""
    bag = unpacked(archive)

    assert verify(bag).findings == ()
    (bag / "data/csv/user/users.csv").write_bytes(b"id\n")
    (bag / "data/media/uploads/Film.mp4").unlink()
    (bag / "data/x").write_bytes(b"")
    (bag / "data/csv/user/y.csv").symlink_to(bag / "data/csv/user/customers.csv")
    assert {("altered", "data/csv/user/users.csv"), ("missing", "data/media/uploads/Film.mp4"), ("added", "data/x"),
            ("added", "data/csv/user/y.csv")} <= found(bag)  # fmt: skip


def test_the_program_inside_needs_nothing_but_python(archive: Path) -> None:
    """Alone, without site packages, it checks the ZIP, the folder it lies in, and names a changed file."""
    bag = unpacked(archive)
    command = [sys.executable, "-I", "-S", bag / "verify.py"]

    assert "0 findings" in run([*command, archive], archive.parent)
    assert "0 findings" in run(command, archive.parent)
    (bag / "data/csv/user/users.csv").write_bytes(b"id\n")
    assert "altered: data/csv/user/users.csv" in run(command, archive.parent, check=False)


def pasted(folder: Path) -> list[int]:
    """Paste the commands of VERIFY.txt into a shell, one by one; gives their exit codes."""
    with ZipFile(folder / "export-1.zip") as opened:
        text = opened.read("export-1/VERIFY.txt").decode()
    commands = re.findall(r"^    (.*)$", text, re.MULTILINE)
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    # S603: the commands are the archive's own.
    done = [subprocess.run(["/bin/sh", "-c", one], cwd=folder, env=environment, check=False) for one in commands]
    return [one.returncode for one in done]


def test_the_commands_find_nothing_wrong_in_a_whole_archive(archive: Path) -> None:
    """Each command of VERIFY.txt, pasted as it stands, ends well."""
    assert pasted(archive.parent) == [0] * 9


@pytest.mark.parametrize("name", ["a changed letter", "a file taken out", "a file put in", "a tag file put in"])
def test_the_commands_find_a_change(archive: Path, name: str) -> None:
    """A changed archive makes at least one of the stock tools' commands fail, and the program too."""
    rewritten(archive, CHANGES[name][0]).rename(archive)
    codes = pasted(archive.parent)

    assert any(codes[2:7])
    assert codes[7:] == [1, 1]


def test_the_report_tells_what_became_of_everything(archive: Path) -> None:
    """Every table and bucket of the map is in it: exported, empty, or left out with the reason."""
    said = json.loads(files_of(archive)["export-1/data/completeness.json"])

    tables = [(one["table"], one["outcome"], one["rows"], one["columns_left_out"]) for one in said["tables"]]
    assert tables == [
        ("customers", "exported", 1, {}),
        ("users", "exported", 2, {"password_hash": "a secret"}),
        ("notes", "exported", 3, {}),
    ]
    assert said["left_out"] == [{"table": "settings", "outcome": "left out", "reason": "the platform's own"}]
    assert [(one["bucket"], one["outcome"], one["files"]) for one in said["objects"]] == [("uploads", "exported", 8)]


def test_a_row_taken_out_is_missed_even_if_all_sums_are_made_new(archive: Path) -> None:
    """The descriptor knows the rows, so a forger has to change that too."""

    def forge(files: Files) -> None:
        files[USERS] = files[USERS].rsplit(b"\n", 2)[0] + b"\n"
        manifest, digest = f"export-1/{PAYLOAD_MANIFEST}", hashlib.sha256(files[USERS]).hexdigest()
        old = files[manifest].decode()
        files[manifest] = re.sub(r"\w+(?=  data/csv/user/users.csv)", digest, old).encode()

    changed = rewritten(archive, forge)

    assert ("altered", "data/csv/user/users.csv") in found(changed)
    says = [one.says for one in verify(changed).findings]
    assert "it has 1 rows, data/datapackage.json says 2" in says


def test_a_file_that_is_in_the_zip_twice_is_named(archive: Path) -> None:
    """Readers differ in which of the two they take."""
    with pytest.warns(UserWarning, match="Duplicate"), ZipFile(archive, "a") as opened:
        opened.writestr(USERS, "something else")

    assert ("added", USERS) in found(archive)


def test_a_cut_archive_is_broken(archive: Path) -> None:
    """A download that stopped early can't be taken for the whole."""
    whole = archive.read_bytes()
    for share in (0.1, 0.5, 0.999):
        archive.write_bytes(whole[: int(len(whole) * share)])

        assert ("broken", "export-1.zip") in found(archive)


def test_any_flipped_bit_is_found_or_harmless(archive: Path) -> None:
    """Either the verifier finds it, or every file reads as before; the whole digest finds it always."""
    whole, files, chance = archive.read_bytes(), files_of(archive), random.Random(7)
    sha256 = hashlib.sha256(whole).hexdigest()
    for _ in range(300):
        at, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        archive.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])

        verdict = verify(archive, sha256)
        assert verdict.findings[0].says.startswith("its SHA-256 is")
        assert len(verdict.findings) > 1 or files_of(archive) == files, at


def test_the_command_says_so(archive: Path) -> None:
    """Exit 0 for a whole archive, 1 with names for a changed one; options may stand after the file."""
    whole = CliRunner().invoke(app, [str(archive), "--json"])
    changed = CliRunner().invoke(app, [str(rewritten(archive, CHANGES["a changed letter"][0]))])

    assert (whole.exit_code, json.loads(whole.stdout)["findings"]) == (0, [])
    assert changed.exit_code == 1
    assert "altered: data/csv/user/users.csv" in changed.stdout
