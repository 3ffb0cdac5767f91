"""A worker ends in time, whatever it is connected to."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from shared import worker


class Unreachable:
    """A client that would flush to a broker that is away before it ends."""

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        await asyncio.Event().wait()


async def test_a_client_that_does_not_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that waits for Kafka keeps no worker from ending."""
    monkeypatch.setattr(worker, "_CLOSE_SECONDS", 0.01)
    async with asyncio.timeout(5):
        async with AsyncExitStack() as stack:
            await worker._started(stack, Unreachable())
