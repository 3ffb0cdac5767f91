"""What a coded value means stands beside it; what is left out stands nowhere; which object a value names is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from shared.datamap.columns import LiveColumn, selected
from shared.datamap.commands import app
from shared.datamap.live import check, columns
from shared.datamap.meaning import shown
from shared.datamap.model import parse

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    Database = asyncpg.Connection[asyncpg.Record]

MAP = b"""
version: 1
system: codes
tenancy: rows
tables:
  customers:
    category: user
    owner: {column: id}
    leave_out: {secret_answer: "private"}
    coded:
      at: {epoch: seconds, zero: none}
      at_ms: {epoch: milliseconds}
      state: {labels: {"0": draft, "1": "it's public"}}
      colour: {lookup: colours.id, text: name}
      answer: {option_of: choices, via: question, to: questions.id, separator: "|", first: 0, after: ">>"}
      secret_answer: {sql: "case when {row}.state = 1 then {value} end"}
      position: {sql: "{value}[0] || ',' || {value}[1]"}
    media: {picture: {bucket: pictures, key: "{value[0:2]}/{value}", name: picture_name}}
  colours: {shared: "a list"}
  questions: {shared: "a list"}
  odd: {exempt: "<b>nothing</b> & more"}
"""
SCHEMA = """
    drop schema public cascade; create schema public;
    create table colours (id int primary key, name text);
    create table questions (id int primary key, choices text);
    create table odd (id int);
    create table customers (
        id text primary key, at bigint, at_ms bigint, state smallint, colour int, question int, answer text,
        secret_answer text, position point, picture text, picture_name text
    );
    insert into colours values (1, 'red'), (2, 'green');
    insert into questions values (1, 'r>>no|yes'), (2, '30|255');
    insert into customers values
        ('a', 0, 1767225600500, 1, 2, 1, '1', 'told', '(1,2)', 'abcd', 'me.png'),
        ('b', 1767225600, null, 7, 9, 2, '1', 'untold', null, null, null),
        ('c', null, null, 0, null, 1, 'no number', null, null, null, null);
"""


async def test_a_coded_value_is_shown_with_its_meaning(database: Database) -> None:
    """A time, a label, a text from elsewhere, an option's text; what has no meaning has none, and the codes stay."""
    await database.execute(SCHEMA)
    data_map = parse(MAP, "codes.yaml")
    (table,) = data_map.tables
    some = shown(table, (await columns(database, data_map))["customers"])
    query = f"select {', '.join(map(selected, some))} from customers as t order by id"
    rows = [dict(row) for row in await database.fetch(query)]
    meanings = [{k.removesuffix("_meaning"): v for k, v in row.items() if k.endswith("_meaning")} for row in rows]

    assert [one.kind for one in await check(database, data_map) if one.stops] == []
    assert [row["at"] for row in rows] == [0, 1767225600, None]
    assert [str(one["at"]) for one in meanings] == ["None", "2026-01-01 00:00:00+00:00", "None"]
    assert str(meanings[0]["at_ms"]) == "2026-01-01 00:00:00.500000+00:00"
    assert [one["state"] for one in meanings] == ["it's public", None, "draft"]
    assert [one["colour"] for one in meanings] == ["green", None, None]
    assert [one["answer"] for one in meanings] == ["yes", None, None]
    assert [one["position"] for one in meanings] == ["1,2", None, None]


async def test_a_meaning_that_cannot_be_looked_up_is_a_finding(database: Database) -> None:
    """Where a value and the key of its meaning don't compare, the check says so before an export fails."""
    await database.execute(SCHEMA)
    await database.execute("alter table questions alter id type text; alter table colours drop name")
    found = {(one.kind, one.place) for one in await check(database, parse(MAP, "codes.yaml")) if one.stops}

    assert found == {("path_type", "customers.answer"), ("vanished_column", "customers.colour")}


async def test_what_is_left_out_may_have_a_meaning_and_nothing_else(database: Database) -> None:
    """The column itself is in no query; its meaning only says what the map lets it say."""
    await database.execute(SCHEMA)
    data_map = parse(MAP, "codes.yaml")
    (table,) = data_map.tables
    some = shown(table, (await columns(database, data_map))["customers"])
    query = f"select {', '.join(map(selected, some))} from customers as t order by id"
    rows = [dict(row) for row in await database.fetch(query)]

    assert "secret_answer" not in rows[0]
    assert [row["secret_answer_meaning"] for row in rows] == ["told", None, None]


def test_a_meaning_takes_no_columns_name() -> None:
    """Where the name of a meaning is a column's already it gets another."""
    (table,) = parse(MAP, "codes.yaml").tables
    some = [LiveColumn("at", "bigint", True, 1), LiveColumn("at_meaning", "text", True, 2)]  # noqa: FBT003

    assert [one.name for one in shown(table, some)] == ["at", "at_meaning_", "at_meaning"]


@pytest.fixture
def map_file(tmp_path: Path) -> Path:
    """Write the map into a file."""
    file = tmp_path / "codes.yaml"
    file.write_bytes(MAP)
    return file


def test_the_register_says_what_is_exported_and_what_isnt(map_file: Path, tmp_path: Path) -> None:
    """Formats, columns with their meaning, what is left out or not exported and why, for machines and for people."""
    result = CliRunner().invoke(app, ["register", "--map", str(map_file), "--out", str(tmp_path / "register")])
    document = json.loads((tmp_path / "register" / "register.json").read_text())
    english = (tmp_path / "register" / "register.en.html").read_text()
    swedish = (tmp_path / "register" / "register.sv.html").read_text()

    assert result.exit_code == 0
    assert [one["name"] for one in document["formats"]][:2] == ["csv", "jsonlines"]
    assert document["tables"][0]["left_out"] == [{"column": "secret_answer", "reason": "private"}]
    assert {one["table"]: one["kind"] for one in document["not_exported"]} == {
        "odd": "exempt",
        "colours": "shared",
        "questions": "shared",
    }
    assert "&lt;b&gt;nothing&lt;/b&gt; &amp; more" in english
    assert "<code>secret_answer</code>: private" in english
    assert "Det som inte exporteras, och varför" in swedish
    assert "http" not in english
