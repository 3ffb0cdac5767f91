"""Everybody else's objects, in so few bytes that before and after a deletion can be compared."""

from __future__ import annotations

from hashlib import blake2b, sha256
from typing import TYPE_CHECKING

from ..events.vocabulary import TableFingerprint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable

# Comparing all of a very large bucket would take many times as long as deleting from it.
COMPARED = 100_000


def marks(versions: Iterable[tuple[str, str]]) -> frozenset[int]:
    """Give a number for each (key, version), to keep them small."""
    return frozenset(mark(key, version) for key, version in versions)


def mark(key: str, version: str) -> int:
    """Give the number of one version."""
    return int.from_bytes(blake2b(f"{key}\0{version}".encode(), digest_size=8).digest(), "big")


async def still_there(versions: AsyncIterator[tuple[str, str]], before: frozenset[int]) -> frozenset[int]:
    """Give those marks of *before* that are among *versions* still; what was added since takes nobody's place."""
    missing = set(before)
    async for key, version in versions:
        if not missing:
            break
        missing.discard(mark(key, version))
    return before - missing


def compared(table: str, before: Collection[int], after: Collection[int]) -> TableFingerprint:
    """Tell how the marks *before* compare with those *after*."""
    return TableFingerprint(
        table=table,
        rows_before=len(before),
        rows_after=len(after),
        before=_fingerprint(before),
        after=_fingerprint(after),
    )


def _fingerprint(marks: Collection[int]) -> str:
    return sha256(f"{len(marks)}:{sum(marks)}".encode()).hexdigest()
