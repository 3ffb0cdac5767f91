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


async def test_a_database_that_is_not_there_is_a_sentence(school_file: Path) -> None:
    """No trace, but what was wrong and where to look."""
    with pytest.raises(OperatorError, match="Look at --dsn"):
        await in_thread("--map", str(school_file), "--dsn", "postgresql://nobody@127.0.0.1:1/none")
