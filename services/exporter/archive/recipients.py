"""Public keys that an archive may be encrypted for, looked at before the library that encrypts is.

What the library takes is more than what it can use: a key without an exponent ends its process, and a point of small
order makes what anybody can open. Whoever asks for an export chooses the key, so neither may come so far.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from pyrage import RecipientError, ssh, x25519

from shared.age.bech32 import bytes_of

Recipient: TypeAlias = ssh.Recipient | x25519.Recipient
SSH = "ssh-"
_PREFIX = "age"
_BYTES = 32
# The field of Curve25519 (RFC 7748 section 4.1).
_FIELD = 2**255 - 19
# Of an Edwards point y is all below this bit, which is x's (RFC 8032 section 5.1.2).
_SIGN = 2**255


class NoRecipientError(ValueError):
    """It is no public key that age can encrypt for; the text isn't repeated, since it may be the secret key."""


def recipient_of(public_key: str) -> Recipient:
    """Give whom *public_key* is of: age's own, or an SSH key without a comment; raises NoRecipientError."""
    try:
        return _of_ssh(public_key) if public_key.startswith(SSH) else _of_age(public_key)
    except (RecipientError, UnsupportedAlgorithm, ValueError):
        raise NoRecipientError from None


def _of_age(public_key: str) -> x25519.Recipient:
    _meets_somebody(bytes_of(public_key, _PREFIX))
    return x25519.Recipient.from_str(public_key)


def _of_ssh(public_key: str) -> ssh.Recipient:
    _, blob = public_key.split(" ")  # What follows the key is a comment: often whose it is.
    b64decode(blob, validate=True)  # As ssh-keygen reads it: the library does without the padding.
    key = load_ssh_public_key(public_key.encode())
    if isinstance(key, Ed25519PublicKey):
        _meets_somebody(_montgomery(key.public_bytes_raw()))
    return ssh.Recipient.from_str(public_key)


def _meets_somebody(point: bytes) -> None:
    """Raise ValueError where what is agreed on with *point* is the same for everybody (RFC 7748 section 6.1)."""
    if len(point) != _BYTES:
        raise ValueError("not of 32 bytes")
    X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(point))


def _montgomery(edwards: bytes) -> bytes:
    """Give the point as X25519 has it (RFC 7748 section 4.1): u = (1 + y) / (1 - y)."""
    y = int.from_bytes(edwards, "little") % _SIGN
    u = (1 + y) * pow(1 - y, _FIELD - 2, _FIELD) % _FIELD
    return u.to_bytes(_BYTES, "little")
