"""``offramp export``: one customer's archive from a plain database, without Kafka."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import asyncpg
import typer
import uvloop
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from shared.clock import system_clock
from shared.database_fates import DATABASE_OUTAGES
from shared.datamap.model import load
from shared.errors import OperatorError
from shared.garbage import return_parts
from shared.objects import ObjectStore
from shared.settings import read_settings
from shared.signing.place import in_production, keys_folder
from shared.verify.archive import published

from .archive.asked import named_formats, scope_of
from .archive.base import opened_base
from .archive.build import Order, Progress, Sources, build
from .archive.delta import Since
from .archive.faults import SourceOutageError
from .archive.media import Media
from .archive.page import Language
from .archive.proof import Proven, Scratch, prove
from .archive.report import ArchiveReport
from .archive.restoring import ScratchAwayError
from .archive.suffix import stem_of
from .export_place import Asked, bytes_of, placed, swept
from .formats.registry import ALL

if TYPE_CHECKING:
    from shared.age.identity import Identity
    from shared.signing.signer import Signer

    from .archive.earlier import Earlier
    from .archive.encryption import Encryption

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
    formats: Annotated[list[str] | None, typer.Option("--format", help=f"{', '.join(ALL)}; all if not given.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="user, course, report; all if not given.")] = None,
    language: Annotated[Language, typer.Option(help="Of the page for whoever opens it: en or sv.")] = "en",
    scratch: Annotated[
        str | None,
        typer.Option(
            help="An empty database: there the archive is restored, compared with the source, and rolled back."
        ),
    ] = None,
    encrypt_to: Annotated[
        list[str] | None,
        typer.Option(help="A public key of whoever is to open it, with age: age1…, ssh-ed25519 … or ssh-rsa …."),
    ] = None,
    volume_size: Annotated[
        str | None,
        typer.Option(help="Begin another file where one has so much, such as 4GiB; each opens by itself."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only what that archive hasn't: a .zip or s3://bucket/key. It is complete only with that."),
    ] = None,
    identity: Annotated[
        Path | None, typer.Option(help="The key to an encrypted --since, as age-keygen writes it; nothing is unpacked.")
    ] = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Sign with no key, though there are keys.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Export one customer's data into an archive."""
    if context.invoked_subcommand is not None:
        return
    if map_path is None or dsn is None or customer is None or to is None:
        raise typer.BadParameter("--map, --dsn, --customer and --to are all needed")
    if not customer.strip() or not customer.isprintable():
        raise OperatorError(f"--customer {customer!r}: it is empty, or has a character that can't be printed in it.")
    now = system_clock()
    export_id = stem_of(to) if to.startswith(_S3) else f"{customer}-{now:%Y%m%dT%H%M%SZ}"
    order = Order(
        customer, export_id, load(map_path), now, named_formats(formats or ()), language, scope_of(scope or ()),
        *((sys.maxsize, sys.maxsize) if scratch else (0, 0)), None if unsigned else _signer(),
        encryption=_encryption(encrypt_to or ()),
    )  # fmt: skip
    if since is not None and order.signer is None:
        raise OperatorError(f"--since {since}: a delta is made, and its base checked, only with the keys that sign. "
                            "Make them: offramp keys make --archives; leave out --unsigned.")  # fmt: skip
    if identity is not None and since is None:
        raise OperatorError(f"--identity {identity}: it is the key to what --since names. Name that too.")
    volumes = None if volume_size is None else bytes_of(volume_size)
    asked = Asked(dsn, order, to, scratch, volumes, since, identity)
    try:
        with _shown(quiet=as_json) as tell:
            done = uvloop.run(_export(asked, tell))
    except (KeyboardInterrupt, asyncio.CancelledError) as stopped:
        # Only SIGTERM cancels it; a shell's way of telling which signal ended a program.
        number = signal.SIGINT if isinstance(stopped, KeyboardInterrupt) else signal.SIGTERM
        typer.echo(f"offramp: stopped by {number.name}; no archive was made. {_how_to_go_on(asked)}", err=True)
        raise typer.Exit(128 + number) from None
    typer.echo(_as_json(done) if as_json else _as_text(done))
    if _empty(done.proven.report):
        # It is a true archive, and may be what somebody needs; mostly it is a slip.
        says = f"NOTHING IN IT: no row and no file of {customer!r} is there. Look at --customer."
        typer.echo(f"offramp: {says}", err=True)


