"""Memory doesn't grow with the rows that refer to objects, and by little with the objects."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path

import pytest
from archive_school import School

from services.exporter.archive.build import build
from services.exporter.archive.sink import FileSink
from services.exporter.archive.zipstream import HELD
from shared.datamap.model import parse
from shared.objects import Listed, ObjectStore

MAP = """
version: 1
system: school
tenancy: rows
tables:
  customers: {category: user, owner: {column: id}}
  users: {category: user, owner: {column: customer_id}, leave_out: {password_hash: a secret}}
  notes: {category: course, owner: {path: [{column: user_id, to: users.id}]}}
  settings: {exempt: the platform's own}
  files: {category: course, owner: {column: customer_id}, media: {hash: {bucket: pool, key: "{value}", name: name}}}
"""
# What is kept of an object is a number for its name, in sets that double when they are full.
PER_OBJECT = 200


class Made(ObjectStore):
    """A store in which every key has an object, made as it is read: so many would take long to put there."""

    def __init__(self) -> None:
        """Open nothing."""

    async def check_bucket(self, bucket: str) -> None:
        return

    async def head(self, bucket: str, key: str) -> Listed:
        return Listed(key, 32, "etag", datetime(2026, 1, 1, tzinfo=UTC))

    async def stream(
        self, bucket: str, key: str, *, first: int = 0, last: int | None = None, etag: str | None = None
    ) -> AsyncGenerator[bytes]:
        yield md5(key.encode()).hexdigest().encode()  # noqa: S324 - to look at


async def peak(school: School, rows: int, objects: int, path: Path) -> int:
    await school.run(f"""
        drop table if exists files;
        create table files (id int primary key, customer_id text, hash text, name text);
        insert into files select n, 'acme', md5((n % {objects})::text), n || '.txt' from generate_series(1, {rows}) as n
    """)
    order = replace(school.order(), map=parse(MAP.encode(), "map.yaml"))
    tracemalloc.start()
    report = await build(replace(school.sources, objects=Made()), order, FileSink(path))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.media_objects == objects
    return most


async def test_ten_times_the_rows_that_refer_need_no_more_memory(school: School, tmp_path: Path) -> None:
    """The list of references waits on disk."""
    small, large = [await peak(school, rows, 50, tmp_path / "a.zip") for rows in (10_000, 100_000)]

    assert abs(large - small) < HELD


@pytest.mark.parametrize(("few", "many"), [(500, 5_000)])
async def test_an_object_takes_the_memory_of_its_name(school: School, tmp_path: Path, few: int, many: int) -> None:
    """What is read of it is let go."""
    small, large = [await peak(school, number, number, tmp_path / "a.zip") for number in (few, many)]

    assert large - small < HELD + (many - few) * PER_OBJECT
