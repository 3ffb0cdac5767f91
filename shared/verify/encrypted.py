"""What can be told of an encrypted archive: without a key that it is one, for whom, and its digest; with one all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..age.decrypted import decrypted
from ..age.header import read_header
from ..age.identity import identities_in
from .archive import Checker, Finding, Verdict, by_stock_tools, published, verify_opened


@dataclass(frozen=True, slots=True)
class Unopened:
    """An encrypted archive in which nothing was checked; *recipients* as its header tells them apart."""

    path: str
    sha256: str
    recipients: tuple[str, ...]
    findings: tuple[Finding, ...]
    encrypted: bool = True

    @property
    def exit_code(self) -> int:
        """Give 1 if it isn't the file that was announced, else 4: never 0, since nothing in it was read."""
        return 1 if self.findings else 4

    @property
    def told(self) -> str:
        """Say what it is and what to do."""
        wrong = [f"{one.kind}: {one.path}: {one.says}" for one in self.findings]
        name = self.path.removesuffix(".age")
        return "\n".join(
            [
                *wrong,
                f"{self.path}: ENCRYPTED with age for {', '.join(self.recipients)}: nothing in it was checked",
                "with a key of age-keygen: offramp verify --identity KEY; with any key decrypt it, then verify that:",
                f"age --decrypt -i KEY -o {name} {self.path}",
                f"sha256 {self.sha256}",
            ]
        )


def look(archive: Path, sha256: str | None = None) -> Unopened:
    """Tell what can be told without a key; raises NotAgeError and OSError."""
    with archive.open("rb") as file:
        recipients = read_header(file, str(archive)).recipients
    whole, findings = _digested(archive, sha256)
    return Unopened(str(archive), whole, recipients, findings)


def verify_encrypted(
    archive: Path,
    identity: Path,
    sha256: str | None = None,
    keys: Path | None = None,
    checker: Checker = by_stock_tools,
) -> Verdict:
    """Check the encrypted *archive* with the key in *identity*; nothing is written; *sha256* is of what lies there.

    Raises IdentityError, NotAgeError, NotForThisKeyError; OSError, too, where the end of it was cut off.
    """
    known, identities = published(keys), identities_in(identity)
    whole, findings = _digested(archive, sha256)
    with archive.open("rb") as file:
        try:
            opened = decrypted(file, identities, str(archive))
        except OSError as error:
            return Verdict(whole, 0, 0, {}, (*findings, Finding("broken", archive.name, str(error))))
        with opened:
            return verify_opened(opened, archive.name, whole, findings, known, checker)


def _digested(archive: Path, sha256: str | None) -> tuple[str, tuple[Finding, ...]]:
    with archive.open("rb") as file:
        whole = hashlib.file_digest(file, "sha256").hexdigest()
    wrong = () if sha256 in {None, whole} else (Finding("altered", archive.name, f"its SHA-256 is {whole}"),)
    return whole, wrong
