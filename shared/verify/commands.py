"""``offramp verify``: tells whether an archive, or a certificate, is whole, unaltered and signed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..errors import OperatorError
from .archive import Verdict, begins_as_age, verify
from .by_library import by_library
from .faults import BadCertificateError
from .verdicts import Addition, First, Paper, Second

app = typer.Typer(
    invoke_without_command=True,
    context_settings={"allow_interspersed_args": True},
    help="Check an archive or a certificate.",
)
_ZIP = b"PK"
_S3 = "s3://"
_AGE = ".age"
_CERTIFICATE = "certificate.json"


@app.callback()
def verify_command(
    where: Annotated[
        str,
        typer.Argument(
            metavar="ARCHIVE | CERTIFICATE",
            help="A .zip, a certificate's JSON, or the folder of either; an archive's s3://bucket/key.",
        ),
    ],
    sha256: Annotated[str | None, typer.Option(help="What the file's SHA-256 must be, as it was announced.")] = None,
    keys: Annotated[Path | None, typer.Option(help="The folder of the published keys.")] = None,
    first: Annotated[
        Path | None, typer.Option(help="The first certificate, for a second one that lies elsewhere.")
    ] = None,
    identity: Annotated[
        Path | None, typer.Option(help="The key to an encrypted archive, as age-keygen writes it; nothing is unpacked.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="The archive that a delta was made against: both are checked, and together.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Check an archive or a certificate, and name all that is wrong.

    Exit 0: whole, unaltered and signed. 1: something is wrong or can't be read. 2: the command isn't understood.
    3: an archive that is whole, but that nobody signed. 4: an archive that is encrypted: nothing in it was checked.
    5: a delta, unaltered, that is complete only together with its base.
    """
    if _is_elsewhere(where, base):
        _anywhere(where, sha256, keys, identity, base, as_json=as_json)
    what, below = Path(where), None if base is None else Path(base)
    if what.is_dir() and (what / _CERTIFICATE).exists():
        what /= _CERTIFICATE
    if what.is_dir() or _begins_as_zip(what):
        _archive(what, sha256, keys, below, as_json=as_json)
    elif begins_as_age(what) or what.suffix == _AGE:
        _encrypted(what, sha256, keys, identity, below, as_json=as_json)
    elif below is not None:
        raise OperatorError(f"{what} is no archive, so it has no base. Leave out --base.")
    else:
        _certificate(what, sha256, keys, first, as_json=as_json)


def _is_elsewhere(where: str, base: str | None) -> bool:
    """Tell whether either lies in a store, or the base is encrypted: what reads that is slow to load."""
    if where.startswith(_S3) or (base is not None and base.startswith(_S3)):
        return True
    return base is not None and Path(base).is_file() and begins_as_age(Path(base))


def _anywhere(
    where: str, sha256: str | None, keys: Path | None, identity: Path | None, base: str | None, *, as_json: bool
) -> None:
    from .anywhere import verify_anywhere  # noqa: PLC0415 - as above

    try:
        found = asyncio.run(verify_anywhere(where, sha256, keys, identity, base))
    except OSError as error:
        raise OperatorError(f"{error.filename or where} can't be read: {error.strerror or error}.") from error
    if isinstance(found, Verdict):
        _tell(where, found, as_json=as_json)
    typer.echo(json.dumps(asdict(found), indent=2) if as_json else found.told)
    raise typer.Exit(found.exit_code)


def _begins_as_zip(what: Path) -> bool:
    try:
        with what.open("rb") as opened:
            return opened.read(2) == _ZIP or what.suffix == ".zip"
    except OSError as error:
        raise OperatorError(f"{what} can't be read: {error.strerror}. Give the path of an archive.") from error


def _archive(path: Path, sha256: str | None, keys: Path | None, base: Path | None, *, as_json: bool) -> None:
    try:
        verdict = verify(path, sha256, keys, by_library, base)
    except OSError as error:
        raise OperatorError(
            f"{error.filename} can't be read: {error.strerror}. Look at the path, and at --keys and --base."
        ) from error
    _tell(path, verdict, as_json=as_json)


def _tell(path: Path | str, verdict: Verdict, *, as_json: bool) -> None:
    typer.echo(json.dumps(asdict(verdict), indent=2) if as_json else _as_text(path, verdict))
    raise typer.Exit(verdict.exit_code)


