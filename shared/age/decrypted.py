"""A file of age, read decrypted from anywhere in it, in flat memory; nothing is written anywhere.

The format: https://age-encryption.org/v1. The payload is cut into 64 KiB, each sealed under its number, and the last
one under being the last: so what is cut off, moved or altered doesn't open.
"""

from __future__ import annotations

import hmac
import io
import os
from collections.abc import Iterable
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from ..errors import OperatorError
from .header import Header, NotAgeError, read_header
from .identity import Identity, derived

_CHUNK, _TAG, _NONCE = 1 << 16, 16, 16
_SEALED = _CHUNK + _TAG
_BUFFER = 1 << 20


class NotForThisKeyError(OperatorError):
    """The file is encrypted for others."""


class _Decrypting(io.RawIOBase):
    """What *file* holds, decrypted; raises OSError where a piece isn't what was written."""

    def __init__(self, file: IO[bytes], key: bytes, begins: int, name: str) -> None:
        super().__init__()
        self._file, self._begins, self._name = file, begins + _NONCE, name
        sealed = file.seek(0, os.SEEK_END) - self._begins
        self._chunks = -(-sealed // _SEALED)
        last = sealed - (self._chunks - 1) * _SEALED
        # Nothing at all is one empty chunk; otherwise none is empty.
        if sealed < _TAG or last < _TAG or (last == _TAG and self._chunks > 1):
            raise self._cut()
        file.seek(begins)
        self._cipher = ChaCha20Poly1305(derived(key, file.read(_NONCE), b"payload"))
        self._size = sealed - self._chunks * _TAG
        self._at = 0
        # Only the last chunk tells that this is all there is.
        self._opened(self._chunks - 1, self._chunks)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence] + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        wanted = min(len(view), self._size - self._at)
        if wanted <= 0:
            return 0
        first, skipped = divmod(self._at, _CHUNK)
        plain = self._opened(first, (self._at + wanted - 1) // _CHUNK + 1)
        view[:wanted] = memoryview(plain)[skipped : skipped + wanted]
        self._at += wanted
        return wanted

    def _opened(self, first: int, end: int) -> bytes:
        """Open the chunks from *first* up to *end*."""
        self._file.seek(self._begins + first * _SEALED)
        read = memoryview(self._file.read((end - first) * _SEALED))
        pieces = (read[at * _SEALED : (at + 1) * _SEALED] for at in range(end - first))
        return b"".join(self._unsealed(first + at, piece) for at, piece in enumerate(pieces))

    def _unsealed(self, number: int, piece: memoryview) -> bytes:
        nonce = number.to_bytes(11, "big") + bytes([number == self._chunks - 1])
        try:
            return self._cipher.decrypt(nonce, piece, None)
        except InvalidTag:
            raise self._cut() from None

    def _cut(self) -> OSError:
        return OSError(f"{self._name} was altered or cut off: what is encrypted doesn't open")


class _Buffered(io.BufferedReader):
    """Closes the encrypted file first, which ends a read that is under way in a thread."""

    def __init__(self, raw: _Decrypting, beneath: IO[bytes]) -> None:
        super().__init__(raw, _BUFFER)
        self._beneath = beneath

    def close(self) -> None:
        self._beneath.close()
        super().close()


def decrypted(file: IO[bytes], identities: Iterable[Identity], name: str) -> io.BufferedReader:
    """Open the encrypted *file* for reading anywhere in it; closing it closes *file*; *name* is for messages.

    Raises NotAgeError, NotForThisKeyError, and OSError where it was altered or cut off.
    """
    header = read_header(file, name)
    key = _file_key(header, tuple(identities))
    if key is None:
        told = ", ".join(header.recipients) or "nobody"
        raise NotForThisKeyError(f"{name}: is not encrypted for this key, but for {told}. Give that one's.")
    if not hmac.compare_digest(hmac.digest(derived(key, None, b"header"), header.covered, "sha256"), header.mac):
        raise NotAgeError(f"{name}: the header of age was altered. Fetch the file again.")
    return _Buffered(_Decrypting(file, key, header.length, name), file)


def _file_key(header: Header, identities: Iterable[Identity]) -> bytes | None:
    keys = (one.file_key(stanza) for one in identities for stanza in header.stanzas)
    return next((key for key in keys if key is not None), None)
