"""Carries out a holder's deletions: rows by a data map, objects by a prefix."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg
import structlog

from ..datamap.model import MapError, load
from ..events.platform import Erased, ErasedInPart, NotErased
from ..events.vocabulary import TableCount
from ..objects import ObjectStore
from ..settings import Settings
from ..store_faults import StoreRefusalError
from .declaration import Holder, PostgresHolder, S3Holder
from .erasures import NOTHING, Entry, Spared, check_not_restored, record
from .heard import Unpublished
from .held import Knowledge, Standing, kept_by, standing_at
from .objects import erase_objects, keep_objects
from .right import RefusedError, Right, check_contracts
from .rows import erase
from .scope import bucket_covers
from .tasks import Erase, EraseEnded
from .work import Work

if TYPE_CHECKING:
    from datetime import datetime

    from ..clock import Clock
    from ..datamap.live import Connection
    from ..holds import Holds
    from ..performer import Attempt
    from .heard import Published
    from .right import StillHeld
    from .tasks import Answer

_log = structlog.get_logger()


@dataclass(frozen=True)
class Eraser:
    """Deletes at the *holders* that this process answers for; *name* is the domain's, whose cases know of holds.

    What was *published* of holds and isn't known to them yet counts as well.
    """

    name: str
    holders: Mapping[str, Holder]
    settings: Settings
    moved_clock: bool
    published: Published = field(default_factory=Unpublished)

    async def __call__(self, task: Erase, attempt: Attempt) -> EraseEnded:
        """Carry out *task*; outages are raised, and the task is begun again."""
        async with _connected(self.settings.dsn(self.name)) as own, self.published.opened() as heard:
            answer = await self._erase(Knowledge(own, heard), self.holders[task.holder], task, attempt.clock)
        return EraseEnded(
            customer_id=task.customer_id,
            deletion_id=task.deletion_id,
            holder=task.holder,
            respond_by=task.respond_by,
            answer=answer,
        )

    async def _erase(self, known: Knowledge, holder: Holder, task: Erase, clock: Clock) -> Answer:
        if isinstance(holder, S3Holder):
            return await self._objects(known, holder, task, clock)
        async with _connected(self.settings.dsn(holder.database)) as connection:
            await check_not_restored(known.own, connection, holder.name)
            answer, spared = await self._rows(known, connection, holder, task, clock)
        if isinstance(answer, Erased | ErasedInPart):
            # Before the answer, so that no restored backup brings back whom nobody remembers.
            entry = Entry(holder.name, task.noted_as, task.customer_id, task.window_closed_at, spared)
            await record(known.own, entry)
        return answer

    def _right(self, task: Erase, holds: Holds, still_held: StillHeld) -> Right:
        own = kept_by(holds)
        elsewhere = tuple(one for one in own if one.hold_id in task.holds)
        return Right(
            window_closed_at=task.window_closed_at,
            held=any(hold.holds_everything for hold in holds),
            still_held=still_held,
            deletion_id=task.noted_as,
            moved_clock=self.moved_clock,
            keep=tuple(dict.fromkeys((*task.keep, *(one for one in own if one not in elsewhere)))),
            elsewhere=elsewhere,
            # Whoever names none has counted by none.
            map_sha256=task.map_sha256 or "",
            respond_by=task.respond_by,
        )

    async def _objects(self, known: Knowledge, holder: S3Holder, task: Erase, clock: Clock) -> Answer:
        log = _log.bind(customer=task.customer_id, deletion=task.deletion_id, holder=holder.name)

        async def still_held() -> bool:
            return _concerned(holder, self._right(task, await self._rightly(known, task, clock), _no))

        async with ObjectStore(self.settings.s3) as store:
            place = holder.bucket, holder.prefix_of(task.customer_id)
            try:
                right = self._right(task, await self._rightly(known, task, clock), still_held)
                holds = bucket_covers(holder.bucket, holder.category, right.keep, right.elsewhere)
                if holds:
                    return await keep_objects(store, *place, holds, right=right, now=clock())
                answer = await erase_objects(store, *place, right=right, now=clock())
            except RefusedError as refused:
                log.warning("nothing was deleted", reason=refused.reason, details=refused.details)
                return refused.answer
            except StoreRefusalError as refusal:
                # Waiting doesn't help, so the answer says that it failed, and the log why.
                log.error("the store refuses", details=str(refusal))  # noqa: TRY400 - the text says it all
                return NotErased(reason="failed")
        if isinstance(answer, NotErased):
            log.warning("not everything was deleted", reason=answer.reason, locked_until=str(answer.until))
        return answer

    async def _rows(
        self, known: Knowledge, connection: Connection, holder: PostgresHolder, task: Erase, clock: Clock
    ) -> tuple[Answer, Spared]:
        """Delete, and begin again where a hold came meanwhile: what it doesn't cover goes on time all the same."""
        while True:
            try:
                holds = await self._rightly(known, task, clock)
            except RefusedError as refused:
                _refused(task, holder, refused)
                return refused.answer, NOTHING

            async def still_held(spared: Holds = holds) -> bool:
                return not set(await self._rightly(known, task, clock)) <= set(spared)

            right = self._right(task, holds, still_held)
            answer = await self._once(connection, holder, task, right, clock)
            if not isinstance(answer, NotErased) or answer.reason != "held":
                return answer, Spared(keep=right.keep, elsewhere=right.elsewhere)
            late = not set((await self._standing(known, task.customer_id, clock())).holds) <= set(holds)
            if not late:
                return answer, Spared(keep=right.keep, elsewhere=right.elsewhere)

    async def _once(
        self, connection: Connection, holder: PostgresHolder, task: Erase, right: Right, clock: Clock
    ) -> Answer:
        log = _log.bind(customer=task.customer_id, deletion=task.deletion_id, holder=holder.name)

        def told(one: TableCount) -> None:
            log.info("rows deleted", table=one.table, rows=one.rows)

        try:
            # Read each time: the map grows with the schema, and a holder lives for months.
            map = await asyncio.to_thread(load, holder.map)  # noqa: A001
            async with ObjectStore(self.settings.s3) as store:
                work = Work(connection, map, task.customer_id, right, clock, told, pace=holder.pace, objects=store)
                erasure = await erase(work)
        except StoreRefusalError as refusal:
            # The rows are gone and their objects noted, so the next command goes on from there.
            log.error("the store refuses", details=str(refusal))  # noqa: TRY400 - the text says it all
            return NotErased(reason="failed")
        except MapError as error:
            log.error("the data map can't be used", details=str(error))  # noqa: TRY400 - the text says it all
            return NotErased(reason="not_declared")
        except RefusedError as refused:
            _refused(task, holder, refused)
            return refused.answer
        for warning in erasure.warnings:
            log.warning("deleted, but", place=warning.place, says=warning.says)
        for one in erasure.slow:
            log.warning("deleted slowly", place=one.table, create_index=one.create_index)
        return erasure.outcome

    async def _rightly(self, known: Knowledge, task: Erase, clock: Clock) -> Holds:
        """Give the holds in force; raises ``RefusedError`` for a command of before another contract."""
        standing = await self._standing(known, task.customer_id, clock())
        check_contracts(standing.contracts, task.window_closed_at)
        return standing.holds

    async def _standing(self, known: Knowledge, customer_id: str, now: datetime) -> Standing:
        return await standing_at(known, customer_id, now)


def _refused(task: Erase, holder: Holder, refused: RefusedError) -> None:
    log = _log.bind(customer=task.customer_id, deletion=task.deletion_id, holder=holder.name)
    log.warning("not everything was deleted", reason=refused.reason, details=refused.details)


async def _no() -> bool:
    return False


def _concerned(holder: S3Holder, right: Right) -> bool:
    """Tell whether a hold of *right* keeps the objects, or may: then no more of them go."""
    try:
        return right.held or bool(bucket_covers(holder.bucket, holder.category, right.keep, right.elsewhere))
    except RefusedError:
        return True


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()
