"""An export into a folder that was stopped: rows are read anew, media that it had already aren't fetched again."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from signal import Signals
from typing import Any
from zipfile import ZipFile

import pyrage
import pytest
from archive_school import NOW, School
from test_archive_going_on import ESSAYS, command

from services.exporter.archive.abandoned import claimed, largest, notes_of
from services.exporter.archive.build import Progress, Sources, build
from services.exporter.archive.earlier import Earlier, Place
from services.exporter.archive.encryption import Encryption
from services.exporter.archive.etags import ETag, parts_of
from services.exporter.archive.going_on import is_gone_on_with
from services.exporter.archive.report import ArchiveReport
from services.exporter.archive.sink import FileSink
from services.exporter.archive.spared import SparedStore
from services.exporter.archive.volumes import Volumes
from shared.objects import Listed, ObjectStore
from shared.store_faults import ObjectChangedError
from shared.verify.archive import verify

PREFIX = "media/acme"
PARTS, WORDS, FILM, CHANGED, LAST = "p parts.bin", "q words.txt", "r film.mp4", "s changed.mp4", "z last.jpg"
ANY = re.compile(".*")


@dataclass
class Counting:
    """The store, and which objects were fetched from it, from which byte on."""

    store: ObjectStore
    fetched: list[tuple[str, int]] = field(default_factory=list)

    def list(self, bucket: str, prefix: str) -> AsyncIterator[Listed]:
        return self.store.list(bucket, prefix)

    async def head(self, bucket: str, key: str) -> Listed:
        return await self.store.head(bucket, key)

    async def check_bucket(self, bucket: str) -> None:
        await self.store.check_bucket(bucket)

    async def size_of_part(self, bucket: str, key: str, etag: str) -> int | None:
        return await self.store.size_of_part(bucket, key, etag)

    def stream(self, bucket: str, key: str, *, first: int = 0, etag: str) -> AsyncGenerator[bytes]:
        self.fetched.append((key.removeprefix(f"{PREFIX}/"), first))
        return self.store.stream(bucket, key, first=first, etag=etag)


@dataclass
class Folder:
    """Exports of acme into *path*."""

    school: School
    path: Path
    said: list[str] = field(default_factory=list)

    def tell(self, event: str, **values: object) -> None:
        self.said.append(f"{event} {values}")

    def sink(self, name: str, earlier: Earlier | None = None) -> FileSink:
        more = {} if earlier is None else {"make_room": earlier.make_room}
        return FileSink(self.path / name, is_gone_on_with, self.tell, **more)

    async def stopped(
        self,
        name: str = "export-1",
        after: int = 13,
        cause: BaseException | None = None,
        beside: AbstractContextManager[object] | None = None,
        **changed: Any,
    ) -> None:
        """Stop an export after so many objects, *beside* what an earlier one left."""
        cause = asyncio.CancelledError() if cause is None else cause

        def told(at: Progress) -> None:
            if at.stage == "uploads" and at.done == after:
                raise cause

        sink = changed.pop("sink", None) or self.sink(f"{name}.zip")
        building = build(self.school.sources, replace(self.school.order(name), **changed), sink, told)
        with pytest.raises(type(cause)):
            await within(beside or nullcontext(), building)

    def earlier(self) -> Earlier:
        left = claimed(self.path, ANY)
        known = largest(left)
        for one in left:
            if one not in known:
                one.drop()
                one.file.close()
        return Earlier(known)

    async def goes_on(self, name: str = "export-2") -> tuple[ArchiveReport, list[tuple[str, int]]]:
        """Export again, and give what was made and what was fetched."""
        store = Counting(self.school.store)
        with self.earlier() as earlier:
            media: Any = SparedStore(store, earlier)  # type: ignore[arg-type]
            sources, sink = Sources(self.school.connect, media), self.sink(f"{name}.zip", earlier)
            report = await build(sources, replace(self.school.order(name), now=NOW), sink)
            return replace(report, taken=earlier.taken), store.fetched

    def names(self) -> set[str]:
        return {one.name for one in self.path.iterdir()}


async def within(beside: AbstractContextManager[object], doing: Coroutine[Any, Any, object]) -> None:
    with beside:
        await doing


@pytest.fixture
async def folder(school: School, tmp_path: Path) -> Folder:
    random, store, bucket = Random(0), school.store, school.bucket
    async with store.upload(bucket, f"{PREFIX}/{PARTS}", part_bytes=5 << 20) as upload:
        await upload.write(random.randbytes(12 << 20))
    await store.put(
        bucket, f"{PREFIX}/{WORDS}", b"".join(random.randbytes(1 << 10).hex().encode() for _ in range(6000))
    )
    await store.put(bucket, f"{PREFIX}/{FILM}", random.randbytes(9 << 20))
    await store.put(bucket, f"{PREFIX}/{CHANGED}", random.randbytes(2 << 20))
    await store.put(bucket, f"{PREFIX}/{LAST}", random.randbytes(1 << 10))
    (tmp_path / "out").mkdir()
    return Folder(school, tmp_path / "out")


async def body_of(school: School, key: str) -> bytes:
    return await school.store.get(school.bucket, f"{PREFIX}/{key}")


async def is_whole(folder: Folder, name: str = "export-2") -> None:
    """The archive is what one would have been that was made at once."""
    path = folder.path / f"{name}.zip"
    assert verify(path).findings == ()
    await build(folder.school.sources, folder.school.order(name), FileSink(folder.path / "whole.zip"))
    assert path.read_bytes() == (folder.path / "whole.zip").read_bytes()
    (folder.path / "whole.zip").unlink()


async def test_only_media_that_changed_are_fetched_again(folder: Folder) -> None:
    """Sent whole or in parts, packed or not; rows are those of now, and the archive is as one made at once."""
    await folder.stopped()
    assert folder.names() == {".export-1.zip.unfinished", ".export-1.zip.unfinished.media"}
    assert "the unfinished file is kept to be gone on with" in folder.said[0]
    school = folder.school
    await school.store.put(school.bucket, f"{PREFIX}/{CHANGED}", Random(1).randbytes(2 << 20))
    await school.store.put(school.bucket, f"{PREFIX}/a new one.mp4", Random(2).randbytes(2 << 20))
    await school.store.delete_all_versions(school.bucket, f"{PREFIX}/CON.txt")
    await school.run("update users set nickname = 'changed since' where id = 1")

    report, fetched = await folder.goes_on()
    assert sorted(key for key, _ in fetched) == ["a new one.mp4", CHANGED, LAST]
    assert report.taken.parts == report.media_objects - 3
    with ZipFile(folder.path / "export-2.zip") as opened:
        assert b"changed since" in opened.read("export-2/data/csv/user/users.csv")
        assert opened.read(f"export-2/data/media/uploads/{CHANGED}") == Random(1).randbytes(2 << 20)
    await is_whole(folder)
    assert folder.names() == {"export-2.zip"}


@pytest.mark.parametrize("number", [Signals.SIGKILL, Signals.SIGINT, Signals.SIGTERM])
async def test_the_same_command_goes_on(folder: Folder, number: Signals) -> None:
    """However it was stopped; it says what it does, and what was spared."""
    out = folder.path / "out"
    await folder.school.run(ESSAYS)
    stop = (number, "uploads", 60_000_000, 0)
    code, _, err = await command(folder.school, folder.path, str(out), stop=stop)
    assert code == (-number if number is Signals.SIGKILL else 128 + number)
    if number is not Signals.SIGKILL:
        assert "fetches only media that an unfinished file hasn't" in err
    assert len(list(out.iterdir())) == 2
    code, said, err = await command(folder.school, folder.path, str(out), "--json")

    assert code == 0, err
    assert "what is the same in it of media isn't fetched again" in err
    report = json.loads(said)
    assert report["taken_over"]["parts"] >= 5
    assert report["taken_over"]["bytes"] > 20_000_000
    assert [one.name for one in out.iterdir()] == [Path(report["place"]).name]
    assert verify(Path(report["place"])).findings == ()


async def test_a_failure_for_good_leaves_nothing(folder: Folder) -> None:
    """Neither what it had, nor what an earlier try had; as in a store."""
    await folder.stopped(cause=ValueError("broken"))
    assert folder.names() == set()
    await folder.stopped()
    await folder.stopped("export-2", cause=ValueError("broken"), beside=folder.earlier())
    assert folder.names() == set()


async def test_stopped_again_it_still_has_what_most_was_had(folder: Folder) -> None:
    """Of two tries that was left by the one that came further; the other one's is told from it and can go."""
    await folder.stopped(after=13)
    await folder.stopped("export-2", after=3, beside=folder.earlier())
    left = claimed(folder.path, ANY)
    assert [one.path.name for one in left] == [".export-1.zip.unfinished", ".export-2.zip.unfinished"]
    assert largest(left) == left[:1]
    for one in left:
        one.file.close()
    _, fetched = await folder.goes_on()
    assert LAST in {key for key, _ in fetched}
    assert FILM not in {key for key, _ in fetched}


