"""What was deleted under which command, noted in the transaction that deletes: a repeat can tell it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..datamap.live import Connection
    from ..events.vocabulary import TableCount


async def prepare(connection: Connection) -> None:
    """Make the ledger if it is missing; its schema ``offramp`` holds ids and counts, nobody's data."""
    if not await connection.fetchval(THERE):
        await connection.execute(LEDGER)


async def note(connection: Connection, deletion_id: str, deleted: Sequence[TableCount]) -> None:
    """Add *deleted* to what *deletion_id* deleted before."""
    known = await noted(connection, deletion_id)
    known.update({one.table: one.rows + known.get(one.table, 0) for one in deleted})
    await connection.execute(NOTE, deletion_id, json.dumps(known))


async def noted(connection: Connection, deletion_id: str) -> dict[str, int]:
    """Give the rows per table that *deletion_id* deleted, in all tries of it."""
    known = await connection.fetchval(NOTED, deletion_id)
    return json.loads(known) if known else {}


# "create … if not exists" would ask for the right to create even where nothing is missing.
THERE = "select to_regclass('offramp.deletions') is not null"

# "if not exists" is no protection against somebody who creates the same at the same time.
LEDGER = """
    select pg_advisory_xact_lock(hashtext('offramp.ledger'));
    create schema if not exists offramp;
    create table if not exists offramp.deletions (
        deletion_id  text primary key,
        deleted      jsonb not null,
        noted_at     timestamptz not null default now()
    )
"""

NOTED = "select deleted::text from offramp.deletions where deletion_id = $1"

NOTE = """
    insert into offramp.deletions (deletion_id, deleted) values ($1, $2::jsonb)
    on conflict (deletion_id) do update set deleted = excluded.deleted, noted_at = excluded.noted_at
"""
