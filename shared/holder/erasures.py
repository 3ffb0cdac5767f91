"""The erasure ledger: who was erased where, kept apart from there, so that a restored backup is found out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ..errors import OperatorError
from ..events.retention import Keep
from ..events.vocabulary import Value
from . import ledger

if TYPE_CHECKING:
    import asyncpg

    from ..datamap.live import Connection


class Spared(Value):
    """The holds whose rows were kept, as ``Right`` tells them apart."""

    keep: tuple[Keep, ...] = ()
    elsewhere: tuple[Keep, ...] = ()


NOTHING = Spared()


@dataclass(frozen=True, slots=True)
class Entry:
    """*customer_id* was erased at *holder* under *deletion_id*; its window had closed at *window_closed_at* (UTC).

    What *spared* names was kept then, and stays in a replay.
    """

    holder: str
    deletion_id: str
    customer_id: str
    window_closed_at: datetime
    spared: Spared = NOTHING


class RestoredError(OperatorError):
    """A holder's database is older than the ledger: it was restored, and customers who were erased are back in it."""

    def __init__(self, holder: str, missing: int) -> None:
        super().__init__(
            f"the database of {holder} is older than the erasure ledger: {missing} deletions are not in it, so those "
            "customers' rows may be back. Nothing is served from it until `offramp erase replay` has run."
        )
        self.missing = missing


async def record(kept: Connection, entry: Entry) -> None:
    """Write *entry* to the ledger, which is made if it is missing; harmless when repeated."""
    if not await kept.fetchval(THERE_WHOLE):
        await kept.execute(TABLE)
    spared = entry.spared.model_dump_json()
    await kept.execute(RECORD, entry.holder, entry.deletion_id, entry.customer_id, entry.window_closed_at, spared)


async def kept_there(kept: Connection) -> bool:
    """Tell whether there is a ledger in the database *kept*."""
    found: bool = await kept.fetchval(THERE)
    return found


async def entries(kept: Connection, holder: str) -> tuple[Entry, ...]:
    """Give all entries of *holder*, the oldest first."""
    if not await kept_there(kept):
        return ()
    query = ENTRIES if await kept.fetchval(THERE_WHOLE) else FORMER_ENTRIES
    return tuple(_entry(row) for row in await kept.fetch(query, holder))


def _entry(row: asyncpg.Record) -> Entry:
    named = row["holder"], row["deletion_id"], row["customer_id"], row["window_closed_at"]
    return Entry(*named, Spared.model_validate_json(row["spared"]))


async def missing(kept: Connection, database: Connection, holder: str) -> tuple[Entry, ...]:
    """Give the entries that *database*, the holder's, doesn't know to be finished: it is older than they are."""
    known = await entries(kept, holder)
    finished = await ledger.finished(database, [entry.deletion_id for entry in known])
    return tuple(entry for entry in known if entry.deletion_id not in finished)


async def check_not_restored(kept: Connection, database: Connection, holder: str) -> None:
    """Raise ``RestoredError`` where *database* lacks a deletion of the ledger's.

    The newest is enough to ask for: a restored database lacks it, and a replay ends with it.
    """
    newest = await kept.fetchval(NEWEST, holder) if await kept_there(kept) else None
    if newest is not None and not await ledger.finished(database, [newest]):
        raise RestoredError(holder, len(await missing(kept, database, holder)))


THERE = "select to_regclass('erasures') is not null"

THERE_WHOLE = """
    select exists (select from pg_attribute where attrelid = to_regclass('erasures') and attname = 'spared')
"""

TABLE = """
    select pg_advisory_xact_lock(hashtext('offramp.erasures'));
    -- Ids and moments only; kept for longer than any backup of the systems it tells of.
    create table if not exists erasures (
        number            bigint generated always as identity,
        holder            text not null,
        deletion_id       text not null,
        customer_id       text not null,
        window_closed_at  timestamptz not null,
        erased_at         timestamptz not null default now(),
        primary key (holder, deletion_id)
    );
    -- The holds whose rows were kept: ids and names.
    alter table erasures add column if not exists spared jsonb not null default '{}'
"""

RECORD = """
    insert into erasures (holder, deletion_id, customer_id, window_closed_at, spared) values ($1, $2, $3, $4, $5::jsonb)
    on conflict do nothing
"""

NEWEST = "select deletion_id from erasures where holder = $1 order by number desc limit 1"

ENTRIES = """
    select holder, deletion_id, customer_id, window_closed_at, spared::text as spared
      from erasures where holder = $1 order by number
"""

# Of a ledger in which nobody has written since rows could be kept; whoever only reads it may not change it.
FORMER_ENTRIES = """
    select holder, deletion_id, customer_id, window_closed_at, '{}' as spared
      from erasures where holder = $1 order by number
"""
