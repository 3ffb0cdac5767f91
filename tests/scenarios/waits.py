"""Waits with a deadline for what another process does, and says what did not come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
_AGAIN_AFTER = 0.05


async def until(
    what: str, ask: Callable[[], Awaitable[T]], true: Callable[[T], object] = bool, seconds: float = 30
) -> T:
    """Ask again until the answer is *true* and give it; another process can only be asked, it rings no bell."""
    answer: object = "no answer at all"
    try:
        async with asyncio.timeout(seconds):
            while not true(found := await ask()):
                answer = found
                await asyncio.sleep(_AGAIN_AFTER)
    except TimeoutError:
        raise AssertionError(f"within {seconds:.0f} s it did not come true: {what}; last seen: {answer}") from None
    return found
