"""A version of an object in place of itself: the same bytes under the same key, another version.

A signed link to one version of an object can't be taken back, but the version can: whoever holds the link then gets
``NoSuchVersion``, and a new link to the new version can be given.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from .objects import Listed, ObjectStore
from .store_faults import ObjectMissingError, StoreRefusalError, judged
from .upload import May, nobody_else

# S3's own limit of one copy; a larger object is copied in parts.
_AT_ONCE = 5 << 30
_PART = 1 << 30
# What S3 calls the only version of an object in a bucket that keeps none.
_NO_VERSIONS = (None, "null")


class NotVersionedError(StoreRefusalError):
    """The bucket keeps no versions, so one can't be put in another's place."""


class NotTheSameError(StoreRefusalError):
    """The new version, read back, isn't what the old one was said to be; the old one was left as it is."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """The *version* that is there now, and how many were removed."""

    version: str
    removed: int


async def renew(
    store: ObjectStore,
    bucket: str,
    key: str,
    sha256: str,
    version: str | None = None,
    *,
    may: May = nobody_else,
    at_once: int = _AT_ONCE,
) -> Renewed:
    """Put the object in its own place, read it back, and only then remove every other version of it.

    It is *version* that is copied, or the newest where that is gone (to a try that was cut off) or not known. The store
    copies it in parts of at most *at_once* bytes; the bytes pass here once, to be compared with *sha256*. Cut off
    anywhere, the object is there to read, and doing it again harms nothing. *may* is asked as in ``shared.upload``:
    whoever was overtaken neither leaves a version nor removes one. Raises NotVersionedError, NotTheSameError,
    ObjectMissingError, StoreRefusalError, StoreOutageError.
    """
    found = await _found(store, bucket, key, version)
    if found.version in _NO_VERSIONS:
        raise NotVersionedError(f"renew s3://{bucket}/{key}: the bucket keeps no versions; put versioning on")
    await store.abort_uploads_of(bucket, key, may)
    new = await store.head(bucket, key, await _copied(store, bucket, found, may, at_once))
    if new.version == found.version or await _digest(store, bucket, new) != sha256:
        if new.version != found.version:
            await store.delete_versions(bucket, [(key, str(new.version))])
        raise NotTheSameError(f"renew s3://{bucket}/{key}: what was copied isn't what was to be copied")
    removed = await store.delete_versions_of(bucket, key, str(new.version), may)
    return Renewed(str(new.version), removed)


async def _found(store: ObjectStore, bucket: str, key: str, version: str | None) -> Listed:
    try:
        return await store.head(bucket, key, version)
    except ObjectMissingError:
        if version is None:
            raise
        return await store.head(bucket, key)


async def _copied(store: ObjectStore, bucket: str, found: Listed, may: May, at_once: int) -> str | None:
    """Copy in parts, however small: one upload becomes one version or none, and can be dropped from outside."""
    at = {"Bucket": bucket, "Key": found.key}
    source = {**at, "VersionId": found.version}
    part = min(found.size, _PART, at_once) if found.size > at_once else max(found.size, 1)
    with judged(f"copy s3://{bucket}/{found.key} in its own place"):
        begun = await store.client.create_multipart_upload(**at, ContentType="application/octet-stream")
        upload = {**at, "UploadId": begun["UploadId"]}
        try:
            await may()
            parts = [
                await _copy_part(store.client, upload, source, number, first, found.size, part)
                for number, first in enumerate(range(0, found.size, part), 1)
            ]
            done = await store.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except BaseException:
            await store.abort(bucket, found.key, begun["UploadId"])
            raise
    return str(done["VersionId"]) if "VersionId" in done else None


async def _copy_part(
    client: Any, at: dict[str, Any], source: dict[str, str | None], number: int, first: int, size: int, part: int
) -> dict[str, Any]:
    last = min(first + part, size) - 1
    answer = await client.upload_part_copy(
        **at, PartNumber=number, CopySource=source, CopySourceRange=f"bytes={first}-{last}"
    )
    return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}


async def _digest(store: ObjectStore, bucket: str, found: Listed) -> str:
    digest = hashlib.sha256()
    async for piece in store.stream(bucket, found.key, etag=found.etag, version=found.version):
        digest.update(piece)
    return digest.hexdigest()
