"""``offramp verify``: tells whether an archive, or a certificate, is whole and unaltered."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..errors import OperatorError
from .archive import Verdict, verify

app = typer.Typer(
    invoke_without_command=True,
    context_settings={"allow_interspersed_args": True},
    help="Check an archive or a certificate.",
)
_ZIP = b"PK"


@app.callback()
def verify_command(
    what: Annotated[Path, typer.Argument(metavar="ARCHIVE | CERTIFICATE", help="A .zip, or a certificate's JSON.")],
    sha256: Annotated[str | None, typer.Option(help="What the archive's SHA-256 must be, from ExportReady.")] = None,
    keys: Annotated[Path | None, typer.Option(help="The folder of the published keys, for a certificate.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Check an archive or a certificate; exit 0 only if it is whole and unaltered, else name all that is wrong."""
    if _begins_as_zip(what):
        _archive(what, sha256, as_json=as_json)
    else:
        _certificate(what, keys, as_json=as_json)


def _begins_as_zip(what: Path) -> bool:
    try:
        with what.open("rb") as opened:
            return opened.read(2) == _ZIP or what.suffix == ".zip"
    except OSError as error:
        raise OperatorError(f"{what} can't be read: {error.strerror}. Give the path of an archive.") from error


def _archive(path: Path, sha256: str | None, *, as_json: bool) -> None:
    verdict = verify(path, sha256)
    typer.echo(json.dumps(asdict(verdict), indent=2) if as_json else _as_text(path, verdict))
    raise typer.Exit(1 if verdict.findings else 0)


def _as_text(path: Path, verdict: Verdict) -> str:
    lines = [f"{found.kind}: {found.path}: {found.says}" for found in verdict.findings]
    told = f"{len(lines)} things are wrong" if lines else "complete and unaltered"
    tally = f"{path}: {told}; {verdict.files} files, {verdict.size} bytes"
    return "\n".join([*lines, tally, f"sha256 {verdict.sha256}"])


def _certificate(path: Path, keys: Path | None, *, as_json: bool) -> None:
    # Only here, since the signatures' library is slow to load.
    from ..signing.verify_certificate import verify_certificate  # noqa: PLC0415

    verdict = verify_certificate(path, keys)
    trust = "" if verdict.trusted else ", by the keys beside it: compare them with the published ones (--keys)"
    told = f"{path}: the deletion {verdict.deletion_id} of {verdict.customer_id}, signed by {verdict.key_id}{trust}"
    typer.echo(json.dumps(asdict(verdict), indent=2) if as_json else f"{told}\nsha256 {verdict.sha256}")
