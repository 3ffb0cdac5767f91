"""Checks both signatures of some bytes against public keys, as a stranger would: of certificates and archives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from .allowed import ALLOWED_SIGNERS, read_allowed_signers
from .moments import ssh_time
from .sshsig import Purpose, signs

PEMS = "signing*.pub.pem"


class SignatureError(Exception):
    """A signature doesn't hold: the text says which of the two and why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What a verifier holds: the text of ``allowed_signers`` and the ECDSA keys, present and former, as PEM."""

    allowed_signers: str
    pems: tuple[bytes, ...]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the public keys in *folder*; raises OSError or ValueError."""
        allowed = (folder / ALLOWED_SIGNERS).read_bytes().decode()
        return cls(allowed, tuple(pem.read_bytes() for pem in sorted(folder.glob(PEMS))))

    def check(self, data: bytes, sshsig: bytes, ecdsa: bytes, purpose: Purpose, at: datetime) -> str:
        """Give the id of the key by which *data*, which itself names the moment *at*, is signed for *purpose*.

        Both signatures must hold, and the key must count for *at* (UTC). Raises ``SignatureError``.
        """
        entries = [one for one in read_allowed_signers(self.allowed_signers) if purpose in one.purposes]
        if not entries:
            raise SignatureError(f"{ALLOWED_SIGNERS} names no key that signs for {purpose}")
        by = [one for one in entries if signs(data, sshsig, one.key, purpose)]
        if not by:
            raise SignatureError(f"the OpenSSH signature is by none of the keys in {ALLOWED_SIGNERS}")
        counting = [one for one in by if one.counts_at(at)]
        if not counting:
            raise SignatureError(
                f"it was signed by the key {by[0].key_id}, which does not count for {ssh_time(at)}, the moment that it "
                f"names: {ALLOWED_SIGNERS} gives the key's period"
            )
        if not any(_signs(pem, ecdsa, data) for pem in self.pems):
            raise SignatureError(f"the ECDSA signature is by none of the keys in {PEMS}")
        return counting[0].key_id


def _signs(pem: bytes, signature: bytes, data: bytes) -> bool:
    try:
        key = load_pem_public_key(pem)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(signature, data, ec.ECDSA(SHA256()))
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        return False
    return True
