"""How heavy an export will be, told within milliseconds: by the planner's estimate, and a look at the first objects."""

from __future__ import annotations

import json

import asyncpg

from shared.datamap.model import DataMap

from .archive.build import Sources
from .archive.media import Media
from .archive.witness import SETTINGS, rows_of

# Above any of these an export takes longer than somebody with little should wait behind it: some seconds.
HEAVY_ROWS = 200_000
HEAVY_OBJECTS = 1000
HEAVY_BYTES = 1024**3


async def is_heavy(sources: Sources, map: DataMap, customer: str) -> bool:  # noqa: A002 - the domain's word
    """Tell whether *customer* has much of what *map* declares. It is an estimate: only who waits for whom hangs on it.

    A map that doesn't fit the database makes nothing heavy: the build itself says what is wrong with it. Raises
    asyncpg's errors and StoreError where the database or the store can't be reached.
    """
    map = map.of(customer)  # noqa: A001 - the domain's word
    return await _has_many_rows(sources, map, customer) or await _has_many_objects(sources.objects, map, customer)


async def _has_many_rows(sources: Sources, map: DataMap, customer: str) -> bool:  # noqa: A002 - the domain's word
    async with sources.connect() as connection, connection.transaction(readonly=True):
        await connection.execute(SETTINGS)
        rows = 0
        for table in map.tables:
            try:
                plan = await connection.fetchval(f"explain (format json) select 1 {rows_of(map, table)}", customer)
            except asyncpg.SyntaxOrAccessError:
                return False
            rows += json.loads(plan)[0]["Plan"]["Plan Rows"]
            if rows > HEAVY_ROWS:
                return True
    return False


async def _has_many_objects(store: Media | None, map: DataMap, customer: str) -> bool:  # noqa: A002 - as above
    if store is None:
        return False
    objects = size = 0
    for bucket in map.buckets:
        async for one in store.list(bucket.bucket, bucket.prefix_of(customer)):
            objects, size = objects + 1, size + one.size
            if objects > HEAVY_OBJECTS or size > HEAVY_BYTES:
                return True
    return False
