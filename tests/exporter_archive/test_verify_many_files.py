"""An archive of very many files is checked in little memory, and its ZIP is read as every reader reads it."""

from __future__ import annotations

import hashlib
import random
import struct
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import pytest

from shared.verify import archive
from shared.verify.archive import PAYLOAD_MANIFEST, Directory, Paths, Read, Reads, Volume, Zips, verify

# Its path, its digest, sizes, and where it is: about 200 bytes while they grow; zipfile alone took 600.
PER_FILE = 300


def body_of(number: int) -> bytes:
    return b"%032d" % number


def archive_of(count: int, path: Path) -> Path:
    """Make what an archive of so many objects is to whoever checks its files."""
    with ZipFile(path, "w", ZIP_DEFLATED) as file:
        manifest = []
        for number in range(count):
            name = f"data/media/films/{number:06}.mp4"
            file.writestr(f"a/{name}", body_of(number))
            manifest.append(f"{hashlib.sha256(body_of(number)).hexdigest()}  {name}\n")
        file.writestr(f"a/{PAYLOAD_MANIFEST}", "".join(manifest))
    return path


def peak(made: Path, count: int) -> int:
    tracemalloc.start()
    verdict = verify(made)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert verdict.files == count + 1
    # No file is altered, missing or added: only what makes it a bag isn't here.
    assert not [found for found in verdict.findings if found.path.startswith("data/media/")]
    return most


def test_a_file_takes_little_more_than_its_path_and_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the directory nor the manifest is in memory, so that a million objects can be checked."""
    for piece in ("_PIECE", "_HEADERS"):
        monkeypatch.setattr(archive, piece, 1 << 14)
    few, many = 500, 3_000
    small, large = (peak(archive_of(count, tmp_path / f"{count}.zip"), count) for count in (few, many))

    assert (large - small) / (many - few) < PER_FILE


def prefixed(made: bytes) -> bytes:
    return b"#!/bin/sh\n" * 100 + made


def commented(made: bytes) -> bytes:
    return made[:-2] + struct.pack("<H", 5) + b"hello"


def large(made: bytes) -> bytes:
    """Say the same in the fields for more than 65,535 files and 4 GiB (APPNOTE 4.3.14, 4.3.15)."""
    *_, count, size, offset, _ = struct.unpack("<4s4H2LH", made[-22:])
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(made) - 22, 1)
    return made[:-22] + end + locator + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)


@pytest.mark.parametrize("change", [bytes, prefixed, commented, large, lambda made: prefixed(large(made))])
def test_files_are_found_where_every_reader_finds_them(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """Also where something lies before or behind the ZIP, or it is large; more files than are looked at at once."""
    made = change(archive_of(600, tmp_path / "a.zip").read_bytes())
    found = Zips([Directory(Volume("a", BytesIO(made), ""))])

    with ZipFile(BytesIO(made)) as stock:
        held = {name.removeprefix("a/"): stock.read(name) for name in stock.namelist()}
    assert list(found.paths) == list(held)
    assert {path: found.open(path).read() for path in ("data/media/films/000000.mp4", PAYLOAD_MANIFEST)}.items() <= (
        held.items()
    )
    assert {path: opener().read() for path, _, opener in found.each()} == held


@pytest.mark.parametrize(
    ("at", "value"), [(-10, b"\xff\xff\xff\x0f"), (-6, b"\xff\xff\xff\x0f"), (-22, b"PK\0\0"), (-10, b"\1\0\0\0")]
)
def test_a_directory_that_is_not_where_it_should_be_is_no_zip(tmp_path: Path, at: int, value: bytes) -> None:
    """Nothing is read that isn't there, whatever the fields say."""
    made = bytearray(archive_of(3, tmp_path / "a.zip").read_bytes())
    made[at : len(made) + at + len(value)] = value

    with pytest.raises(BadZipFile):
        list(Zips([Directory(Volume("a", BytesIO(bytes(made)), ""))]).each())
    (tmp_path / "a.zip").write_bytes(bytes(made))
    assert [one.kind for one in verify(tmp_path / "a.zip").findings] == ["broken"]


def test_paths_are_a_set_that_knows_their_order() -> None:
    """Whatever they are made of; what was never added isn't there."""
    drawn = random.Random(1)
    some = ["", "å/ä", "\udc80", *("".join(drawn.choices("ab/é\ud800", k=drawn.randrange(8))) for _ in range(3_000))]
    paths, expected = Paths(), dict[str, int]()
    for one in some:
        assert paths.add(one) == expected.setdefault(one, len(expected))

    assert list(paths) == list(expected)
    assert [paths.number(one) for one in expected] == list(expected.values())
    assert "c" not in paths
    assert None not in paths


def test_what_was_read_is_told_as_it_was() -> None:
    """Of what could not be read the size of what could, and why."""
    reads = Reads(["a", "b", "c"])
    given = {"a": Read(2**40, "0f" * 32, "", 3, 2), "b": Read(5, "", "it can't be read: so"), "c": Read(0, "00" * 32)}
    for path, read in given.items():
        reads.put(path, read)

    assert dict(reads) == given
    with pytest.raises(KeyError):
        reads["d"]
