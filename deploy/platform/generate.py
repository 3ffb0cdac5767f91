"""Fills the demo platform: customers, people, courses and what they did, of any number, from a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from .customer import BEGINNING, COLUMNS, Batch, Inventor

if TYPE_CHECKING:
    from shared.datamap.live import Connection

HERE = Path(__file__).parent
BUCKET = "offramp-media"
# Writes one object: bucket, key, content. ``ObjectStore.put`` is one.
Put = Callable[[str, str, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Generated:
    """How many rows per table and how many objects were made."""

    rows: dict[str, int]
    objects: int


async def create(dsn: str, schema: str = "schema.sql") -> None:
    """Make the platform's tables in the empty database at *dsn*."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute((HERE / schema).read_text())
    finally:
        await connection.close()


async def generate(
    dsn: str, customers: Sequence[str], *, seed: int = 7, users: int = 200, put: Put | None = None
) -> Generated:
    """Add *customers*, each with *users* people (about 20 rows a person), and their objects if *put* is given.

    The same seed gives the same rows in the same database. The tables exist already, see ``create``.
    """
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            return await _fill(connection, customers, seed, users, put)
    finally:
        await connection.close()


async def _fill(connection: Connection, customers: Sequence[str], seed: int, users: int, put: Put | None) -> Generated:
    taken = await _taken(connection)
    made, objects = Counter[str](), 0
    for customer in customers:
        for batch in Inventor(customer, seed, taken).batches(users):
            made.update(await _copy(connection, batch))
            objects += await _store(batch, put)
    await _move_sequences(connection, taken)
    await _systems_own_rows(connection)
    return Generated(dict(made), objects)


async def _taken(connection: Connection) -> Counter[str]:
    return Counter({table: await connection.fetchval(LAST.format(table)) for table in _numbered()})


def _numbered() -> list[str]:
    return [table for table, columns in COLUMNS.items() if columns[0] == "id" and table != "customers"]


async def _copy(connection: Connection, batch: Batch) -> dict[str, int]:
    for table, rows in batch.rows.items():
        if rows:
            await connection.copy_records_to_table(table, records=rows, columns=COLUMNS[table])
    return {table: len(rows) for table, rows in batch.rows.items()}


async def _store(batch: Batch, put: Put | None) -> int:
    if put is None:
        return 0
    for key, body in batch.objects.items():
        await put(BUCKET, key, body)
        if key.endswith("/0.mp4"):
            # A second version, which a careless deletion leaves behind.
            await put(BUCKET, key, body + body[8:])
    return len(batch.objects)


async def _systems_own_rows(connection: Connection) -> None:
    for action in ("nightly_backup", "upgrade"):
        await connection.execute(SYSTEM_ROW, BEGINNING, action)


async def _move_sequences(connection: Connection, taken: Counter[str]) -> None:
    for table, last in taken.items():
        if last:
            await connection.execute(SEQUENCE.format(table))


LAST = "select coalesce(max(id), 0) from {}"

# Nobody's rows: no customer may take them away.
SYSTEM_ROW = "insert into activity_log (happened_at, action) values ($1, $2)"

SEQUENCE = "select setval(pg_get_serial_sequence('{0}', 'id'), (select max(id) from {0}))"
