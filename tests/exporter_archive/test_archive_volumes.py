"""An archive in several files: each opens by itself, all of them are one bag, and one that lacks is named."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pyrage
import pytest
from archive_school import MAP, School
from test_archive_going_on import command, writers  # noqa: F401 - a fixture
from typer.testing import CliRunner, Result

from services.exporter.archive.build import build
from services.exporter.archive.encryption import Encryption
from services.exporter.archive.faults import NotReadBackError, TooManyVolumesError
from services.exporter.archive.kept import KeptFile, KeptVolumes
from services.exporter.archive.proof import Scratch, prove
from services.exporter.archive.report import ArchiveReport
from services.exporter.archive.sink import FileSink
from services.exporter.archive.volumes import Volumes
from services.exporter.commands import app as export_app
from services.exporter.export_place import bytes_of
from shared.errors import OperatorError
from shared.signing.keys import make_keys
from shared.signing.signer import Signer
from shared.signing.sshsig import ARCHIVE
from shared.store_faults import StoreOutageError
from shared.verify.archive import verify
from shared.verify.encrypted import verify_encrypted
from tests.verified import verified

SIZE = 1 << 16
KEPT = KeptVolumes(lambda stored: KeptFile(Path(stored.place)))


def named(folder: Path, name: str = "export-1", suffix: str = ".zip") -> Callable[[int], FileSink]:
    return lambda number: FileSink(folder / f"{name}.vol{number:03}{suffix}")


async def written(school: School, folder: Path, export_id: str = "export-1", **changed: object) -> ArchiveReport:
    order = replace(school.order(export_id), compare_up_to=100, **changed)  # type: ignore[arg-type]
    return await build(school.sources, order, Volumes(named(folder, export_id), SIZE))


@pytest.fixture
async def volumes(school: School, tmp_path: Path) -> list[Path]:
    """A signed archive of several volumes, beside nothing else."""
    make_keys(tmp_path / "keys", ARCHIVE)
    report = await written(school, tmp_path / "out", signer=Signer.load(tmp_path / "keys", ARCHIVE))
    return [Path(one.place) for one in report.volumes]


def findings(path: Path) -> set[tuple[str, str]]:
    return {(one.kind, one.path) for one in verify(path).findings}


async def test_each_opens_by_itself_and_all_are_one_bag(school: School, tmp_path: Path) -> None:
    """No file is cut; unpacked into one folder by an ordinary program it is the archive that one file would be."""
    report = await written(school, tmp_path / "out")
    proven = await prove(report, KEPT, Scratch(school.connect, school.dsn))
    paths = [Path(one.place) for one in report.volumes]

    assert len(paths) > 1
    assert proven.compared == ("customers", "users", "notes")
    for path, one in zip(paths, report.volumes, strict=True):
        assert (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) == (one.size, one.sha256)
        subprocess.run(["unzip", "-q", path], cwd=tmp_path, check=True)
    assert report.sha256 == report.volumes[-1].sha256
    assert report.size == sum(one.size for one in report.volumes)
    path, _ = await school.archive(tmp_path / "single")
    with ZipFile(path) as opened:
        single = {name: opened.read(name) for name in opened.namelist() if "/data/media/" in name or "/csv/" in name}
    assert {name: (tmp_path / name).read_bytes() for name in single} == single
    assert verify(tmp_path / "export-1").findings == ()


async def test_the_same_data_makes_the_same_volumes(school: School, tmp_path: Path) -> None:
    """All but the last, which tells when it was."""
    first, second = [await written(school, tmp_path / name) for name in ("a", "b")]

    assert [one.sha256 for one in first.volumes] == [one.sha256 for one in second.volumes]


async def test_who_has_little_gets_one(school: School, tmp_path: Path) -> None:
    """It is whole by itself."""
    report = await build(school.sources, school.order(), Volumes(named(tmp_path), 1 << 40))
    await prove(report, KEPT, None)

    assert [Path(one.place).name for one in report.volumes] == ["export-1.vol001.zip"]
    assert findings(tmp_path / "export-1.vol001.zip") == set()


def test_any_of_them_names_all(volumes: list[Path]) -> None:
    """Whichever is named, all that lie beside it are checked; the digest that is told is that of the last."""
    for path in volumes:
        verdict = verify(path)
        assert verdict.findings == ()
        assert verdict.sha256 == hashlib.sha256(volumes[-1].read_bytes()).hexdigest()
    assert verify(volumes[0], sha256="0" * 64).findings[0].path == volumes[-1].name


@pytest.mark.parametrize("which", [0, -1])
def test_a_volume_that_lacks_is_named(volumes: list[Path], which: int) -> None:
    """The first or the last: without it nothing is complete."""
    volumes[which].unlink()
    found = findings(volumes[1] if which == 0 else volumes[0])

    assert found
    if which == 0:
        assert ("missing", volumes[0].name) in found
    else:
        assert ("missing", "manifest-sha256.txt") in found


def test_a_volume_that_lacks_in_the_middle_is_named(volumes: list[Path], tmp_path: Path) -> None:
    """The last alone under any name, too."""
    alone = tmp_path / "renamed.zip"
    shutil.copy(volumes[-1], alone)

    assert {("missing", one.name) for one in volumes[:-1]} <= findings(alone)


def cut(volumes: list[Path]) -> None:
    volumes[0].write_bytes(volumes[0].read_bytes()[:-10])


def a_letter(volumes: list[Path]) -> None:
    body = bytearray(volumes[0].read_bytes())
    body[len(body) // 2] ^= 1
    volumes[0].write_bytes(body)


def swapped(volumes: list[Path]) -> None:
    volumes[0].rename(volumes[0].with_name("x"))
    volumes[1].rename(volumes[0])
    volumes[0].with_name("x").rename(volumes[1])


def added(volumes: list[Path]) -> None:
    with ZipFile(volumes[0].with_name("export-1.vol000.zip"), "w") as opened:
        opened.writestr("export-1/data/more.txt", "more")


def twice(volumes: list[Path]) -> None:
    shutil.copy(volumes[0], volumes[0].with_name("export-1.vol000.zip"))


def repacked(volumes: list[Path]) -> None:
    """The same files in another ZIP: nothing in it is wrong, but it isn't what was signed."""
    with ZipFile(volumes[0]) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    with ZipFile(volumes[0], "w") as opened:
        for name, body in files.items():
            opened.writestr(name, body)


