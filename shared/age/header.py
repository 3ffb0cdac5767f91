"""The header of an age file: for whom its key is wrapped, and what shows that nobody changed that."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64Error
from dataclasses import dataclass
from typing import IO

from ..errors import OperatorError

MAGIC = b"age-encryption.org/v1\n"
# The format names none; of a header as long as this nobody made sense.
_LONGEST = 1 << 20
_COLUMNS = 64


class NotAgeError(OperatorError):
    """It isn't a file of age, or its header is broken."""


@dataclass(frozen=True, slots=True)
class Stanza:
    """One recipient: the *kind* of its key, and the file's key wrapped for it in *body*."""

    kind: str
    arguments: tuple[str, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """The recipients, and the *mac* over *covered*; the payload begins at *length*."""

    stanzas: tuple[Stanza, ...]
    covered: bytes
    mac: bytes
    length: int

    @property
    def recipients(self) -> tuple[str, ...]:
        """Name the recipients as far as they can be told apart: an SSH key by its tag, others by their kind."""
        known = (one for one in self.stanzas if not one.kind.endswith("-grease"))
        return tuple(f"{one.kind} {one.arguments[0]}" if one.kind.startswith("ssh-") else one.kind for one in known)


def read_header(file: IO[bytes], name: str) -> Header:
    """Read the header from the beginning of *file*; raises NotAgeError, which calls it *name*."""
    file.seek(0)
    lines = _Lines(file, name)
    if lines.next() != MAGIC[:-1]:
        raise NotAgeError(f"{name}: it doesn't begin as a file of age does (version 1).")
    stanzas: list[Stanza] = []
    while not (line := lines.next()).startswith(b"---"):
        stanzas.append(_stanza(line, lines))
    covered = lines.read[: -len(line) - 1] + b"---"
    return Header(tuple(stanzas), covered, lines.decoded(line.removeprefix(b"--- ")), len(lines.read))


class _Lines:
    """The lines of a header, and all that was *read*."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name = file, name
        self.read = b""

    def next(self) -> bytes:
        line = self._file.readline(_LONGEST - len(self.read))
        self.read += line
        if not line.endswith(b"\n"):
            raise self.broken()
        return line[:-1]

    def decoded(self, text: bytes) -> bytes:
        try:
            return b64decode(text + b"=" * (-len(text) % 4), validate=True)
        except NotBase64Error:
            raise self.broken() from None

    def broken(self) -> NotAgeError:
        return NotAgeError(f"{self._name}: the header of age is broken or cut off. Fetch the file again.")


def _stanza(line: bytes, lines: _Lines) -> Stanza:
    words = line.decode("ascii", "replace").split(" ")
    if words[0] != "->" or not all(words[1:]) or len(words) == 1 or (words[1].startswith("ssh-") and len(words) == 2):  # noqa: PLR2004
        raise lines.broken()
    body = b""
    while len(piece := lines.next()) == _COLUMNS:
        body += piece
    return Stanza(words[1], tuple(words[2:]), lines.decoded(body + piece))
