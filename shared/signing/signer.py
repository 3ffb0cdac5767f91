"""Signs bytes twice, by two methods that have nothing in common, so that one broken method or tool is not the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from . import keys, sshsig

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Signatures:
    """Both signatures of the same bytes: *sshsig* is OpenSSH's text, *ecdsa* DER; *key_id* names the first's key."""

    sshsig: bytes
    ecdsa: bytes
    key_id: str


@dataclass(frozen=True, slots=True)
class Signer:
    """Holds both keys; *allowed_signers* and *public_pem* are what a verifier needs, old keys included."""

    allowed_signers: bytes
    public_pem: bytes
    _ed25519: Ed25519PrivateKey = field(repr=False)
    _ecdsa: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the keys in *folder*; raises ``KeysError`` if one is missing, unreadable, or not vouched for."""
        ed25519, ecdsa = keys.read_ed25519(folder), keys.read_ecdsa(folder)
        allowed = (folder / keys.ALLOWED_SIGNERS).read_bytes() if (folder / keys.ALLOWED_SIGNERS).exists() else b""
        if ed25519.public_key() not in sshsig.read_allowed_signers(allowed.decode()):
            raise keys.KeysError(
                f"{folder / keys.ALLOWED_SIGNERS} does not name the key in {keys.ED25519}, so nobody could check what "
                f"it signs. Add this line to it: {sshsig.allowed_signer(ed25519.public_key())}"
            )
        return cls(allowed, keys.public_pem(ecdsa), ed25519, ecdsa)

    def sign(self, data: bytes) -> Signatures:
        """Sign *data*; the same data and keys give the same bytes (RFC 8032 and 6979), so a second try is no news."""
        ecdsa = self._ecdsa.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True))
        return Signatures(sshsig.sign(data, self._ed25519), ecdsa, sshsig.key_id(self._ed25519.public_key()))