async def test_what_somebody_writes_or_has_claimed_is_not_gone_on_with(folder: Folder) -> None:
    """Nor removed."""
    await folder.stopped()
    first = claimed(folder.path, ANY)
    assert len(first) == 1
    assert claimed(folder.path, ANY) == []
    first[0].file.close()
    (again,) = claimed(folder.path, ANY)
    again.file.close()


async def test_volumes_are_gone_on_with(folder: Folder) -> None:
    """Objects are found in each of them."""
    sinks = Volumes(lambda number: folder.sink(f"export-1.vol{number:03}.zip"), 6 << 20)
    await folder.stopped(sink=sinks)
    assert len([one for one in folder.names() if one.endswith(".unfinished")]) > 2
    _, fetched = await folder.goes_on()

    assert [key for key, _ in fetched] == [LAST]
    await is_whole(folder)
    assert folder.names() == {"export-2.zip"}


async def test_of_what_is_encrypted_nothing_is_kept(folder: Folder) -> None:
    """Nothing is noted of it either."""
    encryption = Encryption.to([str(pyrage.x25519.Identity.generate().to_public())])
    assert encryption is not None
    await folder.stopped(encryption=encryption)
    assert folder.names() == set()


# What lies there isn't believed.


def notes(path: Path) -> list[tuple[bytes, int]]:
    return list(struct.iter_unpack(">16sq", notes_of(path).read_bytes()))


