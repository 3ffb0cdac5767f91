"""The loop that every part of a worker runs: go round until told to stop, wait out what is an outage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from .fates import OUTAGES
from .progress import Progress

_log = structlog.get_logger()
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0


class Loop:
    """Call *turn* until ``stop``; an outage is waited out with a growing pause, anything else ends the worker.

    *rest* is awaited between turns that found nothing to do (``turn`` gave False); ``stop`` ends every pause.
    """

    def __init__(
        self,
        part: str,
        turn: Callable[[], Awaitable[bool]],
        progress: Progress,
        rest: float,
        bell: asyncio.Event | None = None,
    ) -> None:
        self._part = part
        self._turn = turn
        self._progress = progress
        self._rest = rest
        self._bell = bell or asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Go round until ``stop``."""
        wait = _FIRST_WAIT
        while not self._stopping:
            self._bell.clear()
            try:
                busy = await self._turn()
            except OUTAGES as outage:
                self._progress.made(self._part, type(outage).__name__)
                _log.warning("waiting out an outage", part=self._part, outage=type(outage).__name__, seconds=wait)
                await self._pause(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
                continue
            wait = _FIRST_WAIT
            self._progress.made(self._part)
            if not busy:
                await self._pause(self._rest)

    def stop(self) -> None:
        """Let the turn that is under way finish, then end."""
        self._stopping = True
        self._bell.set()

    async def _pause(self, seconds: float) -> None:
        if self._stopping or seconds == 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            return
