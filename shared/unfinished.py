"""An unfinished upload that is gone on with: which one it is, and which of its parts needn't be sent again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .store_faults import UploadGoneError, judged


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken over of an earlier attempt instead of being sent again: parts, and their bytes."""

    parts: int = 0
    size: int = 0


class Sized(Protocol):
    """A part that is to be sent."""

    @property
    def size(self) -> int:
        """Count its bytes."""

    def md5(self) -> str:
        """Give its MD5, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part as the store lists it; *etag* without quotes, *sha256* in base64 if the store tells it."""

    size: int
    etag: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An upload and the parts that lie in it, by number: some stores list each of those that were sent over another."""

    upload_id: str
    parts: Mapping[int, tuple[Part, ...]]

    def same(self, number: int, part: Sized, sha256: str) -> str | None:
        """Give the ETag under which exactly *part* lies there as *number*; None if it has to be sent.

        By SHA-256 (*sha256* is that of *part*, in base64) where the store lists it, else by MD5, which is what an ETag
        is unless the store encrypts with keys of its own: then nothing is ever the same. Computes, so call it in a
        thread.
        """
        alike = [one for one in self.parts.get(number, ()) if one.size == part.size]
        for one in alike:
            if one.sha256 == sha256:
                return one.etag
        unsaid = {one.etag for one in alike if one.sha256 is None}
        # Only computed here, where there is something to compare it with.
        md5 = part.md5() if unsaid else None
        return md5 if md5 in unsaid else None


async def uploads_of(client: Any, bucket: str, key: str) -> list[str]:
    """List the unfinished uploads of exactly *key*, the newest last; raises the client's own errors."""
    found: list[tuple[Any, str]] = []
    async for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=key):
        # The prefix is also that of longer keys, which are other exports.
        found += ((one["Initiated"], one["UploadId"]) for one in page.get("Uploads", ()) if one["Key"] == key)
    return [upload_id for _, upload_id in sorted(found)]


async def unfinished(client: Any, bucket: str, key: str, upload_id: str) -> Unfinished | None:
    """List the parts of an upload; None if it is gone."""
    parts: defaultdict[int, tuple[Part, ...]] = defaultdict(tuple)
    try:
        with judged(f"list the parts of s3://{bucket}/{key}"):
            pages = client.get_paginator("list_parts").paginate(Bucket=bucket, Key=key, UploadId=upload_id)
            async for page in pages:
                for one in page.get("Parts", ()):
                    part = Part(one["Size"], one["ETag"].strip('"'), one.get("ChecksumSHA256"))
                    parts[one["PartNumber"]] += (part,)
    except UploadGoneError:
        return None
    return Unfinished(upload_id, dict(parts))
