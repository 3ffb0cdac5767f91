"""Deletes a customer's rows, all of them and nobody else's: in one transaction, or in batches where there are many."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..events.platform import Erased, NotErased
from . import ledger
from .batches import UnaccountedError, erase_in_batches
from .pace import Pace
from .plan import left, plan
from .right import RefusedError, Right
from .whole import erase_whole
from .work import Work

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ..datamap.drift import Finding
    from ..datamap.live import Connection
    from ..datamap.model import DataMap
    from ..events.vocabulary import TableCount
    from .plan import Plan
    from .references import Reference
    from .work import Progress


@dataclass(frozen=True, slots=True)
class Erasure:
    """What a deletion did, or in a dry run would do; *warnings* and *slow* foreign keys don't stop it."""

    outcome: Erased
    warnings: tuple[Finding, ...]
    slow: tuple[Reference, ...] = ()


async def erase_rows(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    *,
    right: Right,
    now: datetime,
    progress: Progress = lambda _: None,
    pace: Pace | None = None,
) -> Erased | NotErased:
    """Delete *customer*'s rows, and say what went; where something is in the way, why, and what went before it.

    Where the right has a deletion's id, the counts of an earlier try that was cut off are in the answer too.
    Outages are raised: trying again is right, and finds what is left.
    """
    work = Work(connection, map, customer, right, lambda: now, progress, pace=pace or Pace())
    try:
        erasure = await erase(work)
    except RefusedError as refused:
        return refused.answer
    return erasure.outcome


async def erase(work: Work) -> Erasure:
    """Do what ``erase_rows`` does, but raise a ``RefusedError`` that tells the details; a dry run is rolled back."""
    if work.noted_as:
        await ledger.prepare(work.connection)
    try:
        first = await plan(work)
        outcome = await _erased(work, first)
    except RefusedError as refused:
        if not work.gone:
            raise
        raise RefusedError(refused.reason, refused.details, await work.total(), await left(work)) from refused
    return Erasure(outcome, first.warnings, first.slow)


async def _erased(work: Work, first: Plan) -> Erased:
    """Go in batches where one transaction would hold its locks too long, and end with a whole one in any case."""
    batches = 0
    if first.rows.total() > work.pace.whole_up_to and not work.dry_run:
        # Not every trigger is damage: the whole transaction compares the others' rows themselves.
        with suppress(UnaccountedError):
            batches = await erase_in_batches(work, first)
    outcome = await erase_whole(work)
    return outcome.model_copy(update={"accounted": batches})


def total(counts: Sequence[TableCount]) -> int:
    """Add up the rows of all tables."""
    return sum(one.rows for one in counts)
