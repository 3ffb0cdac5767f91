"""The one transaction around ``decide``: remember the event's id, load, decide, save, owe what follows.

``Process`` is what consumer, waker and performer call. ``shared.postgres`` does it for real, the simulation
in memory; both pass ``tests/machine/conformance.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from .settlement import Arrival, Buried, Done


class Process(Protocol):
    """The three ways in which something gets into a case, each one transaction."""

    async def arrivals(self, arrivals: Sequence[Arrival], unreadable: Sequence[Buried], now: datetime) -> int:
        """Take in a batch of any mix of customers and types; give how many were news.

        What was seen before changes nothing. What makes the code fail, and what was *unreadable*, is owed
        to its dead-letter topic. Raises one of ``shared.fates.OUTAGES`` with nothing done.
        """

    async def wakes(self, now: datetime, limit: int) -> int:
        """Wake up to *limit* cases that are due at *now*, skipping those that another worker has; give how many."""

    async def outcomes(self, done: Sequence[Done], now: datetime, *, wake: bool = False) -> Sequence[Exception | None]:
        """Take in what became of tasks and forget these, in one transaction; give what stood in the way of each.

        With *wake* those of these cases that are due at *now* are woken in it, as ``wakes`` would right after it.

        LeaseLostError where its lease doesn't hold any more, OutcomeFailedError where ``decide`` failed on it, the
        database's own error where that rejects it: such a one changes nothing, and holds up none of the others.
        Raises one of ``shared.fates.OUTAGES`` with nothing done.
        """
