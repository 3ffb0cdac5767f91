"""What a good certificate says of itself, of the first stage and of the second."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Second:
    """A good second certificate, and the digest of the first one that it goes back to."""

    sha256: str
    customer_id: str
    deletion_id: str
    first_sha256: str
    copies_expired: int
    key_id: str
    trusted: bool


@dataclass(frozen=True, slots=True)
class First:
    """A good certificate: its digest, its deletion, its journal, and by whose *key_id* it is signed.

    *trusted* is false where the keys lay beside it: then it was not altered by accident, but whoever could replace the
    certificate could have replaced the keys too. *second* is of the second certificate, if it lies there.
    """

    sha256: str
    customer_id: str
    deletion_id: str
    rows_deleted: int
    stage: str
    journal_entries: int
    journal_head: str
    key_id: str
    trusted: bool
    second: Second | None = None
