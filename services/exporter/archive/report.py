"""What is told of an archive that was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.events.vocabulary import TableCount
from shared.unfinished import Taken
from shared.upload import Stored
from shared.verify.archive import Base

from .account import Account
from .completeness import Expected
from .delta import Changes
from .restoring import Dump


@dataclass(frozen=True, slots=True)
class Delta:
    """That an archive is complete only together with its *base*, and in how many files it differs from that."""

    base: Base
    changes: Changes


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """The archive as it is: *size* in bytes and *sha256* of the whole ZIP, what it holds, and as of when.

    *compared* are the tables with a fingerprint: where their CSV lies below the bag, and what it must come to; *dump*
    is what must come of the dump, if it is to be restored. *signed_by* names the key that signed it, if any did.
    *account* is that of the snapshot, if it was ordered. *etag*, and *version* where the store keeps any, tell it from
    others at the same place; *taken* is what was taken over of an earlier attempt. Where it is *encrypted_to* somebody,
    size and digest are of what is encrypted. Where it is in *volumes*, *place* and *sha256* are those of the last,
    which has the digests of all others, and *size* is of all. Of a *delta* size and digest are of what is written, and
    all else is of the full archive that it makes together with its base. *objects* are counted by bucket.
    """

    place: str
    size: int
    sha256: str
    tables: tuple[TableCount, ...]
    media_objects: int
    media_bytes: int
    snapshot_at: datetime
    map_sha256: str
    compared: tuple[Expected, ...] = ()
    dump: Dump | None = None
    signed_by: str | None = None
    account: Account = ()
    etag: str | None = None
    taken: Taken = field(default_factory=Taken)
    version: str | None = None
    encrypted_to: tuple[str, ...] = ()
    volumes: tuple[Stored, ...] = ()
    delta: Delta | None = None
    objects: tuple[TableCount, ...] = ()
