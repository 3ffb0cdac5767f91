"""``offramp map``: look whether a data map and its database agree."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path  # noqa: TC003  (typer reads it)
from typing import TYPE_CHECKING, Annotated, NoReturn

import asyncpg
import typer

from .live import check
from .model import MapError, load

if TYPE_CHECKING:
    from .drift import Finding
    from .model import DataMap

app = typer.Typer(help="The data map: what of a system belongs to a customer.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Work with a data map."""


@app.command("check")
def check_command(
    map_path: Annotated[Path, typer.Option("--map", help="The data map, a YAML file.")],
    dsn: Annotated[str, typer.Option(help="The database, as a libpq URL.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,  # noqa: FBT002
) -> None:
    """Compare a data map with the live schema; exit 1 where they disagree, 2 where one of them can't be read."""
    map = read_map(map_path)  # noqa: A001
    try:
        found = asyncio.run(_check(dsn, map))
    except (OSError, asyncpg.PostgresError) as error:
        fail(f"the database can't be read: {error}. Look at --dsn and at the role's rights.")
    typer.echo(_as_json(map, found) if as_json else _as_text(map, found))
    raise typer.Exit(1 if found else 0)


def read_map(path: Path) -> DataMap:
    """Load the map at *path*, or end with a sentence and exit code 2."""
    try:
        return load(path)
    except MapError as error:
        fail(str(error))


def fail(sentence: str) -> NoReturn:
    """End the command with *sentence* on standard error and exit code 2."""
    typer.echo(sentence, err=True)
    raise typer.Exit(2)


async def _check(dsn: str, map: DataMap) -> tuple[Finding, ...]:  # noqa: A002
    connection = await asyncpg.connect(dsn)
    try:
        return await check(connection, map)
    finally:
        await connection.close()


def _as_json(map: DataMap, found: tuple[Finding, ...]) -> str:  # noqa: A002
    return json.dumps({"map_sha256": map.sha256, "findings": [asdict(finding) for finding in found]}, indent=2)


def _as_text(map: DataMap, found: tuple[Finding, ...]) -> str:  # noqa: A002
    lines = [f"{finding.kind} at {finding.place}: {finding.says}. {finding.remedy}" for finding in found]
    tally = f"{len(map.tables)} tables declared, {len(map.exempt)} exempt, {len(map.buckets)} buckets: "
    return "\n".join([*lines, tally + (f"{len(found)} findings" if found else "the map and the schema agree")])
