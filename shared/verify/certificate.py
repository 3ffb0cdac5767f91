"""Checks a certificate as a stranger would: both signatures, what it has to say, its journal, and the second stage."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..signing.public import PublicKeys, SignatureError
from ..signing.sshsig import CERTIFICATE
from .content import UNREADABLE, by_day, contradiction, named, rows
from .faults import BadCertificateError
from .journal import broken_link
from .paper import verify_paper
from .verdicts import Addition, First, Paper, Second

FORMAT = "offramp-certificate/1"
SECOND_FORMAT = "offramp-upgrade/1"
ADDENDUM_FORMAT = "offramp-addendum/1"
# Where the retention service stores the second certificate, below the folder of the first.
SECOND = Path("upgrade") / "upgrade.json"
FIRST = "certificate.json"
ADDENDUM = "addendum.json"
# As the service writes it: neither 01 nor a digit of another script.
_NUMBER = re.compile(r"0|[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class _Signed:
    """A document whose signatures hold; it names the moment *at*."""

    path: Path
    sha256: str
    said: Mapping[str, Any]
    key_id: str
    at: datetime


def verify(path: Path, keys: Path | None = None, first: Path | None = None) -> First | Second | Addition:
    """Check the certificate at *path*, of whichever stage, with the signatures beside it.

    *keys* is a folder of ``allowed_signers`` and ``signing*.pub.pem`` as published; without it those beside the
    certificate are used. The *first* certificate of a second one is looked for where it is stored. Raises
    ``BadCertificateError``, which names the first link that is broken.
    """
    form = _format_of(path, _read(path))
    if form == SECOND_FORMAT:
        return verify_second(path, first or _first_of(path), keys)
    if form == ADDENDUM_FORMAT:
        return verify_addendum(path, first or _first_of(path), keys)
    return verify_certificate(path, keys)


def verify_certificate(path: Path, keys: Path | None = None) -> First:
    """Check a first certificate, the second one and all addenda where they lie below; raises ``BadCertificateError``.

    Of the addenda none may be missing before the last that is there, and each has to go on where that before it ended.
    """
    signed = _signed(path, FORMAT, keys)
    verdict = replace(_verify_first(signed, trusted=keys is not None), paper=_paper_of(signed, keys))
    verdict = replace(verdict, addenda=_addenda(path, keys))
    second = path.parent / SECOND
    if not second.exists():
        return verdict
    return replace(verdict, second=verify_second(second, path, keys))


def verify_second(path: Path, first: Path, keys: Path | None = None) -> Second:
    """Check a second certificate, and that the *first* one is the one it speaks of; raises ``BadCertificateError``."""
    paper = _signed(path, SECOND_FORMAT, keys)
    try:
        whose, digest, expired = named(paper.said), paper.said["first_sha256"], paper.said["expired"]
        counted = len(expired)
    except UNREADABLE as error:
        raise _no_certificate(path) from error
    found = hashlib.sha256(_read(first)).hexdigest()
    if found != digest:
        says = f"is the second to a certificate with the SHA-256 {digest}, but {first} has {found}"
        raise BadCertificateError(path, "first certificate", says, "Give the right one: --first certificate.json")
    before = _signed(first, FORMAT, keys)
    _verify_first(before, trusted=keys is not None)
    if named(before.said) != whose:
        says = f"is of {_deletion(*whose)}, but {first} is of {_deletion(*named(before.said))}"
        raise BadCertificateError(path, "first certificate", says, _ASK)
    if before.said["stage"] != "production" or before.said["copies_to_expire"] != expired:
        says = f"names other copies than {first} said would expire"
        raise BadCertificateError(path, "copies", says, _ASK)
    own = _paper_of(paper, keys)
    return Second(paper.sha256, *whose, digest, counted, paper.key_id, trusted=keys is not None, paper=own)


def verify_addendum(path: Path, first: Path, keys: Path | None = None) -> Addition:
    """Check an addendum, and that the *first* certificate is the one it is to; raises ``BadCertificateError``."""
    paper = _signed(path, ADDENDUM_FORMAT, keys)
    said = paper.said
    try:
        wrong, retained = contradiction(said), rows(said["retained"])
        journal, head, number = said["journal"], said["journal_head"], said["number"]
        own_name, broken = named(said), broken_link(journal, head)
        told, deleted = named(said, "first_deletion_id"), said["rows_deleted"]
        digest = said["first_sha256"]
        by_day([*said["gone"], *said["retained"]])
    except UNREADABLE as error:
        raise _no_certificate(path) from error
    found = hashlib.sha256(_read(first)).hexdigest()
    if found != digest:
        says = f"is an addendum to a certificate with the SHA-256 {digest}, but {first} has {found}"
        raise BadCertificateError(path, "first certificate", says, "Give the right one: --first certificate.json")
    before = _signed(first, FORMAT, keys)
    _verify_first(before, trusted=keys is not None)
    if named(before.said) != told:
        says = f"is to {_deletion(*told)}, but {first} is of {_deletion(*named(before.said))}"
        raise BadCertificateError(path, "first certificate", says, _ASK)
    if wrong:
        raise BadCertificateError(path, "content", wrong, _ASK)
    if broken:
        raise BadCertificateError(path, "journal", f"is signed, but {broken}", _ASK)
    if journal[: len(before.said["journal"])] != before.said["journal"]:
        raise BadCertificateError(
            path, "journal", f"is signed, but its journal doesn't go on where {first} ended", _ASK
        )
    own = _paper_of(paper, keys)
    return Addition(
        paper.sha256,
        *own_name,
        digest,
        number,
        deleted,
        retained,
        len(journal),
        head,
        paper.key_id,
        keys is not None,
        own,
    )


def _addenda(first: Path, keys: Path | None) -> tuple[Addition, ...]:
    """Check all addenda that lie beside *first*, one after another."""
    found: list[Addition] = []
    waiting = json.loads(_read(first)).get("retained", [])
    for number in sorted(_numbers(first)):
        path = first.parent / f"addendum-{number}" / ADDENDUM
        if number != len(found) + 1:
            says = f"is number {number}, and number {len(found) + 1} isn't there"
            raise BadCertificateError(path, "addendum", says, "Save all folders of the certificate beside each other.")
        one = verify_addendum(path, first, keys)
        said = json.loads(_read(path))
        if one.number != number or not _goes_on(waiting, said):
            raise BadCertificateError(path, "addendum", "doesn't go on where what is before it ended", _ASK)
        waiting = said["retained"]
        found.append(one)
    return tuple(found)


def _numbers(first: Path) -> list[int]:
    names = (one.name.removeprefix("addendum-") for one in first.parent.glob("addendum-*") if one.is_dir())
    return [int(name) for name in names if _NUMBER.fullmatch(name)]


def _goes_on(waiting: Sequence[Mapping[str, Any]], said: Mapping[str, Any]) -> bool:
    """Tell whether all that was *waiting* is gone by now or still waits: nothing may get lost between two papers."""
    before, after = by_day(waiting), by_day([*said["gone"], *said["retained"]])
    return all(after[key] >= rows for key, rows in before.items())


def _verify_first(paper: _Signed, *, trusted: bool) -> First:
    said = paper.said
    try:
        says, retained = contradiction(said), rows(said.get("retained", []))
        journal, head, stage = said["journal"], said["journal_head"], said["stage"]
        told, broken = (*named(said), said["rows_deleted"]), broken_link(journal, head)
        whole = stage == ("production" if said["copies_to_expire"] else "full")
        by_day(said.get("retained", []))
    except UNREADABLE as error:
        raise _no_certificate(paper.path) from error
    if says:
        raise BadCertificateError(paper.path, "content", says, _ASK)
    if not whole:
        raise BadCertificateError(paper.path, "content", f"says stage {stage}, which its copies contradict", _ASK)
    if broken:
        raise BadCertificateError(paper.path, "journal", f"is signed, but {broken}", _ASK)
    return First(paper.sha256, *told, stage, len(journal), head, paper.key_id, trusted, retained=retained)


def _signed(path: Path, form: str, keys: Path | None) -> _Signed:
    data, folder = _read(path), keys or path.parent
    if _format_of(path, data) != form:
        raise BadCertificateError(path, "format", f"is no paper of the format {form}", "Give the right file.")
    said = json.loads(data)
    try:
        at = _moment_of(said)
    except UNREADABLE as error:
        raise _no_certificate(path) from error
    sshsig, ecdsa = (_read(path.with_name(f"{path.name}.{kind}")) for kind in ("sshsig", "sig"))
    try:
        key_id = _public(folder).check(data, sshsig, ecdsa, CERTIFICATE, at)
    except SignatureError as error:
        raise BadCertificateError(path, "signature", f"can't be trusted: {error}", _AGAIN) from error
    return _Signed(path, hashlib.sha256(data).hexdigest(), said, key_id, at)


def _paper_of(signed: _Signed, keys: Path | None) -> Paper | None:
    """Check the PDF that lies beside *signed*, if one does: old certificates have none."""
    paper = signed.path.with_suffix(".pdf")
    return verify_paper(paper, signed.sha256, keys or signed.path.parent, signed.at) if paper.exists() else None


def _public(folder: Path) -> PublicKeys:
    for name in ("allowed_signers", "signing.pub.pem"):
        _read(folder / name)
    try:
        return PublicKeys.read(folder)
    except (OSError, ValueError) as error:
        raise BadCertificateError(folder / "allowed_signers", "file", "holds no keys", "Get it again.") from error


def _moment_of(said: Mapping[str, Any]) -> datetime:
    """Give the moment that the paper names, for which the key has to count; it was signed at that moment or later."""
    if said["format"] in {FORMAT, ADDENDUM_FORMAT}:
        moment = datetime.fromisoformat(said["validation"]["checked_at"])
    else:
        moment = max(datetime.fromisoformat(one["expires_at"]) for one in said["expired"])
    if moment.tzinfo is None:
        raise ValueError(said)
    return moment.astimezone(UTC)


def _format_of(path: Path, data: bytes) -> str:
    try:
        form = str(json.loads(data)["format"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_certificate(path) from error
    if form not in {FORMAT, SECOND_FORMAT, ADDENDUM_FORMAT}:
        says = f"is of the format {form}, of which this offramp knows nothing"
        raise BadCertificateError(path, "format", says, "Use a newer offramp for it.")
    return form


def _first_of(second: Path) -> Path:
    above = second.absolute().parent.parent / FIRST
    return above if above.exists() else second.parent / FIRST


def _deletion(customer_id: str, deletion_id: str) -> str:
    return f"the deletion {deletion_id} of {customer_id}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        remedy = "Save all files of the certificate's folder beside each other."
        raise BadCertificateError(path, "file", f"can't be read ({error.strerror})", remedy) from error


def _no_certificate(path: Path) -> BadCertificateError:
    return BadCertificateError(path, "content", "is no certificate of offramp, or it was altered", _AGAIN)


_AGAIN = "Fetch it again, and compare its SHA-256 with the one that was announced."
_ASK = "Ask who issued it."
