"""Each cell of each format, read by a program that isn't ours, is what Postgres holds, or says itself that it isn't."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import openpyxl
import pytest
from archive_school import School
from lxml import etree
from python_calamine import CalamineWorkbook

from services.exporter.archive.build import build
from services.exporter.archive.faults import RowsDisagreeError
from services.exporter.archive.sink import FileSink
from services.exporter.archive.snapshot import Snapshot
from services.exporter.formats.registry import WHOLE
from shared.datamap.model import Table

FOLDER = Path(__file__).parent
TABLES = ("zoo", "hostile")
MAP = """
  zoo: {category: user, owner: {column: customer_id}}
  copy_of_zoo: {exempt: a copy}
  hostile: {category: user, owner: {column: customer_id}}
  settings:"""
Cells = dict[str, dict[str, str | None]]


@pytest.fixture
async def cells(school: School) -> School:
    await school.run((FOLDER / "zoo.sql").read_text())
    await school.run((FOLDER / "hostile_cells.sql").read_text())
    return school.mapped("\n  settings:", MAP)


async def archived(school: School, folder: Path, *names: str) -> ZipFile:
    path = folder / "one.zip"
    formats = tuple(WHOLE[name] for name in names)
    await build(school.sources, replace(school.order(), formats=formats), FileSink(path))
    return ZipFile(path)


async def held(school: School, table: str) -> Cells:
    """Give every cell as Postgres' own text, by id and column."""
    async with school.connect() as connection:
        await connection.execute("set timezone = 'UTC'; set intervalstyle = 'iso_8601'")
        names = await connection.fetchval(
            "select array_agg(quote_ident(attname) order by attnum) from pg_attribute"
            " where attrelid = $1::text::regclass and attnum > 0",
            table,
        )
        shown = ", ".join(f"{name}::text" for name in names)
        found = await connection.fetch(f"select {shown} from {table}")
    return {row["id"]: dict(row.items()) for row in found}


def decoded(name: str) -> str:
    """Give the column's name back, by ISO 9075-14."""
    return re.sub(r"_x([0-9A-F]{4}|[0-9A-F]{6})_", lambda found: chr(int(found.group(1), 16)), name)


@pytest.mark.parametrize("table", TABLES)
async def test_xml_is_valid_and_holds_every_cell(cells: School, tmp_path: Path, table: str) -> None:
    """By its XSD it is valid; NULL is absent; where XML has no character for one, the row says that it was replaced."""
    with await archived(cells, tmp_path, "xml") as opened:
        body, schema = (opened.read(f"export-1/data/xml/user/{table}.{kind}") for kind in ("xml", "xsd"))
    parser = etree.XMLParser(no_network=True, resolve_entities=False, huge_tree=True)
    document = etree.fromstring(body, parser)
    etree.XMLSchema(etree.fromstring(schema, parser)).assertValid(document)

    expected = await held(cells, table)
    assert len(document) == len(expected)
    for row in document:
        shown = {decoded(one.tag): one.text or "" for one in row}
        for name, text in expected[shown["id"]].items():
            held_as = text.removeprefix("\\x") if text and name == "blob" else text
            assert as_in_xml(held_as, replaced=row.get("replaced") == "true") == as_in_database(shown.get(name)), name


def as_in_xml(text: str | None, *, replaced: bool) -> str | None:
    if text is None:
        return None
    fitting = re.sub("[\x01-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", text)
    assert replaced or fitting == text
    return fitting


def as_in_database(text: str | None) -> str | None:
    """Undo what XML Schema's types ask for: T and Z in moments, bytes without their mark."""
    if text is None:
        return None
    if re.fullmatch(r"\d{4,}-\d\d-\d\dT[\d:.]+Z?", text):
        return text.replace("T", " ").replace("Z", "+00")
    return text


