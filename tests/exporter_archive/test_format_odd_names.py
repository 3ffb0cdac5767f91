"""Tables and columns may be called anything: each format can still be opened, and has all of them."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import openpyxl
import pytest
from archive_school import School
from jsonschema import Draft202012Validator
from lxml import etree

from services.exporter.archive.build import ALL_FORMATS, build
from services.exporter.archive.names import SafeNames
from services.exporter.archive.sink import FileSink
from shared.datamap.names import quoted
from shared.verify.archive import verify

COLUMNS = ("r", "t", "a\x01b", "line\nend", "cr\rhere", "_x0041_", "\ufffe", "<b>&\"'", "]]>", "100%", "{name}", "=1+1")
TABLES = (
    "t\x01x",
    "line\ny",
    "\ufffe",
    "<b>&",
    "CON",
    "Reports",
    "reports",
    "%41",
    "a:b",
    "🎓" * 15 + "abc",
    "e\u0301",
)
ODD = f"""
    create type pair as (low integer, high integer);
    create table odd (
        id integer primary key, customer_id text not null, {", ".join(f"{quoted(one)} text" for one in COLUMNS[1:])},
        r pair
    );
    insert into odd select 1, 'acme', {", ".join(f"'{at}'" for at, _ in enumerate(COLUMNS[1:]))}, row(1, 2)::pair;
