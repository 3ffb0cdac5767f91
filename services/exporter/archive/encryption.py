"""An archive encrypted for the customer with age: who can open it, and how it is read back all the same.

A library of age's own project writes (pyrage); what proves the archive reads with another program (``shared.age``). It
opens it by a key that is made for this one try, is never written down, and is forgotten with it.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from pyrage import x25519

from shared.age.decrypted import decrypted
from shared.age.identity import Identity

from .encrypting import EncryptedSink
from .faults import UnusableRecipientError
from .recipients import SSH, NoRecipientError, Recipient, recipient_of
from .volumes import Volume

if TYPE_CHECKING:
    from .kept import Kept
    from .report import ArchiveReport

SUFFIX = ".age"
_HOW = "Give age1… (age-keygen -y), ssh-ed25519 … or ssh-rsa …, without a comment"


@dataclass(frozen=True, slots=True)
class Encryption:
    """For whom one archive is encrypted: by *names* as they are told, and by *recipients*, the reader's among them."""

    names: tuple[str, ...]
    recipients: tuple[Recipient, ...]
    reader: Identity

    @classmethod
    def to(cls, public_keys: Sequence[str]) -> Encryption | None:
        """Encrypt for whoever has the secret keys to *public_keys*; None if there are none.

        Raises UnusableRecipientError: what was to be encrypted is never written as it is.
        """
        if not public_keys:
            return None
        keys = tuple(dict.fromkeys(public_keys))
        reader = x25519.Identity.generate()
        recipients = (*(_recipient(*one) for one in enumerate(keys, 1)), reader.to_public())
        return cls(tuple(map(name_of, keys)), recipients, Identity.of(str(reader)))

    def sink(self, onward: Volume) -> Volume:
        """Encrypt what is written on its way to *onward*."""
        return EncryptedSink(onward, self.recipients)

    def kept(self, kept: Kept) -> Kept:
        """Read what lies at *kept* decrypted."""
        return _Decrypted(kept, self.reader)


@dataclass(frozen=True, slots=True)
class _Decrypted:
    """A complete archive, read as who has a key reads it."""

    kept: Kept
    reader: Identity

    async def open(self, report: ArchiveReport) -> AbstractContextManager[IO[bytes]]:
        """Open it, for reading in a thread."""
        with ExitStack() as unless:
            file = unless.enter_context(await self.kept.open(report))
            # What is opened closes what lies beneath it.
            opened = await asyncio.to_thread(decrypted, file, [self.reader], "the archive")
            unless.pop_all()
            return opened

    async def withdraw(self, report: ArchiveReport) -> None:
        """Take away again what *report* is of."""
        await self.kept.withdraw(report)


def _recipient(number: int, public_key: str) -> Recipient:
    try:
        return recipient_of(public_key)
    except NoRecipientError:
        raise _unusable(number) from None


def _unusable(number: int) -> UnusableRecipientError:
    # Not repeated, since somebody may have given the secret key.
    return UnusableRecipientError(f"recipient {number}", "it is no public key that age can encrypt for", _HOW)


def name_of(public_key: str) -> str:
    """Name a recipient that can be used: age's own by itself, an SSH key by its SHA-256, as ``ssh-keygen -l`` does."""
    if not public_key.startswith(SSH):
        return public_key
    digest = hashlib.sha256(b64decode(public_key.split(" ")[1])).digest()
    return f"SHA256:{b64encode(digest).decode().rstrip('=')}"
