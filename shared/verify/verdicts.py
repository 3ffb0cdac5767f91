"""What a good certificate says of itself, of the first stage and of the second."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paper:
    """A good PDF of a certificate: it is signed, and says to be a reading of that certificate.

    *key_id* is the SHA-256 of the signer's X.509 certificate. *stamped_at*: when a third party stamped the signature;
    without one, *signed_at* is the word of whoever holds the key. Both are RFC 3339.
    """

    path: str
    sha256: str
    signed_at: str
    stamped_at: str | None
    key_id: str


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
    paper: Paper | None = None


@dataclass(frozen=True, slots=True)
class Addition:
    """A good addendum, and the digest of the certificate that it is to: *retained* rows still wait."""

    sha256: str
    customer_id: str
    deletion_id: str
    first_sha256: str
    number: int
    rows_deleted: int
    retained: int
    journal_entries: int
    journal_head: str
    key_id: str
    trusted: bool
    paper: Paper | None = None


@dataclass(frozen=True, slots=True)
class First:
    """A good certificate: its digest, its deletion, its journal, and by whose *key_id* it is signed.

    *trusted* is false where the keys lay beside it: then it was not altered by accident, but whoever could replace the
    certificate could have replaced the keys too. *second* is of the second certificate, and *paper* of the PDF, if it
    lies there. *retained* rows were kept by laws; *addenda* say what became of them, as far as they lie there.
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
    paper: Paper | None = None
    retained: int = 0
    addenda: tuple[Addition, ...] = ()
