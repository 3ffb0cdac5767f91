"""JSON documents: each main entity with its relations inside, each row exactly once, by a schema."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import jsonschema
import pytest
from archive_school import School

from services.exporter.archive.build import build
from services.exporter.archive.sink import FileSink
from services.exporter.formats.registry import FORMATS, WHOLE

TREE = """
    create table "an ""odd"" one" (id integer primary key, note_id uuid references notes, said json);
    create table leaves (leaf text, odd integer references "an ""odd"" one");
    create table apart (id integer primary key, email text not null);
    create unique index on users (email);
    insert into "an ""odd"" one" select row_number() over (), id, E'{"a":\\n1}' from notes;
    insert into leaves select 'leaf ' || n, id from "an ""odd"" one", generate_series(1, 40) n;
    insert into apart values (1, 'a@acme.test'), (2, 'c@other.test');
"""
MAP = """
  odd-one: {category: user, owner: {path: [{column: note_id, to: notes.id}]}}
  leaves: {category: user, owner: {path: [{column: odd, to: odd-one.id}, {column: note_id, to: notes.id}]}}
  apart: {category: user, owner: {path: [{column: email, to: users.email}]}}
  settings:"""


@pytest.fixture
async def tree(school: School) -> School:
    await school.run(TREE.replace('an ""odd"" one', "odd-one"))
    return school.mapped("\n  settings:", MAP)


async def documents(school: School, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, list[Any]]]:
    """Export acme; gives the users' documents, the schema, and the rows of the tables as JSON lines have them."""
    path = folder / "one.zip"
    formats = (FORMATS["jsonlines"], WHOLE["documents"])
    await build(school.sources, replace(school.order(), formats=formats), FileSink(path))
    with ZipFile(path) as opened:
        lines = {
            Path(name).stem: [json.loads(line) for line in opened.read(name).split(b"\n")[:-1]]
            for name in opened.namelist()
            if name.endswith(".jsonl") and "/json/" in name
        }
        found = opened.read("export-1/data/documents/user/users.jsonl").split(b"\n")[:-1]
        schema = json.loads(opened.read("export-1/data/documents/schema.json"))
    return [json.loads(line) for line in found], schema, lines


def rows_in(node: dict[str, Any], table: str) -> list[tuple[str, Any]]:
    """Take a document apart again, into rows by table; a further part repeats no row."""
    if "related" not in node:
        return [(table, node)]
    inside = [row for name, nodes in node["related"].items() for one in nodes for row in rows_in(one, name)]
    return inside if "part" in node else [(table, node["row"]), *inside]


def valid(found: list[dict[str, Any]], lines: dict[str, list[Any]], schema: dict[str, Any]) -> bool:
    for name, instances in {"document.users": found, **{f"row.{table}": rows for table, rows in lines.items()}}.items():
        checker = jsonschema.Draft202012Validator({**schema, "$ref": f"#/$defs/{name}"})
        for instance in instances:
            checker.validate(instance)
    return True


@pytest.mark.parametrize("page", [1 << 20, 200])
async def test_each_row_is_in_one_document(
    tree: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """Documents taken apart are the tables again, however small the pages; each line says how many rows it holds."""
    monkeypatch.setattr("services.exporter.formats.documents.PAGE", page)
    found, schema, lines = await documents(tree, tmp_path)
    apart: dict[str, list[Any]] = {}
    for line in found:
        rows = rows_in(line["document"], "users")
        assert Counter(table for table, _ in rows) == Counter(line["rows"])
        for table, row in rows:
            apart.setdefault(table, []).append(row)

    assert valid(found, lines, schema)
    assert set(apart) == {"users", "notes", "odd-one", "leaves"}
    for table, rows in apart.items():
        assert sorted(map(json.dumps, rows)) == sorted(map(json.dumps, lines[table]))
    assert (len(found) > 2) == (page < 1000)


async def test_a_row_lies_in_the_row_it_refers_to(tree: School, tmp_path: Path) -> None:
    """Each user has its notes, each note what was said of it; what hangs on another key is no sibling."""
    found, _, _ = await documents(tree, tmp_path)

    for document in (line["document"] for line in found):
        for note in document["related"]["notes"]:
            assert note["row"]["user_id"] == document["row"]["id"]
            for odd in note["related"]["odd-one"]:
                assert odd["row"]["note_id"] == note["row"]["id"]
                assert {leaf["odd"] for leaf in odd["related"]["leaves"]} == {odd["row"]["id"]}
