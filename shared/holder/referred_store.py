"""What the deletion of objects that rows refer to asks of the store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from ..objects import Lock, Refused

_T = TypeVar("_T")
# Requests that are under way at once.
_AT_ONCE = 16


class Store(Protocol):
    """What is needed of an object store; ``shared.objects.ObjectStore`` is one."""

    def versions(self, bucket: str, prefix: str) -> AsyncIterator[tuple[str, str]]:
        """List (key, version) of every version and delete marker."""
        ...

    def standing_versions(self, bucket: str, prefix: str) -> AsyncIterator[tuple[str, str, bool]]:
        """List the same, each with whether it is what is read under its key now."""
        ...

    def unfinished(self, bucket: str, prefix: str) -> AsyncIterator[tuple[str, str]]:
        """List (key, upload id) of every unfinished upload."""
        ...

    async def versions_of(self, bucket: str, key: str) -> tuple[str, ...]:
        """Give every version and delete marker of one object."""
        ...

    async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        """Delete exactly those; gives what was refused."""
        ...

    async def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """Abort one unfinished upload."""
        ...

    async def exists(self, bucket: str, key: str) -> bool:
        """Tell whether the object can be read."""
        ...

    async def lock_of(self, bucket: str, key: str, version: str) -> Lock | None:
        """Tell which object lock is on a version."""
        ...


async def at_once(waiting: Sequence[Awaitable[_T]]) -> list[_T]:
    """Wait for all, some at a time, in order."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(of: Awaitable[_T]) -> _T:
        async with slots:
            return await of

    return await asyncio.gather(*map(one, waiting))


async def pages_of(items: AsyncIterator[tuple[str, str]], size: int) -> AsyncIterator[list[tuple[str, str]]]:
    """Give *items* some at a time."""
    page: list[tuple[str, str]] = []
    async for item in items:
        page.append(item)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page
