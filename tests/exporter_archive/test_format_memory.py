"""The formats that write several tables at once hold no more in memory for more rows."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

from archive_school import School

from services.exporter.archive.archive import GATHERED
from services.exporter.archive.build import build
from services.exporter.archive.sink import FileSink
from services.exporter.archive.zipstream import HELD
from services.exporter.formats.registry import WHOLE

STREAMED = tuple(WHOLE[name] for name in ("sql", "xml", "xlsx", "documents"))
# A workbook is a ZIP in the ZIP, so what an entry holds back, and the pieces under way, are there twice.
BOUND = 4 * HELD + 16 * GATHERED


async def peak(school: School, rows: int, path: Path) -> int:
    await school.run(f"""
        delete from notes;
        insert into notes (id, user_id, title) select gen_random_uuid(), 1, md5(n::text) || md5((n + 1)::text)
          from generate_series(1, {rows}) as n
    """)
    tracemalloc.start()
    await build(school.sources, replace(school.order(), formats=STREAMED), FileSink(path))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


async def test_three_times_the_rows_need_no_more_memory(school: School, tmp_path: Path) -> None:
    """All of them hang on one entity, so its document has parts; the peak stays where it was."""
    small, large = [await peak(school, rows, tmp_path / "a.zip") for rows in (100_000, 300_000)]

    assert large < BOUND
    assert abs(large - small) < HELD
