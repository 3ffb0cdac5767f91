"""Checks the PDF of a certificate: that it is signed, and that it is a reading of that very certificate."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

from ..errors import OperatorError
from ..moments import iso
from ..signing.paperkeys import ROOTS, TIMESTAMP_ROOTS
from .faults import BadCertificateError
from .verdicts import Paper


def verify_paper(path: Path, sha256: str, folder: Path, since: datetime) -> Paper:
    """Check the PDF at *path*, of a certificate with this *sha256* that names the moment *since*.

    *folder* has the published roots. Raises ``BadCertificateError``; ``OperatorError`` where pyHanko isn't installed.
    """
    body, roots = _read(path), _read(folder / ROOTS)
    stamps = folder / TIMESTAMP_ROOTS
    try:
        # Only here, since the library is slow to load, and the wheel for holders does without it.
        from ..signing.paper import PaperError, check_paper  # noqa: PLC0415
    except ImportError as error:
        raise OperatorError(f"{path} can't be checked without pyHanko. Run: pip install pyhanko") from error
    try:
        found = check_paper(body, roots, _read(stamps) if stamps.exists() else b"", since)
    except PaperError as error:
        raise BadCertificateError(path, "paper", str(error), _AGAIN) from error
    if found.sha256 != sha256:
        says = f"is a reading of a certificate with the SHA-256 {found.sha256}, but the one beside it has {sha256}"
        raise BadCertificateError(path, "paper", says, _AGAIN)
    stamped_at = None if found.stamped_at is None else iso(found.stamped_at)
    return Paper(str(path), hashlib.sha256(body).hexdigest(), iso(found.signed_at), stamped_at, found.key_id)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCertificateError(path, "file", f"can't be read ({error.strerror})", _AGAIN) from error


_AGAIN = "Fetch all files of the certificate's folder again."
