"""A version of an object in place of itself: the same bytes under the same key, another version.

A signed link to one version of an object can't be taken back, but the version can: whoever holds the link then gets
``NoSuchVersion``, and a new link to the new version can be given.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from .objects import Listed, ObjectStore
from .store_faults import StoreRefusalError, judged

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


async def renew(store: ObjectStore, bucket: str, key: str, sha256: str, *, at_once: int = _AT_ONCE) -> Renewed:
    """Put the object in its own place, read it back, and only then remove every other version of it.

    The store copies it, in parts if it has more than *at_once* bytes; the bytes pass here once, to be compared with
    *sha256*. Cut off anywhere, the object is there to read, and doing it again harms nothing. Raises NotVersionedError,
    NotTheSameError, ObjectMissingError, StoreRefusalError, StoreOutageError.
    """
    found = await store.head(bucket, key)
    if found.version in _NO_VERSIONS:
        raise NotVersionedError(f"renew s3://{bucket}/{key}: the bucket keeps no versions; put versioning on")
    await _copy(store, bucket, found, at_once)
    new = await store.head(bucket, key)
    if new.version == found.version or await _digest(store, bucket, new) != sha256:
        if new.version != found.version:
            await store.delete_versions(bucket, [(key, str(new.version))])
        raise NotTheSameError(f"renew s3://{bucket}/{key}: what was copied isn't what was to be copied")
    others = [(key, version) for version in await store.versions_of(bucket, key) if version != new.version]
    for one in await store.delete_versions(bucket, others):
        raise StoreRefusalError(f"delete a version of s3://{bucket}/{key}: {one.code}")
    return Renewed(str(new.version), len(others))


async def _copy(store: ObjectStore, bucket: str, found: Listed, at_once: int) -> None:
    at = {"Bucket": bucket, "Key": found.key}
    source = {**at, "VersionId": found.version}
    if found.size > at_once:
        await _copy_in_parts(store, at, source, found.size, min(_PART, at_once))
        return
    with judged(f"copy s3://{bucket}/{found.key} in its own place"):
        # REPLACE, since S3 refuses to copy an object onto itself with nothing changed.
        await store.client.copy_object(
            **at, CopySource=source, MetadataDirective="REPLACE", ContentType="application/octet-stream"
        )


async def _copy_in_parts(
    store: ObjectStore, at: dict[str, str], source: dict[str, str | None], size: int, part: int
) -> None:
    with judged(f"copy s3://{at['Bucket']}/{at['Key']} in its own place"):
        begun = await store.client.create_multipart_upload(**at, ContentType="application/octet-stream")
        try:
            parts = [
                await _copy_part(store.client, {**at, "UploadId": begun["UploadId"]}, source, number, first, size, part)
                for number, first in enumerate(range(0, size, part), 1)
            ]
            await store.client.complete_multipart_upload(
                **at, UploadId=begun["UploadId"], MultipartUpload={"Parts": parts}
            )
        except BaseException:
            await store.abort(at["Bucket"], at["Key"], begun["UploadId"])
            raise


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
    async for piece in store.stream(bucket, found.key, etag=found.etag):
        digest.update(piece)
    return digest.hexdigest()
