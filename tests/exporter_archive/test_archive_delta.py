"""A delta: it and its base give the full archive, byte for byte, and without its base it is never called complete."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pyrage
import pytest
import typer
from archive_school import MAP, NOW, School, opened_school, run
from typer.testing import CliRunner, Result

from services.exporter.archive.archive import Written
from services.exporter.archive.base import opened_base
from services.exporter.archive.build import Progress, build
from services.exporter.archive.delta import Since
from services.exporter.archive.encryption import Encryption
from services.exporter.archive.faults import (
    MediaChangedError,
    NotReadBackError,
    UnusableBaseError,
    UnwritableError,
)
from services.exporter.archive.going_on import begun
from services.exporter.archive.kept import KeptFile, KeptVolumes
from services.exporter.archive.media import SMALL, add_one
from services.exporter.archive.proof import Scratch, prove
from services.exporter.archive.report import ArchiveReport
from services.exporter.archive.sink import FileSink
from services.exporter.archive.volumes import Volumes
from services.exporter.archive.withheld import Withheld
from services.exporter.commands import app as export_app
from services.exporter.join_command import join
from shared.age.identity import Identity
from shared.errors import OperatorError
from shared.objects import Listed
from shared.settings import Settings
from shared.signing.keys import make_keys
from shared.signing.signer import Signer
from shared.signing.sshsig import ARCHIVE
from shared.verify.archive import main, published, verify
from shared.verify.by_library import by_library
from shared.verify.encrypted import verify_encrypted
from tests.verified import verified

LATER = NOW + timedelta(days=1)
BASE, DELTA, FULL = "export-1", "export-2", "full"
CHANGE = "update users set nickname = 'another' where id = 1"
LARGE = "media/acme/large.bin"
Files = dict[str, bytes]
join_app = typer.Typer()
join_app.command()(join)


@dataclass
class Writer:
    """Writes archives of a school's customer with the keys in *keys*."""

    school: School
    keys: Path

    async def full(self, path: Path, export_id: str = BASE, now: datetime = NOW, **changed: Any) -> ArchiveReport:
        signer = Signer.load(self.keys, ARCHIVE)
        order = replace(self.school.order(export_id), now=now, compare_up_to=100, **{"signer": signer, **changed})
        return await build(self.school.sources, order, FileSink(path))

    @asynccontextmanager
    async def since(
        self, base: Path | str, export_id: str = DELTA, now: datetime = LATER, identities: Sequence[Identity] = ()
    ) -> AsyncIterator[Since]:
        public = published(self.keys)
        assert public is not None
        async with opened_base(str(base), self.school.store, public, "acme", export_id, now, identities) as since:
            yield since

    async def delta(
        self, path: Path, base: Path | str, identities: Sequence[Identity] = (), **changed: Any
    ) -> ArchiveReport:
        async with self.since(base, identities=identities) as since:
            return await self.full(path, DELTA, LATER, since=since, **changed)


