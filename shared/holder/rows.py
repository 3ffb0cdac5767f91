"""Deletes a customer's rows, all of them and nobody else's: in one transaction, or in batches where there are many."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..events.platform import Erased, ErasedInPart, NotErased
from . import ledger
from .batches import erase_in_batches
from .pace import Pace
from .plan import left, plan
from .referred import check_referred, erase_referred, objects_so_far
from .right import RefusedError, Right, check_map
from .scope import covers
from .statutory import with_law
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
    from .referred_store import Store
    from .work import Progress


@dataclass(frozen=True, slots=True)
class Erasure:
    """What a deletion did, or in a dry run would do; *warnings* and *slow* foreign keys don't stop it."""

    outcome: Erased | ErasedInPart
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
    objects: Store | None = None,
) -> Erased | ErasedInPart | NotErased:
    """Delete *customer*'s rows, but for those that holds keep; where something is in the way, why, and what went.

    Where the right has a deletion's id, the counts of an earlier try that was cut off are in the answer too. *objects*
    is the store of what rows refer to, needed where the map has such columns.
    Outages are raised: trying again is right, and finds what is left.
    """
    work = Work(connection, map, customer, right, lambda: now, progress, pace=pace or Pace(), objects=objects)
    try:
        erasure = await erase(work)
    except RefusedError as refused:
        return refused.answer
    return erasure.outcome


async def erase(work: Work) -> Erasure:
    """Do what ``erase_rows`` does, but raise a ``RefusedError`` that tells the details; a dry run is rolled back."""
    work = replace(work, map=work.map.of(work.customer))
    if work.noted_as:
        await ledger.prepare(work.connection)
    try:
        check_map(work.right, work.map)
        holds = covers(work.map, work.right.keep, work.right.elsewhere)
        # One instant for all tries, so that what one of them counts another one doesn't delete.
        work = replace(work, holds=with_law(work.map, holds, work.clock()))
        first = await plan(work)
        await check_referred(work)
        outcome = await _erased(work, first)
    except RefusedError as refused:
        # What an earlier try of the same command deleted is gone as well.
        deleted, noted = await objects_so_far(work)
        gone = (*await work.total(), *deleted)
        if not total(gone):
            raise
        # Written to disk, and the batches before it with it, before anybody is told of them.
        await work.note(Counter())
        saved = (*await left(work), *noted)
        raise RefusedError(refused.reason, refused.details, gone, saved, refused.map_sha256) from refused
    return Erasure(await erase_referred(work, outcome), first.warnings, first.slow)


async def _erased(work: Work, first: Plan) -> Erased | ErasedInPart:
    """Go in batches where one transaction would hold its locks too long, and end with a whole one in any case."""
    batches = 0
    if first.rows.total() > work.pace.whole_up_to and not work.dry_run:
        batches = await erase_in_batches(work, first)
    outcome = await erase_whole(work)
    return outcome.model_copy(update={"accounted": batches})


def total(counts: Sequence[TableCount]) -> int:
    """Add up the rows of all tables."""
    return sum(one.rows for one in counts)
