"""The ETag that a store gives to bytes: their MD5, or, where they were sent in parts, that of their parts' MD5s.

A store that encrypts with keys of its own names no MD5, and nothing is ever the same then.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

_ETAG = re.compile(r"[0-9a-f]{32}(?:-([0-9]+))?")


def parts_of(etag: str) -> int | None:
    """Count the parts in which an object of *etag* was sent, 0 if it was sent whole; None where that isn't told."""
    found = _ETAG.fullmatch(etag)
    return None if found is None else int(found[1] or 0)


class ETag:
    """Takes in bytes and tells their ETag, sent whole, or in parts of *part* bytes."""

    def __init__(self, part: int | None = None) -> None:
        self._part: Final = part
        self._whole = hashlib.md5(usedforsecurity=False)
        self._parts: list[bytes] = []
        self._room = part or 0

    def update(self, data: bytes) -> None:
        """Take in *data*."""
        if self._part is None:
            self._whole.update(data)
            return
        rest = memoryview(data)
        while rest:
            self._whole.update(rest[: self._room])
            taken = min(self._room, len(rest))
            rest, self._room = rest[taken:], self._room - taken
            if not self._room:
                self._end()

    def _end(self) -> None:
        self._parts.append(self._whole.digest())
        self._whole, self._room = hashlib.md5(usedforsecurity=False), self._part or 0

    def says(self) -> str:
        """Give the ETag, in hexadecimal; nothing may follow."""
        if self._part is None:
            return self._whole.hexdigest()
        if self._room < self._part:
            self._end()
        return f"{hashlib.md5(b''.join(self._parts), usedforsecurity=False).hexdigest()}-{len(self._parts)}"