@pytest.mark.parametrize("change", [cut, a_letter, swapped, added, twice, repacked])
def test_what_is_wrong_with_a_volume_is_found(volumes: list[Path], change: Callable[[list[Path]], None]) -> None:
    """Cut off, altered, under another's name, one too many, one twice, packed anew."""
    change(volumes)
    said = verified(volumes[-1])

    assert said.exit_code == 1, said.output
    assert ".vol00" in said.output


async def test_a_volume_of_another_archive_is_found(volumes: list[Path], school: School, tmp_path: Path) -> None:
    """Of the same customer, of another moment; under its own name it is no part of this one."""
    await school.run("update users set nickname = 'another' where id = 1")
    other = await written(school, tmp_path / "other", "export-2")
    shutil.copy(other.volumes[0].place, volumes[0].parent)
    assert findings(volumes[-1]) == set()
    shutil.copy(other.volumes[0].place, volumes[0])

    assert ("altered", volumes[0].name) in findings(volumes[-1])
    assert any(path.startswith("export-2/") for kind, path in findings(volumes[-1]) if kind == "added")


def test_the_list_is_under_the_signature(volumes: list[Path], tmp_path: Path) -> None:
    """Who takes a volume away and out of the list is found by what is signed."""
    with ZipFile(volumes[-1]) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    files["export-1/volumes-sha256.txt"] = b""
    with ZipFile(volumes[-1], "w") as opened:
        for name, body in files.items():
            opened.writestr(name, body)

    assert ("altered", "volumes-sha256.txt") in findings(volumes[-1])
    assert ("added", volumes[0].name) in findings(volumes[-1])


def test_the_program_inside_checks_them(volumes: list[Path]) -> None:
    """Alone, without anything of ours."""
    with ZipFile(volumes[-1]) as opened:
        opened.extract("export-1/verify.py", volumes[0].parent)
    program = [sys.executable, "-I", "-S", volumes[0].parent / "export-1/verify.py", volumes[-1]]

    assert subprocess.run(program, check=False).returncode == 0
    volumes[0].unlink()
    assert subprocess.run(program, check=False).returncode == 1


def pasted(folder: Path, path: Path) -> list[int]:
    with ZipFile(path) as opened:
        text = opened.read("export-1/VERIFY.txt").decode()
    commands = re.findall(r"^    (.*)$", text, re.MULTILINE)
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    return [
        subprocess.run(["/bin/sh", "-c", one], cwd=folder, env=environment, check=False).returncode for one in commands
    ]


def test_the_pasted_commands_find_nothing_wrong_and_a_change(volumes: list[Path]) -> None:
    """Each command of VERIFY.txt ends well, the unpacking of all among them; one that was repacked is found."""
    assert pasted(volumes[0].parent, volumes[-1]) == [0] * 12
    shutil.rmtree(volumes[0].parent / "export-1")
    repacked(volumes)
    assert any(pasted(volumes[0].parent, volumes[-1]))