"""


async def odd_names(school: School, folder: Path) -> ZipFile:
    declared = "  odd: {category: user, document: report, owner: {column: customer_id}}\n"
    await school.run(ODD)
    for number, name in enumerate(TABLES):
        await school.run(
            f"create table {quoted(name)} (id text primary key, customer_id text not null, odd integer references odd);"
            f"insert into {quoted(name)} values ({number}, 'acme', 1), (repeat('日本', 40), 'acme', 1)"
        )
        way = "{path: [{column: odd, to: odd.id}]}" if number % 2 else "{column: customer_id}"
        written = json.dumps(name, ensure_ascii=False).replace("\ufffe", "\\ufffe")
        declared += f"  {written}: {{category: user, document: report, owner: {way}}}\n"
    school = school.mapped("  settings:", f"{declared}  settings:")
    path = folder / "one.zip"
    await build(school.sources, replace(school.order(), formats=ALL_FORMATS), FileSink(path))
    return ZipFile(path)


async def test_whatever_names_there_are_it_can_be_opened(school: School, tmp_path: Path) -> None:
    """XML by its schema, which lies beside it; a workbook of sheets that all have names; JSON by its schema; papers."""
    (await odd_names(school, tmp_path)).close()
    assert verify(tmp_path / "one.zip").findings == ()

    with ZipFile(tmp_path / "one.zip") as opened:
        names = opened.namelist()
        documents = [name for name in names if re.search(r"/data/xml/.*\.xml$", name)]
        for name in documents:
            schema = etree.XMLSchema(etree.fromstring(opened.read(name.removesuffix("xml") + "xsd")))
            schema.assertValid(etree.fromstring(opened.read(name)))
        book = openpyxl.load_workbook(io.BytesIO(opened.read("export-1/data/xlsx/user.xlsx")))
        schema = json.loads(opened.read("export-1/data/documents/schema.json"))
        lines = opened.read("export-1/data/documents/user/odd.jsonl").splitlines()
        papers = [name for name in names if name.endswith(".docx")]

    assert len(documents) == len(TABLES) + 4
    titles = [str(unescaped(str(cell.value))) for cell in book["odd"][1]]
    assert titles == ["id", "customer_id", *COLUMNS[1:], "r"]
    assert max(len(name.encode("utf-16-le")) // 2 for name in book.sheetnames) == 31
    assert len({name.casefold() for name in book.sheetnames}) == len(book.sheetnames)
    assert lines
    validator = Draft202012Validator({**schema, "$ref": "#/$defs/document.odd"})
    assert [error.message for line in lines for error in validator.iter_errors(json.loads(line))] == []
    assert len(papers) == 1 + 2 * len(TABLES)
    assert max(len(name.encode()) for name in papers) < 200


def unescaped(text: str) -> str:
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)


async def test_a_column_called_as_the_row_is_in_a_statement_hides_no_other(school: School, tmp_path: Path) -> None:
    """JSON has the whole row though a column is called ``r``, and would pass for a row by itself."""
    with await odd_names(school, tmp_path) as opened:
        row = json.loads(opened.read("export-1/data/json/user/odd.jsonl"))
        document = json.loads(opened.read("export-1/data/documents/user/odd.jsonl"))["document"]["row"]
        (name,) = (name for name in opened.namelist() if "/data/docx/user/odd/" in name)
        paper = etree.fromstring(ZipFile(io.BytesIO(opened.read(name))).read("word/document.xml"))

    assert set(row) == set(document) == {"id", "customer_id", *COLUMNS}
    assert row["r"] == {"low": 1, "high": 2}
    assert "customer_id" in "".join(paper.itertext())


async def test_what_hangs_on_a_row_is_counted_whatever_its_table_is_called(school: School, tmp_path: Path) -> None:
    """Names that are the same for their first 60 letters, and such as end an object of JSON."""
    names = (f"{'a' * 60}_1", f"{'a' * 60}_2", "x}y", "z}}")
    for name in names:
        await school.run(
            f"create table {quoted(name)} (id integer primary key, user_id bigint references users);"
            f"insert into {quoted(name)} values (1, 1), (2, 1)"
        )
    way = "{category: user, owner: {path: [{column: user_id, to: users.id}]}}"
    declared = "".join(f'  "{name}": {way}\n' for name in names)
    school = school.mapped("  settings:", f"{declared}  settings:")
    path = tmp_path / "one.zip"
    await build(school.sources, replace(school.order(), formats=ALL_FORMATS), FileSink(path))
    with ZipFile(path) as opened:
        lines = opened.read("export-1/data/documents/user/users.jsonl").splitlines()

    related = json.loads(lines[0])["document"]["related"]
    assert [len(related[name]) for name in names] == [2, 2, 2, 2]


async def test_keys_that_are_the_same_in_xml_are_no_keys_there(school: School, tmp_path: Path) -> None:
    """Two texts differ only in a character that XML forbids: the document is valid, its schema claims no key."""
    await school.run(
        "create table marks (mark text primary key, customer_id text not null);"
        r"insert into marks values (E'\x01', 'acme'), (E'\x02', 'acme'), ('other', 'other')"
    )
    school = school.mapped("  settings:", "  marks: {category: user, owner: {column: customer_id}}\n  settings:")
    await school.archive(tmp_path)
    path = tmp_path / "one.zip"
    await build(school.sources, replace(school.order(), formats=ALL_FORMATS), FileSink(path))

    with ZipFile(path) as opened:
        document, schema, users = (
            etree.fromstring(opened.read(f"export-1/data/xml/user/{name}"))
            for name in ("marks.xml", "marks.xsd", "users.xsd")
        )
    etree.XMLSchema(schema).assertValid(document)
    key = "{http://www.w3.org/2001/XMLSchema}key"
    assert (len(list(schema.iter(key))), len(list(users.iter(key)))) == (0, 1)


@pytest.mark.parametrize("key", ["Reports", "a" * 130, "x/y", "a:b", "日本a" * 30, "xa/File.pdf", "Xa"])
def test_a_folder_is_nobody_elses(key: str) -> None:
    """One more folder, or a file, of that name or one that differs in case, gets another name; a long one is short."""
    names = SafeNames()
    names.path("pdf", "xa/file.pdf")
    folders = [names.folder("pdf", one) for one in (key, key.upper(), key.lower() + "/inner")]
    file = names.path("pdf", key)

    assert len({one.casefold() for one in ("pdf/xa", *folders, file)}) == 5
    assert not file.casefold().startswith(f"{folders[0]}/".casefold())
    assert max(len(one.encode()) for one in folders) <= 107
