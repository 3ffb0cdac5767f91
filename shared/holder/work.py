"""One deletion that was asked for, and the transaction in which each part of it is done."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

import asyncpg

from ..datamap.fingerprint import settle
from ..datamap.names import reported
from ..events.vocabulary import TableCount
from . import ledger
from .pace import Pace
from .right import check_clock, check_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Literal

    from ..clock import Clock
    from ..datamap.live import Connection
    from ..datamap.model import DataMap
    from .references import Reference
    from .referred_store import Store
    from .right import Right
    from .scope import Covers

    Isolation = Literal["read_committed", "repeatable_read"]
    # Told as rows go: the table, and how many.
    Progress = Callable[[TableCount], None]
    # Told before the first row goes: what there is, and what will make it slow.
    Planned = Callable[["Foreseen"], None]


class Foreseen(Protocol):
    """What a plan tells of a deletion."""

    @property
    def rows(self) -> Counter[str]:
        """Give how many rows each table is to lose."""

    @property
    def slow(self) -> tuple[Reference, ...]:
        """Give the foreign keys without an index that it has to look for in whole tables."""


# What passes when it is done again from a fresh snapshot: a writer came between, or another order of locks.
RACES = (
    asyncpg.ForeignKeyViolationError,
    asyncpg.RestrictViolationError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be deleted, by which right, at which pace; *gone* adds up what is deleted for good.

    *holds* is what of it has to stay, as far as the map tells. *objects* is the store of what rows refer to, needed
    where the map has such columns.
    """

    connection: Connection
    map: DataMap
    customer: str
    right: Right
    clock: Clock
    progress: Progress = lambda _: None
    planned: Planned = lambda _: None
    dry_run: bool = False
    pace: Pace = field(default_factory=Pace)
    objects: Store | None = None
    gone: Counter[str] = field(default_factory=Counter)
    holds: Covers = field(default_factory=dict)

    @property
    def noted_as(self) -> str | None:
        """Give the id under which the deletion is noted in the database; a dry run is not."""
        return None if self.dry_run else self.right.deletion_id

    @asynccontextmanager
    async def transaction(self, isolation: Isolation) -> AsyncIterator[None]:
        """Begin with the right to delete in sight and nobody else deleting the same; a dry run is rolled back."""
        transaction = self.connection.transaction(isolation=isolation)
        await transaction.start()
        try:
            await settle(self.connection)
            if self.pace.rests:
                await self.connection.execute(ONE_CORE)
            await self.connection.execute(ALONE.format(_lock(self.map.system, self.customer)))
            now = self.clock()
            if not self.right.moved_clock:
                await check_clock(self.connection, now)
            check_command(self.right, now)
            yield
        except BaseException:
            # On a connection that is gone the server has rolled back already.
            if not self.connection.is_closed():
                await transaction.rollback()
            raise
        await (transaction.rollback() if self.dry_run else transaction.commit())

    async def note(self, deleted: Counter[str]) -> None:
        """Note *deleted* in the transaction that deletes, so that a repeat can tell it."""
        if self.noted_as:
            await ledger.note(self.connection, self.noted_as, counts(deleted))

    async def finish(self) -> None:
        """Note in the last transaction that nothing is left."""
        if self.noted_as:
            await ledger.finish(self.connection, self.noted_as)

    async def total(self) -> tuple[TableCount, ...]:
        """Give what went in all tries of this deletion, where it is noted; else in this one."""
        noted = await ledger.noted(self.connection, self.noted_as) if self.noted_as else {}
        gone = Counter({reported(name): rows for name, rows in self.gone.items()})
        return counts(gone | Counter(noted))


def counts(rows: Counter[str]) -> tuple[TableCount, ...]:
    """Write *rows* per table as events carry them."""
    return tuple(TableCount(table=reported(name), rows=number) for name, number in rows.items())


def _lock(system: str, customer: str) -> int:
    return int.from_bytes(blake2b(f"{system}\0{customer}".encode(), digest_size=8).digest(), "big", signed=True)


# Whoever leaves time to others leaves them the other cores too, though it reads for longer.
ONE_CORE = "set local max_parallel_workers_per_gather = 0"

# A lock that isn't had soon is given up: whoever waits for us must not wait for those whom we wait for.
ALONE = "set local lock_timeout = '5s'; select pg_advisory_xact_lock({})"
