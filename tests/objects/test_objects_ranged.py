"""An object that is read like a file can be closed at any moment, though a thread reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import pytest

from shared import ranged
from shared.objects import Listed, ObjectStore

FOUND = Listed("acme/a", 10, "etag", datetime(2026, 1, 1, tzinfo=UTC))


class Silent(ObjectStore):
    """Answers no reading until it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()

    async def stream(self, *_: Any, **__: Any) -> AsyncGenerator[bytes]:
        await self.let.wait()
        yield bytes(10)


async def test_a_read_that_is_closed_in_the_moment_it_begins_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed after it was seen to be open and before there was anything to cancel: the thread doesn't wait for ever."""
    store = Silent()
    reader = ranged.RangedObject(store, "bucket", FOUND)
    ask = asyncio.run_coroutine_threadsafe

    def closed_meanwhile(asked: Any, loop: Any) -> Any:
        reader.abandon()
        return ask(asked, loop)

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", closed_meanwhile)
    reading = asyncio.create_task(asyncio.to_thread(reader.readinto, bytearray(10)))
    try:
        done, _ = await asyncio.wait({reading}, timeout=10)
        assert done, "the thread still waits"
    finally:
        # A thread that waits can't be ended otherwise.
        store.let.set()
    with pytest.raises(OSError, match="closed while it was read"):
        await reading
