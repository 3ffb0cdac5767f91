"""Media: a customer's objects into an archive in S3, beside getting and putting the same bytes, no more."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from uuid import uuid4

import aioboto3
import asyncpg

from deploy.platform.scratch import scratch_database
from shared.objects import ObjectStore
from shared.settings import read_settings

from .children import Starting, alone
from .export import Run, measured
from .rows import Row, append, show

CUSTOMER = "acme"
ROUNDS = 3
PART, AHEAD = 6 << 20, 8
MAP = """
version: 1
system: bench
tenancy: rows
tables:
  customers: {{category: user, owner: {{column: id}}}}
buckets:
  media: {{bucket: {bucket}, prefix: "{{customer}}/", category: course}}
"""


@dataclass(frozen=True, slots=True)
class Load:
    """*count* objects of *size* bytes, which don't compress: media never do."""

    name: str
    count: int
    size: int


LOADS = (Load("of 8 MiB", 60, 8 << 20), Load("of 100 KB", 3_000, 100_000), Load("of 2 KB", 70_000, 2_000))


@dataclass(frozen=True, slots=True)
class Ground:
    dsn: str
    map: Path
    bucket: str


@asynccontextmanager
async def ground(load: Load, scale: float) -> AsyncIterator[Ground]:
    settings, bucket = read_settings(), f"bench-{uuid4().hex[:8]}"
    async with scratch_database(settings.postgres) as dsn, ObjectStore(settings.s3) as store:
        connection = await asyncpg.connect(dsn)
        await connection.execute(
            f"create table customers (id text primary key); insert into customers values ('{CUSTOMER}')"
        )
        await connection.close()
        await store.ensure_bucket(bucket, versioned=False)
        try:
            # In a process of its own: what a parent has in memory counts as its children's peak.
            await alone(f"{__name__}:fill", bucket=bucket, count=counted(load, scale), size=load.size)
            with TemporaryDirectory() as folder:
                path = Path(folder) / "map.yaml"
                path.write_text(MAP.format(bucket=bucket))
                yield Ground(dsn, path, bucket)
        finally:
            for prefix in (f"{CUSTOMER}/", "made/"):
                await store.delete_all_versions(bucket, prefix)
            await store.remove_bucket(bucket)


def counted(load: Load, scale: float) -> int:
    return max(int(load.count * scale), 10)


async def fill(starting: Starting, bucket: str, count: int, size: int) -> dict[str, Any]:
    random, slots = Random(0), asyncio.Semaphore(16)

    async def put(store: ObjectStore, number: int) -> None:
        async with slots:
            await store.put(bucket, f"{CUSTOMER}/{number:06}.jpg", random.randbytes(size))

    await starting()
    async with ObjectStore(read_settings().s3) as store, asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(put(store, number))
    return {}


def product(on: Ground) -> Run:
    key = f"s3://{on.bucket}/made/{uuid4().hex}.zip"
    arguments = ["--map", on.map, "--dsn", on.dsn, "--customer", CUSTOMER, "--to", key, "--format", "csv", "--json"]
    run, output = measured([str(Path(sys.executable).with_name("offramp")), "export", *map(str, arguments)])
    return Run(json.loads(output)["seconds"], run.memory_mib)


async def floor(starting: Starting, bucket: str, *, short: bool) -> dict[str, Any]:
    """Get every object, eight at once, and put their bytes as one object in parts, two at once.

    By the library's client, or *short*, as the product gets them: the client's own work is most of a small object's.
    """
    s3 = read_settings().s3
    named = {"aws_access_key_id": s3.access_key, "aws_secret_access_key": s3.secret_key, "region_name": s3.region}
    session = aioboto3.Session().client("s3", endpoint_url=s3.endpoint, **named)
    async with session as client, ObjectStore(s3) as store:
        await client.list_buckets()
        await starting()
        begun = perf_counter()
        await carried(client, store if short else None, bucket, f"made/{uuid4().hex}")
        return {"seconds": perf_counter() - begun}


async def carried(client: Any, store: ObjectStore | None, bucket: str, key: str) -> None:
    made = {"Bucket": bucket, "Key": key}
    upload = (await client.create_multipart_upload(**made))["UploadId"]
    sending: list[asyncio.Task[Any]] = []
    filled = io.BytesIO()

    async def send() -> None:
        nonlocal filled
        body, filled = filled.getvalue(), io.BytesIO()
        if len(sending) > 1:
            await sending[-2]
        number = len(sending) + 1
        part = client.upload_part(**made, UploadId=upload, PartNumber=number, Body=body)
        sending.append(asyncio.create_task(part))

    async for body in bodies(client, store, bucket):
        filled.write(body)
        if filled.tell() >= PART:
            await send()
    await send()
    parts = [{"PartNumber": number, "ETag": (await one)["ETag"]} for number, one in enumerate(sending, 1)]
    await client.complete_multipart_upload(**made, UploadId=upload, MultipartUpload={"Parts": parts})


async def bodies(client: Any, store: ObjectStore | None, bucket: str) -> AsyncIterator[bytes]:
    ahead: list[asyncio.Task[bytes]] = []
    async for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{CUSTOMER}/"):
        for one in page["Contents"]:
            got = _got(client, bucket, one["Key"]) if store is None else _got_short(store, bucket, one)
            ahead.append(asyncio.create_task(got))
            if len(ahead) >= AHEAD:
                yield await ahead.pop(0)
    for one in ahead:
        yield await one


async def _got(client: Any, bucket: str, key: str) -> bytes:
    found: bytes = await (await client.get_object(Bucket=bucket, Key=key))["Body"].read()
    return found


async def _got_short(store: ObjectStore, bucket: str, one: Mapping[str, str]) -> bytes:
    return b"".join([piece async for piece in store.stream(bucket, one["Key"], etag=one["ETag"].strip('"'))])


async def run(scale: float = 1.0) -> list[Row]:
    """Measure large, middling and many small objects, *scale* times as many of each."""
    return [row for load in LOADS for row in await compared(load, scale)]


async def compared(load: Load, scale: float) -> list[Row]:
    ours: list[Run] = []
    theirs: dict[bool, list[float]] = {False: [], True: []}
    async with ground(load, scale) as on:
        for _ in range(ROUNDS):
            ours.append(await asyncio.to_thread(product, on))
            for short, seconds in theirs.items():
                seconds.append((await alone(f"{__name__}:floor", bucket=on.bucket, short=short)).figures["seconds"])
    return [_row(load, counted(load, scale), ours, seconds, short) for short, seconds in theirs.items()]


def _row(load: Load, count: int, ours: Sequence[Run], theirs: Sequence[float], short: bool) -> Row:  # noqa: FBT001
    made, floor_seconds = median(run.seconds for run in ours), median(theirs)
    figure, peak = count * load.size / 1e6 / made, max(run.memory_mib for run in ours)
    versus = "the product's own GET, PUT in parts" if short else "GET, PUT in parts"
    return Row(f"media {load.name}", figure, f"MB/s of {count:,}", versus, floor_seconds / made, ">= 0.8", peak)


if __name__ == "__main__":
    results = asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
    append(results)
    show(results)
