"""OpenSSH's signature of a file (SSHSIG, version 1, Ed25519): what ``ssh-keygen -Y`` makes and checks.

Source: PROTOCOL.sshsig in OpenSSH's repository; strings are those of RFC 4251, section 5.
"""

from __future__ import annotations

import binascii
import hashlib
import struct
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# Who signs, and what for (SSHSIG's namespace): a signature made for one purpose can't be passed off as another's.
PRINCIPAL = "offramp"
Purpose: TypeAlias = Literal["offramp", "offramp-archive"]
CERTIFICATE: Purpose = "offramp"
ARCHIVE: Purpose = "offramp-archive"

_BEGIN = b"-----BEGIN SSH SIGNATURE-----\n"
_END = b"-----END SSH SIGNATURE-----\n"
_LINE = 70
_SIGNATURE_BYTES = 64


def sign(data: bytes, key: Ed25519PrivateKey, purpose: Purpose = CERTIFICATE) -> bytes:
    """Sign *data*; gives the armoured text of a ``.sshsig`` file. The same data and key give the same bytes."""
    return _armoured(_before_signature(key.public_key(), purpose) + _signature(key.sign(_signed(data, purpose))))


def signs(data: bytes, sshsig: bytes, key: Ed25519PublicKey, purpose: Purpose = CERTIFICATE) -> bool:
    """Tell whether *sshsig* is the signature of *data* by *key* for *purpose*; anything else in it is refused."""
    blob = _unarmoured(sshsig)
    head, signature = _before_signature(key, purpose), blob[-_SIGNATURE_BYTES:]
    return blob == head + _signature(signature) and _verifies(key, signature, _signed(data, purpose))


def key_id(key: Ed25519PublicKey) -> str:
    """Name *key* as ``ssh-keygen -l`` does: ``SHA256:`` and 43 characters."""
    digest = hashlib.sha256(_blob(key)).digest()
    return f"SHA256:{b64encode(digest).decode().rstrip('=')}"


def openssh(key: Ed25519PublicKey) -> str:
    """Write *key* as OpenSSH does: its type and its base64."""
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _signed(data: bytes, purpose: Purpose) -> bytes:
    return b"SSHSIG" + _strings(purpose.encode(), b"", b"sha512", hashlib.sha512(data).digest())


def _before_signature(key: Ed25519PublicKey, purpose: Purpose) -> bytes:
    return b"SSHSIG" + struct.pack(">I", 1) + _strings(_blob(key), purpose.encode(), b"", b"sha512")


def _signature(raw: bytes) -> bytes:
    return _strings(_strings(b"ssh-ed25519", raw))


def _verifies(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _blob(key: Ed25519PublicKey) -> bytes:
    return b64decode(openssh(key).split()[1])


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
