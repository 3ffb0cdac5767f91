"""All volumes of an archive on their way to somebody else's store: one after the other, the last of them last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from shared.sending import (
    Cargo,
    FarEndAwayError,
    FarEndRefusalError,
    FarPlace,
    Left,
    Sending,
    drop_unfinished,
    look,
)
from shared.unfinished import Taken


class Convoy:
    """What goes to each place of *far*, in its order; *may* is asked as ``Sending`` does.

    As long as the last isn't there, what is there is no archive. Nothing that arrived is taken away again: the next try
    finds it, reads it there, and goes on.
    """

    def __init__(self, far: Sequence[FarPlace], may: Callable[[], Awaitable[None]]) -> None:
        self._far, self._may = far, may
        self._arrived = 0
        self._left: Left = "nothing"
        self.taken = Taken()

    @property
    def left_behind(self) -> Left:
        """Tell what may lie there of this try, which failed; a volume that has arrived is no archive."""
        return "object" if self._arrived else self._left

    async def give_up(self, *, tried_before: bool) -> Left:
        """Drop what is unfinished there, and tell what may still lie there; if it was *tried_before*, of that too."""
        dropped = await self._dropped()
        if self.left_behind == "object" or (tried_before and len(self._far) > 1 and await self._lies_there()):
            return "object"
        return dropped

    async def _dropped(self) -> Left:
        """Drop what earlier tries left to be gone on with; they may have been interrupted before they counted."""
        try:
            for one in self._far:
                await drop_unfinished(one)
        except (FarEndAwayError, FarEndRefusalError):
            # A deletion waits for this answer: it can't wait for a store that isn't ours.
            return "parts"
        return "nothing"

    async def _lies_there(self) -> bool:
        """Tell whether a volume may have arrived before."""
        try:
            return any([await look(one) for one in self._far])
        except (FarEndAwayError, FarEndRefusalError):
            return True

    async def send(
        self, cargos: Sequence[Cargo], tell: Callable[[str, int, int | None], None]
    ) -> Literal["copied", "found"]:
        """Send each and read it back there; *tell* takes what is done of all, in bytes.

        Raises what ``Sending`` does.
        """
        total, before, copied = sum(one.size for one in cargos), 0, False
        for far, cargo in zip(self._far, cargos, strict=True):

            def told(stage: str, done: int, before: int = before) -> None:
                tell(stage, before + done, total)

            sending = Sending(far, cargo, may=self._may, tell=told)
            try:
                copied = await sending.send() == "copied" or copied
            finally:
                self._left = sending.left_behind
                self.taken = Taken(self.taken.parts + sending.taken.parts, self.taken.size + sending.taken.size)
            self._arrived += 1
            before += cargo.size
        return "copied" if copied else "found"
