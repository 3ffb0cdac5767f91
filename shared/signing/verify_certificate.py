"""Checks a certificate as a stranger would: both signatures, and that it says what a certificate has to say."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ..errors import OperatorError
from .keys import ALLOWED_SIGNERS, PUBLIC_PEM
from .sshsig import read_allowed_signers, verified_by

FORMAT = "offramp-certificate/1"


class BadCertificateError(OperatorError):
    """The certificate is not what it seems, or can't be checked: what is wrong, with which file, and what to do."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A good certificate: its digest, its deletion, and by whose *key_id* it is signed.

    *trusted* is false where the keys lay beside it: then it was not altered by accident, but whoever could replace the
    certificate could have replaced the keys too.
    """

    sha256: str
    customer_id: str
    deletion_id: str
    rows_deleted: int
    key_id: str
    trusted: bool


def verify_certificate(path: Path, keys: Path | None = None) -> Verdict:
    """Check the certificate at *path* with the signatures beside it, against the public keys in the folder *keys*.

    *keys* holds ``allowed_signers`` and ``signing.pub.pem`` (and former ``signing.*.pub.pem``) as published; without
    it those beside the certificate are used. Raises ``BadCertificateError``.
    """
    data, folder = _read(path), keys or path.parent
    key_id = _signed_by_openssh(path, data, folder)
    _signed_by_ecdsa(path, data, folder)
    said = _said(path, data)
    return Verdict(
        sha256=hashlib.sha256(data).hexdigest(),
        customer_id=said["customer_id"],
        deletion_id=said["deletion_id"],
        rows_deleted=said["rows_deleted"],
        key_id=key_id,
        trusted=keys is not None,
    )


def _signed_by_openssh(path: Path, data: bytes, folder: Path) -> str:
    signature = _read(path.with_name(f"{path.name}.sshsig"))
    try:
        allowed = read_allowed_signers(_read(folder / ALLOWED_SIGNERS).decode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadCertificateError(f"{folder / ALLOWED_SIGNERS} holds no keys. Get it again.") from error
    key_id = verified_by(data, signature, allowed)
    if key_id is None:
        raise _altered(path, f"its OpenSSH signature is by none of the keys in {folder / ALLOWED_SIGNERS}")
    return key_id


def _signed_by_ecdsa(path: Path, data: bytes, folder: Path) -> None:
    signature = _read(path.with_name(f"{path.name}.sig"))
    # After a rotation the former key lies beside the present one.
    pems = sorted(folder.glob("signing.*.pub.pem"))
    if not any(_signs(_read(pem), signature, data) for pem in (folder / PUBLIC_PEM, *pems)):
        raise _altered(path, f"its ECDSA signature is not by the key in {folder / PUBLIC_PEM}")


def _signs(pem: bytes, signature: bytes, data: bytes) -> bool:
    try:
        key = load_pem_public_key(pem)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(signature, data, ec.ECDSA(SHA256()))
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        return False
    return True


def _said(path: Path, data: bytes) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(data)
        if said["format"] != FORMAT:
            raise BadCertificateError(f"{path} is signed, but not of the format {FORMAT}. Use a newer offramp for it.")
        holders = said["validation"]["holders"]
        left = [f"{at['holder']} {one['table']}" for at in holders for one in at["tables"] if one["left"] != 0]
        named = {name: said[name] for name in ("customer_id", "deletion_id", "rows_deleted")}
    except (ValueError, KeyError, TypeError) as error:
        raise BadCertificateError(f"{path} is signed, but no certificate of offramp. Ask who issued it.") from error
    if left:
        raise BadCertificateError(f"{path} itself says that something was left: {', '.join(left)}. Ask who issued it.")
    return named


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCertificateError(
            f"{path} can't be read ({error.strerror}). Save all files of the certificate's folder beside each other."
        ) from error


def _altered(path: Path, why: str) -> BadCertificateError:
    return BadCertificateError(
        f"{path} can't be trusted: {why}. Fetch it again, and compare its SHA-256 with the one that was announced."
    )
