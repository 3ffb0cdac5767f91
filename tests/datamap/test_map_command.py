"""``offramp map check`` as an operator meets it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import asyncpg
import pytest
from typer.testing import CliRunner

from shared.datamap.commands import app
from shared.errors import OperatorError
from tests.datamap.map_school import SCHOOL

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result


@pytest.fixture
def school_file(tmp_path: Path) -> Path:
    """Write the school's map into a file."""
    file = tmp_path / "school.yaml"
    file.write_bytes(SCHOOL)
    return file


def run(*arguments: str) -> Result:
    """Run ``offramp map`` with *arguments*; errors for operators come out as exceptions."""
    result = CliRunner().invoke(app, ["check", *arguments])
    if isinstance(result.exception, OperatorError):
        raise result.exception
    return result


async def in_thread(*arguments: str) -> Result:
    """Run the command beside the test's own event loop."""
    return await asyncio.to_thread(run, *arguments)


async def test_a_map_that_fits_ends_with_0(dsn: str, school_file: Path) -> None:
    """Agreement is exit code 0 and a sentence."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("truncate marks; delete from enrolments; delete from users where customer_id is null")
    await connection.close()
    result = await in_thread("--map", str(school_file), "--dsn", dsn)

    assert result.exit_code == 0
    assert "the map and the schema agree" in result.output


async def test_a_finding_ends_with_1(dsn: str, school_file: Path) -> None:
    """A table that nobody declared is told, for people and for machines."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("create table grades (id int)")
    await connection.close()

    told = await in_thread("--map", str(school_file), "--dsn", dsn)
    as_json = await in_thread("--map", str(school_file), "--dsn", dsn, "--json")

    assert (told.exit_code, as_json.exit_code) == (1, 1)
    assert "undeclared_table at grades" in told.output
    assert json.loads(as_json.output)["findings"][0]["place"] == "grades"


async def test_a_mere_warning_ends_with_0_unless_asked(dsn: str, school_file: Path) -> None:
    """What only makes things slow is told and doesn't fail; with --strict it does."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("drop index users_customer_id_idx")
    await connection.close()
    asked = ["--map", str(school_file), "--dsn", dsn, "--no-rows"]
    told, strict = await in_thread(*asked), await in_thread(*asked, "--strict")

    assert (told.exit_code, strict.exit_code) == (0, 1)
    assert "warning: foreign_key_not_indexed at users.customer_id" in told.output


async def test_rows_of_nobody_end_with_1(dsn: str, school_file: Path) -> None:
    """Rows that no customer owns would be in no archive, so they have to be explained."""
    told = await in_thread("--map", str(school_file), "--dsn", dsn)

    assert told.exit_code == 1
    assert "unowned_rows at users: 1 rows belong to no customer" in told.output


async def test_every_customers_schema_is_looked_at(dsn: str, tmp_path: Path) -> None:
    """Where each customer has a schema, a column that is missing in one of them is found there."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("drop schema public cascade; create schema c_a; create schema c_b")
    await connection.execute("create table c_a.users (id int, mail text); create table c_b.users (id int)")
    await connection.close()
    file = tmp_path / "club.yaml"
    file.write_text(
        "version: 1\nsystem: club\ntenancy: {schema: 'c_{customer}'}\n"
        "tables: {users: {category: user, columns: [id, mail]}}\n"
    )
    told = await in_thread("--map", str(file), "--dsn", dsn)

    assert told.exit_code == 1
    assert "vanished_column at c_b.users.mail" in told.output
    assert "c_a" not in told.output


async def test_a_database_that_is_not_there_is_a_sentence(school_file: Path) -> None:
    """No trace, but what was wrong and where to look."""
    with pytest.raises(OperatorError, match="Look at --dsn"):
        await in_thread("--map", str(school_file), "--dsn", "postgresql://nobody@127.0.0.1:1/none")
