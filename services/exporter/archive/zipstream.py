"""A ZIP written as a stream: bytes in, bytes out, no I/O; what APPNOTE 6.3.10 and every common reader agree on.

Three rules make it readable everywhere, streaming readers too. A small entry is held back until its sizes are known,
so its header is exact and no descriptor follows. Every entry is method 8; what is packed already travels in stored
deflate blocks, since "stored with a descriptor" is rejected by some. ZIP64 descriptors appear only where an entry
may pass 4 GiB, since Java rejects them on small ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Protocol

from isal import isal_zlib

HELD = 4 << 20
_SPOOLED = 4 << 20
_4GIB = 0xFFFFFFFF
_PROBABLY_LARGE = 2 << 30
_UTF8, _DESCRIBED, _DEFLATED = 0x0800, 0x0008, 8
_PLAIN_VERSION, _ZIP64_VERSION = 20, 45
_MADE_ON_UNIX = 3 << 8
_REGULAR_FILE = 0o100644 << 16
_BLOCK = 0xFFFF
# Time and day of every entry: midnight of 1980-01-01, the first that there is, so that they tell nothing of when.
_STAMP = (0, 1 << 5 | 1)


class Packer(Protocol):
    """What makes deflate data of plain data, raw (no zlib header)."""

    def compress(self, data: bytes, /) -> bytes:
        """Take in *data* and give what is ready."""

    def flush(self) -> bytes:
        """Give the rest."""


class Stored:
    """Deflate without compression (RFC 1951, 3.2.4), for what is packed already."""

    def compress(self, data: bytes, /) -> bytes:
        """Wrap *data* in stored blocks."""
        view = memoryview(data)
        return b"".join(
            piece
            for at in range(0, len(view), _BLOCK)
            for piece in (_block(0, len(view[at : at + _BLOCK])), view[at : at + _BLOCK])
        )

    def flush(self) -> bytes:
        """End with an empty last block."""
        return _block(1, 0)


def _block(last: int, length: int) -> bytes:
    return struct.pack("<BHH", last, length, length ^ _BLOCK)


def packer(*, packed: bool) -> Packer:
    """Give the packer for data that is *packed* already, or isal's level 1 for what is not."""
    return Stored() if packed else isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)


@dataclass(slots=True)
class _Facts:
    """What headers say of an entry."""

    name: bytes
    offset: int
    flags: int = _UTF8
    zip64: bool = False
    crc: int = 0
    packed: int = 0
    size: int = 0


class Entry:
    """One file on its way into the ZIP; *expected* bytes, where somebody knows, decide about ZIP64.

    ``feed`` and ``close`` give the bytes to send on. They don't touch the ZIP itself, so they may run in a thread.
    """

    def __init__(self, facts: _Facts, pack: Packer, expected: int) -> None:
        self._facts = facts
        self._pack = pack
        self._held: list[bytes] | None = []
        self.expected = expected

    @property
    def size(self) -> int:
        """Count the plain bytes fed so far."""
        return self._facts.size

    def feed(self, data: bytes) -> bytes:
        """Take in *data*; give what can be sent, which is nothing while the entry is small."""
        self._facts.crc = isal_zlib.crc32(data, self._facts.crc)
        self._facts.size += len(data)
        return self._send(self._pack.compress(data))

    def _send(self, packed: bytes) -> bytes:
        self._facts.packed += len(packed)
        if self._held is None:
            return packed
        self._held.append(packed)
        return self._let_go() if self._facts.packed > HELD else b""

    def _let_go(self) -> bytes:
        held, self._held = self._held or [], None
        self._facts.flags |= _DESCRIBED
        self._facts.zip64 = self.expected > _PROBABLY_LARGE
        return b"".join((_local_header(self._facts), *held))

    def close(self) -> bytes:
        """Give the rest of the entry: all of it if it is small, else the end and its descriptor."""
        rest = self._send(self._pack.flush())
        if self._held is None:
            return rest + _descriptor(self._facts)
        return b"".join((_local_header(self._facts), *self._held))


