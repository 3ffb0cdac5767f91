"""The ZIP stream holds what readers differ about: sizes in headers, descriptors, ZIP64, many entries."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest

from services.exporter.archive.zipstream import HELD, ZipStream

DESCRIBED, ZIP64_VERSION = 0x0008, 45
HARD = bytes(range(256))


def written(path: Path, entries: dict[str, tuple[list[bytes], bool, int]]) -> Path:
    """Write *entries*: per name its pieces, whether they are packed already, and the expected size."""
    stream = ZipStream()
    with path.open("wb") as out:
        for name, (pieces, packed, expected) in entries.items():
            entry, begin = stream.begin(name, packed=packed, expected=expected), out.tell()
            for piece in pieces:
                out.write(entry.feed(piece))
            out.write(entry.close())
            stream.ended(entry, out.tell() - begin)
        out.writelines(stream.end())
    stream.close()
    return path


def local_header(path: Path, name: str) -> tuple[int, int, int]:
    """Give version, flags and plain size of an entry as its local header has them."""
    with ZipFile(path) as opened, path.open("rb") as raw:
        raw.seek(opened.getinfo(name).header_offset)
        head = struct.unpack("<4sHHHHHIIIHH", raw.read(30))
    return head[1], head[2], head[8]


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    """Small and large, packed or not, empty too: bytes, sizes, names are right, and no time is told."""
    large = [HARD * 4096] * 9
    path = written(
        tmp_path / "a.zip",
        {
            "empty": ([], False, 0),
            "räksmörgås 日本.txt": ([b"a", b"b" * 100_000], False, 0),
            "packed.mp4": ([HARD] * 1000, True, 0),
            "large.mp4": (large, True, 9 << 20),
        },
    )

    with ZipFile(path) as opened:
        assert opened.testzip() is None
        assert {name: opened.read(name) for name in opened.namelist()} == {
            "empty": b"",
            "räksmörgås 日本.txt": b"a" + b"b" * 100_000,
            "packed.mp4": HARD * 1000,
            "large.mp4": b"".join(large),
        }
        assert opened.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_a_small_entry_has_its_sizes_in_its_header(tmp_path: Path) -> None:
    """No descriptor follows, so the strictest streaming reader takes it."""
    path = written(tmp_path / "a.zip", {"small": ([b"x" * 1000], False, 0)})

    _, flags, size = local_header(path, "small")
    assert (flags & DESCRIBED, size) == (0, 1000)


def test_a_larger_entry_is_followed_by_a_descriptor_of_32_bits(tmp_path: Path) -> None:
    """ZIP64 is kept for what may pass 4 GiB, since Java rejects it on anything else."""
    path = written(tmp_path / "a.zip", {"large": ([HARD * (HELD // 128)], True, HELD * 2)})

    version, flags, _ = local_header(path, "large")
    assert (flags & DESCRIBED, version) == (DESCRIBED, 20)


def test_an_entry_that_may_pass_4_gib_is_zip64_from_its_header_on(tmp_path: Path) -> None:
    """Then its descriptor has 64 bits, and the header says so beforehand."""
    path = written(tmp_path / "a.zip", {"large": ([HARD * (HELD // 128)], True, 3 << 30), "after": ([b"x"], False, 0)})

    assert local_header(path, "large")[0] == ZIP64_VERSION
    with ZipFile(path) as opened:
        assert opened.testzip() is None


def test_more_entries_than_16_bits_can_count(tmp_path: Path) -> None:
    """70,000 files, as a customer with many small ones has."""
    path = written(tmp_path / "a.zip", {f"{number}.txt": ([b"x"], False, 0) for number in range(70_000)})

    with ZipFile(path) as opened:
        assert len(opened.namelist()) == 70_000
        assert opened.read("69999.txt") == b"x"


@pytest.mark.parametrize("expected", [0, 5 << 30], ids=["a surprise", "expected"])
def test_an_entry_past_4_gib(tmp_path: Path, expected: int) -> None:
    """Its true size is in the directory, and what comes after it is found; even where nobody expected the size."""
    zeros = bytes(1 << 26)
    path = written(tmp_path / "a.zip", {"huge": ([zeros] * 65, False, expected), "after": ([b"x"], False, 0)})

    with ZipFile(path) as opened:
        assert opened.getinfo("huge").file_size == 65 << 26
        assert opened.read("after") == b"x"


@pytest.mark.parametrize("tool", ["unzip -tq", "7zz t", "bsdtar -xOf"])
def test_ordinary_programs_read_every_kind_of_entry(tmp_path: Path, tool: str) -> None:
    """Stored blocks, descriptors of both widths, exact headers: one archive with all of them."""
    command = tool.split()
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    hard = [HARD * (HELD // 128)]
    entries = {"wide": (hard, True, 3 << 30), "narrow": (hard, True, 0), "text": ([b"y" * 9_000_000], False, 0)}
    path = written(tmp_path / "a.zip", {"small": ([b"x"], False, 0), **entries})

    subprocess.run([*command, path], check=True, capture_output=True)
    if command[0] == "bsdtar":
        # From a pipe it has only the local headers and the descriptors to go by.
        subprocess.run(["bsdtar", "-xOf", "-"], check=True, capture_output=True, input=path.read_bytes())
