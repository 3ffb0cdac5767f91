"""Events of the exporter: what became of a request for the customer's data (P3 to P6)."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from .event import Event
from .vocabulary import (
    ArchiveVolumes,
    Code,
    Count,
    Day,
    DeltaBase,
    FileChanges,
    KeyId,
    Moment,
    Place,
    Positive,
    RecipientId,
    Ref,
    Sha256,
    TableCount,
    TableName,
    Version,
)


class ExportReady(Event):
    """The archive in *volumes* is complete: every declared table was read to its end at *snapshot_at*.

    All of them together are the archive; most have one. The last has the digests of all before it, under the signature,
    so its SHA-256 is that of the archive: a confirmation (P10) names that one.
    *signed_by* names the key that signed the archive, as ``ssh-keygen -l`` does. Each volume's *sha256* is that of the
    object at its *place* in its version, until links to it are revoked: ``LinksRevoked`` names the next versions.
    Where it is *encrypted_to* somebody with age, sizes and digests are those of the encrypted files.
    *media* counts all objects, *objects* those of each bucket that was asked for: none is told by an older exporter.
    """

    owner: ClassVar[str] = "exporter"
    version: ClassVar[int] = 2

    request_id: Ref
    export_id: Ref
    volumes: ArchiveVolumes
    tables: tuple[TableCount, ...]
    media: TableCount
    map_sha256: Sha256
    snapshot_at: Moment
    available_until: Moment
    signed_by: KeyId | None = None
    encrypted_to: tuple[RecipientId, ...] = ()
    objects: tuple[TableCount, ...] = ()

    @property
    def sha256(self) -> str:
        """Give the digest of the archive: that of its last volume."""
        return self.volumes[-1].sha256

    @property
    def size_bytes(self) -> int:
        """Give the size of all volumes together."""
        return sum(one.size_bytes for one in self.volumes)


class DeltaReady(Event):
    """What changed since *base* lies in *volumes*: it is NOT all of the data, which it gives only together with *base*.

    An event of its own, so that nobody who knows no deltas takes one for an archive that is complete. It confirms
    nothing (P10), and no deletion rests on it. Volumes, digests, signature and encryption are as in ``ExportReady``;
    *tables* and *media* are of the full archive that both give, which was read back as such, as of *snapshot_at*.
    *files* counts that one's files.
    """

    owner: ClassVar[str] = "exporter"

    request_id: Ref
    export_id: Ref
    base: DeltaBase
    files: FileChanges
    volumes: ArchiveVolumes
    tables: tuple[TableCount, ...]
    media: TableCount
    map_sha256: Sha256
    snapshot_at: Moment
    available_until: Moment
    signed_by: KeyId
    encrypted_to: tuple[RecipientId, ...] = ()

    @property
    def sha256(self) -> str:
        """Give the digest of the delta: that of its last volume."""
        return self.volumes[-1].sha256


Unserved: TypeAlias = Literal["window_closed", "window_not_open", "unknown_customer", "already_erased"]
# Why an export can't be what a delta is made against. In each case a full one can be had: the same without ``since``.
NoBase: TypeAlias = Literal[
    "base_unknown",
    "base_not_ready",
    "base_is_delta",
    "base_encrypted",
    "base_of_earlier_window",
    "base_not_comparable",
    "base_other_scope",
    "base_other_formats",
    "base_other_language",
    "base_other_map",
]


class ExportRefused(Event):
    """The request was outside the window, which closed on *closed_on* or has not opened, or named no base for a delta.

    What is refused because of its base can be had in full: ask again without ``since``.
    """

    owner: ClassVar[str] = "exporter"
    version: ClassVar[int] = 2

    request_id: Ref
    reason: Unserved | NoBase
    closed_on: Day | None = None


class ExportFailed(Event):
    """No archive was made, and why; nothing that was left behind may be taken for one."""

    owner: ClassVar[str] = "exporter"

    request_id: Ref
    export_id: Ref
    reason: Code
    attempts: Count


class ExportDeleted(Event):
    """One archive, a copy like any other, is gone in all its versions.

    Where it was in several volumes, *place* is that of the last, and *before* are those of the others.
    """

    owner: ClassVar[str] = "exporter"

    export_id: Ref
    place: Place
    deleted_at: Moment
    before: tuple[Place, ...] = ()


class ConfirmationAccepted(Event):
    """What *export_id* holds is what there was at *compared_at*: rows and objects were read again and compared (P10).

    It is said when a confirmation is received, and once more when the window closes early because of it.
    """

    owner: ClassVar[str] = "exporter"

    export_id: Ref
    sha256: Sha256
    confirmed_by: Ref
    snapshot_at: Moment
    compared_at: Moment


class ConfirmationRejected(Event):
    """The confirmation doesn't count, and why: nothing that is ready has this id and this checksum (P10).

    What *is_delta* isn't all that there is: a full export can be confirmed.
    """

    owner: ClassVar[str] = "exporter"
    version: ClassVar[int] = 2

    export_id: Ref
    confirmed_by: Ref
    reason: Literal["unknown_export", "other_checksum", "window_not_open", "window_closed", "is_delta"]


class ConfirmationVoided(Event):
    """The confirmation doesn't count, or no longer: the export isn't what there was at *compared_at* (P10).

    *changed* are the tables whose rows are others since *snapshot_at*, ``media`` for objects. A new export is offered:
    it can be asked for until *offered_until*, and confirmed in place of this one.
    """

    owner: ClassVar[str] = "exporter"

    export_id: Ref
    sha256: Sha256
    confirmed_by: Ref
    reason: Literal["data_changed", "map_changed", "not_compared"]
    changed: tuple[TableName, ...]
    compared_at: Moment
    offered_until: Moment
    snapshot_at: Moment | None = None


class LinksRevoked(Event):
    """No link to the archive that was given before *revoked_at* leads to it any more.

    Without a *request_id* it was because the window became shorter than links live. The archive lies where it lay, the
    same byte for byte, as *object_version* from now on; of several volumes that is the last one's, and *before* are
    those of the others, in order.
    """

    owner: ClassVar[str] = "exporter"

    export_id: Ref
    revoked_at: Moment
    request_id: Ref | None = None
    object_version: Version | None = None
    before: tuple[Version, ...] = ()


class LinkRevocationFailed(Event):
    """Links to the archive may still lead to it, to their own end, and why."""

    owner: ClassVar[str] = "exporter"

    export_id: Ref
    reason: Code
    request_id: Ref | None = None


class ExportDelivered(Event):
    """The archive lies at *destination*, byte for byte: there it was read again and had this *sha256* (P9).

    *sent* tells whether it was copied for this request or was found there, the same, from an earlier one. Of an archive
    in several *volumes* all lie there, each read again; *size_bytes* is that of all, *sha256* is the archive's: that of
    the last, which has the digests of all others. Of a delta the archive that it is complete with, *with_base*, lies
    there too, and is counted among *volumes* and *size_bytes*.
    """

    owner: ClassVar[str] = "exporter"

    request_id: Ref
    export_id: Ref
    destination: Code
    size_bytes: Count
    sha256: Sha256
    delivered_at: Moment
    sent: Literal["copied", "found"]
    checked: Literal["read_back"]
    volumes: Positive = 1
    with_base: Ref | None = None


class DeliveryFailed(Event):
    """Nothing was delivered for this request, and why (P9).

    *left_behind* is what may still lie at the destination, since the store there didn't let it be removed: ``parts`` of
    an unfinished upload, which nobody can read as an object, or an ``object`` that is not the archive: of several
    volumes some may have arrived.
    """

    owner: ClassVar[str] = "exporter"

    request_id: Ref
    export_id: Ref
    destination: Code
    reason: Code
    left_behind: Literal["nothing", "parts", "object"] = "nothing"
