"""What a holder has done for it, and what comes back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..decision import Outcome, Task
from ..events.platform import Erased, ErasedInPart, NotErased
from ..events.retention import Keep
from ..events.vocabulary import Code, Moment, Ref, Sha256

Answer = Annotated[Erased | ErasedInPart | NotErased, Field(discriminator="kind")]


class Erase(Task):
    """Delete all that *holder* has of the customer; the right to is checked again where it is done.

    *keep*, *holds* and *map_sha256* are the command's.
    """

    deletion_id: Ref
    holder: Code
    window_closed_at: Moment
    respond_by: Moment
    keep: tuple[Keep, ...] = ()
    holds: tuple[Ref, ...] = ()
    map_sha256: Sha256 | None = None

    @property
    def noted_as(self) -> str:
        """Name this command apart from a later one of the same deletion, which is answered with counts of its own."""
        return f"{self.deletion_id}/{self.holder}/{self.respond_by.isoformat()}"


class EraseEnded(Outcome):
    """What became of an ``Erase`` with the same fields."""

    deletion_id: Ref
    holder: Code
    respond_by: Moment
    answer: Answer
