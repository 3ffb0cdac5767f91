"""What the exporter has done for it, and what comes back: archives built, delivered, deleted."""

from __future__ import annotations

from typing import Literal

from shared.decision import Outcome, Task
from shared.events.vocabulary import (
    ArchiveVolume,
    ArchiveVolumes,
    Code,
    Count,
    FileChanges,
    Fingerprint,
    KeyId,
    Moment,
    Place,
    Positive,
    PublicKey,
    RecipientId,
    Ref,
    Sha256,
    TableCount,
    TableFingerprint,
    TableName,
    Value,
    Version,
    VolumeSize,
)


class ArchiveCopy(Value):
    """An archive that lies at *place*, and its volumes *before* that one elsewhere."""

    export_id: Ref
    place: Place
    before: tuple[Place, ...] = ()


class VolumeCopy(Value):
    """A file of an archive, as it lies at *place*; *object_version* is None where that isn't known."""

    place: Place
    sha256: Sha256
    object_version: Version | None = None


class BaseCopy(Value):
    """The archive that a delta is complete with: all its *volumes*, and the data map that it was made by."""

    export_id: Ref
    volumes: tuple[VolumeCopy, ...]
    map_sha256: Sha256


class Accounted(Value):
    """What a table, or all objects, came to in one snapshot: *rows* and their order-independent *fingerprint*."""

    place: TableName
    rows: Count
    fingerprint: Fingerprint


class BuildArchive(Task):
    """Build the archive of what was asked for (P5, P6), all of it where nothing was named; *attempt* counts from 1.

    With a *volume_size*, in bytes, it is to be in several files. With *since* only what that archive hasn't is to be
    made, and ``DeltaBuilt`` to be said; a release that knows of no deltas makes all of it, and says so.
    """

    request_id: Ref
    export_id: Ref
    attempt: Positive
    scope: tuple[Code, ...] = ()
    formats: tuple[Code, ...] = ()
    language: Code = "en"
    encrypt_to: tuple[PublicKey, ...] = ()
    volume_size: VolumeSize | None = None
    since: BaseCopy | None = None


class ArchiveBuilt(Outcome):
    """The archive is complete, and lies at *place* as *object_version*, where the store keeps any.

    Of one in several volumes *place*, size, digest and version are the last one's; *before* are the others, in order.
    *media* counts all objects, *objects* those of each bucket.
    """

    request_id: Ref
    export_id: Ref
    place: Place
    size_bytes: Count
    sha256: Sha256
    tables: tuple[TableCount, ...]
    media: TableCount
    map_sha256: Sha256
    snapshot_at: Moment
    signed_by: KeyId | None = None
    encrypted_to: tuple[RecipientId, ...] = ()
    account: tuple[Accounted, ...] = ()
    object_version: Version | None = None
    before: tuple[ArchiveVolume, ...] = ()
    objects: tuple[TableCount, ...] = ()


class DeltaBuilt(Outcome):
    """A delta lies there, and together with the archive *base_id* it was read back as the full one.

    An outcome of its own: what isn't all of it must never be taken for an archive. Its fields are as those of
    ``ArchiveBuilt``; *tables* and *media* are what both give.
    """

    request_id: Ref
    export_id: Ref
    base_id: Ref
    files: FileChanges
    volumes: ArchiveVolumes
    tables: tuple[TableCount, ...]
    media: TableCount
    map_sha256: Sha256
    snapshot_at: Moment
    signed_by: KeyId
    encrypted_to: tuple[RecipientId, ...] = ()


class BuildFailed(Outcome):
    """This *attempt* made no archive, and left nothing behind."""

    request_id: Ref
    export_id: Ref
    attempt: Positive
    reason: Code


class DeleteArchives(Task):
    """Delete all that lies under the customer's prefix, in all versions, unfinished uploads too (P7).

    *archives* are those that are known; others must go as well. *deltas* are those of them that are nothing without
    another one: they go first, so that none outlives its base.
    """

    deletion_id: Ref
    attempt: Positive
    archives: tuple[ArchiveCopy, ...]
    deltas: tuple[ArchiveCopy, ...] = ()


class ArchivesDeleted(Outcome):
    """What was deleted, what remains when looked at again, and everybody else's before and after.

    Where *sampled* only some of the others' were compared.
    """

    deletion_id: Ref
    attempt: Positive
    deleted: tuple[TableCount, ...]
    remaining: tuple[TableCount, ...]
    bystanders: tuple[TableFingerprint, ...]
    sampled: tuple[TableName, ...] = ()


class DeleteFailed(Outcome):
    """Not all archives could be deleted: *deleted* are gone, *saved* are left, locked *until* then if that is known."""

    deletion_id: Ref
    attempt: Positive
    reason: Code
    deleted: tuple[TableCount, ...] = ()
    saved: tuple[TableCount, ...] = ()
    until: Moment | None = None


class CompareExport(Task):
    """Read again what the customer has now, of what *export_id* holds, and take its account (P10)."""

    export_id: Ref
    attempt: Positive
    scope: tuple[Code, ...] = ()


class ExportCompared(Outcome):
    """What there is now comes to *account*, by the data map *map_sha256*, in a snapshot taken after *compared_at*."""

    export_id: Ref
    attempt: Positive
    account: tuple[Accounted, ...]
    map_sha256: Sha256
    compared_at: Moment


class CompareFailed(Outcome):
    """It can't be said whether anything changed, for good."""

    export_id: Ref
    attempt: Positive
    reason: Code


class RevokeLinks(Task):
    """Put the archive at *place* in its own place as another version, so that links to the former one end.

    Its volumes *before* that one too.
    """

    export_id: Ref
    attempt: Positive
    place: Place
    sha256: Sha256 | None = None
    object_version: Version | None = None
    before: tuple[VolumeCopy, ...] = ()


class VersionsReplaced(Outcome):
    """Since *replaced_at* no version but this one is there: none that a link may have been given to before.

    *before* are the versions of the volumes before the last, in order.
    """

    export_id: Ref
    attempt: Positive
    replaced_at: Moment
    object_version: Version | None = None
    before: tuple[Version, ...] = ()


class RevokeFailed(Outcome):
    """The archive lies there as before, and links lead to it."""

    export_id: Ref
    attempt: Positive
    reason: Code


class DeliverExport(Task):
    """Send the archive at *place* to *destination*, a name, and read it back there (P9); its volumes *before* first.

    Of a delta the archive that it is complete with, *base*, goes before all of it.
    """

    export_id: Ref
    attempt: Positive
    place: Place
    sha256: Sha256
    destination: Code
    before: tuple[VolumeCopy, ...] = ()
    base: BaseCopy | None = None


class Delivered(Outcome):
    """All *volumes* of the archive lie at the destination, read back there; *sent* for this order or *found* there."""

    export_id: Ref
    attempt: Positive
    size_bytes: Count
    sha256: Sha256
    sent: Literal["copied", "found"]
    delivered_at: Moment
    volumes: Positive = 1


class NotDelivered(Outcome):
    """The archive isn't at the destination, for good, and what may still lie there."""

    export_id: Ref
    attempt: Positive
    reason: Code
    left_behind: Literal["nothing", "parts", "object"] = "nothing"
