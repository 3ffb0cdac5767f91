"""``offramp export``: one customer's archive from a plain database, without Kafka."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Annotated

import asyncpg
import typer
import uvloop
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from shared.clock import system_clock
from shared.datamap.model import load
from shared.errors import OperatorError
from shared.objects import ObjectStore
from shared.settings import read_settings

from .archive.asked import named_formats, scope_of
from .archive.build import ArchiveReport, Order, Progress, Sources, bag_name, build
from .archive.page import Language
from .archive.sink import FileSink, Sink
from .formats import ALL

app = typer.Typer(
    invoke_without_command=True,
    context_settings={"allow_interspersed_args": True},
    help="Export one customer's data into an archive.",
)
_S3 = "s3://"
Tell = Callable[[Progress], None]


@app.callback()
def export(
    map_path: Annotated[Path, typer.Option("--map", help="The data map, a YAML file.")],
    dsn: Annotated[str, typer.Option(help="The database, as a libpq URL.")],
    customer: Annotated[str, typer.Option(help="Whose data.")],
    to: Annotated[str, typer.Option(help="A folder, or s3://bucket/key.")],
    *,
    formats: Annotated[list[str] | None, typer.Option("--format", help=f"{', '.join(ALL)}; all if not given.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="user, course, report; all if not given.")] = None,
    language: Annotated[Language, typer.Option(help="Of the page for whoever opens it: en or sv.")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Export one customer's data into an archive."""
    map = load(map_path)  # noqa: A001 - the domain's word
    with _shown(quiet=as_json) as tell:
        now = system_clock()
        export_id = Path(to).stem if to.startswith(_S3) else f"{customer}-{now:%Y%m%dT%H%M%SZ}"
        order = Order(customer, export_id, map, now, named_formats(formats or ()), language, scope_of(scope or ()))
        report, seconds = uvloop.run(_export(dsn, order, to, tell=tell))
    typer.echo(_as_json(report, seconds) if as_json else _as_text(report, seconds))


async def _export(dsn: str, order: Order, to: str, *, tell: Tell) -> tuple[ArchiveReport, float]:
    """Export, and say in how many seconds; that the store's client was loaded before is no part of them."""
    async with ObjectStore(read_settings().s3) as store:
        sources = Sources(lambda: _connected(dsn), store)
        begun = perf_counter()
        return await build(sources, order, _sink(to, store, order.export_id), tell), perf_counter() - begun


def _sink(to: str, store: ObjectStore, export_id: str) -> Sink:
    if not to.startswith(_S3):
        return FileSink(Path(to) / f"{bag_name(export_id)}.zip")
    bucket, _, key = to.removeprefix(_S3).partition("/")
    if not bucket or not key:
        raise OperatorError(f"--to {to}: an object's place is s3://bucket/key.")
    return store.upload(bucket, key)


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    try:
        connection = await asyncpg.connect(dsn)
    except (OSError, asyncpg.PostgresError, ValueError) as error:
        raise OperatorError(f"the database can't be reached: {error}. Look at --dsn.") from error
    try:
        yield connection
    except asyncpg.PostgresError as error:
        raise OperatorError(f"the database stopped the export: {error}. No archive was made.") from error
    finally:
        await connection.close()


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Tell]:
    console = Console(stderr=True, quiet=quiet or not sys.stderr.isatty())
    columns = (
        TextColumn("{task.description:<32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[size]}"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=console) as bar:
        task, begun = bar.add_task("begins", total=None, size=""), perf_counter()

        def tell(at: Progress) -> None:
            rate = decimal(int(at.size / (perf_counter() - begun)))
            shown = f"{decimal(at.size)} {rate}/s"
            bar.update(task, description=at.stage, completed=at.done, total=at.total, size=shown)

        yield tell


def _as_json(report: ArchiveReport, seconds: float) -> str:
    shown = asdict(report) | {
        "tables": {one.table: one.rows for one in report.tables},
        "snapshot_at": report.snapshot_at.isoformat(),
        "seconds": round(seconds, 3),
    }
    return json.dumps(shown, indent=2)


def _as_text(report: ArchiveReport, seconds: float) -> str:
    rows = sum(one.rows for one in report.tables)
    held = f"{rows} rows of {len(report.tables)} tables and {report.media_objects} files"
    return f"{report.place}\n{held}, {decimal(report.size)}, {seconds:.1f} s\nsha256 {report.sha256}"
