"""What is wrong with a certificate: with which file, at which link of the chain, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from ..errors import OperatorError

# The chain of a certificate, in the order in which it is looked at.
Link: TypeAlias = Literal[
    "file", "format", "signature", "content", "journal", "paper", "first certificate", "copies", "addendum"
]


class BadCertificateError(OperatorError):
    """The certificate is not what it seems, or can't be checked; *link* is the first link that is broken."""

    def __init__(self, path: Path, link: Link, says: str, remedy: str) -> None:
        """Say what is wrong with the file at *path*, and what to do."""
        # It quotes what anybody may have written, and a terminal would do what its control characters say.
        says = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in says)
        super().__init__(f"{path} {says}. {remedy}")
        self.path, self.link, self.says, self.remedy = path, link, says, remedy
