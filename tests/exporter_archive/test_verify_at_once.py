"""Several files are read at once: what is found, and in which order, is the same as of one after the other."""

from __future__ import annotations

import hashlib
import io
import json
import random
import signal
import struct
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import pytest

from shared.verify import archive
from shared.verify.archive import (
    DESCRIPTOR,
    MEDIA,
    PAYLOAD_MANIFEST,
    Directory,
    Finding,
    Verdict,
    Volume,
    Zips,
    _Inflated,
    _Reading,
    digest_of,
    verify,
)

KIB, MIB = 1 << 10, 1 << 20
# Small ones and large ones, in no order; more large ones than readers, and one that is half of all.
SIZES = {"a": 2 * MIB, "b": 10, "c": 700 * KIB, "d": 8 * MIB, "e": 5, "f": MIB, "g": 300 * KIB, "h": 40 * KIB, "i": MIB}


@pytest.fixture(params=["isal", "zlib"])
def inflater(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Inflate with isal, and as where nobody has it."""
    if request.param == "zlib":
        monkeypatch.setattr(archive, "deflate", zlib)
        monkeypatch.setattr(archive, "_INFLATES_NOT", zlib.error)
    name: str = request.param
    return name


def body(name: str, size: int) -> bytes:
    """Make rows that compress about as rows do."""
    drawn = random.Random(name)
    block = b"".join(b'%d,"a ""b""",%d\n' % (drawn.randrange(10**9), number % 7) for number in range(3_000))
    return (block * (size // len(block) + 1))[:size]


def made(path: Path, bodies: dict[str, bytes], said: dict[str, bytes] | None = None) -> Path:
    """Make a ZIP of *bodies*, with a manifest of those, or of what is *said* instead."""
    digests = {name: hashlib.sha256(held).hexdigest() for name, held in {**bodies, **(said or {})}.items()}
    manifest = "".join(f"{digest}  data/{name}.csv\n" for name, digest in digests.items())
    with ZipFile(path, "w", ZIP_DEFLATED) as file:
        for name, held in bodies.items():
            file.writestr(f"a/data/{name}.csv", held)
        file.writestr(f"a/{PAYLOAD_MANIFEST}", manifest)
    return path


def of_data(verdict: Verdict) -> list[Finding]:
    return [one for one in verdict.findings if one.path.endswith(".csv")]


def by_so_many(monkeypatch: pytest.MonkeyPatch, path: Path, readers: int) -> Verdict:
    monkeypatch.setattr(archive, "readers", lambda: readers)
    return verify(path)


@pytest.mark.parametrize("changed", [*SIZES])
@pytest.mark.usefixtures("inflater")
def test_a_change_in_any_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    """Whoever reads it, and whatever the others read meanwhile."""
    bodies = {name: body(name, size) for name, size in SIZES.items()}
    other = bytearray(bodies[changed])
    other[-1] ^= 1
    path = made(tmp_path / "a.zip", {**bodies, changed: bytes(other)}, bodies)

    for readers in (1, 2, 4):
        verdict = by_so_many(monkeypatch, path, readers)
        assert [(one.kind, one.path) for one in of_data(verdict)] == [("altered", f"data/{changed}.csv")]
        assert (verdict.files, verdict.size) == (len(SIZES) + 1, sum(SIZES.values()) + len(SIZES) * 77)


@pytest.mark.usefixtures("inflater")
def test_much_that_is_wrong_is_told_in_the_same_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is altered, broken, missing and added, by as many readers as there may be."""
    bodies = {name: body(name, size) for name, size in SIZES.items()}
    said = {name: held + b"x" for name, held in bodies.items() if name in "ace"} | {"lost": b""}
    path = made(tmp_path / "a.zip", bodies, said)
    raw = bytearray(path.read_bytes())
    for name in "dg":
        raw[ZipFile(path).getinfo(f"a/data/{name}.csv").header_offset + 60] ^= 0xFF
    path.write_bytes(bytes(raw))

    one, *others = (by_so_many(monkeypatch, path, readers) for readers in (1, 2, 3, 4))

    assert others == [one] * 3
    assert [(found.kind, found.path[5]) for found in of_data(one)] == [
        ("missing", "l"),
        *(("altered", name) for name in "acdeg"),
    ]


class Alone(BytesIO):
    """Fails where somebody reads from a place that somebody else went to."""

    went: threading.Thread | None = None

    def seek(self, offset: int, whence: int = 0) -> int:
        self.went = threading.current_thread()
        place = super().seek(offset, whence)
        # Lets others run, if they may.
        threading.Event().wait(0.000_1)
        return place

    def read(self, size: int | None = -1) -> bytes:
        assert self.went is threading.current_thread(), "somebody else went away with it"
        return super().read(size)


def test_each_reads_from_where_it_went_to(tmp_path: Path) -> None:
    """All of them read one file, which has one place to read from."""
    path = made(tmp_path / "a.zip", {name: random.Random(name).randbytes(size) for name, size in SIZES.items()})
    found = Zips([Directory(Volume("a", Alone(path.read_bytes()), ""))])

    reads = _Reading(found, {}, 4).all()

    assert {read.says for read in reads.values()} == {""}


class Endless:
    """A folder of files that never end, of which the second tells that somebody wants to interrupt."""

    base, volumes, strays = "", None, ()
    paths = frozenset({"data/1", "data/2"})

    def open(self, path: str) -> io.BufferedIOBase:
        raise FileNotFoundError(path)

    def each(self) -> Iterator[tuple[str, int, Callable[[], io.RawIOBase]]]:
        return ((path, MIB, lambda path=path: NeverEnding(path)) for path in sorted(self.paths))


class NeverEnding(io.RawIOBase):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._left = 3 if path == "data/2" else 0

    def read(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left == 0:
            # As a terminal does; what is waited for in the main thread is interrupted by it.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return bytes(size)


@pytest.mark.parametrize("readers", [1, 2, 3])
def test_whoever_interrupts_it_waits_for_nobody(readers: int) -> None:
    """Each reader ends with the piece that it is at, and none is left."""
    endless, before = Endless(), set(threading.enumerate())
    if readers == 1:
        endless.paths = frozenset({"data/2"})

    with pytest.raises(KeyboardInterrupt):
        _Reading(endless, {}, readers).all()  # type: ignore[arg-type]

    for reader in set(threading.enumerate()) - before:
        reader.join(10)
        assert not reader.is_alive()


def test_there_is_no_digest_of_a_half(tmp_path: Path) -> None:
    """Who is to stop before the end has none to give."""
    path, stop = tmp_path / "a", threading.Event()
    path.write_bytes(bytes(3 * MIB))
    assert digest_of(path, stop) == hashlib.sha256(bytes(3 * MIB)).hexdigest()

    stop.set()
    with pytest.raises(InterruptedError):
        digest_of(path, stop)


def test_memory_does_not_grow_with_their_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reader holds a piece or two, whatever it reads."""
    monkeypatch.setattr(archive, "readers", lambda: 4)
    peaks = []
    for size in (2 * MIB, 12 * MIB):
        path = made(tmp_path / f"{size}.zip", {name: random.Random(name).randbytes(size) for name in "abcdef"})
        tracemalloc.start()
        assert not of_data(verify(path))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] - peaks[0] < 4 * MIB


def opened(path: Path, name: str = "f") -> io.RawIOBase:
    found = Zips([Directory(Volume("a", BytesIO(path.read_bytes()), ""))])
    return {where: opener for where, _, opener in found.each()}[f"data/{name}.csv"]()  # type: ignore[return-value]


@pytest.mark.parametrize("most", [1_000, 65_536, MIB, 9 * MIB])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.usefixtures("inflater")
def test_a_large_file_is_what_zipfile_reads(tmp_path: Path, most: int, *, packed: bool) -> None:
    """However much is asked for at once, and whether it can be packed or not."""
    held = random.Random(1).randbytes(MIB) if packed else body("f", 3 * MIB) + bytes(3 * MIB)
    path = made(tmp_path / "a.zip", {"f": held})
    pieces = []
    with opened(path) as file:
        while piece := file.read(most):
            assert len(piece) <= most
            pieces.append(piece)

    assert b"".join(pieces) == held
    with Zips([Directory(Volume("a", BytesIO(path.read_bytes()), ""))]).open("data/f.csv") as whole:
        assert whole.read(10) == held[:10]
        assert whole.read() == held[10:]


def crc(raw: bytearray, local: int, central: int) -> None:
    for at in (local + 14, central + 16):
        raw[at] ^= 1


def longer(raw: bytearray, local: int, central: int) -> None:
    for at in (local + 22, central + 24):
        raw[at : at + 4] = struct.pack("<L", struct.unpack_from("<L", raw, at)[0] + 1)


def shorter(raw: bytearray, local: int, central: int) -> None:
    for at in (local + 22, central + 24):
        raw[at : at + 4] = struct.pack("<L", struct.unpack_from("<L", raw, at)[0] - 1)


def cut(raw: bytearray, local: int, central: int) -> None:
    for at in (local + 18, central + 20):
        raw[at : at + 4] = struct.pack("<L", struct.unpack_from("<L", raw, at)[0] - 20)


def trailing(raw: bytearray, local: int, central: int) -> None:
    # What follows is the next file's header.
    for at in (local + 18, central + 20):
        raw[at : at + 4] = struct.pack("<L", struct.unpack_from("<L", raw, at)[0] + 20)


def flipped(raw: bytearray, local: int, _: int) -> None:
    raw[local + 30 + len("a/data/f.csv") + 2] ^= 0xFF


def renamed(raw: bytearray, local: int, _: int) -> None:
    raw[local + 30 + len("a/data/")] ^= 1


@pytest.mark.parametrize("change", [crc, longer, shorter, cut, trailing, flipped, renamed])
@pytest.mark.usefixtures("inflater")
def test_a_large_file_that_is_not_as_its_zip_says_is_broken(
    tmp_path: Path, change: Callable[[bytearray, int, int], None]
) -> None:
    """Also where its SHA-256 would be right: every other program would stumble over it."""
    path = made(tmp_path / "a.zip", {"f": body("f", MIB), "g": b""})
    raw = bytearray(path.read_bytes())
    change(raw, ZipFile(path).getinfo("a/data/f.csv").header_offset, raw.index(b"PK\1\2"))
    path.write_bytes(bytes(raw))

    with pytest.raises((BadZipFile, EOFError)), opened(path) as file:
        file.readall()
    (found,) = of_data(verify(path))
    assert (found.kind, found.path) == ("altered", "data/f.csv")
    assert found.says.startswith("it can't be read: ")


@pytest.mark.usefixtures("inflater")
def test_a_large_file_that_does_not_say_that_it_ends_is_broken() -> None:
    """Though all of its bytes are there: what would follow them, nobody knows."""
    held, packing = body("f", MIB), zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed, found = packing.compress(held) + packing.flush(zlib.Z_SYNC_FLUSH), ZipInfo("f")
    found.CRC, found.file_size = zlib.crc32(held), len(held)

    with pytest.raises(EOFError):
        _Inflated(BytesIO(packed), found).readall()
    assert _Inflated(BytesIO(packed + packing.flush()), found).readall() == held


def test_what_nobody_counted_is_counted_when_it_is_asked_for(tmp_path: Path) -> None:
    """Of a file that is described twice, as rows of CSV and as lines, both are compared; of a medium as well."""
    held = b'a\n"x\ny"\n'
    resources = [("one", "x.csv", "csv", 1), ("two", "x.csv", "jsonlines", 3), ("three", "media/m", "csv", 5)]
    said = {
        "bytes": len(held),
        "hash": f"sha256:{hashlib.sha256(held).hexdigest()}",
    }
    described = [
        {"name": name, "path": path, "format": kind, "rows": rows, **said} for name, path, kind, rows in resources
    ]
    with ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a/data/x.csv", held)
        file.writestr(f"a/{MEDIA}m", held)
        file.writestr(f"a/{DESCRIPTOR}", json.dumps({"resources": described}))

    verdict = verify(tmp_path / "a.zip")

    assert verdict.rows == {"one": 1, "two": 3, "three": 1}
    assert Finding("altered", f"{MEDIA}m", f"it has 1 rows, {DESCRIPTOR} says 5") in verdict.findings
