"""Waits for what must come true, with a deadline, where there is no signal to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(ask: Callable[[], Awaitable[T]], true: Callable[[T], bool], seconds: float = 20.0) -> T:
    """Ask again until the answer is *true*; give that answer, or raise TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await ask()
            if true(answer):
                return answer
            await asyncio.sleep(0.02)
