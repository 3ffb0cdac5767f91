"""``offramp erase`` as an operator meets it, on a plain database."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from deploy.platform.generate import HERE
from shared.errors import OperatorError
from shared.holder.commands import app
from tests.holder.platform_rows import LEAVING, everything, others

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from tests.holder.platform_rows import Database


async def run(dsn: str, *arguments: str, typed: str = "", map_path: Path = HERE / "map.yaml") -> Result:
    """Run ``offramp erase``; errors for operators come out as exceptions."""
    command = ["--map", str(map_path), "--dsn", dsn, "--customer", LEAVING, *arguments]
    result = await asyncio.to_thread(CliRunner().invoke, app, command, input=typed)
    if isinstance(result.exception, OperatorError):
        raise result.exception
    return result


async def test_a_dry_run_tells_the_counts_and_deletes_nothing(dsn: str, database: Database) -> None:
    """The counts per table are printed, and every row is still there."""
    before = await everything(database)
    result = await run(dsn, "--dry-run")

    assert result.exit_code == 0
    assert "users" in result.output
    assert "rolled back" in result.output
    assert await everything(database) == before


async def test_with_yes_the_rows_go(dsn: str, database: Database) -> None:
    """For machines the counts are JSON, and the exit code says that nothing is left."""
    result = await run(dsn, "--yes", "--json")
    told = json.loads(result.output)

    assert result.exit_code == 0
    assert (told["customer"], told["dry_run"], told["warnings"]) == (LEAVING, False, [])
    assert {"table": "users", "rows": 12} in told["deleted"]
    assert await everything(database) == await others(database)


async def test_what_is_to_be_kept_is_kept_and_told(dsn: str, database: Database) -> None:
    """A dry run counts it; a real one keeps it and ends with 3: nothing else is left, but not everything is gone."""
    before = await everything(database)
    dry = await run(dsn, "--dry-run", "--keep", "table:reports", "--json")
    untouched = await everything(database) == before
    real = await run(dsn, "--yes", "--keep", "table:reports")
    rest = await run(dsn, "--yes")
    told = json.loads(dry.output)

    assert untouched
    [held] = told["held"]
    assert (held["table"], held["hold_id"]) == ("reports", "table:reports")
    assert told["needed"] == [{"table": "customers", "rows": 1}]
    assert (dry.exit_code, real.exit_code, rest.exit_code) == (3, 3, 0)
    assert "kept: reports" in real.output
    assert f"besides {held['rows'] + 1} kept ones" in real.output
    assert await everything(database) == await others(database)


@pytest.mark.parametrize("keep", ["reports", "tables:reports", "table:", "person:a@b", "table:userz", "person:0"])
async def test_what_cannot_be_kept_deletes_nothing(dsn: str, database: Database, keep: str) -> None:
    """A mistake in what is to be kept is a sentence, and every row is still there."""
    before = await everything(database)
    with pytest.raises(OperatorError, match="nothing was deleted"):
        await run(dsn, "--yes", "--keep", keep)

    assert await everything(database) == before


async def test_a_missing_index_is_told_with_the_statement_that_makes_it(dsn: str, database: Database) -> None:
    """Before the first row goes, on the way of the errors; the statement runs as it stands."""
    await database.execute("drop index feedback_user_id")
    result = await run(dsn, "--dry-run", "--json")
    await database.execute(json.loads(result.stdout)["create_index"][0])

    assert "feedback" in result.stderr
    assert "create index concurrently" in result.stderr
    assert "slow" not in (await run(dsn, "--dry-run")).stderr


async def test_a_copy_that_nobody_declared_is_no_success(dsn: str, database: Database) -> None:
    """The exit code is 0 only if the customer's id stands nowhere any more."""
    await database.execute("insert into activity_log (happened_at, action) values (now(), 'acme was here')")
    result = await run(dsn, "--yes")

    assert result.exit_code == 1
    assert "activity_log.action" in result.stdout


async def test_what_is_not_named_is_not_deleted(dsn: str) -> None:
    """Without a map, a database and a customer there is only a sentence."""
    result = await asyncio.to_thread(CliRunner().invoke, app, ["--dsn", dsn])

    assert isinstance(result.exception, OperatorError)


async def test_the_customers_id_has_to_be_written_again(dsn: str, database: Database) -> None:
    """A wrong id, or only "yes", deletes nothing; the right one does."""
    before = await everything(database)
    with pytest.raises(OperatorError, match="nothing was deleted"):
        await run(dsn, typed="yes\n")
    unchanged = await everything(database) == before
    result = await run(dsn, typed=f"{LEAVING}\n")

    assert unchanged
    assert result.exit_code == 0
    assert await everything(database) == await others(database)


async def test_what_is_in_the_way_is_a_sentence(dsn: str, database: Database) -> None:
    """An undeclared table is named, and nothing is deleted."""
    await database.execute("create table grades (id int)")

    with pytest.raises(OperatorError, match=r"not_declared.*grades"):
        await run(dsn, "--yes")


async def test_what_a_law_keeps_is_told_with_its_last_day(dsn: str, database: Database, tmp_path: Path) -> None:
    """By the map alone: how many rows until when, what was emptied, and 3 as the exit code."""
    written, report = (HERE / "map.yaml").read_text(), "document: report, "
    rule = '{basis: "BFL 7 kap. 2 §", years: 50, time_zone: Europe/Stockholm, counted_from: {end_of_year: made_at}}'
    lawful = tmp_path / "map.yaml"
    lawful.write_text(written.replace(report, f"{report}retain: {rule}, minimise: {{title: '-'}}, "))
    result = await run(dsn, "--yes", map_path=lawful)

    assert written.count(report) == 1
    assert result.exit_code == 3
    assert re.search(r"kept: reports .*until 20\d\d-12-31, BFL 7 kap. 2 §", result.output)
    assert re.search(r"emptied: reports .*as the map says", result.output)
    titles = await database.fetch("select distinct title from reports where customer_id = $1", LEAVING)
    assert [row["title"] for row in titles] == ["-"]
