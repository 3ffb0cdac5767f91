"""A worker ends in time, whatever it is connected to."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from shared import worker
from tests.machine.toy import PURSE


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


class Kept:
    """What a worker keeps."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def __aenter__(self) -> None:
        self.said.append("opened")

    async def __aexit__(self, *_: object) -> None:
        self.said.append("closed")


async def test_what_is_kept_is_closed_with_the_worker() -> None:
    """Also if its database can't be reached, and it never got to work."""
    kept = Kept()
    nowhere = worker.Place("127.0.0.1:1", "postgresql://127.0.0.1:1/nowhere")
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        async with worker.open_worker(worker.Service(PURSE, kept=(kept,)), nowhere):
            pass

    assert kept.said == ["opened", "closed"]