def write_notes(path: Path, what: list[tuple[bytes, int]], more: bytes = b"") -> None:
    notes_of(path).write_bytes(b"".join(struct.pack(">16sq", *one) for one in what) + more)


def altered(path: Path) -> None:
    body = bytearray(path.read_bytes())
    for at in range(1 << 19, len(body), 1 << 20):
        body[at] ^= 1
    path.write_bytes(body)


def turned(path: Path) -> None:
    there = notes(path)
    write_notes(path, [(mark, at) for (mark, _), (_, at) in zip(there, reversed(there), strict=True)])


def anywhere(path: Path) -> None:
    places = (-1, 0, 3, 1 << 40, (1 << 63) - 1)
    write_notes(path, [(mark, places[n % 5]) for n, (mark, _) in enumerate(notes(path))], b"cut off")


def overwritten(path: Path) -> None:
    path.write_bytes(Random(3).randbytes(path.stat().st_size))


def cut_off(path: Path) -> None:
    os.truncate(path, 1000)


@pytest.mark.parametrize("harm", [altered, turned, anywhere, overwritten, cut_off])
async def test_what_is_not_the_stores_is_fetched(folder: Folder, harm: Any) -> None:
    """An altered byte, notes that lead elsewhere or nowhere, noise: the archive is the same."""
    await folder.stopped()
    harm(folder.path / ".export-1.zip.unfinished")
    _, fetched = await folder.goes_on()

    assert {PARTS, WORDS, FILM, CHANGED, LAST} <= {key for key, _ in fetched}
    await is_whole(folder)
    assert folder.names() == {"export-2.zip"}


class Left:
    """An earlier try that has *bodies*, one after the other, each time that it is read."""

    def __init__(self, *bodies: bytes) -> None:
        self.bodies = list(bodies)
        self.size = 0

    def find(self, etag: str) -> Place | None:
        return Place(0, 0)

    async def pieces(self, place: Place, take: Callable[[bytes], object]) -> AsyncGenerator[bytes]:
        body = self.bodies.pop(0)
        for at in range(0, len(body), 1 << 20):
            take(body[at : at + (1 << 20)])
            yield body[at : at + (1 << 20)]

    def took(self, size: int) -> None:
        self.size += size