async def test_encrypted_each_volume_is(school: School, tmp_path: Path) -> None:
    """Each by itself, so that each can be decrypted by itself; all are checked with the key."""
    secret = pyrage.x25519.Identity.generate()
    (tmp_path / "KEY").write_text(str(secret))
    given = Encryption.to([str(secret.to_public())])
    assert given is not None
    sinks = Volumes(named(tmp_path / "out", suffix=".zip.age"), SIZE)
    report = await build(school.sources, replace(school.order(), encryption=given, compare_up_to=100), sinks)
    await prove(report, KEPT, Scratch(school.connect, school.dsn), given)
    paths = [Path(one.place) for one in report.volumes]
    for path in paths:
        path.with_suffix("").write_bytes(pyrage.decrypt(path.read_bytes(), [secret]))

    assert len(paths) > 1
    assert verify_encrypted(paths[0], tmp_path / "KEY").findings == ()
    assert findings(paths[0].with_suffix("")) == set()
    paths[0].with_suffix("").unlink()
    assert findings(paths[-1].with_suffix(""))
    paths[0].unlink()
    assert verify_encrypted(paths[-1], tmp_path / "KEY").findings


class Full(FileSink):
    """A place that has no room for its own end."""

    async def seal(self) -> None:  # type: ignore[override]
        raise StoreOutageError("full")


class Late(FileSink):
    """A place that fails when it is to appear."""

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        failed = error or StoreOutageError("gone")
        await super().__aexit__(type(failed), failed, None)
        if error is None:
            raise failed


@pytest.mark.parametrize("kind", [Full, Late])
@pytest.mark.parametrize("which", [1, 2, 3])
async def test_all_appear_or_none(school: School, tmp_path: Path, kind: type[FileSink], which: int) -> None:
    """Whichever volume fails, and when: nothing is left that could be taken for an archive, or for a part of one."""
    await school.store.put(school.bucket, "media/acme/more.bin", os.urandom(2 * SIZE))

    def place(number: int) -> FileSink:
        return (kind if number == which else FileSink)(tmp_path / f"a.vol{number:03}.zip")

    with pytest.raises(StoreOutageError):
        await build(school.sources, school.order(), Volumes(place, SIZE))
    assert list(tmp_path.iterdir()) == []


async def test_none_appears_before_all_are_written(school: School, tmp_path: Path) -> None:
    """As long as rows are read there is nothing under a volume's name."""
    seen = set()

    def tell(_: object) -> None:
        seen.update(one.name for one in tmp_path.iterdir())

    await build(school.sources, school.order(), Volumes(named(tmp_path), SIZE), tell)
    assert {name for name in seen if not name.endswith(".unfinished")} == set()
    assert len(seen) > 1


async def test_volumes_that_changed_where_they_lie_are_no_archive(school: School, tmp_path: Path) -> None:
    """Any of them; then all are taken away again."""
    for which in (0, -1):
        report = await written(school, tmp_path / "out")
        path = Path(report.volumes[which].place)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(NotReadBackError):
            await prove(report, KEPT, None)
        assert list((tmp_path / "out").iterdir()) == []


