"""Deletes a customer's objects: every version, delete marker and unfinished upload under its prefix."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

import structlog

from ..events.platform import Erased, ErasedInPart, HeldRows, NotErased
from ..events.vocabulary import TableCount
from ..objects import Refused, Swept
from ..store_faults import StoreRefusalError
from .bystander_objects import COMPARED, mark, still_there
from .bystander_objects import compared as told
from .right import RefusedError, Right, check_command, check_still

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime

    from ..objects import Lock
    from .scope import Cover


_log = structlog.get_logger()


class Store(Protocol):
    """What is needed of an object store; ``shared.objects.ObjectStore`` is one."""

    def versions(self, bucket: str, prefix: str) -> AsyncIterator[tuple[str, str]]:
        """List (key, version) of every version and delete marker."""
        ...

    async def versions_of(self, bucket: str, key: str) -> tuple[str, ...]:
        """Give every version and delete marker of one object."""
        ...

    async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        """Delete exactly those; gives what was refused."""
        ...

    async def sweep(self, bucket: str, prefix: str, may: Callable[[int], Awaitable[None]]) -> Swept:
        """Delete every version, delete marker and unfinished upload that it may; ask *may* before each page."""
        ...

    async def lock_of(self, bucket: str, key: str, version: str) -> Lock | None:
        """Tell which object lock is on a version."""
        ...

    async def count_left(self, bucket: str, prefix: str) -> int:
        """Count versions, delete markers and unfinished uploads."""
        ...


async def erase_objects(
    store: Store,
    bucket: str,
    prefix: str,
    *,
    right: Right,
    now: datetime,
    compared: int = COMPARED,
    first: tuple[str, ...] = (),
) -> Erased | NotErased:
    """Delete everything in *bucket* under *prefix*, and count what is left.

    The keys *first*, under that prefix too, go before all others; while one of them is locked nothing else goes.

    Counts are of versions, delete markers and unfinished uploads. Objects can't be rolled back: what was deleted
    stays so, and the answer says how much, even if it is that it failed. Up to *compared* of everybody else's versions
    that were there before are looked for again afterwards; if there are more the answer calls the bucket sampled.
    What an object lock keeps is answered with the moment at which the last lock ends; a legal hold on an object is
    answered as held. Raises StoreOutageError or StoreRefusalError.
    """
    try:
        check_command(right, now)
        _one_customers(prefix)
        before = await _others(store, bucket, prefix, compared)
        swept = await _sweep(store, bucket, prefix, right, tuple(key for key in first if key.startswith(prefix)))
    except RefusedError as refused:
        return refused.answer
    left = await store.count_left(bucket, prefix)
    after = await still_there(store.versions(bucket, ""), before) if left == 0 else frozenset()
    if left or after != before:
        return await _failed(store, bucket, swept, left)
    return Erased(
        deleted=(TableCount(table=bucket, rows=swept.versions + swept.uploads),),
        remaining=(TableCount(table=bucket, rows=left),),
        bystanders=(told(bucket, before, after),),
        sampled=(bucket,) if len(before) >= compared else (),
    )


async def keep_objects(
    store: Store, bucket: str, prefix: str, holds: tuple[Cover, ...], *, right: Right, now: datetime
) -> ErasedInPart | Erased | NotErased:
    """Delete nothing in *bucket* under *prefix*, since *holds* cover all of it, and count what stays."""
    try:
        check_command(right, now)
        _one_customers(prefix)
    except RefusedError as refused:
        return refused.answer
    rows = await store.count_left(bucket, prefix)
    nothing = TableCount(table=bucket, rows=0)
    if not rows:
        return Erased(deleted=(nothing,), remaining=(nothing,), bystanders=())
    return ErasedInPart(
        deleted=(nothing,),
        kept=(TableCount(table=bucket, rows=rows),),
        held=tuple(HeldRows(table=bucket, rows=rows, hold_id=one.hold_id, basis=one.basis) for one in holds),
        needed=(),
        remaining=(nothing,),
        bystanders=(),
    )


async def _sweep(store: Store, bucket: str, prefix: str, right: Right, first: tuple[str, ...]) -> Swept:
    async def may(gone: int) -> None:
        try:
            await check_still(right)
        except RefusedError as refused:
            left = await store.count_left(bucket, prefix)
            deleted, saved = TableCount(table=bucket, rows=gone), TableCount(table=bucket, rows=left)
            told = ((deleted,), (saved,)) if gone else ((), ())
            raise RefusedError(refused.reason, refused.details, *told) from refused

    await may(0)
    before, refused = 0, tuple[Refused, ...]()
    for key in first:
        found = [(key, version) for version in await store.versions_of(bucket, key)]
        if found:
            await may(before)
            said = await store.delete_versions(bucket, found)
            before, refused = before + len(found) - len(said), (*refused, *said)
    if refused:
        return Swept(before, 0, refused)
    swept = await store.sweep(bucket, prefix, lambda gone: may(before + gone))
    return Swept(before + swept.versions, swept.uploads, swept.refused)


async def _failed(store: Store, bucket: str, swept: Swept, left: int) -> NotErased:
    # Keys may be names of people, so only what the store said and how often.
    _log.warning(
        "versions are left", bucket=bucket, left=left, refused=dict(Counter(one.code for one in swept.refused))
    )
    locks = [await _lock_of(store, bucket, one) for one in swept.refused]
    held = any(lock and lock.hold for lock in locks)
    ends = [lock.until for lock in locks if lock and lock.until]
    return NotErased(
        reason="held" if held else "failed",
        deleted=(TableCount(table=bucket, rows=swept.versions + swept.uploads),),
        saved=(TableCount(table=bucket, rows=left),),
        # A moment only if every lock has one: before it nothing more can go.
        until=max(ends) if ends and len(ends) == len(locks) and not held else None,
    )


async def _lock_of(store: Store, bucket: str, one: Refused) -> Lock | None:
    try:
        return await store.lock_of(bucket, one.key, one.version)
    except StoreRefusalError:
        # Who may not delete it may often not look at it either; what went has to be told all the same.
        return None


def _one_customers(prefix: str) -> None:
    """Refuse a prefix that another customer's objects could be under: "a" is the beginning of "ab/" too."""
    if not prefix.endswith("/") or prefix.startswith("/"):
        raise RefusedError("failed", f"the prefix {prefix!r} must name one customer and end with a slash")


async def _others(store: Store, bucket: str, prefix: str, most: int) -> frozenset[int]:
    """Mark the first *most* versions that are not under *prefix*: a number instead of a key, to keep them small."""
    found: set[int] = set()
    async for key, version in store.versions(bucket, ""):
        if not key.startswith(prefix):
            found.add(mark(key, version))
        if len(found) >= most:
            break
    return frozenset(found)
