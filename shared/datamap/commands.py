"""``offramp map``: propose a data map, look whether it and its database agree, and publish what it says."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import asyncpg
import typer
from rich.console import Console
from rich.progress import Progress

from ..errors import OperatorError
from .declared import BySchema
from .draft.draft import Order, draft
from .draft.seen import Kind as Tenancies
from .live import check, schemas
from .live import columns as live_columns
from .model import load, load_draft
from .owners import CUSTOMER
from .register import files, formats, register
from .unowned import unowned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from .columns import LiveColumn
    from .drift import Finding
    from .live import Connection
    from .model import DataMap

app = typer.Typer(help="The data map: what of a system belongs to a customer.", no_args_is_help=True)

MapPath = Annotated[Path, typer.Option("--map", help="The data map, a YAML file.")]
Dsn = Annotated[str, typer.Option(help="The database, as a libpq URL.")]


@app.callback()
def group() -> None:
    """Work with a data map."""


@app.command("check")
def check_command(
    map_path: MapPath,
    dsn: Dsn,
    rows: Annotated[bool, typer.Option(help="Count the rows that no customer owns: reads every table.")] = True,  # noqa: FBT002
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings count as well.")] = False,  # noqa: FBT002
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,  # noqa: FBT002
) -> None:
    """Compare a data map with the live schema; exit 1 where they disagree or can't be read, 0 with mere warnings."""
    map = load_draft(map_path)  # noqa: A001
    found = asyncio.run(_check(dsn, map, rows=rows))
    typer.echo(_as_json(map, found) if as_json else _as_text(map, found))
    raise typer.Exit(1 if any(finding.stops or strict for finding in found) else 0)


@app.command("draft")
def draft_command(
    dsn: Dsn,
    customer_table: Annotated[str | None, typer.Option(help="By rows: the table of customers.")] = None,
    customer_key: Annotated[str | None, typer.Option(help="Its column with the id that events use.")] = None,
    tenancy: Annotated[Tenancies, typer.Option(help="Whether customers share tables or have their own.")] = "rows",
    named: Annotated[str, typer.Option(help="What a customer's database or schema is called.")] = CUSTOMER,
    user_table: Annotated[str | None, typer.Option(help="The table of people.")] = None,
    system: Annotated[str, typer.Option(help="The name of the system in events and archives.")] = "system",
    out: Annotated[Path | None, typer.Option(help="Write the map there, not to the terminal.")] = None,
) -> None:
    """Propose a data map from a live schema; what it can't decide is named in it, and stops `map check`."""
    order = Order(tenancy, customer_table, customer_key, user_table, system, named)
    text = asyncio.run(_draft(dsn, order))
    if out is None:
        typer.echo(text)
        return
    out.write_text(text, encoding="utf-8")
    typer.echo(f"{out}: {text.splitlines()[0].removeprefix('# ')}")


@app.command("register")
def register_command(
    map_path: MapPath,
    out: Annotated[Path, typer.Option(help="The folder for register.json and register.<language>.html.")],
    dsn: Annotated[str | None, typer.Option(help="The database, for the columns' types; not needed.")] = None,
) -> None:
    """Write the public register of formats: what is exported, in which structure and format, what isn't and why."""
    map = load(map_path)  # noqa: A001
    columns = asyncio.run(_columns(dsn, map)) if dsn else {}
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files(register(map, formats(), columns)).items():
        (out / name).write_text(text, encoding="utf-8")
        typer.echo(out / name)


async def _columns(dsn: str, map: DataMap) -> Mapping[str, tuple[LiveColumn, ...]]:  # noqa: A002
    async with connected(dsn) as connection:
        return await live_columns(connection, map)


async def _draft(dsn: str, order: Order) -> str:
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking at columns and tables", total=None)
        async with connected(dsn) as connection:
            return await draft(connection, order, lambda done, total: bar.update(task, completed=done, total=total))


async def _check(dsn: str, map: DataMap, *, rows: bool) -> tuple[Finding, ...]:  # noqa: A002
    async with connected(dsn) as connection:
        found: list[Finding] = []
        for one in await _of_each_customer(connection, map):
            of_schema = await check(connection, one)
            found += of_schema
            if rows and not any(finding.stops for finding in of_schema):
                found += [finding async for finding in unowned(connection, one)]
        return tuple(found)


async def _of_each_customer(connection: Connection, map: DataMap) -> list[DataMap]:  # noqa: A002
    if not isinstance(map.tenancy, BySchema):
        return [map]
    customers = [map.tenancy.customer_of(name) for name in await schemas(connection)]
    bound = [map.of(customer) for customer in customers if customer]
    if not bound:
        raise OperatorError(f"no schema is called {map.tenancy.template}: look at tenancy, and at --dsn.")
    return bound


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
    lines = [f"{_weight(one)}{one.kind} at {one.place}: {one.says}. {one.remedy}" for one in found]
    declared = f"{len(map.tables)} tables declared, {len(map.exempt)} exempt, {len(map.shared)} shared"
    tally = f"{declared}, {len(map.undecided)} undecided, {len(map.buckets)} buckets: "
    stops = sum(finding.stops for finding in found)
    warned = f" ({len(found) - stops} warnings)" if len(found) > stops else ""
    return "\n".join([*lines, tally + (f"{stops} findings" if stops else "the map and the schema agree") + warned])


def _weight(finding: Finding) -> str:
    return "" if finding.stops else "warning: "
