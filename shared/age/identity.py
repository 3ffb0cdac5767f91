"""An X25519 identity of age: the secret key, and how it gives the key of a file."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..errors import OperatorError
from .bech32 import bytes_of
from .header import Stanza

KIND = "X25519"
_INFO = b"age-encryption.org/v1/X25519"
_PREFIX, _SECRET = "age-secret-key-", "AGE-SECRET-KEY-1"
_WRAPPED, _POINT = 32, 32


class IdentityError(OperatorError):
    """The file of identities can't be used; says which and why, and never what stands in it."""


def derived(key: bytes, salt: bytes | None, info: bytes) -> bytes:
    """Derive 32 bytes by HKDF-SHA-256, as age does for each of its keys."""
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


@dataclass(frozen=True, slots=True)
class Identity:
    """A secret key, which shows in no text made of it."""

    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, text: str) -> Identity:
        """Read ``AGE-SECRET-KEY-1…``; raises ValueError, without repeating it."""
        return cls(bytes_of(text, _PREFIX))

    def file_key(self, stanza: Stanza) -> bytes | None:
        """Unwrap the file's key from *stanza*; None if it is for somebody else."""
        if stanza.kind != KIND or len(stanza.arguments) != 1 or len(stanza.body) != _WRAPPED:
            return None
        try:
            point = b64decode(stanza.arguments[0] + "=", validate=True)
            private = X25519PrivateKey.from_private_bytes(self.secret)
            shared = private.exchange(X25519PublicKey.from_public_bytes(point))
            wrap = derived(shared, point + private.public_key().public_bytes_raw(), _INFO)
            return ChaCha20Poly1305(wrap).decrypt(bytes(12), stanza.body, None)
        except (InvalidTag, ValueError):
            return None


def identities_in(path: Path) -> tuple[Identity, ...]:
    """Read the identities in *path*, as ``age-keygen`` writes them; raises IdentityError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise IdentityError(f"{path}: can't be read as a file of identities ({type(error).__name__}).") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(_SECRET):
            raise IdentityError(
                f"{path}, line {number}: is no {_SECRET}… With another kind of key, such as SSH's, decrypt first: "
                "age --decrypt -i KEY -o ARCHIVE.zip ARCHIVE.zip.age"
            )
        found.append(_identity(line.strip(), path, number))
    if not found:
        raise IdentityError(f"{path}: holds no identity. age-keygen writes such a file.")
    return tuple(found)


def _identity(text: str, path: Path, number: int) -> Identity:
    try:
        return Identity.of(text)
    except ValueError as error:
        raise IdentityError(f"{path}, line {number}: is no identity of age: {error}.") from None
