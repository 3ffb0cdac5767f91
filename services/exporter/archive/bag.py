"""BagIt 1.0 (RFC 8493) around the archive: what proves that all is there and nothing was altered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from tempfile import SpooledTemporaryFile

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
_SPOOLED = 4 << 20


class Ledger:
    """The lines of a manifest, with the sums for Payload-Oxum; a long one waits on disk, in a file without a name."""

    def __init__(self) -> None:
        self._lines = SpooledTemporaryFile(max_size=_SPOOLED)  # noqa: SIM115 - closed by close()
        self._files = 0
        self._bytes = 0

    @property
    def oxum(self) -> str:
        """Give octets and streams as RFC 8493 (2.2.2) writes them."""
        return f"{self._bytes}.{self._files}"

    def add(self, path: str, size: int, sha256: str) -> None:
        """Note one file; *path* has no line end and no per cent sign, so it needs no encoding."""
        self._lines.write(f"{sha256}  {path}\n".encode())
        self._files += 1
        self._bytes += size

    def lines(self) -> Iterator[bytes]:
        """Give the manifest, piece by piece."""
        self._lines.seek(0)
        while piece := self._lines.read(256 * 1024):
            yield piece

    def close(self) -> None:
        """Forget the lines."""
        self._lines.close()


def info(fields: Mapping[str, str]) -> bytes:
    """Write bag-info.txt."""
    return "".join(f"{name}: {value}\n" for name, value in fields.items()).encode()
