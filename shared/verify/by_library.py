"""Checks an archive's signatures with the library that makes them, where no tool of the machine is to be relied on."""

from __future__ import annotations

from .archive import ForgedError, Sealed


def by_library(sealed: Sealed) -> str:
    """Give the id of the key by which *sealed* is signed twice; raises ``ForgedError``."""
    # Loaded where there is a signature: the library is megabytes, and slow to load.
    from ..signing.public import PublicKeys, SignatureError  # noqa: PLC0415
    from ..signing.sshsig import ARCHIVE  # noqa: PLC0415

    try:
        keys = PublicKeys(sealed.keys.allowed_signers.decode(), sealed.keys.pems)
        return keys.check(sealed.manifest, sealed.sshsig, sealed.ecdsa, ARCHIVE, sealed.moment)
    except (SignatureError, UnicodeDecodeError) as error:
        raise ForgedError(str(error)) from error
