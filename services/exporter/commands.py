"""``offramp export``: one customer's archive from a plain database, without Kafka."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated

import asyncpg
import typer
import uvloop
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from shared.clock import system_clock
from shared.datamap.model import DataMap, load
from shared.errors import OperatorError
from shared.objects import ObjectStore
from shared.settings import read_settings

from .archive.build import Order, Progress, Sources, bag_name, build
from .archive.proof import Kept, KeptFile, KeptObject, Proven, prove
from .archive.sink import FileSink, Sink
from .formats import FORMATS, Format
from .link_command import link

app = typer.Typer(
    invoke_without_command=True,
    help="Export one customer's data into an archive.",
)
_S3 = "s3://"
Tell = Callable[[Progress], None]


@app.callback()
def export(
    context: typer.Context,
    map_path: Annotated[Path | None, typer.Option("--map", help="The data map, a YAML file. Required.")] = None,
    dsn: Annotated[str | None, typer.Option(help="The database, as a libpq URL. Required.")] = None,
    customer: Annotated[str | None, typer.Option(help="Whose data. Required.")] = None,
    to: Annotated[str | None, typer.Option(help="A folder, or s3://bucket/key. Required.")] = None,
    *,
    formats: Annotated[list[str] | None, typer.Option("--format", help="csv, jsonlines; both if not given.")] = None,
    scratch: Annotated[
        str | None,
        typer.Option(
            help="A database for temporary tables: there the archive is restored, and compared with the source."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Export one customer's data into an archive."""
    if context.invoked_subcommand is not None:
        return
    if map_path is None or dsn is None or customer is None or to is None:
        raise typer.BadParameter("--map, --dsn, --customer and --to are all needed")
    asked = Asked(dsn, load(map_path), customer, to, _formats(formats or list(FORMATS)), scratch)
    with _shown(quiet=as_json) as tell:
        done = uvloop.run(_export(asked, tell))
    typer.echo(_as_json(done) if as_json else _as_text(done))


app.command("link")(link)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    dsn: str
    map: DataMap
    customer: str
    to: str
    formats: tuple[Format, ...]
    scratch: str | None


@dataclass(frozen=True, slots=True)
class Done:
    """The archive, in how many *seconds* it was made, and in how many it was read back."""

    proven: Proven
    seconds: float
    proof_seconds: float


async def _export(asked: Asked, tell: Tell) -> Done:
    """Export, and read back; that the store's client was loaded before is no part of the time."""
    now = system_clock()
    export_id = Path(asked.to).stem if asked.to.startswith(_S3) else f"{asked.customer}-{now:%Y%m%dT%H%M%SZ}"
    async with ObjectStore(read_settings().s3) as store:
        sink, kept = _place(asked.to, store, export_id)
        compare_up_to = sys.maxsize if asked.scratch else 0
        order = Order(asked.customer, export_id, asked.map, now, asked.formats, compare_up_to)
        begun = perf_counter()
        report = await build(Sources(partial(_connected, asked.dsn, "--dsn"), store), order, sink, tell)
        built = perf_counter()
        tell(Progress("read back", 0, None, report.size))
        scratch = partial(_connected, asked.scratch, "--scratch") if asked.scratch else None
        proven = await prove(report, kept, scratch)
        return Done(proven, built - begun, perf_counter() - built)


def _formats(names: list[str]) -> tuple[Format, ...]:
    for name in names:
        if name not in FORMATS:
            raise OperatorError(f"--format {name}: there is no such format; there are {', '.join(FORMATS)}.")
    return tuple(FORMATS[name] for name in FORMATS if name in names)


def _place(to: str, store: ObjectStore, export_id: str) -> tuple[Sink, Kept]:
    if not to.startswith(_S3):
        path = Path(to) / f"{bag_name(export_id)}.zip"
        return FileSink(path), KeptFile(path)
    bucket, _, key = to.removeprefix(_S3).partition("/")
    if not bucket or not key:
        raise OperatorError(f"--to {to}: an object's place is s3://bucket/key.")
    return store.upload(bucket, key), KeptObject(store, bucket, key)


@asynccontextmanager
async def _connected(dsn: str, option: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    try:
        connection = await asyncpg.connect(dsn)
    except (OSError, asyncpg.PostgresError, ValueError) as error:
        raise OperatorError(f"the database can't be reached: {error}. Look at {option}.") from error
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
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console) as bar:
        task, begun = bar.add_task("begins", total=None, size=""), perf_counter()

        def tell(at: Progress) -> None:
            rate = decimal(int(at.size / (perf_counter() - begun)))
            shown = f"{decimal(at.size)} {rate}/s"
            bar.update(task, description=at.stage, completed=at.done, total=at.total, size=shown)

        yield tell


def _as_json(done: Done) -> str:
    report = done.proven.report
    shown = asdict(report) | {
        "tables": {one.table: one.rows for one in report.tables},
        "snapshot_at": report.snapshot_at.isoformat(),
        "compared": done.proven.compared,
        "seconds": round(done.seconds, 3),
        "proof_seconds": round(done.proof_seconds, 3),
    }
    return json.dumps(shown, indent=2)


def _as_text(done: Done) -> str:
    report, compared = done.proven.report, len(done.proven.compared)
    rows = sum(one.rows for one in report.tables)
    held = f"{rows} rows of {len(report.tables)} tables and {report.media_objects} files"
    read = f"read back whole in {done.proof_seconds:.1f} s, {compared} tables restored and compared with the source"
    return f"{report.place}\n{held}, {decimal(report.size)}, {done.seconds:.1f} s\n{read}\nsha256 {report.sha256}"
