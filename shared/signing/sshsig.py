"""OpenSSH's signature of a file (SSHSIG, version 1, Ed25519): what ``ssh-keygen -Y`` makes and checks.

Source: PROTOCOL.sshsig in OpenSSH's repository; strings are those of RFC 4251, section 5.
"""

from __future__ import annotations

import binascii
import hashlib
import struct
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Who signs, and what for: a signature made for another purpose can't be passed off as one of these.
PRINCIPAL = "offramp"
NAMESPACE = "offramp"

_BEGIN = b"-----BEGIN SSH SIGNATURE-----\n"
_END = b"-----END SSH SIGNATURE-----\n"
_LINE = 70
_SIGNATURE_BYTES = 64


def sign(data: bytes, key: Ed25519PrivateKey) -> bytes:
    """Sign *data*; gives the armoured text of a ``.sshsig`` file. The same data and key give the same bytes."""
    return _armoured(_before_signature(key.public_key()) + _signature(key.sign(_signed(data))))


def verified_by(data: bytes, sshsig: bytes, allowed: Iterable[Ed25519PublicKey]) -> str | None:
    """Tell by the id of which of the *allowed* keys *sshsig* signs *data*; None if by none of them."""
    blob = _unarmoured(sshsig)
    for key in allowed:
        head, signature = _before_signature(key), blob[-_SIGNATURE_BYTES:]
        if blob == head + _signature(signature) and _signs(key, signature, data):
            return key_id(key)
    return None


def allowed_signer(key: Ed25519PublicKey) -> str:
    """Give the line for *key* in an ``allowed_signers`` file, without a line end."""
    return f'{PRINCIPAL} namespaces="{NAMESPACE}" {_openssh(key)} {key_id(key)}'


def read_allowed_signers(text: str) -> tuple[Ed25519PublicKey, ...]:
    """Read the keys of an ``allowed_signers`` file that *allowed_signer* wrote; other lines don't count."""
    before = f'{PRINCIPAL} namespaces="{NAMESPACE}" '
    lines = (line.removeprefix(before) for line in text.splitlines() if line.startswith(before))
    keys = (load_ssh_public_key(line.encode()) for line in lines)
    return tuple(key for key in keys if isinstance(key, Ed25519PublicKey))


def key_id(key: Ed25519PublicKey) -> str:
    """Name *key* as ``ssh-keygen -l`` does: ``SHA256:`` and 43 characters."""
    digest = hashlib.sha256(_blob(key)).digest()
    return f"SHA256:{b64encode(digest).decode().rstrip('=')}"


def _signed(data: bytes) -> bytes:
    return b"SSHSIG" + _strings(NAMESPACE.encode(), b"", b"sha512", hashlib.sha512(data).digest())


def _before_signature(key: Ed25519PublicKey) -> bytes:
    return b"SSHSIG" + struct.pack(">I", 1) + _strings(_blob(key), NAMESPACE.encode(), b"", b"sha512")


def _signature(raw: bytes) -> bytes:
    return _strings(_strings(b"ssh-ed25519", raw))


def _signs(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    try:
        key.verify(signature, _signed(data))
    except InvalidSignature:
        return False
    return True


def _blob(key: Ed25519PublicKey) -> bytes:
    return b64decode(_openssh(key).split()[1])


def _openssh(key: Ed25519PublicKey) -> str:
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _strings(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _armoured(blob: bytes) -> bytes:
    text = b64encode(blob)
    lines = (text[start : start + _LINE] for start in range(0, len(text), _LINE))
    return _BEGIN + b"".join(line + b"\n" for line in lines) + _END


def _unarmoured(text: bytes) -> bytes:
    body = text.replace(b"\r\n", b"\n").strip() + b"\n"
    if not (body.startswith(_BEGIN) and body.endswith(_END)):
        return b""
    try:
        blob = b64decode(body[len(_BEGIN) : -len(_END)])
    except binascii.Error:
        return b""
    # Decoding skips what is no base64; a text with more in it than the signature is refused.
    return blob if _armoured(blob) == body else b""
