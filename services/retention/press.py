"""A process of its own that sets and signs papers: the service's own memory doesn't hold what that takes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from shared.renewed_process import RenewedProcess
from shared.signing.paperkeys import PaperKeys

from .words import Tongue

# The compiler remembers what it has set and would grow for ever, so the process is renewed after so many papers.
_RENEWED_AFTER = 1000


@dataclass(frozen=True, slots=True)
class Order:
    """A paper to set and sign: of the JSON *document*, stored as *name*, which itself names the moment *at*.

    *kept* is the paper that is stored already, if one is. *authority* is where timestamps are asked for, if they are.
    """

    document: bytes
    name: str
    sha256: str
    language: Tongue
    at: datetime
    now: datetime
    keys: PaperKeys
    authority: str | None
    kept: bytes | None


@dataclass(frozen=True, slots=True)
class Printed:
    """A signed paper, and when it was signed (UTC)."""

    body: bytes
    signed_at: datetime


class Press:
    """Begins its process with the first order; it ends with the service."""

    def __init__(self) -> None:
        self._process = RenewedProcess(_RENEWED_AFTER)

    async def printed(self, order: Order) -> Printed:
        """Give the paper of *order*: the one that is kept, if it is good, else a new one, which was checked.

        Raises ``TimestampMissingError``, ``PaperError``, or ``BrokenProcessPool`` where the process was killed; each
        passes, so it is worth another try.
        """
        return await self._process.call(_printed, order)


def _printed(order: Order) -> Printed:
    # Only here, in the process that is for it.
    from shared.signing.paper import PaperError, sign_paper  # noqa: PLC0415

    from .paper import paper_of  # noqa: PLC0415

    if order.kept is not None:
        try:
            return _checked(order, order.kept)
        except PaperError:
            # It was of other keys, or of another document: a new one takes its place.
            pass
    stamped = order.authority is not None
    body = paper_of(order.document, order.name, order.sha256, order.language, order.at, stamped=stamped)
    signing = sign_paper(body, order.keys, order.name, order.sha256, order.now, order.authority)
    return _checked(order, asyncio.run(signing))


def _checked(order: Order, body: bytes) -> Printed:
    from shared.signing.paper import PaperError, check_paper  # noqa: PLC0415 - as above

    found = check_paper(body, order.keys.roots, order.keys.timestamp_roots, order.at)
    if found.sha256 != order.sha256:
        raise PaperError(f"is a reading of {found.sha256}, not of {order.sha256}")
    if order.authority is not None and found.stamped_at is None:
        raise PaperError("has no timestamp, though one was asked for")
    return Printed(body, found.stamped_at or found.signed_at)
