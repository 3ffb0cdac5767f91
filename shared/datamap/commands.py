"""``offramp map``: look whether a data map and its database agree."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import asyncpg
import typer

from ..errors import OperatorError
from .live import check
from .model import load_draft

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
    """Compare a data map with the live schema; exit 1 where they disagree or can't be read."""
    map = load_draft(map_path)  # noqa: A001
    found = asyncio.run(_check(dsn, map))
    typer.echo(_as_json(map, found) if as_json else _as_text(map, found))
    raise typer.Exit(1 if found else 0)


async def _check(dsn: str, map: DataMap) -> tuple[Finding, ...]:  # noqa: A002
    async with connected(dsn) as connection:
        return await check(connection, map)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Connect to the database at *dsn*; every failure of it is a sentence for the operator."""
    try:
        connection = await asyncpg.connect(dsn)
        try:
            yield connection
        finally:
            await connection.close()
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        msg = f"the database does not answer as it should: {error}. Look at --dsn and at the rights of its role."
        raise OperatorError(msg) from error


def _as_json(map: DataMap, found: tuple[Finding, ...]) -> str:  # noqa: A002
    return json.dumps({"map_sha256": map.sha256, "findings": [asdict(finding) for finding in found]}, indent=2)


def _as_text(map: DataMap, found: tuple[Finding, ...]) -> str:  # noqa: A002
    lines = [f"{finding.kind} at {finding.place}: {finding.says}. {finding.remedy}" for finding in found]
    tally = f"{len(map.tables)} tables declared, {len(map.exempt)} exempt, {len(map.buckets)} buckets: "
    return "\n".join([*lines, tally + (f"{len(found)} findings" if found else "the map and the schema agree")])
