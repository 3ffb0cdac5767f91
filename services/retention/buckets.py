"""A bucket read for many customers: one listing of it for all of them, instead of one for each."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from shared.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Beside:
    """How many are one customer's *own*, *objects* of them to be read; the *others'* versions, their *fingerprint*."""

    own: int
    others: int
    fingerprint: str
    objects: int


@dataclass(slots=True)
class _Counted:
    """What was listed: *versions* with the *total* of their numbers, and what else shows that something is there."""

    versions: int = 0
    total: int = 0
    current: int = 0
    uploads: int = 0

    def add(self, number: int) -> None:
        self.versions += 1
        self.total += number


async def beside_each(store: ObjectStore, bucket: str, prefixes: Mapping[str, str]) -> dict[str, Beside]:
    """List *bucket* and split it among customers, each with all that begins with its prefix in *prefixes*.

    What is current, versions with delete markers, and unfinished uploads are listed once each; of one customer's the
    worst counts. Raises StoreOutageError or StoreRefusalError.
    """
    by_prefix = {prefix: _Counted() for prefix in prefixes.values()}
    lengths = sorted({len(prefix) for prefix in by_prefix})

    def whose(key: str) -> Iterator[_Counted]:
        # A key may be longer or shorter than a prefix; one that is shorter is nobody's by it.
        found = (by_prefix.get(key[:length]) for length in lengths if length <= len(key))
        return (one for one in found if one is not None)

    whole = _Counted()
    async for key, version in store.versions(bucket, ""):
        number = _number(key, version)
        whole.add(number)
        for one in whose(key):
            one.add(number)
    async for listed in store.list(bucket, ""):
        for one in whose(listed.key):
            one.current += 1
    async for key, _ in store.unfinished(bucket, ""):
        for one in whose(key):
            one.uploads += 1
    return {customer: _beside(whole, by_prefix[prefix]) for customer, prefix in prefixes.items()}


async def others_of(versions: AsyncIterator[tuple[str, str]], prefix: str) -> tuple[int, str]:
    """Count *versions* that are not under *prefix*, and give their fingerprint: the same as ``beside_each`` gives."""
    found = _Counted()
    async for key, version in versions:
        if not key.startswith(prefix):
            found.add(_number(key, version))
    return found.versions, _fingerprint(found.versions, found.total)


def _beside(whole: _Counted, own: _Counted) -> Beside:
    others, total = whole.versions - own.versions, whole.total - own.total
    return Beside(max(own.current, own.versions + own.uploads), others, _fingerprint(others, total), own.current)


def _number(key: str, version: str) -> int:
    return int.from_bytes(blake2b(f"{key}\0{version}".encode(), digest_size=16).digest(), "big")


def _fingerprint(count: int, total: int) -> str:
    return sha256(f"{count}:{total}".encode()).hexdigest()