def _encrypted(
    path: Path, sha256: str | None, keys: Path | None, identity: Path | None, base: Path | None, *, as_json: bool
) -> None:
    # Only here, since the library that decrypts is slow to load.
    from .encrypted import look, verify_encrypted  # noqa: PLC0415

    try:
        if identity is not None:
            _tell(path, verify_encrypted(path, identity, sha256, keys, by_library, base), as_json=as_json)
        unopened = look(path, sha256)
    except OSError as error:
        raise OperatorError(f"{error.filename or path} can't be read: {error.strerror or error}.") from error
    typer.echo(json.dumps(asdict(unopened), indent=2) if as_json else unopened.told)
    raise typer.Exit(unopened.exit_code)


def _as_text(path: Path | str, verdict: Verdict) -> str:
    lines = [f"{found.kind}: {found.path}: {found.says}" for found in verdict.findings]
    whose = f"{verdict.export_id} of {verdict.customer}, as of {verdict.snapshot_at}"
    tally = f"{path}: {verdict.told}; {verdict.files} files, {verdict.size} bytes"
    return "\n".join([*lines, tally, whose, *([f"sha256 {verdict.sha256}"] if verdict.sha256 else [])])


def _certificate(path: Path, sha256: str | None, keys: Path | None, first: Path | None, *, as_json: bool) -> None:
    from .certificate import verify as verify_certificate  # noqa: PLC0415 - as above

    try:
        verdict = verify_certificate(path, keys, first)
        if sha256 not in {None, verdict.sha256}:
            says = f"has the SHA-256 {verdict.sha256}, announced was {sha256}"
            raise BadCertificateError(path, "file", says, "Fetch the one that was announced.")  # noqa: TRY301 - one way
    except BadCertificateError as error:
        if not as_json:
            raise
        found = {"link": error.link, "path": str(error.path), "says": error.says, "remedy": error.remedy}
        typer.echo(json.dumps({"path": str(path), "findings": [found]}, indent=2))
        raise typer.Exit(1) from error
    typer.echo(json.dumps(asdict(verdict) | {"findings": []}, indent=2) if as_json else _told(path, verdict))


def _told(path: Path, verdict: First | Second | Addition) -> str:
    trust = "" if verdict.trusted else ", by the keys beside it: compare them with the published ones (--keys)"
    of = f"{path}: the deletion {verdict.deletion_id} of {verdict.customer_id}, signed by {verdict.key_id}{trust}"
    return "\n".join([of, *_chain(verdict), f"sha256 {verdict.sha256}"])


def _paper(paper: Paper | None) -> Iterator[str]:
    if paper is None:
        yield "no PDF lies beside it"
    elif paper.stamped_at is None:
        yield f"{paper.path} says the same, signed at {paper.signed_at}, without a timestamp of a third party"
    else:
        yield f"{paper.path} says the same, signed at {paper.stamped_at} at the latest, by a third party's timestamp"


def _chain(verdict: First | Second | Addition) -> Iterator[str]:
    if isinstance(verdict, Second):
        yield f"the {verdict.copies_expired} copies that {verdict.first_sha256} named have expired, as was declared"
        yield from _paper(verdict.paper)
        return
    yield from _paper(verdict.paper)
    if isinstance(verdict, Addition):
        yield f"the addendum number {verdict.number} to {verdict.first_sha256}: {_waits(verdict.retained)}"
    yield f"{verdict.journal_entries} decisions, each sealed with the one before, up to {verdict.journal_head}"
    if isinstance(verdict, Addition):
        return
    if verdict.retained or verdict.addenda:
        yield f"laws kept {verdict.retained} rows, which are listed; {_since(verdict)}"
    if verdict.second is not None:
        yield f"its second certificate is good, too: {verdict.second.copies_expired} further copies have expired"
    elif verdict.stage == "production":
        yield "copies are named in it that were still to expire; its second certificate isn't here"


def _since(verdict: First) -> str:
    if not verdict.addenda:
        return "no addendum is here"
    return f"by the last of {len(verdict.addenda)} good addenda {_waits(verdict.addenda[-1].retained)}"


def _waits(rows: int) -> str:
    return f"{rows} rows still wait for their time" if rows else "all of them are gone"
