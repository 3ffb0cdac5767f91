"""Carries out a holder's deletions: rows by a data map, objects by a prefix."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import structlog

from ..datamap.model import MapError, load
from ..events.platform import Erased, NotErased
from ..events.vocabulary import TableCount
from ..holds import held
from ..objects import ObjectStore
from ..settings import Settings
from ..statecodec import StateCodec
from .declaration import Holder, PostgresHolder, S3Holder
from .domain import Holding
from .objects import erase_objects
from .right import RefusedError, Right
from .rows import erase
from .tasks import Erase, EraseEnded
from .work import Work

if TYPE_CHECKING:
    from datetime import datetime

    from ..clock import Clock
    from ..performer import Attempt

_log = structlog.get_logger()


@dataclass(frozen=True)
class Eraser:
    """Deletes at the *holders* that this process answers for; *name* is the domain's, whose cases know of holds."""

    name: str
    holders: Mapping[str, Holder]
    settings: Settings
    moved_clock: bool

    async def __call__(self, task: Erase, attempt: Attempt) -> EraseEnded:
        """Carry out *task*; outages are raised, and the task is begun again."""
        answer = await self._erase(self.holders[task.holder], task, attempt.clock)
        return EraseEnded(
            customer_id=task.customer_id,
            deletion_id=task.deletion_id,
            holder=task.holder,
            respond_by=task.respond_by,
            answer=answer,
        )

    async def _erase(self, holder: Holder, task: Erase, clock: Clock) -> Erased | NotErased:
        right = Right(
            window_closed_at=task.window_closed_at,
            held=await self._held(task.customer_id, clock()),
            still_held=lambda: self._held(task.customer_id, clock()),
            deletion_id=task.noted_as,
            moved_clock=self.moved_clock,
        )
        if isinstance(holder, S3Holder):
            return await self._objects(holder, task, right, clock)
        return await self._rows(holder, task, right, clock)

    async def _objects(self, holder: S3Holder, task: Erase, right: Right, clock: Clock) -> Erased | NotErased:
        async with ObjectStore(self.settings.s3) as store:
            prefix = holder.prefix_of(task.customer_id)
            return await erase_objects(store, holder.bucket, prefix, right=right, now=clock())

    async def _rows(self, holder: PostgresHolder, task: Erase, right: Right, clock: Clock) -> Erased | NotErased:
        log = _log.bind(customer=task.customer_id, deletion=task.deletion_id, holder=holder.name)
        connection = await asyncpg.connect(self.settings.dsn(holder.database))
        try:
            # Read each time: the map grows with the schema, and a holder lives for months.
            map = await asyncio.to_thread(load, holder.map)  # noqa: A001

            def told(one: TableCount) -> None:
                log.info("rows deleted", table=one.table, rows=one.rows)

            erasure = await erase(Work(connection, map, task.customer_id, right, clock, told, pace=holder.pace))
        except MapError as error:
            log.error("the data map can't be used", details=str(error))  # noqa: TRY400 - the text says it all
            return NotErased(reason="not_declared")
        except RefusedError as refused:
            log.warning("not everything was deleted", reason=refused.reason, details=refused.details)
            return refused.answer
        finally:
            await connection.close()
        for warning in erasure.warnings:
            log.warning("deleted, but", place=warning.place, says=warning.says)
        return erasure.outcome

    async def _held(self, customer_id: str, now: datetime) -> bool:
        connection = await asyncpg.connect(self.settings.dsn(self.name))
        try:
            state = await connection.fetchval(STATE, customer_id)
        finally:
            await connection.close()
        return state is not None and held(_states.load(state).holds, now)


_states: StateCodec[Holding] = StateCodec(Holding)

STATE = "select state::text from cases where customer_id = $1"
