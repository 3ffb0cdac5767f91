"""Checks an archive's signatures with the library that makes them, where no tool of the machine is to be relied on."""

from __future__ import annotations

from ..signing.public import PublicKeys, SignatureError
from ..signing.sshsig import ARCHIVE
from .archive import ForgedError, Sealed


def by_library(sealed: Sealed) -> str:
    """Give the id of the key by which *sealed* is signed twice; raises ``ForgedError``."""
    try:
        keys = PublicKeys(sealed.keys.allowed_signers.decode(), sealed.keys.pems)
        return keys.check(sealed.manifest, sealed.sshsig, sealed.ecdsa, ARCHIVE, sealed.moment)
    except (SignatureError, UnicodeDecodeError) as error:
        raise ForgedError(str(error)) from error