async def read(folder: Folder, left: Left, key: str) -> tuple[bytes, list[tuple[str, int]]]:
    school, store = folder.school, Counting(folder.school.store)
    there = await school.store.head(school.bucket, f"{PREFIX}/{key}")
    spared: Any = SparedStore(store, left)  # type: ignore[arg-type]
    pieces = spared.stream(school.bucket, there.key, etag=there.etag)
    return b"".join([piece async for piece in pieces]), store.fetched


async def test_what_changes_after_it_was_compared_is_found(folder: Folder) -> None:
    """It is read twice, and has to be the same both times."""
    film = await body_of(folder.school, FILM)
    other = film[:-1] + bytes([film[-1] ^ 1])

    assert await read(folder, Left(film, film), FILM) == (film, [])
    assert await read(folder, Left(other, film), FILM) == (film, [(FILM, 0)])
    with pytest.raises(ObjectChangedError, match="changed meanwhile"):
        await read(folder, Left(film, other), FILM)
    with pytest.raises(ObjectChangedError, match="changed meanwhile"):
        await read(folder, Left(film, film + b"more"), FILM)


async def test_what_is_removed_to_make_room_is_fetched_from_there_on(folder: Folder) -> None:
    """The store has the rest."""
    film = await body_of(folder.school, FILM)
    assert await read(folder, Left(film, film[: 3 << 20]), FILM) == (film, [(FILM, 3 << 20)])
    assert await read(folder, Left(film, b""), FILM) == (film, [(FILM, 0)])


class Full:
    """A disk on which there is no more room after so many bytes, until something is removed."""

    def __init__(self, file: Any, room: int) -> None:
        self._file = file
        self.room = room

    def write(self, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "full")
        written: int = self._file.write(data[: self.room])
        self.room -= written
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


async def test_a_full_disk_loses_what_an_earlier_try_left_and_no_archive(folder: Folder) -> None:
    """So nothing fails for the sake of what is kept; in the middle of an object too."""
    await folder.stopped()
    store = Counting(folder.school.store)
    with folder.earlier() as earlier:
        disk: list[Full] = []

        def make_room() -> bool:
            disk[0].room = 1 << 40
            return earlier.make_room()

        sink = FileSink(folder.path / "export-2.zip", is_gone_on_with, folder.tell, make_room)

        def full(at: Progress) -> None:
            if not disk and at.stage == "uploads":
                disk.append(Full(sink._file, 18 << 20))
                sink._file = disk[0]  # type: ignore[assignment]

        media: Any = SparedStore(store, earlier)  # type: ignore[arg-type]
        sources = Sources(folder.school.connect, media)
        await build(sources, folder.school.order("export-2"), sink, full)
        assert folder.names() == {"export-2.zip"}
    assert (LAST, 0) in store.fetched
    assert any(first > 0 for _, first in store.fetched)
    await is_whole(folder)


# As a store names what it has.


async def test_an_etag_is_the_stores(folder: Folder) -> None:
    """Sent whole or in parts, of whatever pieces; what tells no MD5 is nothing to compare with."""
    school = folder.school
    for key, part in ((PARTS, 5 << 20), (FILM, None)):
        named, body = ETag(part), await body_of(school, key)
        for at in range(0, len(body), 1_000_003):
            named.update(body[at : at + 1_000_003])
        there = await school.store.head(school.bucket, f"{PREFIX}/{key}")
        assert named.says() == there.etag
    exact = ETag(4)
    exact.update(b"12345678")
    assert exact.says().endswith("-2")
    assert [parts_of(one) for one in ("0" * 32, f"{'a' * 32}-7", "0" * 31, "etag", f"{'A' * 32}")] == [
        0, 7, None, None, None
    ]  # fmt: skip


async def test_the_size_of_a_part_is_that_of_this_object_alone(folder: Folder) -> None:
    """None where it is another one by now, or gone."""
    school = folder.school
    there = await school.store.head(school.bucket, f"{PREFIX}/{PARTS}")
    size = school.store.size_of_part
    assert await size(school.bucket, there.key, there.etag) == 5 << 20
    assert await size(school.bucket, there.key, "0" * 32) is None
    assert await size(school.bucket, "media/acme/none", there.etag) is None
