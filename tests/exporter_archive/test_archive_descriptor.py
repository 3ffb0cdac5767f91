"""datapackage.json says of keys only what the exported columns bear out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from archive_school import School, run

COMPOSITE = """
    create table grades (
        user_id bigint not null references users, note_id uuid references notes, given_by bigint references users,
        primary key (user_id, note_id)
    );
    insert into grades select user_id, id, user_id from notes;
"""
GRADES = "  grades: {category: report, owner: {path: [{column: user_id, to: users.id}]}LEFT_OUT}\n  settings:"


async def described(school: School, folder: Path) -> dict[str, dict[str, Any]]:
    """Export acme, give the schemas by the names of their resources."""
    path, _ = await school.archive(folder)
    with ZipFile(path) as opened:
        package = json.loads(opened.read("export-1/data/datapackage.json"))
    return {one["name"]: one["schema"] for one in package["resources"]}


def reference(column: str, resource: str) -> dict[str, Any]:
    return {"fields": [column], "reference": {"resource": resource, "fields": ["id"]}}


async def test_keys_join_files_of_the_same_format(school: School, tmp_path: Path) -> None:
    """A table's own key, its references to others, and one to itself, which is written with an empty name."""
    schemas = await described(school, tmp_path)

    users = schemas["csv.users"]
    assert users["primaryKey"] == ["id"]
    assert users["foreignKeys"] == [reference("boss", ""), reference("customer_id", "csv.customers")]
    assert schemas["json.notes"]["foreignKeys"] == [reference("user_id", "json.users")]


async def test_a_key_of_several_columns_keeps_its_order(school: School, tmp_path: Path) -> None:
    """All of its columns are named."""
    await school.run(COMPOSITE)
    schemas = await described(school.mapped("  settings:", GRADES.replace("LEFT_OUT", "")), tmp_path)

    assert schemas["csv.grades"]["primaryKey"] == ["user_id", "note_id"]


async def test_a_key_with_a_column_left_out_is_no_key(school: School, tmp_path: Path) -> None:
    """What is left of it does not tell rows apart, and what isn't shown can't refer to anything."""
    await school.run(COMPOSITE)
    left_out = ", leave_out: {note_id: a secret}"
    schemas = await described(school.mapped("  settings:", GRADES.replace("LEFT_OUT", left_out)), tmp_path)

    assert "primaryKey" not in schemas["csv.grades"]
    assert [key["fields"] for key in schemas["csv.grades"]["foreignKeys"]] == [["given_by"], ["user_id"]]


SAME_NAMES = """
    create table "Users" (id integer primary key, customer_id text not null);
    create table "användare" (id integer primary key, customer_id text not null, key integer references "Users");
    create table "anv-ndare" (id integer primary key, customer_id text not null);
    create table "media" (id integer primary key, customer_id text not null);
"""
SAME = "".join(
    f"  {name}: {{category: user, owner: {{column: customer_id}}}}\n"
    for name in ("Users", "användare", "anv-ndare", "media")
)


async def test_a_program_of_others_reads_empty_tables_and_names_that_differ_in_case(
    school: School, tmp_path: Path
) -> None:
    """No resource is called like another, or in letters that the standard doesn't have; a table may have no rows."""
    await school.run(SAME_NAMES)
    school = school.mapped("  settings:", f"{SAME}  settings:")
    schemas = await described(school, tmp_path)
    with ZipFile(tmp_path / "export-1.zip") as opened:
        opened.extractall(tmp_path)
    said = run(
        [sys.executable, "-W", "ignore", "-m", "frictionless", "validate", "data/datapackage.json"],
        tmp_path / "export-1",
    )

    assert "INVALID" not in said
    assert {"csv.users", "csv.users-2", "csv.anv-ndare", "csv.anv-ndare-2", "csv.media", "media"} <= set(schemas)
    assert schemas["csv.anv-ndare"]["foreignKeys"] == [reference("key", "csv.users-2")]


async def test_every_field_says_its_type_in_the_database(school: School, tmp_path: Path) -> None:
    """The standard's types are few; the column's own is kept beside."""
    fields = {field["name"]: field for field in (await described(school, tmp_path))["csv.notes"]["fields"]}

    assert (fields["score"]["type"], fields["score"]["databaseType"]) == ("number", "numeric(12,4)")
    assert (fields["tags"]["type"], fields["tags"]["databaseType"]) == ("string", "text[]")
