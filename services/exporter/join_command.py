"""``offramp export join``: the full archive out of a delta and the archive that it was made against."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from shared.errors import OperatorError
from shared.upload import Stored
from shared.verify.archive import Checked, checked
from shared.verify.by_library import by_library

from .archive.joining import join as joined
from .archive.sink import FileSink


def join(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="The archive that the delta was made against.")],
    delta: Annotated[Path, typer.Argument(metavar="DELTA", help="The delta.")],
    to: Annotated[str, typer.Option(help="Where the full archive goes: a file that isn't there yet.")],
    keys: Annotated[Path | None, typer.Option(help="The folder of the published keys.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make the full archive of a delta and its base, as a full export would have made it.

    Both are checked first, and together; whatever is wrong is named, and nothing is written.

    Exit 0: it is there, complete and signed. 1: something is wrong. 3: it is there and complete, but nobody signed it.
    """
    path = _free(to)
    try:
        with (
            checked(base, None, keys, by_library) as below,
            checked(delta, None, keys, by_library, below) as one,
        ):
            if one.verdict.findings:
                _refuse(delta, one, as_json=as_json)
            made = asyncio.run(_write(one, below, path))
    except OSError as error:
        raise OperatorError(f"{error.filename} can't be read: {error.strerror}. Nothing was written.") from error
    verdict = one.verdict
    if as_json:
        typer.echo(json.dumps({**asdict(made), "signed_by": verdict.signature.key_id}, indent=2))
    else:
        typer.echo(f"{made.place}\n{verdict.export_id} of {verdict.customer}, as of {verdict.snapshot_at}")
        typer.echo(f"{verdict.told}\nsha256 {made.sha256}")
    raise typer.Exit(verdict.exit_code)


def _free(to: str) -> Path:
    if to.startswith("s3://"):
        raise OperatorError(f"--to {to}: it is made in a file. Name one, and put that into the store.")
    path = Path(to)
    if path.is_dir() or path.exists():
        raise OperatorError(f"--to {to}: something is there, and is left as it is. Name a file that isn't there yet.")
    return path


def _refuse(delta: Path, one: Checked, *, as_json: bool) -> None:
    found = one.verdict.findings
    if as_json:
        typer.echo(json.dumps({"findings": [asdict(one) for one in found]}, indent=2))
    else:
        typer.echo("\n".join(f"{one.kind}: {one.path}: {one.says}" for one in found))
        typer.echo(f"{delta}: {one.verdict.told}; nothing was written")
    raise typer.Exit(1)


async def _write(delta: Checked, base: Checked, path: Path) -> Stored:
    sink = FileSink(path)
    await joined(delta, base, sink)
    return sink.stored
