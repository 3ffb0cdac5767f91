"""Deletes a customer's rows: all of them, nobody else's, or none at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from ..datamap.fingerprint import Rows, all_rows, measure, other_rows, settle
from ..datamap.order import OrderError, deletion_order
from ..datamap.ownership import goes_with, relation
from ..events.platform import Erased, NotErased
from ..events.vocabulary import TableCount, TableFingerprint
from . import ledger
from .right import RefusedError, Right, check_clock, check_command, check_still, check_system

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ..datamap.drift import Finding
    from ..datamap.live import Connection
    from ..datamap.model import DataMap, Table

    # Told after each table: its name and how many rows went.
    Progress = Callable[[TableCount], None]


@dataclass(frozen=True, slots=True)
class Erasure:
    """What a deletion did, or in a dry run would do; *warnings* are findings that don't stop it."""

    outcome: Erased
    warnings: tuple[Finding, ...]


async def erase_rows(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    *,
    right: Right,
    now: datetime,
    progress: Progress | None = None,
) -> Erased | NotErased:
    """Delete *customer*'s rows in one transaction, and say what went; where anything is in the way, nothing goes.

    Where the right has a deletion's id, the counts of an earlier try that was cut off after its commit are in the
    answer too. Outages and serialisation failures are raised: nothing was deleted then, and trying again is right.
    """
    try:
        erasure = await erase(connection, map, customer, right=right, now=now, progress=progress)
    except RefusedError as refused:
        return NotErased(reason=refused.reason)
    return erasure.outcome


async def erase(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    *,
    right: Right,
    now: datetime,
    progress: Progress | None = None,
    dry_run: bool = False,
) -> Erasure:
    """Do what ``erase_rows`` does, but raise a ``RefusedError`` that tells the details; a *dry_run* is rolled back."""
    work = _Work(connection, map.of(customer), customer, right, now, progress, dry_run)
    if work.noted_as:
        await ledger.prepare(connection)
    try:
        return await work.attempt()
    except (asyncpg.ForeignKeyViolationError, asyncpg.SerializationError):
        # The platform wrote a row of the customer's meanwhile; a fresh snapshot has it. A second failure is no race.
        return await _last_attempt(work)


async def _last_attempt(work: _Work) -> Erasure:
    try:
        return await work.attempt()
    except asyncpg.IntegrityConstraintViolationError as error:
        # The constraint's name only: the server's own text quotes values.
        raise RefusedError(
            "failed", f"{error.table_name}: the constraint {error.constraint_name} forbids it"
        ) from error


@dataclass(frozen=True, slots=True)
class _Work:
    """One deletion that was asked for, to be attempted in a transaction of its own."""

    connection: Connection
    map: DataMap
    customer: str
    right: Right
    now: datetime
    progress: Progress | None
    dry_run: bool

    @property
    def noted_as(self) -> str | None:
        return None if self.dry_run else self.right.deletion_id

    async def attempt(self) -> Erasure:
        transaction = self.connection.transaction(isolation="repeatable_read")
        await transaction.start()
        try:
            erasure = await self._steps()
        except BaseException:
            # On a connection that is gone the server has rolled back already.
            if not self.connection.is_closed():
                await transaction.rollback()
            raise
        await (transaction.rollback() if self.dry_run else transaction.commit())
        return erasure

    async def _steps(self) -> Erasure:
        await settle(self.connection)
        if not self.right.moved_clock:
            await check_clock(self.connection, self.now)
        check_command(self.right, self.now)
        warnings = await check_system(self.connection, self.map, self.customer)
        outcome = await self._delete_and_compare()
        await check_still(self.right)
        return Erasure(outcome, warnings)

    async def _delete_and_compare(self) -> Erased:
        others = {one.name: await self._measure(other_rows(self.map, one), self.customer) for one in self.map.tables}
        deleted = await self._delete()
        # Read back without asking whose the rows are: a row that led to the customer through a deleted one
        # would no longer be found, but it stands among the rest now, where nothing may have been added.
        rest = {one.name: await self._measure(all_rows(one)) for one in self.map.tables}
        _nothing_left_and_nobody_touched(others, rest)
        if self.noted_as:
            deleted = await ledger.note(self.connection, self.noted_as, deleted)
        return Erased(
            deleted=deleted,
            remaining=tuple(TableCount(table=name, rows=_left(others[name], rest[name])) for name in rest),
            bystanders=tuple(_compared(name, others[name], rest[name]) for name in rest),
        )

    async def _measure(self, query: str, *customer: str) -> Rows:
        return await measure(self.connection, query, *customer)

    async def _delete(self) -> tuple[TableCount, ...]:
        deleted: list[TableCount] = []
        for table in await self._order():
            status = await self.connection.execute(delete_statement(self.map, table), self.customer)
            deleted.append(TableCount(table=table.name, rows=int(status.removeprefix("DELETE "))))
            if self.progress:
                self.progress(deleted[-1])
        return tuple(deleted)

    async def _order(self) -> tuple[Table, ...]:
        try:
            return await deletion_order(self.connection, self.map)
        except OrderError as error:
            raise RefusedError("failed", str(error)) from error


def delete_statement(map: DataMap, table: Table) -> str:  # noqa: A002
    """Give the statement that deletes the rows of *table* that belong to the customer ``$1``."""
    return DELETE.format(relation=relation(table.name), which=goes_with(map, table))


def _nothing_left_and_nobody_touched(others: dict[str, Rows], rest: dict[str, Rows]) -> None:
    differing = [name for name in rest if rest[name] != others[name]]
    if differing:
        details = f"rows were left or others' rows changed, so nothing was deleted: {', '.join(differing)}"
        raise RefusedError("failed", details)


def _left(others: Rows, rest: Rows) -> int:
    return max(0, rest.count - others.count)


def _compared(name: str, others: Rows, rest: Rows) -> TableFingerprint:
    return TableFingerprint(
        table=name,
        rows_before=others.count,
        rows_after=rest.count,
        before=others.fingerprint,
        after=rest.fingerprint,
    )


def total(counts: Sequence[TableCount]) -> int:
    """Add up the rows of all tables."""
    return sum(one.rows for one in counts)


DELETE = "delete from {relation} as t where {which}"