@pytest.fixture(scope="module")
def made(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base, a delta, and the full archive of the moment of the delta; and what is none of these."""
    folder = tmp_path_factory.mktemp("made")
    for name in ("keys", "others-keys"):
        make_keys(folder / name, ARCHIVE)

    async def make() -> None:
        async with opened_school(settings) as school:
            store, bucket, writer = school.store, school.bucket, Writer(school, folder / "keys")
            await store.delete_all_versions(bucket, "media/acme/film")
            await store.put(bucket, LARGE, os.urandom(3 << 20))
            await store.put(bucket, "media/acme/same size.bin", bytes(2 << 20))
            await writer.full(folder / f"{BASE}.zip")
            await writer.full(folder / "unsigned.zip", "unsigned", signer=None)
            await writer.full(
                folder / "other-key.zip", "other-key", signer=Signer.load(folder / "others-keys", ARCHIVE)
            )
            (folder / "other").mkdir()
            await writer.full(folder / "other" / f"{BASE}.zip", customer="other")
            await school.run(CHANGE)
            await writer.full(folder / "between.zip", "between")
            await store.delete_all_versions(bucket, "media/acme/CON")
            await store.put(bucket, "media/acme/same size.bin", b"x" * (2 << 20))
            await store.put(bucket, "media/acme/new.txt", b"new")
            await writer.full(folder / f"{FULL}.zip", DELTA, LATER)
            report = await writer.delta(folder / f"{DELTA}.zip", folder / f"{BASE}.zip")
            assert report.delta is not None
            (folder / "changes.json").write_text(json.dumps([report.delta.changes.new, report.delta.changes.changed,
                report.delta.changes.unchanged, report.delta.changes.gone]))  # fmt: skip

    asyncio.run(make())
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    """The base and the delta, alone, to be altered."""
    for name in (BASE, DELTA):
        shutil.copy(made / f"{name}.zip", tmp_path)
    return tmp_path


def files_of(archive: Path) -> Files:
    with ZipFile(archive) as opened:
        return {name.partition("/")[2]: opened.read(name) for name in opened.namelist()}


def files_below(folder: Path) -> Files:
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def rewrite(archive: Path, change: Callable[[Files], object]) -> None:
    """Change it as somebody with an ordinary ZIP program would."""
    name, files = archive.stem, files_of(archive)
    change(files)
    with ZipFile(archive, "w") as opened:
        for path, body in files.items():
            opened.writestr(f"{name}/{path}", body)


def digest(archive: Path) -> str:
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def joined(folder: Path, *more: str, base: Path | None = None) -> Result:
    arguments = [str(base or folder / f"{BASE}.zip"), str(folder / f"{DELTA}.zip"), "--to", str(folder / "joined.zip")]
    return CliRunner().invoke(join_app, [*arguments, *more])


def test_a_base_and_its_delta_give_the_full_archive(here: Path, made: Path) -> None:
    """Byte for byte the one that a full export at the same moment makes, its signatures among them."""
    said = joined(here, "--keys", str(made / "keys"))

    assert said.exit_code == 0, said.output
    assert digest(here / "joined.zip") == digest(made / f"{FULL}.zip")
    assert digest(here / "joined.zip") in said.output
    assert verify(here / "joined.zip", keys=made / "keys").exit_code == 0


def test_a_delta_holds_what_changed_and_nothing_else(here: Path, made: Path) -> None:
    """Each file of the full archive is either in it or, unchanged, in the base; what is gone is counted."""
    base, delta, full = (files_of(one) for one in (here / f"{BASE}.zip", here / f"{DELTA}.zip", made / f"{FULL}.zip"))
    payload = {path for path in full if path.startswith("data/")}
    same = {path for path in payload if base.get(path) == full[path]}

    assert {path for path in delta if path.startswith("data/")} == payload - same
    assert {"data/media/uploads/large.bin", "data/csv/user/customers.csv", "data/csv/course/notes.csv"} <= same
    assert {
        "data/csv/user/users.csv",
        "data/media/uploads/same size.bin",
        "data/media/uploads/new.txt",
    } <= payload - same
    lines = [line.split("  ", 1) for line in delta["from-base.txt"].decode().splitlines()]
    assert {path: sha256 for sha256, path in lines} == {p: hashlib.sha256(full[p]).hexdigest() for p in same}
    gone = {path for path in base if path.startswith("data/")} - payload
    new = payload - base.keys()
    counts = [len(new), len(payload - same) - len(new), len(same), len(gone)]
    assert json.loads((made / "changes.json").read_text()) == counts
    assert (here / f"{DELTA}.zip").stat().st_size < (made / f"{FULL}.zip").stat().st_size / 5


def test_without_its_base_a_delta_is_never_called_complete(here: Path, made: Path) -> None:
    """An exit code of its own; the page, the steps, bag-info and every verifier say which base it needs."""
    path, base = here / f"{DELTA}.zip", digest(here / f"{BASE}.zip")
    verdict = verify(path, keys=made / "keys")
    said = verified(path)
    in_json = verified(path, "--json")
    delta = files_of(path)

    assert (verdict.findings, verdict.exit_code, main([str(path)])) == ((), 5, 5)
    assert said.exit_code == in_json.exit_code == 5
    assert "NOT COMPLETE: a delta, unaltered, signed by SHA256:" in said.output
    assert "complete, unaltered" not in said.output
    assert json.loads(in_json.output)["needs"]["sha256"] == base
    assert "<strong>This is not all of your data.</strong>" in delta["index.html"].decode()
    assert "THIS IS NOT ALL OF THE DATA" in delta["VERIFY.txt"].decode()
    for text in (said.output, *(delta[name].decode() for name in ("index.html", "VERIFY.txt", "bag-info.txt"))):
        assert base in text
        assert BASE in text
    named = hashlib.sha256(files_of(here / f"{BASE}.zip")["tagmanifest-sha256.txt"]).hexdigest()
    assert f"Base-Tagmanifest-Sha256: {named}\n" in delta["bag-info.txt"].decode()


def test_with_its_base_it_is_checked_as_the_full_archive_is(here: Path, made: Path) -> None:
    """The rows of all tables are counted, those that lie in the base too; as a ZIP and unpacked."""
    full = verify(made / f"{FULL}.zip")
    for one in (BASE, DELTA):
        subprocess.run(["unzip", "-q", f"{one}.zip"], cwd=here, check=True)
    for delta, base in ((f"{DELTA}.zip", f"{BASE}.zip"), (DELTA, BASE)):
        verdict = verify(here / delta, keys=made / "keys", checker=by_library, base=here / base)
        assert (verdict.findings, verdict.exit_code, verdict.needs) == ((), 0, None)
        assert (verdict.rows, verdict.files, verdict.size) == (full.rows, full.files, full.size)
    program = [sys.executable, "-I", "-S", here / DELTA / "verify.py"]
    assert (
        subprocess.run([*program, "--base", here / f"{BASE}.zip", here / f"{DELTA}.zip"], check=False).returncode == 0
    )
    assert subprocess.run(program, check=False).returncode == 5
    assert verified(here / DELTA, "--base", here / BASE).exit_code == 0


def test_an_archive_that_is_no_delta_needs_no_base(here: Path) -> None:
    """Who gives one has mixed something up."""
    verdict = verify(here / f"{BASE}.zip", base=here / f"{BASE}.zip")

    assert [(one.kind, one.path) for one in verdict.findings] == [("added", f"{BASE}.zip")]
    shutil.copy(here / f"{BASE}.zip", here / f"{DELTA}.zip")
    assert joined(here).exit_code == 1


TAKEN = "data/csv/user/customers.csv"
OWN = "data/csv/user/users.csv"


def line_of(files: Files, manifest: str, path: str) -> bytes:
    return next(line for line in files[manifest].splitlines(keepends=True) if line.endswith(f"  {path}\n".encode()))


def taken_out(files: Files) -> None:
    files["from-base.txt"] = files["from-base.txt"].replace(line_of(files, "from-base.txt", TAKEN), b"")


def put_in(files: Files) -> None:
    files["from-base.txt"] += line_of(files, "manifest-sha256.txt", OWN)


def a_way_out(files: Files) -> None:
    files["from-base.txt"] += b"0" * 64 + b"  data/../../../etc/passwd\n"


def another_digest(files: Files) -> None:
    files["from-base.txt"] = files["from-base.txt"].replace(line_of(files, "from-base.txt", TAKEN)[:8], b"0" * 8)


def in_both(files: Files) -> None:
    """A file of the base is in the delta too, and named by its manifest."""
    files[TAKEN] = b"id,name\n"
    files["manifest-sha256.txt"] += hashlib.sha256(files[TAKEN]).hexdigest().encode() + f"  {TAKEN}\n".encode()


def full_manifest(files: Files) -> None:
    files["full/manifest-sha256.txt"] = files["full/manifest-sha256.txt"].replace(
        line_of(files, "full/manifest-sha256.txt", OWN), b""
    )


def named_anew(files: Files, path: str, body: bytes) -> None:
    """Change a file, and its digest in the delta's own tag manifest."""
    old, files[path] = hashlib.sha256(files[path]).hexdigest(), body
    new = hashlib.sha256(body).hexdigest()
    files["tagmanifest-sha256.txt"] = files["tagmanifest-sha256.txt"].replace(old.encode(), new.encode())


def another_page(files: Files) -> None:
    named_anew(files, "full/index.html", b"")


def of_another(files: Files) -> None:
    """The signature of the full archive is that of the delta."""
    named_anew(files, "full/tagmanifest-sha256.txt.sshsig", files["tagmanifest-sha256.txt.sshsig"])


DELTAS: dict[str, tuple[Callable[[Files], object], tuple[str, str]]] = {
    "a changed letter": (lambda files: files.update({OWN: files[OWN].replace(b"a@", b"z@")}), ("altered", OWN)),
    "a file taken out": (lambda files: files.pop(OWN), ("missing", OWN)),
    "a line taken out": (taken_out, ("missing", TAKEN)),
    "a line of what is here": (put_in, ("added", OWN)),
    "a line with a way out": (a_way_out, ("added", "data/../../../etc/passwd")),
    "a line that is none": (lambda files: files.update({"from-base.txt": b"?\n"}), ("broken", "from-base.txt")),
    "another digest": (another_digest, ("altered", TAKEN)),
    "a file in both": (in_both, ("added", TAKEN)),
    "no list": (lambda files: files.pop("from-base.txt"), ("missing", "from-base.txt")),
    "a line of the full manifest": (full_manifest, ("added", OWN)),
    "another full page": (another_page, ("altered", "full/index.html")),
    "another full signature": (of_another, ("altered", "full/tagmanifest-sha256.txt.sshsig")),
    "one more full file": (lambda files: files.update({"full/more.txt": b""}), ("added", "full/more.txt")),
}


@pytest.mark.parametrize("name", DELTAS)
def test_what_is_wrong_with_a_delta_is_named_and_never_joined(here: Path, name: str) -> None:
    """With its base or without it."""
    change, finding = DELTAS[name]
    rewrite(here / f"{DELTA}.zip", change)
    for base in (None, here / f"{BASE}.zip"):
        verdict = verify(here / f"{DELTA}.zip", checker=by_library, base=base)
        assert verdict.exit_code == 1
        assert finding in {(one.kind, one.path) for one in verdict.findings}
    assert joined(here).exit_code == 1
    assert not (here / "joined.zip").exists()


@pytest.mark.parametrize("share", [0.3, 0.999])
def test_a_delta_that_was_cut_is_none(here: Path, share: float) -> None:
    """A download that stopped early."""
    body = (here / f"{DELTA}.zip").read_bytes()
    (here / f"{DELTA}.zip").write_bytes(body[: int(len(body) * share)])

    assert verify(here / f"{DELTA}.zip", base=here / f"{BASE}.zip").findings[0].kind == "broken"
    assert joined(here).exit_code == 1


def test_another_archive_is_no_base(here: Path, made: Path) -> None:
    """Of the same customer, of another customer under the same name, of nobody, a delta: each is named."""
    shutil.copy(here / f"{DELTA}.zip", here / "itself.zip")
    (here / "nothing.zip").write_bytes(b"")
    for base in (made / "between.zip", made / "other" / f"{BASE}.zip", here / "itself.zip", here / "nothing.zip"):
        verdict = verify(here / f"{DELTA}.zip", checker=by_library, base=base)
        assert verdict.exit_code == 1
        (first, *_) = verdict.findings
        assert (first.kind, first.path) == ("broken", base.name)
        assert f"needed is {BASE}, SHA-256 {digest(here / f'{BASE}.zip')}" in first.says
        assert joined(here, base=base).exit_code == 1
    assert (
        "it is export-1 of other" in verify(here / f"{DELTA}.zip", base=made / "other" / f"{BASE}.zip").findings[0].says
    )


@pytest.mark.parametrize("path", [TAKEN, "data/media/uploads/CON.txt", "data/csv/course/notes.csv"])
def test_a_base_that_is_broken_is_none(here: Path, path: str) -> None:
    """Even where it is broken in what the delta doesn't take from it."""
    rewrite(here / f"{BASE}.zip", lambda files: files.update({path: b"x"}) if path in files else files.popitem())
    verdict = verify(here / f"{DELTA}.zip", checker=by_library, base=here / f"{BASE}.zip")

    assert verdict.exit_code == 1
    assert joined(here).exit_code == 1


def test_a_base_that_was_packed_anew_is_one(here: Path) -> None:
    """Its files are what counts, and the digest of what is signed."""
    rewrite(here / f"{BASE}.zip", Files.copy)

    assert joined(here).exit_code == 0


def test_what_changes_while_it_is_joined_is_never_joined(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is digested once more as it is written."""
    monkeypatch.setattr("services.exporter.archive.joining._line", lambda line: (line[66:], "0" * 64))
    said = joined(here)

    assert isinstance(said.exception, NotReadBackError)
    assert sorted(one.name for one in here.iterdir()) == [f"{BASE}.zip", f"{DELTA}.zip"]


@pytest.mark.parametrize(("to", "says"), [("s3://bucket", "an object's place is"), (".", "something is there")])
def test_a_mistake_in_joining_is_a_sentence(here: Path, to: str, says: str) -> None:
    """Nothing is written over."""
    arguments = [str(here / f"{BASE}.zip"), str(here / f"{DELTA}.zip"), "--to", to]
    said = CliRunner().invoke(join_app, arguments)

    assert isinstance(said.exception, OperatorError)
    assert says in str(said.exception)
    before = (here / f"{BASE}.zip").read_bytes()
    over = CliRunner().invoke(join_app, [*arguments[:-1], str(here / f"{BASE}.zip")])
    assert "is left as it is" in str(over.exception)
    assert (here / f"{BASE}.zip").read_bytes() == before
    missing = CliRunner().invoke(join_app, [str(here / "no.zip"), *arguments[1:-1], str(here / "x.zip")])
    assert "no.zip can't be read" in str(missing.exception)


# Wherever they lie, and for whoever they are encrypted.

SECRET = pyrage.x25519.Identity.generate()


@dataclass
class Elsewhere:
    """The base and the delta in a store, as they are and encrypted; *place* is where, and *folder* has the key."""

    school: School
    folder: Path
    place: str

    @property
    def key(self) -> str:
        return str(self.folder / "KEY")

    async def at(self, name: str) -> bytes:
        return await self.school.store.get(self.school.bucket, f"joining/{name}")

    async def join(self, base: str, delta: str, to: str, *more: str) -> Result:
        arguments = [base, delta, "--to", to, "--keys", str(self.folder / "keys"), *more]
        return await asyncio.to_thread(CliRunner().invoke, join_app, arguments)

    async def verify(self, delta: str, *more: str) -> Result:
        return await asyncio.to_thread(verified, delta, "--keys", self.folder / "keys", *more)


@pytest.fixture
async def elsewhere(school: School, made: Path, tmp_path: Path) -> AsyncIterator[Elsewhere]:
    for name in (BASE, DELTA):
        body = (made / f"{name}.zip").read_bytes()
        sealed = pyrage.encrypt(body, [SECRET.to_public()])
        for key, what in ((f"{name}.zip", body), (f"{name}.zip.age", sealed)):
            await school.store.put(school.bucket, f"joining/{key}", what)
            (tmp_path / key).write_bytes(what)
    shutil.copytree(made / "keys", tmp_path / "keys")
    (tmp_path / "KEY").write_text(str(SECRET))
    yield Elsewhere(school, tmp_path, f"s3://{school.bucket}/joining")
    await school.store.delete_all_versions(school.bucket, "joining/")


async def test_they_are_joined_from_a_store_into_a_store(elsewhere: Elsewhere, made: Path) -> None:
    """The same bytes as in folders, and nothing is written over there either; what is wrong leaves nothing there."""
    place, full = elsewhere.place, digest(made / f"{FULL}.zip")
    said = await elsewhere.join(f"{place}/{BASE}.zip", f"{place}/{DELTA}.zip", f"{place}/full.zip")
    assert said.exit_code == 0, said.output
    assert full in said.output
    assert hashlib.sha256(await elsewhere.at("full.zip")).hexdigest() == full
    over = await elsewhere.join(f"{place}/{BASE}.zip", f"{place}/{DELTA}.zip", f"{place}/full.zip")
    assert "something is there, and is left as it is" in str(over.exception)
    itself = await elsewhere.join(f"{place}/{DELTA}.zip", f"{place}/{DELTA}.zip", f"{place}/other.zip")
    assert (itself.exit_code, "nothing was written" in itself.output) == (1, True)
    store, bucket = elsewhere.school.store, elsewhere.school.bucket
    assert await store.count_left(bucket, "joining/other") == 0
    missing = await elsewhere.join(f"{place}/no.zip", f"{place}/{DELTA}.zip", f"{place}/other.zip")
    assert f"{place}/no.zip: nothing lies there" in str(missing.exception)
    nowhere = await elsewhere.join(f"{place}/{BASE}.zip", f"{place}/{DELTA}.zip", f"s3://{bucket}")
    assert "an object's place is s3://bucket/key" in str(nowhere.exception)


async def test_what_is_encrypted_is_joined_by_whoever_has_the_key(elsewhere: Elsewhere, made: Path) -> None:
    """One of the two or both, in a folder or a store; nothing of it is written but the full archive."""
    folder, place = elsewhere.folder, elsewhere.place
    ways = (
        (f"{folder}/{BASE}.zip.age", f"{folder}/{DELTA}.zip"),
        (f"{place}/{BASE}.zip", f"{folder}/{DELTA}.zip.age"),
        (f"{place}/{BASE}.zip.age", f"{place}/{DELTA}.zip.age"),
    )
    before = sorted(one.name for one in folder.iterdir())
    for number, (base, delta) in enumerate(ways):
        to = str(folder / f"full-{number}.zip")
        said = await elsewhere.join(base, delta, to, "--identity", elsewhere.key)
        assert said.exit_code == 0, said.output
        assert digest(Path(to)) == digest(made / f"{FULL}.zip")
        without = await elsewhere.join(base, delta, f"{folder}/x.zip")
        assert "is encrypted. Name the file with your key: --identity" in str(without.exception)
        Path(to).unlink()
    (folder / "OTHER").write_text(str(pyrage.x25519.Identity.generate()))
    other = await elsewhere.join(*ways[0], f"{folder}/x.zip", "--identity", str(folder / "OTHER"))
    assert "is not encrypted for this key" in str(other.exception)
    assert sorted(one.name for one in folder.iterdir()) == sorted([*before, "OTHER"])


async def test_they_are_verified_wherever_they_lie(elsewhere: Elsewhere, made: Path) -> None:
    """With the exit codes that they have in a folder: with the base 0, without it 5, without a key 4, altered 1."""
    folder, place, of_delta = elsewhere.folder, elsewhere.place, digest(made / f"{DELTA}.zip")
    age = digest(folder / f"{DELTA}.zip.age")
    key, sealed = ("--identity", elsewhere.key), f"{place}/{DELTA}.zip.age"
    ways: tuple[tuple[int, str, tuple[str, ...]], ...] = (
        (0, f"{place}/{DELTA}.zip", ("--base", f"{place}/{BASE}.zip", "--sha256", of_delta)),
        (0, f"{folder}/{DELTA}.zip", ("--base", f"{place}/{BASE}.zip")),
        (0, f"{place}/{DELTA}.zip", ("--base", f"{folder}/{BASE}.zip")),
        (0, f"{folder}/{DELTA}.zip", ("--base", f"{folder}/{BASE}.zip.age", *key)),
        (0, sealed, ("--base", f"{place}/{BASE}.zip.age", *key, "--sha256", age)),
        (5, f"{place}/{DELTA}.zip", ()),
        (4, sealed, ("--sha256", age)),
        (1, sealed, ("--sha256", of_delta)),
        (1, f"{place}/{DELTA}.zip", ("--base", f"{place}/{DELTA}.zip")),
        (1, f"{place}/{DELTA}.zip", ("--base", f"{place}/{BASE}.zip", "--sha256", age)),
    )
    for code, delta, more in ways:
        said = await elsewhere.verify(delta, *more)
        assert said.exit_code == code, (delta, more, said.output, said.exception)
    others = ("--keys", str(made / "others-keys"))
    assert (await elsewhere.verify(f"{place}/{DELTA}.zip", *others, "--base", f"{place}/{BASE}.zip")).exit_code == 1
    body = (folder / f"{BASE}.zip.age").read_bytes()
    (folder / f"{BASE}.zip.age").write_bytes(body[: len(body) // 2])
    cut = await elsewhere.verify(f"{folder}/{DELTA}.zip", "--base", f"{folder}/{BASE}.zip.age", *key)
    assert "was altered or cut off" in str(cut.exception)


async def test_volumes_in_a_store_are_found_by_any_of_them(
    elsewhere: Elsewhere, writer: Writer, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder: a base and a delta of several, joined, and a delta made against such a base."""
    school, folder, place = elsewhere.school, elsewhere.folder, elsewhere.place
    parts = folder / "parts"
    volumes = Volumes(lambda number: FileSink(parts / f"{BASE}.vol{number:03}.zip"), 1 << 16)
    order = replace(school.order(BASE), now=NOW, signer=Signer.load(writer.keys, ARCHIVE))
    await build(school.sources, order, volumes)
    assert len(volumes.volumes) > 1
    for one in parts.iterdir():
        await school.store.put(school.bucket, f"joining/{one.name}", one.read_bytes())
    for name in (f"{BASE}.volume.zip", f"{BASE}.vol001.zip.age"):
        await school.store.put(school.bucket, f"joining/{name}", b"another's")
    async with writer.since(f"{place}/{BASE}.vol002.zip") as since:
        await writer.full(folder / "d.zip", DELTA, LATER, since=since)
    verdict = await elsewhere.verify(f"{folder}/d.zip", "--base", f"{place}/{BASE}.vol001.zip")
    assert verdict.exit_code == 0, verdict.output
    said = await elsewhere.join(f"{place}/{BASE}.vol001.zip", f"{folder}/d.zip", f"{folder}/full.zip")
    assert said.exit_code == 0, said.output
    await school.store.delete_all_versions(school.bucket, f"joining/{BASE}.vol001.zip")
    lacks = await elsewhere.verify(f"{folder}/d.zip", "--base", f"{place}/{BASE}.vol002.zip")
    assert (lacks.exit_code, "names this volume" in lacks.output) == (1, True)


# With tools that we did not write.


def pasted(folder: Path, name: str = DELTA) -> list[int]:
    """Paste the commands of VERIFY.txt into a shell, one by one."""
    commands = re.findall(r"^    (.*)$", files_of(folder / f"{name}.zip")["VERIFY.txt"].decode(), re.MULTILINE)
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin:{folder}"}
    done = [subprocess.run(["/bin/sh", "-c", one], cwd=folder, env=environment, check=False) for one in commands]
    return [one.returncode for one in done]


def test_the_pasted_commands_make_the_full_archive(here: Path, made: Path) -> None:
    """With unzip, sha256sum, tar and mv; the signatures by ssh-keygen and openssl."""
    assert pasted(here) == [0] * 18
    assert files_below(here / DELTA) == files_of(made / f"{FULL}.zip")


def test_the_documented_commands_make_the_full_archive(here: Path, made: Path) -> None:
    """What docs/archive.md tells to paste."""
    said = (Path(__file__).parents[2] / "docs" / "archive.md").read_text()
    (block,) = (one for one in re.findall(r"(?:^    .*\n)+", said, re.MULTILINE) if "unzip -q BASE.zip" in one)
    script = re.sub(r"^    ", "", block, flags=re.MULTILINE).replace("BASE", BASE).replace("DELTA", DELTA)

    assert subprocess.run(["bash", "-ec", script], cwd=here, check=False).returncode == 0
    assert verify(here / DELTA, keys=made / "keys").exit_code == 0


@pytest.mark.parametrize("name", ["a changed letter", "a file taken out", "a line taken out", "another digest"])
def test_the_pasted_commands_find_a_change(here: Path, name: str) -> None:
    """Of the delta."""
    rewrite(here / f"{DELTA}.zip", DELTAS[name][0])
    assert any(pasted(here)[2:-2])


def test_the_pasted_commands_find_another_base(here: Path, made: Path) -> None:
    """Another customer's of the same name, and one that is broken."""
    shutil.copy(made / "other" / f"{BASE}.zip", here)
    assert any(pasted(here)[2:-2])
    shutil.rmtree(here / BASE)
    shutil.rmtree(here / DELTA)
    shutil.copy(made / f"{BASE}.zip", here)
    rewrite(here / f"{BASE}.zip", lambda files: files.update({TAKEN: b"x"}))
    assert any(pasted(here)[2:-2])


def test_ordinary_validators_accept_a_delta_as_the_bag_that_it_is(here: Path) -> None:
    """What it holds is what its manifests name; that it isn't all is said beside."""
    subprocess.run(["unzip", "-q", f"{DELTA}.zip"], cwd=here, check=True)

    assert "is valid" in run(["bagit.py", "--validate", here / DELTA], here)


# What a delta may be made against.


@pytest.fixture
def writer(school: School, made: Path) -> Writer:
    return Writer(school, made / "keys")


async def refused(writer: Writer, base: Path | str, **more: Any) -> str:
    with pytest.raises(UnusableBaseError) as fault:
        async with writer.since(base, **more):
            pass
    return str(fault.value)


async def test_what_can_be_no_base_is_refused_by_name(writer: Writer, here: Path, made: Path) -> None:
    """Of another customer, a delta, unsigned, by another key, encrypted, broken, missing, of that name, of later."""
    base, store = here / f"{BASE}.zip", f"s3://{writer.school.bucket}"
    sealed = pyrage.encrypt(base.read_bytes(), [SECRET.to_public()])
    (here / "base.zip.age").write_bytes(sealed)
    key, other = [Identity.of(str(SECRET))], [Identity.of(str(pyrage.x25519.Identity.generate()))]
    (here / "cut.zip").write_bytes(base.read_bytes()[:-30])
    (here / "none.zip").write_bytes(b"not a ZIP")
    shutil.copy(base, here / "changed.zip")
    rewrite(here / "changed.zip", lambda files: files.update({OWN: b"x"}))

    assert "it is of other, not of acme" in await refused(writer, made / "other" / f"{BASE}.zip")
    assert "it is a delta itself, of export-1. Join the two first" in await refused(writer, here / f"{DELTA}.zip")
    assert "nobody signed it" in await refused(writer, made / "unsigned.zip")
    assert "by none of the keys" in await refused(writer, made / "other-key.zip")
    assert "it is encrypted. Name the file with the key" in await refused(writer, here / "base.zip.age")
    assert "not encrypted for this key" in await refused(writer, here / "base.zip.age", identities=other)
    middle = len(sealed) // 2
    for broken in (sealed[:-30], sealed[:middle] + bytes([sealed[middle] ^ 1]) + sealed[middle + 1 :], sealed[:60]):
        (here / "broken.zip.age").write_bytes(broken)
        assert "it is not whole: " in await refused(writer, here / "broken.zip.age", identities=key)
    theirs = pyrage.encrypt((made / "other" / f"{BASE}.zip").read_bytes(), [SECRET.to_public()])
    (here / "theirs.zip.age").write_bytes(theirs)
    assert "it is of other, not of acme" in await refused(writer, here / "theirs.zip.age", identities=key)
    assert "it is not whole: " in await refused(writer, here / "changed.zip")
    assert "data/csv/user/users.csv" in await refused(writer, here / "changed.zip")
    for name in ("cut.zip", "none.zip"):
        assert f"it is not whole: broken: {name}" in await refused(writer, here / name)
    assert "it can't be read: No such file" in await refused(writer, here / "no.zip")
    assert "it can't be read: Is a directory" in await refused(writer, here)
    assert "nothing lies there" in await refused(writer, f"{store}/acme/no.zip")
    assert "it is s3://bucket/key" in (await refused(writer, "s3://bucket")).lower()
    assert "nothing lies there" in await refused(writer, f"{store}/acme/a.vol002.zip")
    assert "the delta would have its name" in await refused(writer, base, export_id=BASE)
    assert "later than now" in await refused(writer, base, now=NOW - timedelta(seconds=1))


async def test_a_delta_is_read_back_as_the_full_archive(writer: Writer, tmp_path: Path) -> None:
    """All tables are compared with the source, those that lie in the base too; what is broken is withdrawn."""
    base, path = tmp_path / f"{BASE}.zip", tmp_path / f"{DELTA}.zip"
    await writer.full(base)
    await writer.school.run(CHANGE)
    scratch = Scratch(writer.school.connect, writer.school.dsn)
    async with writer.since(base) as since:
        report = await writer.full(path, DELTA, LATER, since=since)
        proven = await prove(report, KeptFile(path), scratch, base=since.checked)
        assert proven.compared == ("customers", "users", "notes")
        wrong = tuple(replace(one, fingerprint="1") for one in report.compared if one.table == "customers")
        with pytest.raises(NotReadBackError, match="customers: read back it has other rows"):
            await prove(replace(report, compared=wrong), KeptFile(path), scratch, base=since.checked)
        assert not path.exists()
        await writer.full(path, DELTA, LATER, since=since)
        with pytest.raises(NotReadBackError, match="its base export-1 was not looked at"):
            await prove(report, KeptFile(path), None)
        await writer.full(path, DELTA, LATER, since=since)
        await writer.full(tmp_path / "other.zip", "other")
        async with writer.since(tmp_path / "other.zip") as other:
            with pytest.raises(NotReadBackError, match="it is not the base"):
                await prove(report, KeptFile(path), None, base=other.checked)


async def test_a_delta_may_have_nothing_in_common(writer: Writer, tmp_path: Path) -> None:
    """Of other kinds of data; then the list is empty, and the commands still end well."""
    await writer.school.store.delete_all_versions(writer.school.bucket, "media/acme")
    await writer.full(tmp_path / f"{BASE}.zip", scope=frozenset({"user"}))
    await writer.school.store.put(writer.school.bucket, "media/acme/a.txt", b"a")
    report = await writer.delta(tmp_path / f"{DELTA}.zip", tmp_path / f"{BASE}.zip", scope=frozenset({"course"}))

    assert report.delta is not None
    assert report.delta.changes.unchanged == 0
    assert pasted(tmp_path) == [0] * 16
    assert (await asyncio.to_thread(joined, tmp_path)).exit_code == 0


async def test_another_map_makes_a_delta_too(writer: Writer, tmp_path: Path) -> None:
    """Files are compared by their bytes, so what the other map shows in another way is in the delta."""
    await writer.full(tmp_path / f"{BASE}.zip")
    other = Writer(
        writer.school.mapped(
            "leave_out: {password_hash: a secret}", "leave_out: {nickname: a secret, password_hash: a secret}"
        ),
        writer.keys,
    )
    await other.full(tmp_path / "full.zip", DELTA, LATER)
    await other.delta(tmp_path / f"{DELTA}.zip", tmp_path / f"{BASE}.zip")

    assert (await asyncio.to_thread(joined, tmp_path)).exit_code == 0
    assert digest(tmp_path / "joined.zip") == digest(tmp_path / "full.zip")


async def test_a_delta_may_be_in_volumes_and_encrypted_and_its_base_in_volumes(writer: Writer, tmp_path: Path) -> None:
    """What both give is one file all the same, and the commands are those for volumes."""
    school, secret = writer.school, pyrage.x25519.Identity.generate()
    signer = Signer.load(writer.keys, ARCHIVE)
    sinks = Volumes(lambda number: FileSink(tmp_path / f"{BASE}.vol{number:03}.zip"), 1 << 16)
    base = await build(school.sources, replace(school.order(), signer=signer), sinks)
    assert len(base.volumes) > 1
    for size in range(3):
        await school.store.put(school.bucket, f"media/acme/more{size}.bin", os.urandom(1 << 16))
    await school.run(CHANGE)
    await writer.full(tmp_path / "full.zip", DELTA, LATER)
    (tmp_path / "KEY").write_text(str(secret))
    given = Encryption.to([str(secret.to_public())])
    assert given is not None
    sinks = Volumes(lambda number: FileSink(tmp_path / f"{DELTA}.vol{number:03}.zip.age"), 1 << 16)
    async with writer.since(base.volumes[0].place) as since:
        order = replace(school.order(DELTA), now=LATER, signer=signer, since=since, encryption=given, compare_up_to=100)
        report = await build(school.sources, order, sinks)
        kept = KeptVolumes(lambda stored: KeptFile(Path(stored.place)))
        await prove(report, kept, Scratch(school.connect, school.dsn), given, since.checked)
    paths = [Path(one.place) for one in report.volumes]
    assert len(paths) > 1
    assert verify_encrypted(paths[0], tmp_path / "KEY").exit_code == 5
    assert verify_encrypted(paths[0], tmp_path / "KEY", base=Path(base.place)).exit_code == 0
    assert verify_encrypted(paths[0], tmp_path / "KEY", base=paths[0]).exit_code == 1
    for path in paths:
        path.with_suffix("").write_bytes(pyrage.decrypt(path.read_bytes(), [secret]))
    last = paths[-1].with_suffix("")
    arguments = [str(base.place), str(last), "--to", str(tmp_path / "joined.zip")]
    assert (await asyncio.to_thread(CliRunner().invoke, join_app, arguments)).exit_code == 0
    assert digest(tmp_path / "joined.zip") == digest(tmp_path / "full.zip")
    steps = re.findall(r"^    (.*)$", files_of(last)["VERIFY.txt"].decode(), re.MULTILINE)
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    for one in steps:
        if not one.startswith("for one in export-2.vol*.zip.age"):
            assert subprocess.run(["/bin/sh", "-c", one], cwd=tmp_path, env=environment, check=False).returncode == 0, (
                one
            )


@pytest.mark.parametrize("where", ["folder", "store", "volumes"])
async def test_whoever_has_the_key_makes_one_against_an_encrypted_base(
    writer: Writer, tmp_path: Path, where: str
) -> None:
    """Nothing of the base is written anywhere; its steps tell how to decrypt it, and each of them ends well."""
    school, folder, signer = writer.school, tmp_path / "made", Signer.load(writer.keys, ARCHIVE)
    folder.mkdir()
    given, name = Encryption.to([str(SECRET.to_public())]), BASE if where != "volumes" else f"{BASE}.vol001"
    assert given is not None
    sinks = Volumes(lambda number: FileSink(folder / f"{BASE}.vol{number:03}.zip.age"), 1 << 16)
    sink = sinks if where == "volumes" else FileSink(folder / f"{BASE}.zip.age")
    order = replace(school.order(BASE), signer=signer, encryption=given, compare_up_to=100)
    base = await build(school.sources, order, sink)
    place = f"{folder}/{name}.zip.age"
    if where == "store":
        place = f"s3://{school.bucket}/acme/{BASE}.zip.age"
        await school.store.put(school.bucket, f"acme/{BASE}.zip.age", (folder / f"{BASE}.zip.age").read_bytes())
    await school.run(CHANGE)
    await writer.full(tmp_path / "full.zip", DELTA, LATER)
    before = sorted(folder.iterdir())
    report = await writer.delta(tmp_path / f"{DELTA}.zip", place, [Identity.of(str(SECRET))])

    assert sorted(folder.iterdir()) == before
    assert report.delta is not None
    assert (report.delta.base.sha256, report.delta.changes.changed) == (base.sha256, 5)
    (tmp_path / "KEY").write_text(str(SECRET))
    arguments = [place, str(tmp_path / f"{DELTA}.zip"), "--to", str(tmp_path / "joined.zip")]
    said = await asyncio.to_thread(CliRunner().invoke, join_app, [*arguments, "--identity", str(tmp_path / "KEY")])
    assert said.exit_code == 0, said.output
    assert digest(tmp_path / "joined.zip") == digest(tmp_path / "full.zip")
    page = files_of(tmp_path / f"{DELTA}.zip")["index.html"].decode()
    assert f"offramp export join {name}.zip.age {DELTA}.zip --to {DELTA}.full.zip --identity KEY" in page
    for one in before:
        shutil.copy(one, tmp_path)
    age(tmp_path / "age")
    assert set(pasted(tmp_path)) == {0}
    assert files_below(tmp_path / DELTA) == files_of(tmp_path / "full.zip")


def age(path: Path) -> None:
    """Put a stand-in for the program there, with the library: it decrypts as VERIFY.txt asks it to."""
    path.write_text(
        f"#!{sys.executable}\nimport sys, pyrage\n"
        "decrypt, i, key, o, to, sealed = sys.argv[1:]\n"
        "identity = pyrage.x25519.Identity.from_str(open(key).read())\n"
        "open(to, 'wb').write(pyrage.decrypt(open(sealed, 'rb').read(), [identity]))\n"
    )
    path.chmod(0o755)


async def test_an_interrupted_delta_is_gone_on_with(writer: Writer, tmp_path: Path) -> None:
    """Against the same base the same data makes the same bytes, so what was sent isn't sent again."""
    school, key = writer.school, f"acme/{DELTA}.zip"
    await writer.full(tmp_path / f"{BASE}.zip")
    await school.store.put(school.bucket, "media/acme/a.bin", os.urandom(26 << 20))
    await writer.full(tmp_path / "full.zip", DELTA, LATER)

    def stopped(at: Progress) -> None:
        if at.stage == "uploads" and at.size > 26 << 20:
            raise asyncio.CancelledError

    async with writer.since(tmp_path / f"{BASE}.zip") as since:
        order = replace(school.order(DELTA), now=LATER, signer=Signer.load(writer.keys, ARCHIVE), since=since)
        for tell in (stopped, lambda _: None):
            sink = begun(school.store, school.bucket, key, None, lambda _, **__: None)
            try:
                report = await build(school.sources, replace(order, compare_up_to=100), sink, tell)
            except asyncio.CancelledError:
                assert tell is stopped
    assert report.taken.parts >= 1
    (tmp_path / f"{DELTA}.zip").write_bytes(await school.store.get(school.bucket, key))
    assert (await asyncio.to_thread(joined, tmp_path)).exit_code == 0
    assert digest(tmp_path / "joined.zip") == digest(tmp_path / "full.zip")


async def test_large_media_neither_wait_on_disk_nor_are_read_twice(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is another one of the same size is."""
    store, bucket, read = writer.school.store, writer.school.bucket, []
    await store.put(bucket, "media/acme/large.bin", bytes(1 << 20))
    await store.put(bucket, "media/acme/other.bin", bytes(1 << 20))
    await store.put(bucket, "media/acme/longer.bin", bytes(1 << 20))
    await writer.full(tmp_path / f"{BASE}.zip")
    await store.put(bucket, "media/acme/other.bin", b"x" * (1 << 20))
    await store.put(bucket, "media/acme/longer.bin", bytes(2 << 20))
    stream = type(store).stream

    def counted(store: Any, bucket: str, key: str, **more: Any) -> Any:
        read.append(key.rpartition("/")[2])
        return stream(store, bucket, key, **more)

    monkeypatch.setattr(type(store), "stream", counted)
    await writer.delta(tmp_path / f"{DELTA}.zip", tmp_path / f"{BASE}.zip")

    assert {name: read.count(name) for name in ("large.bin", "other.bin", "longer.bin", "film.mp4")} == {
        "large.bin": 1, "other.bin": 2, "longer.bin": 1, "film.mp4": 1
    }  # fmt: skip
    assert (await asyncio.to_thread(joined, tmp_path)).exit_code == 0


class Delta:
    """An archive whose base has all, or nothing."""

    def __init__(self, *, everything: bool) -> None:
        self._everything = everything
        self.written = b""

    def may_have(self, path: str, size: int) -> bool:
        return True

    def has(self, written: Written) -> bool:
        return self._everything

    @asynccontextmanager
    async def file(self, path: str, **_: Any) -> AsyncIterator[Any]:
        yield self

    async def write(self, piece: bytes) -> None:
        self.written += piece

    def done(self) -> Written:
        return Written("data/media/a", len(self.written), hashlib.sha256(self.written).hexdigest(), 0)


@pytest.mark.parametrize("everything", [True, False])
async def test_what_rows_recorded_of_a_large_object_is_compared_all_the_same(*, everything: bool) -> None:
    """Its digests are those of its bytes, once, whether it is written or lies in the base."""
    body, digests = os.urandom(SMALL + 1), [hashlib.sha512()]

    async def pieces() -> AsyncGenerator[bytes]:
        for at in range(0, len(body), 100_000):
            yield body[at : at + 100_000]

    archive: Any = Delta(everything=everything)
    found = Listed("a", len(body), "", NOW)
    written = await add_one(archive, "bucket", found, pieces(), "data/media/a", pieces, digests)

    assert (written.size, written.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert digests[0].hexdigest() == hashlib.sha512(body).hexdigest()
    assert archive.written == (b"" if everything else body)
    with pytest.raises(MediaChangedError):
        await add_one(archive, "bucket", replace(found, size=len(body) + 1), pieces(), "data/media/a", pieces)


# What waits until it is known.


@dataclass
class Plain:
    """So many bytes were fed."""

    size: int = 0


class Onward:
    def __init__(self) -> None:
        self.body = b""

    async def write(self, data: bytes) -> None:
        self.body += data


async def test_what_grew_larger_than_the_bases_file_waits_no_longer() -> None:
    """So never more than that file waits, and in the order in which it came."""
    onward, plain = Onward(), Plain()
    withheld = Withheld(onward, plain, 10)
    for size, waits in ((5, True), (10, True), (11, False), (20, False)):
        plain.size = size
        await withheld.write(bytes([size]))
        assert (onward.body == b"") is waits
    await withheld.let_go()
    withheld.close()

    assert onward.body == bytes([5, 10, 11, 20])


async def test_a_full_disk_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the place, and what to do."""
    withheld = Withheld(Onward(), Plain(), 10)
    withheld._waiting.close()
    withheld._waiting = open("/dev/full", "wb", buffering=0)  # type: ignore[assignment]  # noqa: SIM115, PTH123
    with pytest.raises(UnwritableError, match="TMPDIR"):
        await withheld.write(b"x")
    withheld.close()


# The command.


async def exported(school: School, folder: Path, to: str, *more: str) -> Result:
    path = folder / "map.yaml"
    await asyncio.to_thread(path.write_text, MAP.replace("BUCKET", school.bucket))
    arguments = ["--map", str(path), "--dsn", school.dsn, "--customer", "acme", "--to", to, "--format", "csv", *more]
    return await asyncio.to_thread(CliRunner().invoke, export_app, arguments)


async def test_the_command_makes_a_delta(
    school: School, tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a base in a store, into a store; it says what it needs, to people and to machines."""
    monkeypatch.setenv("OFFRAMP_EXPORTER_KEYS", str(made / "keys"))
    base, delta = f"s3://{school.bucket}/acme/base.zip", f"s3://{school.bucket}/acme/delta.zip"
    assert (await exported(school, tmp_path, base)).exit_code == 0
    await school.run(CHANGE)
    said = await exported(school, tmp_path, delta, "--since", base, "--scratch", school.dsn)
    assert said.exit_code == 0, said.output
    assert "NOT ALL OF IT: a delta, complete only together with its base base, sha256 " in said.output
    in_json = await exported(school, tmp_path, delta.replace("delta", "more"), "--since", base, "--json")
    report = json.loads(in_json.stdout)["delta"]
    assert report["base"]["export_id"] == "base"
    assert report["changes"]["changed"] == 4
    for key in ("base", "delta"):
        (tmp_path / f"{key}.zip").write_bytes(await school.store.get(school.bucket, f"acme/{key}.zip"))
    assert verify(tmp_path / "delta.zip", base=tmp_path / "base.zip", keys=made / "keys").exit_code == 0

    sealed, key = tmp_path / "base.zip.age", tmp_path / "KEY"
    sealed.write_bytes(pyrage.encrypt((tmp_path / "base.zip").read_bytes(), [SECRET.to_public()]))
    key.write_text(str(SECRET))
    opened = await exported(school, tmp_path, str(tmp_path), "--since", str(sealed), "--identity", str(key), "--json")
    assert opened.exit_code == 0, opened.output
    assert json.loads(opened.stdout)["delta"]["base"]["sha256"] == digest(sealed)
    closed = await exported(school, tmp_path, str(tmp_path / "no"), "--since", str(sealed))
    assert "it is encrypted. Name the file with the key to it: --identity" in str(closed.exception)
    no_key = await exported(school, tmp_path, str(tmp_path / "no"), "--since", str(sealed), "--identity", str(sealed))
    assert "can't be read as a file of identities" in str(no_key.exception)
    for_what = await exported(school, tmp_path, str(tmp_path / "no"), "--identity", str(key))
    assert "it is the key to what --since names" in str(for_what.exception)
    assert not (tmp_path / "no").exists()

    unsigned = await exported(school, tmp_path, delta, "--since", base, "--unsigned")
    assert "only with the keys that sign" in str(unsigned.exception)
    again = await exported(school, tmp_path, base.replace("acme", "other"), "--since", base)
    assert "the delta would have its name, base" in str(again.exception)
