"""Reads the systems of all who wait to be surveyed at once: where many are due on a day, one scan for many of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Protocol

import asyncpg
import structlog

from shared.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from shared.performer import Attempt

    from .reading import Reading
    from .tasks import Survey

_log = structlog.get_logger()
# So many are read at once, and so their readings kept: a few MB.
TOGETHER = 2_000
# Where each has to be read by itself, each connects to all systems.
_SIDE_BY_SIDE = 2
# Seconds for which a reading is as good as a new one. Nothing is deleted by it: it is the count that is looked at, and
# what the end is compared with; whoever waits for an approval goes on by an older one.
KEPT_FOR = 60.0


class ReadsAll(Protocol):
    """What reads the holders' systems; ``Reader`` is one."""

    async def before(self, customer: str) -> tuple[Reading, ...]:
        """Read one customer's."""
        ...

    async def before_all(self, customers: Sequence[str]) -> dict[str, tuple[Reading, ...]]:
        """Read those of several."""
        ...


class Waiting(Protocol):
    """What tells whose survey is ordered; ``Dues`` is one."""

    async def waiting(self, most: int) -> dict[UUID, str]:
        """Give up to *most* surveys that are ordered, by id: their customers, first those under way, then the next."""
        ...


@dataclass(slots=True)
class Gathered:
    """Reads by *reader* for each survey, and with it for those that are *waiting* by then.

    A reading counts for the very order that was waiting when it began, once, and for a minute: an order that was given
    later, say since a hold has ended, is read anew. *together*: how many at most.
    """

    reader: ReadsAll
    waiting: Waiting
    together: int = TOGETHER
    _read: dict[UUID, tuple[Reading, ...]] = field(default_factory=dict, init=False)
    _until: float = field(default=0.0, init=False)
    _one_by_one_until: float = field(default=0.0, init=False)
    _one_by_one: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SIDE_BY_SIDE), init=False)
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def before(self, task: Survey, attempt: Attempt) -> tuple[Reading, ...]:
        """Give what ``Reader.before`` gives of *task*'s customer; raises what it raises."""
        async with self._alone:
            if monotonic() >= self._until:
                self._read = {}
            found = self._read.pop(attempt.id, None)
            if found is None and monotonic() >= self._one_by_one_until:
                found = await self._with_others(task, attempt.id)
        if found is not None:
            return found
        async with self._one_by_one:
            return await self.reader.before(task.customer_id)

    async def _with_others(self, task: Survey, order: UUID) -> tuple[Reading, ...] | None:
        """Read for all who wait; None if nobody does, or if one of them can't be read."""
        orders = {order: task.customer_id, **await self.waiting.waiting(self.together)}
        if len(orders) == 1:
            return None
        until = monotonic() + KEPT_FOR
        try:
            read = await self.reader.before_all(list(dict.fromkeys(orders.values())))
        except (OperatorError, asyncpg.PostgresError) as error:
            # One of them may be why, and each is told its own when it is read alone.
            _log.warning("not read together", surveys=len(orders), says=repr(error))
            self._one_by_one_until = monotonic() + KEPT_FOR
            return None
        self._read, self._until = {one: read[customer] for one, customer in orders.items()}, until
        return self._read.pop(order)
