"""The keys that sign: files in one folder, made on an operator's word, never replaced in silence."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from ..errors import OperatorError
from .allowed import ALLOWED_SIGNERS, Allowed, read_allowed_signers
from .moments import ssh_time
from .paperkeys import AUTHORITY_KEY, PAPER_FILES, make_paper_keys, rotate_paper_keys
from .place import in_production
from .sshsig import CERTIFICATE, Purpose, key_id

ED25519 = "offramp.ed25519"
ECDSA = "offramp.ecdsa.pem"
PUBLIC_PEM = "signing.pub.pem"

_MAKE = "Make them with: offramp keys make; those for archives with: offramp keys make --archives"
# Clocks differ: what a service signs a moment before the rotation may name a moment after it.
_GRACE = timedelta(minutes=10)


class KeysError(OperatorError):
    """The signing keys can't be used or made; the text says why and what to do."""


def make_keys(folder: Path, purpose: Purpose = CERTIFICATE) -> None:
    """Make both keys and their public parts in *folder*, and what signs PDFs where certificates are signed.

    Raises ``KeysError`` if any of them is there already.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        _make(folder, purpose)


def make_keys_for_pdf(folder: Path) -> None:
    """Make what signs PDFs, beside keys that were made before there was such; raises ``KeysError`` as above."""
    read_ed25519(folder)
    with _alone(folder):
        _refuse(folder, PAPER_FILES)
        make_paper_keys(partial(_place_in, folder))


def _make(folder: Path, purpose: Purpose) -> None:
    _refuse(folder, (ED25519, ECDSA, ALLOWED_SIGNERS, PUBLIC_PEM, *PAPER_FILES))
    if purpose == CERTIFICATE:
        make_paper_keys(partial(_place_in, folder))
    _write_new_pair(folder, (), frozenset([purpose]))


def _refuse(folder: Path, names: Iterable[str]) -> None:
    there = [name for name in names if (folder / name).exists()]
    if there:
        raise KeysError(
            f"{folder} already holds {', '.join(there)}, and keys are never overwritten: old certificates are "
            "checked by them. To begin signing with new keys: offramp keys rotate"
        )


def rotate_keys(folder: Path, now: datetime) -> None:
    """Begin to sign with new keys; what the old ones signed for moments up to *now* (UTC) still checks, nothing later.

    ``allowed_signers`` names the end of the old key's period, and its ECDSA key stays as
    ``signing.<key id>.pub.pem``. The old private keys are gone afterwards: nobody can steal what isn't there. What
    signs PDFs is renewed with them, if the authority is our own.
    """
    read_ed25519(folder)
    with _alone(folder):
        # What signs now, not what the public file says: a rotation may have been cut off.
        old, pem, end = read_ed25519(folder).public_key(), public_pem(read_ecdsa(folder)), now + _GRACE
        lines = _read(folder / ALLOWED_SIGNERS).decode().splitlines()
        own = {line: one for line in lines for one in read_allowed_signers(line) if one.key == old}
        if not own:
            raise KeysError(f"{folder / ALLOWED_SIGNERS} does not name the key in {ED25519}. Put the right file back.")
        ended = {line: replace(one, before=min(end, one.before or end)) for line, one in own.items()}
        _place(folder / former_pem(key_id(old)), _until(key_id(old), end) + pem, 0o644)
        kept = [ended[line].line if line in ended else line for line in lines]
        if (folder / AUTHORITY_KEY).exists():
            rotate_paper_keys(folder, partial(_place_in, folder), end)
        _write_new_pair(folder, kept, frozenset.union(*(one.purposes for one in own.values())))


def former_pem(key: str) -> str:
    """Name the file of the ECDSA key that was made together with the key of this id, and was rotated out."""
    safe = key.removeprefix("SHA256:").replace("/", "_").replace("+", "-")
    return f"signing.{safe}.pub.pem"


def _until(key: str, end: datetime) -> bytes:
    # Openssl skips what stands before a PEM's first line.
    return f"Made with the key {key}; counts for what names a moment up to {ssh_time(end)}.\n".encode()


def local_keys(folder: Path, purpose: Purpose = CERTIFICATE, environ: Mapping[str, str] | None = None) -> None:
    """Make sure that the demo and the local stack have keys; ``KeysError`` in production, where a person makes them."""
    if in_production(environ):
        if not (folder / ED25519).exists():
            raise KeysError(f"there are no signing keys in {folder}, and in production nothing makes them. {_MAKE}")
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        # Two workers may start at once; the second one finds the first one's keys.
        if not any((folder / name).exists() for name in (ED25519, ECDSA)):
            _make(folder, purpose)
        elif purpose == CERTIFICATE and not any((folder / name).exists() for name in PAPER_FILES):
            make_paper_keys(partial(_place_in, folder))


def read_ed25519(folder: Path) -> Ed25519PrivateKey:
    """Read the key of the OpenSSH signatures; raises ``KeysError``."""
    path = folder / ED25519
    try:
        key = load_ssh_private_key(_read_private(path), password=None)
    except ValueError as error:
        raise _unreadable(path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unreadable(path)
    return key


def read_ecdsa(folder: Path) -> ec.EllipticCurvePrivateKey:
    """Read the key of the ECDSA signatures; raises ``KeysError``."""
    path = folder / ECDSA
    try:
        key = load_pem_private_key(_read_private(path), password=None)
    except (ValueError, TypeError) as error:
        raise _unreadable(path) from error
    if not (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)):
        raise _unreadable(path)
    return key


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Give the public part of *key* as openssl reads it (SubjectPublicKeyInfo, PEM)."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _write_new_pair(folder: Path, former: Iterable[str], purposes: frozenset[str]) -> None:
    ed25519, ecdsa = Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    lines = (*former, Allowed(ed25519.public_key(), purposes).line)
    # The public parts first: a signature by a key that nobody knows would be worth nothing.
    _place(folder / ALLOWED_SIGNERS, "".join(f"{line}\n" for line in lines).encode(), 0o644)
    _place(folder / PUBLIC_PEM, public_pem(ecdsa), 0o644)
    _place(folder / ED25519, ed25519.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), 0o600)
    _place(folder / ECDSA, ecdsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep others from changing keys in *folder* meanwhile; the lock goes with the process."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _place_in(folder: Path, name: str, content: bytes, mode: int) -> None:
    _place(folder / name, content, mode)


def _place(path: Path, content: bytes, mode: int) -> None:
    """Write the file in one step, so that nobody ever reads half a key."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _read_private(path: Path) -> bytes:
    content = _read(path)
    if path.stat().st_mode & 0o007:
        raise KeysError(f"{path} can be read by everybody on this machine. Run: chmod 600 {path}")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise KeysError(
            f"the signing key {path} is missing. {_MAKE}. OFFRAMP_KEYS and OFFRAMP_EXPORTER_KEYS name the folders."
        ) from error
    except OSError as error:
        raise KeysError(f"the signing key {path} can't be read ({error.strerror}). Look at its owner.") from error


def _unreadable(path: Path) -> KeysError:
    return KeysError(f"{path} is no key that offramp made. Put the right file back, or make new ones elsewhere.")
