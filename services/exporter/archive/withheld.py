"""A file that waits until it is known to differ from the base's: in memory while it is short, then on disk."""

from __future__ import annotations

import asyncio
import tempfile
from typing import Protocol

from .archive import Onward
from .faults import UnwritableError

_SHORT = 1 << 20
_PIECE = 512 * 1024


class Sized(Protocol):
    """What knows how many plain bytes it has taken in."""

    @property
    def size(self) -> int:
        """Count them."""


class Withheld:
    """Keeps what is packed until it is let go to *onward*, or dropped.

    As soon as *plain* is larger than *most* bytes, which the base's file has, it can't be the same any more: then all
    goes on at once, so never more waits than a file of the base packed. On disk it has no name.
    """

    def __init__(self, onward: Onward, plain: Sized, most: int) -> None:
        self._onward = onward
        self._plain = plain
        self._most = most
        self._waiting = tempfile.SpooledTemporaryFile(max_size=_SHORT)  # noqa: SIM115 - closed by close()
        self._size = 0
        self._open = False

    async def write(self, data: bytes) -> None:
        """Take *data*; raises UnwritableError where there is no room for it on disk."""
        if not self._open and self._plain.size > self._most:
            await self.let_go()
        if self._open:
            await self._onward.write(data)
            return
        self._size += len(data)
        try:
            if self._size <= _SHORT:
                self._waiting.write(data)
            else:
                await asyncio.to_thread(self._waiting.write, data)
        except OSError as error:
            says = f"a file can't wait there until it is compared with the base: {error}"
            raise UnwritableError(tempfile.gettempdir(), says, "Make room, or let TMPDIR name another place") from error

    async def let_go(self) -> None:
        """Send on what waits; from then on nothing does."""
        if self._open:
            return
        self._open = True
        self._waiting.seek(0)
        while piece := await asyncio.to_thread(self._waiting.read, _PIECE):
            await self._onward.write(piece)

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.close()
