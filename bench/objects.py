"""Objects: one customer's versions deleted from a bucket in which ten times as many lie.

Floor: ``list_object_versions`` and ``delete_objects`` of the same prefix, bare, page after page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from statistics import median
from time import perf_counter
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from shared.clock import system_clock
from shared.datamap.document import CUSTOMER
from shared.events.platform import Erased
from shared.holder.declaration import S3Holder
from shared.holder.heard import HoldTopics, KeptHoldTopics
from shared.holder.perform import Eraser
from shared.holder.tasks import Erase
from shared.objects import ObjectStore
from shared.performer import Attempt
from shared.settings import read_settings

from .children import Starting, alone
from .ground import database, topics
from .rows import Row

VERSIONS = 100_000
# Of each object so many versions, the last one a delete marker.
DEEP = 4
TIMES = 10
ROUNDS = 3
CONTENDERS = ("product", "sweep", "floor")
# Written side by side.
_AT_ONCE = 16
DAY = timedelta(days=1)


async def product(starting: Starting, bucket: str, own: str, prefix: str) -> dict[str, Any]:
    """Delete as the holder does: holds asked of before each page, others compared before and after, counted anew."""
    settings = replace(read_settings(), own_dsns=MappingProxyType({"holder": own}))
    holder = S3Holder("media", DAY, "holder", bucket, f"{CUSTOMER}/")
    now = system_clock()
    order = Erase(
        customer_id="acme", deletion_id="acme:1", holder="media", window_closed_at=now - DAY, respond_by=now + DAY
    )
    async with KeptHoldTopics(HoldTopics(settings.kafka, f"{prefix}offramp.holder", prefix)) as kept:
        eraser = Eraser("holder", {"media": holder}, settings, moved_clock=False, published=kept)
        await starting()
        begun = perf_counter()
        ended = await eraser(order, Attempt(uuid4(), 1, system_clock))
        took = perf_counter() - begun
    assert isinstance(ended.answer, Erased), ended.answer
    return {"seconds": took}


async def sweep(starting: Starting, bucket: str, **_: Any) -> dict[str, Any]:
    """Delete as the holder does, without looking at anybody else's."""
    async with ObjectStore(read_settings().s3) as store:
        await starting()
        begun = perf_counter()
        await store.delete_all_versions(bucket, "acme/")
        return {"seconds": perf_counter() - begun}


async def floor(starting: Starting, bucket: str, **_: Any) -> dict[str, Any]:
    """List a page, delete it, list the next."""
    async with ObjectStore(read_settings().s3) as store:
        client = store.client
        await starting()
        begun = perf_counter()
        async for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix="acme/"):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            if found:
                some = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
                await client.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})
        return {"seconds": perf_counter() - begun}


async def run(scale: float = 0.01) -> list[Row]:
    """Delete *scale* times 100,000 versions of ten times as many with each contender in turn; versions a second."""
    count = max(int(VERSIONS * scale), 2 * DEEP) // DEEP * DEEP
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    peaks = []
    async with filled(count * (TIMES - 1)) as bucket:
        # At full size each is written, and deleted, for minutes.
        for _ in range(ROUNDS if 500 <= count < VERSIONS else 1):
            for name in CONTENDERS:
                rate, memory = await deleted(name, bucket, count)
                rates[name].append(rate)
                peaks += [memory] if name == "product" else []
    middle, unit = {name: median(found) for name, found in rates.items()}, f"versions/s of {count:,}"
    versus, ours, swept = f"bare list and delete, {count * TIMES:,} in all", middle["product"], middle["sweep"]
    return [
        Row("objects", ours, unit, versus, ours / middle["floor"], ">= 0.8", max(peaks)),
        Row("objects, others not compared", swept, unit, versus, swept / middle["floor"], ">= 0.8"),
    ]


async def deleted(name: str, bucket: str, count: int) -> tuple[float, float]:
    """Let contender *name* delete *count* versions that were just written; versions a second, and memory."""
    async with (
        database() as own,
        topics(("LegalHoldPlaced", "LegalHoldReleased", "ContractRegistered", "ContractTerminated")) as prefix,
        ObjectStore(read_settings().s3) as store,
    ):
        await write(store, bucket, "acme", count)
        assert await store.count_left(bucket, "acme/") == count
        answer = await alone(f"{__name__}:{name}", bucket=bucket, own=own, prefix=prefix)
        assert await store.count_left(bucket, "acme/") == 0
    return count / float(answer.figures["seconds"]), answer.memory_mib


@asynccontextmanager
async def filled(count: int) -> AsyncIterator[str]:
    """Give a bucket with so many versions of others', half of which come before the customer in order of the keys."""
    bucket = f"bench-{uuid4().hex[:12]}"
    async with ObjectStore(read_settings().s3) as store:
        await store.ensure_bucket(bucket)
        try:
            half = count // DEEP // 2 * DEEP
            await write(store, bucket, "aaron", half)
            await write(store, bucket, "zenith", count - half)
            yield bucket
        finally:
            for customer in ("aaron", "zenith", "acme"):
                await store.delete_all_versions(bucket, f"{customer}/")
            await store.remove_bucket(bucket)


async def write(store: ObjectStore, bucket: str, customer: str, count: int) -> None:
    """Write *count* versions of *customer*'s, ``DEEP`` of each object."""
    keys = iter(f"{customer}/{number:07}" for number in range(count // DEEP))

    async def one_after_the_other() -> None:
        for key in keys:
            for _ in range(DEEP - 1):
                await store.put(bucket, key, b"x" * 100)
            await store.client.delete_object(Bucket=bucket, Key=key)

    await asyncio.gather(*(one_after_the_other() for _ in range(_AT_ONCE)))
