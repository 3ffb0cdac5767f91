"""``offramp export join``: the full archive out of a delta and the archive that it was made against."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from shared.errors import OperatorError
from shared.upload import Stored
from shared.verify.anywhere import Reader, reader
from shared.verify.archive import Checked, Verdict
from shared.verify.in_store import S3

from .archive.joining import join as joined
from .archive.sink import FileSink, Sink


def join(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The archive that the delta was made against.")],
    delta: Annotated[str, typer.Argument(metavar="DELTA", help="The delta. Either may be s3://bucket/key.")],
    to: Annotated[str, typer.Option(help="Where the full archive goes, if nothing is there: a file, s3://bucket/key.")],
    keys: Annotated[Path | None, typer.Option(help="The folder of the published keys.")] = None,
    identity: Annotated[
        Path | None, typer.Option(help="The key to what is encrypted, as age-keygen writes it. The full one is not.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make the full archive of a delta and its base, as a full export would have made it.

    Both are checked first, and together; whatever is wrong is named, and nothing is written.

    Exit 0: it is there, complete and signed. 1: something is wrong. 3: it is there and complete, but nobody signed it.
    """
    try:
        verdict, made = uvloop.run(_join((base, delta, to), keys, identity))
    except OSError as error:
        named = error.filename or f"{base}, or {delta},"
        raise OperatorError(f"{named} can't be read: {error.strerror or error}. Nothing was written.") from error
    if made is None:
        _refuse(delta, verdict, as_json=as_json)
    elif as_json:
        typer.echo(json.dumps({**asdict(made), "signed_by": verdict.signature.key_id}, indent=2))
    else:
        typer.echo(f"{made.place}\n{verdict.export_id} of {verdict.customer}, as of {verdict.snapshot_at}")
        typer.echo(f"{verdict.told}\nsha256 {made.sha256}")
    raise typer.Exit(verdict.exit_code)


async def _join(
    places: tuple[str, str, str], keys: Path | None, identity: Path | None
) -> tuple[Verdict, Stored | None]:
    """Join what lies at the first two at the third, if nothing is wrong with them."""
    base, delta, to = places
    async with reader(places, keys, identity) as read:
        sink = await _free(to, read)
        with ExitStack() as stack:
            below = await read.checked(base, stack)
            one = await read.checked(delta, stack, below)
            return one.verdict, None if one.verdict.findings else await _write(one, below, sink)


async def _free(to: str, read: Reader) -> Sink:
    if not to.startswith(S3):
        path = Path(to)
        if await asyncio.to_thread(path.exists):
            raise OperatorError(f"--to {to}: something is there, and is left as it is. Name a file that isn't there.")
        return FileSink(path)
    bucket, _, key = to.removeprefix(S3).partition("/")
    if not bucket or not key or read.store is None:
        raise OperatorError(f"--to {to}: an object's place is s3://bucket/key.")
    if await read.store.exists(bucket, key):
        raise OperatorError(f"--to {to}: something is there, and is left as it is. Name a key that isn't there yet.")
    return read.store.upload(bucket, key)


def _refuse(delta: str, verdict: Verdict, *, as_json: bool) -> None:
    found = verdict.findings
    if as_json:
        typer.echo(json.dumps({"findings": [asdict(one) for one in found]}, indent=2))
    else:
        typer.echo("\n".join(f"{one.kind}: {one.path}: {one.says}" for one in found))
        typer.echo(f"{delta}: {verdict.told}; nothing was written")


async def _write(delta: Checked, base: Checked, sink: Sink) -> Stored:
    await joined(delta, base, sink)
    return sink.stored
