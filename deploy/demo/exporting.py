"""Follows an export while it is made, from the row of its task in the exporter's own database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import asyncpg

_EVERY = 0.3


async def follow(dsn: str, show: Callable[[str, int, int | None], None]) -> None:
    """Show each step of whatever archive is being built, until cancelled."""
    connection = await asyncpg.connect(dsn)
    try:
        while True:
            reached = await connection.fetchval(REACHED)
            if reached:
                show(*json.loads(reached))
            # The progress is a column: it is looked at, nobody rings.
            await asyncio.sleep(_EVERY)
    finally:
        await connection.close()


REACHED = "select progress::text from tasks where kind = 'BuildArchive' and progress is not null limit 1"