async def test_so_many_that_nobody_can_handle_them_are_none(
    school: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails by name, and says what to do."""
    monkeypatch.setattr("services.exporter.archive.volumes.MOST", 1)
    with pytest.raises(TooManyVolumesError, match="--volume-size"):
        await written(school, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("size", "count"), [("64KiB", 65536), ("700 MiB", 700 << 20), ("65536", 65536), ("2TiB", 2 << 40)]
)
def test_sizes_are_read(size: str, count: int) -> None:
    """As people write them."""
    assert bytes_of(size) == count


@pytest.mark.parametrize("size", ["", "0", "65535", "4GB", "-4GiB", "4.5GiB", "all", "9999999999999999"])
def test_a_size_that_is_none_is_a_sentence(size: str) -> None:
    """Powers of ten and of two are not mixed up in silence."""
    with pytest.raises(OperatorError, match="such as 700MiB"):
        bytes_of(size)


async def peak_of(school: School, count: int) -> int:
    key = "acme/a.vol{:03}.zip"
    volumes = Volumes(lambda number: school.store.upload(school.bucket, key.format(number)), 7 << 20)
    tracemalloc.reset_peak()
    async with volumes:
        for number in range(count):
            for _ in range(7):
                await volumes.write(os.urandom(1 << 20))
            if number < count - 1:
                await volumes.turn()
    assert len(volumes.volumes) == count
    return tracemalloc.get_traced_memory()[1]


async def test_memory_does_not_depend_on_how_many_there_are(school: School) -> None:
    """What is full waits in the store, not in memory."""
    tracemalloc.start()
    few, many = await peak_of(school, 2), await peak_of(school, 12)
    tracemalloc.stop()

    assert many - few < 3 << 20


# The command.


async def exported(school: School, folder: Path, to: str, *more: str) -> Result:
    path = folder / "map.yaml"
    await asyncio.to_thread(path.write_text, MAP.replace("BUCKET", school.bucket))
    arguments = ["--map", str(path), "--dsn", school.dsn, "--customer", "acme", "--to", to, "--volume-size", "64KiB"]
    return await asyncio.to_thread(CliRunner().invoke, export_app, [*arguments, "--format", "csv", *more])


async def in_store(school: School, folder: Path) -> list[Path]:
    """Fetch what lies under acme/ into *folder*."""
    keys = sorted([key async for key, _ in school.store.versions(school.bucket, "acme/")])
    folder.mkdir()
    for key in keys:
        (folder / key.rpartition("/")[2]).write_bytes(await school.store.get(school.bucket, key))
    return sorted(folder.iterdir())


async def test_the_command_writes_volumes(school: School, tmp_path: Path) -> None:
    """Into a folder and into a store; each is told with its digest, as sha256sum has it."""
    for to in (str(tmp_path / "out"), f"s3://{school.bucket}/acme/one.zip"):
        said = await exported(school, tmp_path, to, "--scratch", school.dsn)
        assert said.exit_code == 0, said.output
    fetched = await in_store(school, tmp_path / "fetched")
    for paths in (sorted((tmp_path / "out").iterdir()), fetched):
        assert len(paths) > 1
        assert findings(paths[0]) == set()
    for path in fetched:
        assert f"{hashlib.sha256(path.read_bytes()).hexdigest()}  s3://{school.bucket}/acme/{path.name}" in said.output
    assert fetched[0].name == "one.vol001.zip"


async def test_volumes_of_another_archive_are_not_mixed_with_these(school: School, tmp_path: Path) -> None:
    """Where some lie the command refuses: an old one could be left beside the new ones."""
    await school.store.put(school.bucket, "acme/one.volcano.zip", b"another's")
    assert (await exported(school, tmp_path, f"s3://{school.bucket}/acme/one.zip")).exit_code == 0
    said = await exported(school, tmp_path, f"s3://{school.bucket}/acme/one.zip")

    assert isinstance(said.exception, OperatorError)
    assert "acme/one.vol001.zip lies there" in str(said.exception)


@pytest.mark.parametrize("to", ["s3://BUCKET/acme/one", "s3://BUCKET/acme/one.tar"])
async def test_a_key_must_have_room_for_numbers(school: School, tmp_path: Path, to: str) -> None:
    """Its end tells what it is."""
    said = await exported(school, tmp_path, to.replace("BUCKET", school.bucket))

    assert "it ends with .zip" in str(said.exception)


# Amid the second volume; the first one is in the store, whole but for its completion.
IN_THE_SECOND = ("essays csv", 14_000_000, 2)
OTHERS = ["acme/one.vol001.zip.age", "acme/one.volcano.zip"]


async def test_an_interrupted_export_goes_on_volume_by_volume(writers: School, tmp_path: Path) -> None:  # noqa: F811
    """What was sent isn't sent again, and nothing of a killed one is left beside the volumes."""
    to, more = f"s3://{writers.bucket}/acme/one.zip", ("--volume-size", "7MiB")
    code, _, _ = await command(writers, tmp_path, to, *more, stop=(9, *IN_THE_SECOND))
    assert code == -9
    # Of a larger archive, of before; and others' that are only called like it.
    for key in ("acme/one.vol900.zip", *OTHERS):
        await writers.store._client.create_multipart_upload(Bucket=writers.bucket, Key=key)
    assert not [key async for key, _ in writers.store.versions(writers.bucket, "acme/")]
    code, out, err = await command(writers, tmp_path, to, *more, "--json")
    assert code == 0, err
    report = json.loads(out)

    assert report["taken_over"]["parts"] >= 1
    paths = await in_store(writers, tmp_path / "fetched")
    assert len(paths) == len(report["volumes"]) > 1
    assert findings(paths[0]) == set()
    assert sorted([key async for key, _ in writers.store.unfinished(writers.bucket, "acme/")]) == OTHERS
    with ZipFile(io.BytesIO(paths[-1].read_bytes())) as opened:
        assert f"Volumes: {len(paths)}\n" in opened.read("one/bag-info.txt").decode()