def _empty(report: ArchiveReport) -> bool:
    return not any(one.rows for one in report.tables) and not report.media_objects


def _how_to_go_on(asked: Asked) -> str:
    if asked.order.encryption is not None:
        return "Of what is encrypted nothing is kept: the same command begins anew, with another key."
    if asked.to.startswith(_S3):
        return "The same command goes on: it reads all data again, and sends only the parts that aren't there."
    return "In a folder the same command reads all data again, and fetches only media that an unfinished file hasn't."


@dataclass(frozen=True, slots=True)
class Done:
    """The archive, in how many *seconds* it was made, and in how many it was read back."""

    proven: Proven
    seconds: float
    proof_seconds: float


def _signer() -> Signer | None:
    """Give who signs: the exporter's keys if there are any; in production there have to be."""
    folder = keys_folder(read_settings().home, "exporter")
    if not folder.exists() and not in_production():
        return None
    # Loaded when used: the library is megabytes, which an export's memory is measured in.
    from shared.signing.signer import Signer  # noqa: PLC0415
    from shared.signing.sshsig import ARCHIVE  # noqa: PLC0415

    return Signer.load(folder, ARCHIVE)


def _encryption(recipients: Sequence[str]) -> Encryption | None:
    if not recipients:
        return None
    # As above.
    from .archive.encryption import Encryption  # noqa: PLC0415

    return Encryption.to(recipients)


async def _export(asked: Asked, tell: Tell) -> Done:
    """Export, and read back; that the store's client was loaded before is no part of the time."""
    return_parts()
    _let_sigterm_cancel()
    async with ObjectStore(read_settings().s3) as store:
        place = await placed(asked, store)
        scratch = await _scratch(asked.scratch)
        async with _gone_on(place.earlier, store, tell) as (media, told), _since(asked, store, tell) as since:
            begun = perf_counter()
            order, sources = replace(asked.order, since=since), Sources(partial(_connected, asked.dsn, "--dsn"), media)
            report = await build(sources, order, place.sink, told)
            if place.earlier is not None:
                report = replace(report, taken=place.earlier.taken)
            built = perf_counter()
            tell(Progress("read back", 0, None, report.size))
            base = None if since is None else since.checked
            try:
                proven = await prove(report, place.kept, scratch, order.encryption, base)
            except ScratchAwayError as error:
                raise SourceOutageError(f"{error}. No archive was made. Look at --scratch.") from error
        await swept(asked, store, report)
        return Done(proven, built - begun, perf_counter() - built)


async def _scratch(dsn: str | None) -> Scratch | None:
    """Give the database to compare in; that it isn't there is told before hours of reading, not after."""
    if dsn is None:
        return None
    scratch = Scratch(partial(_connected, dsn, "--scratch"), dsn)
    async with scratch.connect():
        return scratch


@asynccontextmanager
async def _gone_on(earlier: Earlier | None, store: ObjectStore, tell: Tell) -> AsyncIterator[tuple[Media, Tell]]:
    """Give where media come from and whom to tell how far it is, with what an earlier try left in the folder."""
    if earlier is None:
        yield store, tell
        return
    from .archive.spared import SparedStore  # noqa: PLC0415 - as the others

    with earlier:
        yield SparedStore(store, earlier), lambda at: tell(replace(at, taken=earlier.taken))