@pytest.mark.parametrize("table", TABLES)
async def test_xlsx_holds_every_cell(cells: School, tmp_path: Path, table: str) -> None:
    """Numbers where they are exact, else texts; nothing is a formula; a text too long for a cell names its file."""
    with await archived(cells, tmp_path, "xlsx") as opened:
        book = openpyxl.load_workbook(io.BytesIO(opened.read("export-1/data/xlsx/user.xlsx")))
    header, *rows = list(book[table].iter_rows())
    names = [unescaped(str(cell.value)) for cell in header]

    expected = await held(cells, table)
    assert len(rows) == len(expected)
    for row in rows:
        assert not any(cell.data_type == "f" for cell in row)
        for name, cell in zip(names, row, strict=True):
            assert same(expected[str(row[0].value)][name], cell.value), (name, cell.value)


def unescaped(text: str) -> str:
    """Read as ECMA-376, part 1, 22.9.2.19 says."""
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found.group(1), 16)), text)


def same(held: str | None, shown: Any) -> bool:
    if isinstance(shown, bool):
        return held == ("true" if shown else "false")
    if isinstance(shown, int | float):
        # A spreadsheet counts in doubles, so a number must be one, digit by digit; this reader alone would keep more.
        exact = held is not None and Decimal(held) == Decimal(repr(shown))
        return exact and (isinstance(shown, float) or abs(shown) <= 2**53)
    if isinstance(shown, date):
        return held == f"{shown:%Y-%m-%d}".zfill(10)
    if held is None or shown is None:
        # The two can't be told apart in many programs, and the sheet "About" says so.
        return not held and not shown
    if len(held.encode("utf-16-le")) // 2 > 32767:
        return f"[{len(held)} characters, too long for a cell: see csv/user/" in shown
    return held == unescaped(shown)


@pytest.mark.parametrize("name", ["sql", "xml", "xlsx", "documents"])
async def test_a_format_that_loses_rows_fails_the_export(
    school: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What a format says it wrote has to be what the snapshot holds, or there is no archive."""
    whole = Snapshot.rows

    def all_but_some(snapshot: Snapshot, table: Table) -> str:
        return whole(snapshot, table) + (" and t.id::text <> '1'" if table.name == "users" else "")

    monkeypatch.setattr(Snapshot, "rows", all_but_some)
    with pytest.raises(RowsDisagreeError, match=f"as {name}"):
        await archived(school, tmp_path, name)

    assert not list(tmp_path.iterdir())


async def test_another_reader_sees_the_same_sheets(cells: School, tmp_path: Path) -> None:
    """A reader that knows nothing of the first one finds the same rows, and a sheet that says what can't be held."""
    with await archived(cells, tmp_path, "xlsx") as opened:
        book = CalamineWorkbook.from_filelike(io.BytesIO(opened.read("export-1/data/xlsx/user.xlsx")))

    assert book.sheet_names == ["About", "customers", "users", "zoo", "hostile"]
    rows = {row[0]: row for row in book.get_sheet_by_name("hostile").to_python()[1:]}
    assert rows[1][2] == "=1+1"
    assert rows[101][7] == "00:00:00"
    assert rows[102][6] == date(9999, 12, 31)
    assert rows[107][6] == date(1900, 3, 1)
    assert len(rows[34][2]) == 32767


async def test_a_table_too_long_for_a_sheet_goes_on_in_the_next(
    school: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a row is dropped: with room for ten rows and a header, 25 rows fill three sheets."""
    monkeypatch.setattr("services.exporter.formats.xlsx.ROWS", 11)
    await school.run(
        "delete from notes; insert into notes (id, user_id, title)"
        " select lpad(n::text, 32, '0')::uuid, 1, n::text from generate_series(1, 25) n"
    )
    with await archived(school, tmp_path, "xlsx") as opened:
        book = openpyxl.load_workbook(io.BytesIO(opened.read("export-1/data/xlsx/course.xlsx")), read_only=True)
        titles = [row[2] for name in book.sheetnames[1:] for row in list(book[name].values)[1:]]

    assert book.sheetnames == ["About", "notes", "notes (2)", "notes (3)"]
    assert titles == [str(n) for n in range(1, 26)]