class ZipStream:
    """A ZIP of entries one after the other; the caller sends on what ``Entry`` and ``end`` give, in order."""

    def __init__(self) -> None:
        # The directory may be long where there are many files, so it waits on disk; the file has no name.
        self._directory = SpooledTemporaryFile(max_size=_SPOOLED)  # noqa: SIM115 - closed by close()
        self._entries = 0
        self._offset = 0

    def begin(self, name: str, *, packed: bool = False, expected: int = 0) -> Entry:
        """Begin the entry *name*; the one before must have ended."""
        return Entry(_Facts(name.encode(), self._offset), packer(packed=packed), expected)

    def ended(self, entry: Entry, sent: int) -> None:
        """Note that *entry* took *sent* bytes in all, headers included."""
        self._directory.write(_central_header(entry._facts))  # noqa: SLF001 - the two are one machine
        self._entries += 1
        self._offset += sent

    def end(self) -> Iterator[bytes]:
        """Give the directory and the end of the ZIP."""
        size = self._directory.tell()
        self._directory.seek(0)
        while piece := self._directory.read(1 << 20):
            yield piece
        yield _end(self._entries, size, self._offset)

    def close(self) -> None:
        """Forget the directory."""
        self._directory.close()


def _local_header(facts: _Facts) -> bytes:
    described = facts.flags & _DESCRIBED
    extra = struct.pack("<HHQQ", 1, 16, 0, 0) if facts.zip64 else b""
    crc, packed, size = (0, 0, 0) if described else (facts.crc, facts.packed, facts.size)
    if facts.zip64:
        packed = size = _4GIB
    version = _ZIP64_VERSION if facts.zip64 else _PLAIN_VERSION
    fixed = (version, facts.flags, _DEFLATED, *_STAMP, crc, packed, size, len(facts.name), len(extra))
    return b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", *fixed) + facts.name + extra


def _descriptor(facts: _Facts) -> bytes:
    # An entry that grew past 4 GiB unexpectedly: readers of the directory, and Java, go by the sizes themselves.
    wide = facts.zip64 or max(facts.size, facts.packed) > _4GIB
    return b"PK\x07\x08" + struct.pack("<IQQ" if wide else "<III", facts.crc, facts.packed, facts.size)


def _central_header(facts: _Facts) -> bytes:
    wide = [number for number in (facts.size, facts.packed, facts.offset) if number >= _4GIB]
    extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    version = _ZIP64_VERSION if wide or facts.zip64 else _PLAIN_VERSION
    sizes = min(facts.packed, _4GIB), min(facts.size, _4GIB)
    lengths = len(facts.name), len(extra), 0, 0, 0
    fixed = (_MADE_ON_UNIX | version, version, facts.flags, _DEFLATED, *_STAMP, facts.crc, *sizes, *lengths)
    where = _REGULAR_FILE, min(facts.offset, _4GIB)
    return b"PK\x01\x02" + struct.pack("<HHHHHHIIIHHHHHII", *fixed, *where) + facts.name + extra


def _end(entries: int, size: int, offset: int) -> bytes:
    short = struct.pack("<HHHHIIH", 0, 0, *2 * (min(entries, 0xFFFF),), min(size, _4GIB), min(offset, _4GIB), 0)
    if entries < 0xFFFF and max(size, offset) < _4GIB:  # noqa: PLR2004 - the format's own limit
        return b"PK\x05\x06" + short
    versions = _MADE_ON_UNIX | _ZIP64_VERSION, _ZIP64_VERSION
    long = struct.pack("<QHHIIQQQQ", 44, *versions, 0, 0, entries, entries, size, offset)
    locator = struct.pack("<IQI", 0, offset + size, 1)
    return b"PK\x06\x06" + long + b"PK\x06\x07" + locator + b"PK\x05\x06" + short
