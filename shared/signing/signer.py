"""Signs bytes twice, by two methods that have nothing in common, so that one broken method or tool is not the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from . import keys, sshsig
from .allowed import ALLOWED_SIGNERS, Allowed, read_allowed_signers
from .moments import ssh_time
from .sshsig import CERTIFICATE, Purpose

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
    """Holds both keys for one purpose; *allowed_signers* and *public_pem* are what a verifier needs.

    *allowed_signers* has old keys too, *public_pem* is the present ECDSA key.
    """

    purpose: Purpose
    allowed_signers: bytes
    public_pem: bytes
    _entries: tuple[Allowed, ...]
    _ed25519: Ed25519PrivateKey = field(repr=False)
    _ecdsa: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def load(cls, folder: Path, purpose: Purpose = CERTIFICATE) -> Self:
        """Read the keys in *folder*; raises ``KeysError`` if one is missing, unreadable, or not vouched for."""
        ed25519, ecdsa = keys.read_ed25519(folder), keys.read_ecdsa(folder)
        allowed = (folder / ALLOWED_SIGNERS).read_bytes() if (folder / ALLOWED_SIGNERS).exists() else b""
        own = tuple(one for one in read_allowed_signers(allowed.decode()) if one.key == ed25519.public_key())
        entries = tuple(one for one in own if purpose in one.purposes)
        if own and not entries:
            raise keys.KeysError(
                f"the keys in {folder} are for {', '.join(own[0].purposes)}, not for {purpose}. Each service has keys "
                "of its own: name the right folder (OFFRAMP_KEYS for certificates, OFFRAMP_EXPORTER_KEYS for archives)."
            )
        if not entries:
            raise keys.KeysError(
                f"{folder / ALLOWED_SIGNERS} does not name the key in {keys.ED25519}, so nobody could check what "
                f"it signs. Add this line to it: {Allowed(ed25519.public_key(), frozenset([purpose])).line}"
            )
        return cls(purpose, allowed, keys.public_pem(ecdsa), entries, ed25519, ecdsa)

    @property
    def key_id(self) -> str:
        """Name the key that signs."""
        return sshsig.key_id(self._ed25519.public_key())

    def sign(self, data: bytes, at: datetime) -> Signatures:
        """Sign *data*, which itself names the moment *at* (UTC); raises ``KeysError`` outside of the key's period.

        The same data and keys give the same bytes (RFC 8032 and 6979), so a second try is no news.
        """
        if not any(entry.counts_at(at) for entry in self._entries):
            raise keys.KeysError(
                f"the key {self.key_id} does not count for {ssh_time(at)}: look at its period in "
                f"{ALLOWED_SIGNERS}, and begin to sign with new keys: offramp keys rotate"
            )
        ecdsa = self._ecdsa.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True))
        return Signatures(sshsig.sign(data, self._ed25519, self.purpose), ecdsa, self.key_id)