@asynccontextmanager
async def _since(asked: Asked, store: ObjectStore, tell: Tell) -> AsyncIterator[Since | None]:
    """Check the base, if there is one, by our own published keys."""
    order = asked.order
    keys = None if asked.since is None else published(keys_folder(read_settings().home, "exporter"))
    if asked.since is None or keys is None:
        yield None
        return
    tell(Progress("checks the base", 0, None, 0))
    of = order.customer, order.export_id, order.now
    async with opened_base(asked.since, store, keys, *of, _identities(asked.identity)) as since:
        yield since


def _identities(file: Path | None) -> tuple[Identity, ...]:
    if file is None:
        return ()
    # As what signs.
    from shared.age.identity import identities_in  # noqa: PLC0415

    return identities_in(file)


def _let_sigterm_cancel() -> None:
    exporting = asyncio.current_task()
    # Signals are the main thread's; whoever calls this from another one has its own way to cancel.
    if exporting is not None and threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, exporting.cancel)


@asynccontextmanager
async def _connected(dsn: str, option: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    try:
        connection = await asyncpg.connect(dsn)
    except (OSError, asyncpg.PostgresError, ValueError) as error:
        raise SourceOutageError(f"the database can't be reached: {error}. Look at {option}.") from error
    try:
        yield connection
    except asyncpg.PostgresError as error:
        fault = SourceOutageError if isinstance(error, DATABASE_OUTAGES) else OperatorError
        raise fault(f"the database stopped the export: {error}. No archive was made.") from error
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
            spared = f", {decimal(at.taken.size)} taken over" if at.taken.size else ""
            shown = f"{decimal(at.size)} {rate}/s{spared}"
            bar.update(task, description=at.stage, completed=at.done, total=at.total, size=shown)

        yield tell


def _as_json(done: Done) -> str:
    report = done.proven.report
    shown = asdict(report)
    shown["taken_over"] = {"parts": report.taken.parts, "bytes": report.taken.size}
    del shown["taken"]
    if report.delta is None:
        del shown["delta"]
    shown |= {
        "tables": {one.table: one.rows for one in report.tables},
        "objects": {one.table: one.rows for one in report.objects},
        "snapshot_at": report.snapshot_at.isoformat(),
        "compared": done.proven.compared,
        "restored": done.proven.restored,
        "seconds": round(done.seconds, 3),
        "proof_seconds": round(done.proof_seconds, 3),
    }
    return json.dumps(shown, indent=2)


def _as_text(done: Done) -> str:
    report, compared, restored = done.proven.report, len(done.proven.compared), len(done.proven.restored)
    rows = sum(one.rows for one in report.tables)
    held = f"{rows} rows of {len(report.tables)} tables and {report.media_objects} files"
    read = f"read back whole in {done.proof_seconds:.1f} s, {compared} tables compared with the source"
    read += f", and {restored} restored by psql" if restored else ""
    volumes = "".join(f"\n{one.sha256}  {one.place}" for one in report.volumes)
    signed = f"signed by {report.signed_by}" if report.signed_by else UNSIGNED
    spared = f", {decimal(report.taken.size)} of it taken over" if report.taken.size else ""
    opens = f"\nencrypted with age for {', '.join(report.encrypted_to)}" if report.encrypted_to else ""
    made = f"{report.place}\n{held}, {decimal(report.size)}{spared}, {done.seconds:.1f} s"
    return f"{made}{_needs(report)}\n{read}\n{signed}{opens}\nsha256 {report.sha256}{volumes}"


def _needs(report: ArchiveReport) -> str:
    if report.delta is None:
        return ""
    base, found = report.delta.base, report.delta.changes
    counts = f"{found.new} files new, {found.changed} changed, {found.unchanged} unchanged there, {found.gone} gone"
    needs = f"complete only together with its base {base.export_id}, sha256 {base.sha256}"
    return f"\nNOT ALL OF IT: a delta, {needs}\n{counts}"


UNSIGNED = "NOT SIGNED: nothing shows who made it. To sign the next one: offramp keys make --archives"
