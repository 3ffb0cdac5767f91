"""Memory is bounded by pieces and queues, never by rows, objects or their sizes."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from pathlib import Path

from archive_school import School

from services.exporter.archive.archive import GATHERED, Archive
from services.exporter.archive.build import build
from services.exporter.archive.sink import FileSink
from services.exporter.archive.zipstream import HELD
from services.exporter.formats.csv import Csv

# The sorts of things that are there at once: what an entry holds back, joined once; pieces gathered, joined,
# deflated; what asyncpg has read.
BOUND = 2 * HELD + 8 * GATHERED


async def peak_of_export(school: School, rows: int, path: Path) -> int:
    await school.run(f"""
        delete from notes;
        insert into notes (id, user_id, title) select gen_random_uuid(), 1, md5(n::text) || md5((n + 1)::text)
          from generate_series(1, {rows}) as n
    """)
    tracemalloc.start()
    report = await build(school.sources, school.order(), FileSink(path))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.size > rows * 48
    return most


async def test_ten_times_the_rows_need_no_more_memory(school: School, tmp_path: Path) -> None:
    """The larger archive is many times what is held back; the peak stays where it was."""
    small, large = [await peak_of_export(school, rows, tmp_path / "a.zip") for rows in (30_000, 300_000)]

    assert large < BOUND
    assert abs(large - small) < HELD


class Stuck(FileSink):
    """Takes nothing until it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reached, self.gate = asyncio.Event(), asyncio.Event()

    async def write(self, data: bytes) -> None:
        self.reached.set()
        await self.gate.wait()
        await super().write(data)


async def test_a_slow_store_makes_the_database_wait(tmp_path: Path) -> None:
    """While the sink takes nothing, the writer stops after what may be held: it is not let run ahead."""
    written, hard = 0, os.urandom(GATHERED)
    async with Stuck(tmp_path / "a.zip") as sink:
        archive = Archive(sink, "a")

        async def write_for_ever() -> None:
            nonlocal written
            async with archive.file("data/a", counter=Csv().counter()) as file:
                while True:
                    await file.write(hard)
                    written += len(hard)

        writing = asyncio.create_task(write_for_ever())
        await sink.reached.wait()
        done, _ = await asyncio.wait([writing], timeout=0.2)
        assert not done
        assert written <= HELD + 4 * GATHERED
        writing.cancel()
        await asyncio.wait([writing])
        archive.close()
