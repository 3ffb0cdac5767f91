"""Deletes a customer's objects: every version, delete marker and unfinished upload under its prefix."""

from __future__ import annotations

from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Protocol

from ..events.platform import Erased, NotErased
from ..events.vocabulary import TableCount, TableFingerprint
from .right import RefusedError, Right, check_command, check_still

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from datetime import datetime

    from ..objects import Swept


class Store(Protocol):
    """What is needed of an object store; ``shared.objects.ObjectStore`` is one."""

    def versions(self, bucket: str, prefix: str) -> AsyncIterator[tuple[str, str]]:
        """List (key, version) of every version and delete marker."""
        ...

    async def delete_all_versions(self, bucket: str, prefix: str) -> Swept:
        """Delete every version, delete marker and unfinished upload."""
        ...

    async def count_left(self, bucket: str, prefix: str) -> int:
        """Count versions, delete markers and unfinished uploads."""
        ...


async def erase_objects(store: Store, bucket: str, prefix: str, *, right: Right, now: datetime) -> Erased | NotErased:
    """Delete everything in *bucket* under *prefix*, and count what is left.

    Counts are of versions, delete markers and unfinished uploads. Objects can't be rolled back: what was deleted
    stays so, even if the answer is that it failed. Everybody else's versions that were there before are looked for
    again afterwards; new ones don't matter. Raises StoreOutageError or
    StoreRefusalError.
    """
    try:
        check_command(right, now)
        _one_customers(prefix)
        before = await _others(store, bucket, prefix)
        await check_still(right)
    except RefusedError as refused:
        return NotErased(reason=refused.reason)
    swept = await store.delete_all_versions(bucket, prefix)
    left = await store.count_left(bucket, prefix)
    after = before & await _others(store, bucket, prefix)
    if left or after != before:
        return NotErased(reason="failed")
    return Erased(
        deleted=(TableCount(table=bucket, rows=swept.versions + swept.uploads),),
        remaining=(TableCount(table=bucket, rows=left),),
        bystanders=(_compared(bucket, before, after),),
    )


def _one_customers(prefix: str) -> None:
    """Refuse a prefix that another customer's objects could be under: "a" is the beginning of "ab/" too."""
    if not prefix.endswith("/") or prefix.startswith("/"):
        raise RefusedError("failed", f"the prefix {prefix!r} must name one customer and end with a slash")


async def _others(store: Store, bucket: str, prefix: str) -> frozenset[int]:
    # Eight bytes a version instead of its key: a bucket may hold millions.
    everything = store.versions(bucket, "")
    return frozenset([_mark(key, version) async for key, version in everything if not key.startswith(prefix)])


def _mark(key: str, version: str) -> int:
    return int.from_bytes(blake2b(f"{key}\0{version}".encode(), digest_size=8).digest(), "big")


def _compared(bucket: str, before: Collection[int], after: Collection[int]) -> TableFingerprint:
    return TableFingerprint(
        table=bucket,
        rows_before=len(before),
        rows_after=len(after),
        before=_fingerprint(before),
        after=_fingerprint(after),
    )


def _fingerprint(marks: Collection[int]) -> str:
    return sha256(f"{len(marks)}:{sum(marks)}".encode()).hexdigest()
