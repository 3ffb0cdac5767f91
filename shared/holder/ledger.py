"""What was deleted under which command, noted in the transaction that deletes: a repeat can tell it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..events.vocabulary import TableCount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..datamap.live import Connection


async def prepare(connection: Connection) -> None:
    """Make the ledger if it is missing; its schema ``offramp`` holds ids and counts, nobody's data."""
    if not await connection.fetchval(THERE):
        await connection.execute(LEDGER)


async def note(connection: Connection, deletion_id: str, deleted: Sequence[TableCount]) -> tuple[TableCount, ...]:
    """Add *deleted* to what *deletion_id* deleted before, and give the sum per table, in the order of *deleted*."""
    before = await connection.fetchval(NOTED, deletion_id)
    known: dict[str, int] = json.loads(before) if before else {}
    total = tuple(TableCount(table=one.table, rows=one.rows + known.get(one.table, 0)) for one in deleted)
    await connection.execute(NOTE, deletion_id, json.dumps({one.table: one.rows for one in total}))
    return total


# "create … if not exists" would ask for the right to create even where nothing is missing.
THERE = "select to_regclass('offramp.deletions') is not null"

LEDGER = """
    create schema if not exists offramp;
    create table if not exists offramp.deletions (
        deletion_id  text primary key,
        deleted      jsonb not null,
        noted_at     timestamptz not null default now()
    )
"""

NOTED = "select deleted::text from offramp.deletions where deletion_id = $1 for update"

NOTE = """
    insert into offramp.deletions (deletion_id, deleted) values ($1, $2::jsonb)
    on conflict (deletion_id) do update set deleted = excluded.deleted, noted_at = excluded.noted_at
"""
