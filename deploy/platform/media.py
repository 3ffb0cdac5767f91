"""Small files that open in their programs: a PNG, a PDF, and the beginning of an MP4."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


def png(random: Random, side: int = 24) -> bytes:
    """Draw a picture of *side* times *side* pixels in one colour (PNG, third edition)."""
    colour = bytes(random.randrange(256) for _ in range(3))
    pixels = (b"\x00" + colour * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(pixels)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def mp4(random: Random, size: int = 4096) -> bytes:
    """Make a file type box and *size* bytes of media data (ISO/IEC 14496-12); it is no film, but is told as one."""
    return _box(b"ftyp", b"isom\x00\x00\x02\x00isommp42") + _box(b"mdat", random.randbytes(size))


def pdf(line: str) -> bytes:
    """Write *line* (ASCII) on one page (PDF 1.4)."""
    text = f"BT /F1 18 Tf 72 720 Td ({line}) Tj ET".encode("ascii")
    resources = b"<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    parts = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources %b >>" % resources,
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(text), text),
    )
    body, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, start=1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(parts) + 1
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(body))
    return body + b"xref\n0 %d\n0000000000 65535 f \n%b%b" % (size, table, trailer)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data
