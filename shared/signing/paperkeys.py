"""The key and the X.509 certificate that sign PDFs, and the roots by which a stranger trusts them.

A certificate authority's key and certificate can be put in their place; those made here are of an authority of our own,
whose root has to be published.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from ..errors import OperatorError

PAPER_KEY = "offramp.paper.pem"
CERTIFICATE = "signing.paper.crt.pem"
AUTHORITY_KEY = "offramp.authority.pem"
ROOTS = "paper_roots.pem"
# Of the authority that sets timestamps (RFC 3161), if there is one; put there by a person.
TIMESTAMP_ROOTS = "timestamp_roots.pem"
PAPER_FILES = (PAPER_KEY, CERTIFICATE, AUTHORITY_KEY, ROOTS)

# No beginning, as in allowed_signers: what is tried again after a rotation may be of a moment before it.
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
# No end, until a rotation sets one (RFC 5280, 4.1.2.5).
_ENDLESS = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_NAME = "Offramp"

# How a file is placed: name, content, mode.
Place = Callable[[str, bytes, int], None]


class PaperKeysError(OperatorError):
    """The key for PDFs can't be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class PaperKeys:
    """What signs PDFs: the *key*, the *chain* from its certificate upwards, and the *roots* to publish, all as PEM.

    *timestamp_roots* is empty where no authority for timestamps is trusted.
    """

    chain: bytes
    roots: bytes
    timestamp_roots: bytes
    key: bytes = field(repr=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read them from *folder*; raises ``PaperKeysError`` if one is missing or they don't belong together."""
        key, chain, roots = (_read(folder / name) for name in (PAPER_KEY, CERTIFICATE, ROOTS))
        if (folder / PAPER_KEY).stat().st_mode & 0o007:
            raise PaperKeysError(
                f"{folder / PAPER_KEY} can be read by everybody on this machine. Run: chmod 600 {folder / PAPER_KEY}"
            )
        _together(folder, key, chain, roots)
        stamps = folder / TIMESTAMP_ROOTS
        return cls(chain, roots, stamps.read_bytes() if stamps.exists() else b"", key)


def make_paper_keys(place: Place, former: bytes = b"") -> None:
    """Make an authority of our own, a key and its certificate; *former* roots stay before the new one."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _root(root_key, _ENDLESS)
    # The public parts first: a signature by a key that nobody knows would be worth nothing.
    place(ROOTS, former + _pem(root), 0o644)
    place(CERTIFICATE, _pem(_leaf(key, root, root_key, _ENDLESS)), 0o644)
    place(AUTHORITY_KEY, _private(root_key), 0o600)
    place(PAPER_KEY, _private(key), 0o600)


def rotate_paper_keys(folder: Path, place: Place, end: datetime) -> None:
    """Begin to sign with a new key under a new root; the old root counts up to *end*.

    The old root is made anew, by its own key, with *end* as the end of its validity: any tool that looks at a moment
    after that refuses it. Then its key is deleted with the old key. Raises ``PaperKeysError``.
    """
    authority = _private_key(folder / AUTHORITY_KEY)
    roots = x509.load_pem_x509_certificates(_read(folder / ROOTS))
    ended = (
        _root(authority, min(end, one.not_valid_after_utc)) if one.public_key() == authority.public_key() else one
        for one in roots
    )
    make_paper_keys(place, b"".join(_pem(one) for one in ended))


def _root(key: ec.EllipticCurvePrivateKey, until: datetime) -> x509.Certificate:
    known_as = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # Each authority has a name of its own, so that a tool that looks for a root by its name finds the right one.
    name = _named(f"{_NAME} authority {known_as.digest.hex()[:12]}")
    builder = (
        _builder(name, name, key, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(issues=True), critical=True)
        .add_extension(known_as, critical=False)
    )
    return builder.sign(key, SHA256())


def _leaf(
    key: ec.EllipticCurvePrivateKey, root: x509.Certificate, root_key: ec.EllipticCurvePrivateKey, until: datetime
) -> x509.Certificate:
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    builder = (
        _builder(_named(_NAME), root.subject, key, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(issues=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer, critical=False)
    )
    return builder.sign(root_key, SHA256())


def _usage(*, issues: bool) -> x509.KeyUsage:
    """Tell what the key is for: to issue certificates, or to sign documents."""
    return x509.KeyUsage(
        digital_signature=not issues,
        content_commitment=not issues,
        key_cert_sign=issues,
        crl_sign=issues,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGINNING)
        .not_valid_after(until.replace(microsecond=0))
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError) as error:
        raise PaperKeysError(f"{path} is no key that offramp made. Put the right file back.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PaperKeysError(f"{path} is no key that offramp made. Put the right file back.")
    return key


def _together(folder: Path, key: bytes, chain: bytes, roots: bytes) -> None:
    try:
        public = load_pem_private_key(key, password=None).public_key()
        above = [*x509.load_pem_x509_certificates(chain), *x509.load_pem_x509_certificates(roots)]
    except (ValueError, TypeError) as error:
        files = f"{PAPER_KEY}, {CERTIFICATE} and {ROOTS}"
        raise PaperKeysError(f"one of {files} in {folder} can't be read as PEM. Put the right files back.") from error
    if above[0].public_key() != public:
        raise PaperKeysError(
            f"{folder / CERTIFICATE} is of another key than {PAPER_KEY}, so nobody could check what it signs. "
            "Put the files back that belong together."
        )
    if not any(_issued(above[0], one) for one in above[1:]):
        raise PaperKeysError(
            f"{folder / ROOTS} vouches for no certificate in {CERTIFICATE}. Add its root there, and the ones between "
            f"to {CERTIFICATE}."
        )


def _issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PaperKeysError(
            f"{path}, of the key that signs PDFs, can't be read ({error.strerror}). If there never was one, make it "
            "with: offramp keys make --pdf"
        ) from error
