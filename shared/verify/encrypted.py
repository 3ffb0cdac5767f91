"""What can be told of an encrypted archive: without a key that it is one, for whom, and its digest; with one all."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..age.decrypted import decrypted
from ..age.header import read_header
from ..age.identity import identities_in
from .archive import (
    Checker,
    Finding,
    Verdict,
    Volume,
    by_stock_tools,
    checked,
    digest_of,
    published,
    verify_volumes,
    volumes_of,
)


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
    last = volumes_of(archive)[-1]
    whole = digest_of(last)
    return Unopened(str(archive), whole, recipients, _compared(last, whole, sha256))


def verify_encrypted(
    archive: Path,
    identity: Path,
    sha256: str | None = None,
    keys: Path | None = None,
    checker: Checker = by_stock_tools,
    base: Path | None = None,
) -> Verdict:
    """Check the encrypted *archive* with the key in *identity*; nothing is written; *sha256* is of what lies there.

    A delta is checked together with its *base*, if that is given; it is not encrypted.
    Raises IdentityError, NotAgeError, NotForThisKeyError; OSError, too, where the end of it was cut off.
    """
    known, identities = published(keys), identities_in(identity)
    paths = volumes_of(archive)
    digests = [digest_of(path) for path in paths]
    findings = _compared(paths[-1], digests[-1], sha256)
    with ExitStack() as stack:
        opened = []
        for path, digest in zip(paths, digests, strict=True):
            file = stack.enter_context(path.open("rb"))
            try:
                inside = stack.enter_context(decrypted(file, identities, str(path)))
            except OSError as error:
                return Verdict(digests[-1], 0, 0, {}, (*findings, Finding("broken", path.name, str(error))))
            opened.append(Volume(path.name, inside, digest))
        below = None if base is None else stack.enter_context(checked(base, None, keys, checker))
        return verify_volumes(opened, findings, known, checker, below)


def _compared(path: Path, found: str, announced: str | None) -> tuple[Finding, ...]:
    return () if announced in {None, found} else (Finding("altered", path.name, f"its SHA-256 is {found}"),)
