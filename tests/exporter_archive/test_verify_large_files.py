"""A file of many pieces is hashed and counted beside its reading: no piece is lost, and none is taken out of turn."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from shared.verify.archive import PAYLOAD_MANIFEST, Counting, Taking, _Lines, _Records, verify

MIB = 1 << 20


class Late(Executor):
    """Does what it was given only when somebody waits for it, as a thread may that gets no turn."""

    def submit(self, work: Callable[..., None], /, *given: object, **_: object) -> Future[None]:  # type: ignore[override]
        class Waited(Future[None]):
            def result(self, timeout: float | None = None) -> None:
                if not self.done():
                    self.set_result(work(*given))

        return Waited()


class Broken(BytesIO):
    """Can be read up to its third piece."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= 2 * MIB:
            raise OSError("it ends here")
        return super().read(size)


@pytest.fixture(params=[Late, lambda: ThreadPoolExecutor(1)])
def beside(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with request.param() as executor:
        yield executor


def rows(size: int) -> bytes:
    """Make rows with quotes and line ends in them, so that pieces are cut inside of both."""
    drawn = random.Random(1)
    made = b"".join(b'%d,"a\n""b"\n' % drawn.randrange(10**9) for _ in range(size // 15))
    return made[:size].ljust(size, b"\n")


@pytest.mark.parametrize("counts", ["records", "lines", "nothing"])
@pytest.mark.parametrize("size", [0, 5, MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 5])
def test_all_of_it_is_taken_in(beside: Executor, size: int, counts: Counting) -> None:
    """Digest, size and rows are those of the file as a whole, wherever its pieces end."""
    body, lines, records, taken = rows(size), _Lines(), _Records(), Taking(counts)
    for whole in (lines, records):
        whole.feed(body)

    taken.all_of(BytesIO(body), lambda: beside)

    found = taken.read
    assert (found.sha256, found.size) == (hashlib.sha256(body).hexdigest(), size)
    assert found.lines == (lines.count if counts == "lines" else None)
    assert found.records == (records.count if counts == "records" else None)


def test_what_was_read_before_it_breaks_is_taken_in(beside: Executor) -> None:
    """The size that is told of a file that can't be read is that of what could be."""
    taken = Taking("records")

    with pytest.raises(OSError, match="it ends here"):
        taken.all_of(Broken(rows(4 * MIB)), lambda: beside)

    assert taken.size == 2 * MIB


@pytest.mark.parametrize("at", [0, MIB, 3 * MIB - 1, 3 * MIB])
def test_a_change_in_any_piece_is_named(tmp_path: Path, at: int) -> None:
    """A byte that is another in the first piece, a later one or the last makes the file altered."""
    body = rows(3 * MIB + 1)
    said = f"{hashlib.sha256(body).hexdigest()}  data/large.csv\n"
    other = body[:at] + b"x" + body[at + 1 :]
    with ZipFile(tmp_path / "a.zip", "w", ZIP_DEFLATED) as file:
        for name, held in ((PAYLOAD_MANIFEST, said), ("data/large.csv", other)):
            file.writestr(f"a/{name}", held)

    found = verify(tmp_path / "a.zip", "0" * 64)

    assert ("altered", "data/large.csv") in [(one.kind, one.path) for one in found.findings]
    assert (found.findings[0].kind, found.findings[0].path) == ("altered", "a.zip")
    assert found.sha256 == hashlib.sha256((tmp_path / "a.zip").read_bytes()).hexdigest()
