"""``offramp verify``: tells whether an archive, or a certificate, is whole, unaltered and signed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..errors import OperatorError
from .archive import Verdict, a_digest, begins_as_age, verify
from .by_library import by_library

ABOUT = "Check an archive or a certificate, and name all that is wrong."
_CODES = """exit codes:
  0  whole, unaltered and signed
  1  something is wrong, or can't be read
  2  the command isn't understood
  3  an archive that is whole, but that nobody signed
  4  an archive that is encrypted: nothing in it was checked
  5  a delta, unaltered, that is complete only together with its base"""
_ZIP = b"PK"
_S3 = "s3://"
_AGE = ".age"
_CERTIFICATE = "certificate.json"


def main(arguments: Sequence[str]) -> int:
    """Check what *arguments* name, and give the exit code; raises ``OperatorError``, and SystemExit as argparse does.

    It reads its own arguments, with the standard library: what the other commands are made with takes longer to load
    than an archive to check.
    """
    given = parser().parse_args(arguments)
    if _is_elsewhere(given.where, given.base):
        return _anywhere(given.where, given)
    what = Path(given.where)
    if what.is_dir() and (what / _CERTIFICATE).exists():
        what /= _CERTIFICATE
    if what.is_dir() or _begins_as_zip(what):
        return _archive(what, given)
    if begins_as_age(what) or what.suffix == _AGE:
        return _encrypted(what, given)
    if given.base is not None:
        raise OperatorError(f"{what} is no archive, so it has no base. Leave out --base.")
    # Loaded only here, as what is slow to load.
    from .certificates_told import check_certificate  # noqa: PLC0415

    return check_certificate(what, given.sha256, given.keys, given.first, as_json=given.json)


def parser() -> argparse.ArgumentParser:
    """Make what reads the arguments of ``offramp verify``."""
    made = argparse.ArgumentParser(
        "offramp verify",
        description=ABOUT,
        epilog=_CODES,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add(
        "where",
        metavar="ARCHIVE | CERTIFICATE",
        help="a .zip, a certificate's JSON, or the folder of either; an archive's s3://bucket/key",
    )
    add("--sha256", metavar="HEX", type=a_digest, help="what the file's SHA-256 must be, as it was announced")
    add("--keys", type=Path, metavar="FOLDER", help="the folder of the published keys")
    add("--first", type=Path, metavar="PATH", help="the first certificate, for a second one that lies elsewhere")
    add(
        "--identity",
        type=Path,
        metavar="KEY",
        help="the key to an encrypted archive, as age-keygen writes it; nothing is unpacked",
    )
    add(
        "--base",
        metavar="ARCHIVE",
        help="the archive that a delta was made against: both are checked, and together",
    )
    add("--json", action="store_true", help="print the verdict as JSON")
    return made


def _is_elsewhere(where: str, base: str | None) -> bool:
    """Tell whether either lies in a store, or the base is encrypted: what reads that is slow to load."""
    if where.startswith(_S3) or (base is not None and base.startswith(_S3)):
        return True
    return base is not None and Path(base).is_file() and begins_as_age(Path(base))


def _anywhere(where: str, given: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415 - as above

    from .anywhere import verify_anywhere  # noqa: PLC0415

    try:
        found = asyncio.run(verify_anywhere(where, given.sha256, given.keys, given.identity, given.base))
    except OSError as error:
        raise OperatorError(f"{error.filename or where} can't be read: {error.strerror or error}.") from error
    if isinstance(found, Verdict):
        return _tell(where, found, given)
    print(json.dumps(asdict(found), indent=2) if given.json else found.told)
    return found.exit_code


def _begins_as_zip(what: Path) -> bool:
    try:
        with what.open("rb") as opened:
            return opened.read(2) == _ZIP or what.suffix == ".zip"
    except OSError as error:
        raise OperatorError(f"{what} can't be read: {error.strerror}. Give the path of an archive.") from error


def _archive(path: Path, given: argparse.Namespace) -> int:
    try:
        verdict = verify(path, given.sha256, given.keys, by_library, _below(given))
    except OSError as error:
        raise OperatorError(
            f"{error.filename} can't be read: {error.strerror}. Look at the path, and at --keys and --base."
        ) from error
    return _tell(path, verdict, given)


def _below(given: argparse.Namespace) -> Path | None:
    return None if given.base is None else Path(given.base)


def _tell(path: Path | str, verdict: Verdict, given: argparse.Namespace) -> int:
    print(json.dumps(asdict(verdict), indent=2) if given.json else _as_text(path, verdict))
    return verdict.exit_code


def _encrypted(path: Path, given: argparse.Namespace) -> int:
    from .encrypted import look, verify_encrypted  # noqa: PLC0415 - as above

    try:
        if given.identity is not None:
            verdict = verify_encrypted(path, given.identity, given.sha256, given.keys, by_library, _below(given))
            return _tell(path, verdict, given)
        unopened = look(path, given.sha256)
    except OSError as error:
        raise OperatorError(f"{error.filename or path} can't be read: {error.strerror or error}.") from error
    print(json.dumps(asdict(unopened), indent=2) if given.json else unopened.told)
    return unopened.exit_code


def _as_text(path: Path | str, verdict: Verdict) -> str:
    lines = [f"{found.kind}: {found.path}: {found.says}" for found in verdict.findings]
    # Of what can't be read it isn't known.
    whose = [f"{verdict.export_id} of {verdict.customer}, as of {verdict.snapshot_at}"] if verdict.export_id else []
    tally = f"{path}: {verdict.told}; {verdict.files} files, {verdict.size} bytes"
    return "\n".join([*lines, tally, *whose, *([f"sha256 {verdict.sha256}"] if verdict.sha256 else [])])
