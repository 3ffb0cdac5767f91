"""What looks like a statement's parameter, in a name or a text, is a name or a text."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

from archive_school import School

from services.exporter.archive.build import ALL_FORMATS, build
from services.exporter.archive.sink import FileSink

PRICES = """
    create table prices ("$1" integer primary key, customer_id text not null, "$2" integer not null);
    insert into prices values (1, 'acme', 7), (2, 'other', 7), (3, 'x''; -- \\', 7);
"""
MAP = r"""
  prices: {category: user, owner: {column: customer_id}, coded: {"$2": {labels: {"7": "'costs' $1, $2 or $0"}}}}
  settings:"""


async def prices(school: School, folder: Path, customer: str) -> tuple[ZipFile, list[dict[str, str]]]:
    school = school.mapped("\n  settings:", MAP)
    path = folder / "one.zip"
    await build(school.sources, replace(school.order(), customer=customer, formats=ALL_FORMATS), FileSink(path))
    opened = ZipFile(path)
    return opened, list(csv.DictReader(io.StringIO(opened.read("export-1/data/csv/user/prices.csv").decode())))


async def test_a_name_or_a_label_may_look_like_a_parameter(school: School, tmp_path: Path) -> None:
    """A column called ``$1`` and a label with ``$2`` in it are shown as they are, in every format."""
    await school.run(PRICES)
    opened, rows = await prices(school, tmp_path, "acme")
    with opened:
        dump = opened.read("export-1/data/sql/dump.sql").decode()

    assert rows == [{"$1": "1", "customer_id": "acme", "$2": "7", "$2_meaning": "'costs' $1, $2 or $0"}]
    assert '\ncopy "public"."prices" ("$1", "customer_id", "$2") from stdin;\n1\tacme\t7\n\\.\n' in dump


async def test_a_customers_id_is_a_text_whatever_is_in_it(school: School, tmp_path: Path) -> None:
    """A quote, a comment and a backslash in it are part of it, also where the server reads backslashes as escapes."""
    await school.run(PRICES)
    async with school.connect() as connection:
        name = await connection.fetchval("select current_database()")
        await connection.execute(f"alter database {name} set standard_conforming_strings = off")
    opened, rows = await prices(school, tmp_path, "x'; -- \\")
    opened.close()

    assert [row["$1"] for row in rows] == ["3"]
