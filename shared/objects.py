"""The object store: S3 or anything that speaks it, with uploads that leave nothing behind when they fail."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError

from .settings import S3
from .signed_get import SignedGet
from .store_faults import ObjectChangedError, ObjectMissingError, StoreRefusalError, fate, judged
from .store_session import store_session
from .unfinished import uploads_of
from .upload import MIB, Keeps, May, Told, Upload, abort_upload, nobody_else, silent, withdraw
from .version_listing import Version, version_pages

_PIECE = 256 * 1024
# S3's own limit.
_DELETE_AT_ONCE = 1_000
# So many requests delete a page together: stores take as long for a thousand as for a thousand single ones.
_SIDE_BY_SIDE = 4
# By default it is put together anew for each request, of a dozen pieces: 5 % of what a small object costs.
_USER_AGENT = "offramp"
_CONFIG: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 60,
    "retries": {"mode": "standard", "total_max_attempts": 4},
    "user_agent": _USER_AGENT,
    # Also for links, which would otherwise be signed in a way that newer regions refuse.
    "signature_version": "s3v4",
    # Each part has a SHA-256 of its own under the signature, so hashing it again to sign it adds nothing.
    "s3": {"addressing_style": "path", "payload_signing_enabled": False},
}


@dataclass(frozen=True, slots=True)
class Listed:
    """One object as a listing shows it; *modified* is UTC. *version* is told where one object was looked at."""

    key: str
    size: int
    etag: str
    modified: datetime
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A version that the store did not delete, and its *code* for why."""

    key: str
    version: str
    code: str


@dataclass(frozen=True, slots=True)
class Swept:
    """What a deletion took away: versions (delete markers too) and unfinished uploads; and what was *refused*."""

    versions: int
    uploads: int
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Lock:
    """An object lock on a version: *until* when it may not be deleted (UTC), None without an end: a legal *hold*."""

    until: datetime | None
    hold: bool


async def _may(_: int) -> None:
    """Let a deletion go on."""


def apart(some: Sequence[tuple[str, str]], parts: int) -> list[list[tuple[str, str]]]:
    """Deal *some*, each (key, version), into up to so many *parts*, with all versions of one key in the same.

    So no two requests look for the newest version of one object while the other takes it away.
    """
    places: dict[str, int] = {}
    dealt: list[list[tuple[str, str]]] = [[] for _ in range(parts)]
    for key, version in some:
        dealt[places.setdefault(key, len(places) % parts)].append((key, version))
    return [one for one in dealt if one]


class ObjectStore:
    """A connection to one store, open inside ``async with``; methods raise StoreOutageError or StoreRefusalError."""

    def __init__(self, address: S3) -> None:
        self._address = address
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._signed_get = SignedGet(address, _USER_AGENT)

    async def __aenter__(self) -> Self:
        """Open the connections."""
        self._client = await self._stack.enter_async_context(
            store_session().client(
                "s3",
                endpoint_url=self._address.endpoint,
                aws_access_key_id=self._address.access_key,
                aws_secret_access_key=self._address.secret_key,
                region_name=self._address.region,
                config=AioConfig(http_session_cls=self._signed_get.session, **_CONFIG),
                # Without TLS there is no certificate to look at, and reading the roots takes 35 ms.
                verify=False if self._address.endpoint.startswith("http:") else None,
            )
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._stack.aclose()

    @property
    def client(self) -> Any:
        """Give the client itself, to modules that are the object store too."""
        return self._client

    async def ensure_bucket(self, bucket: str, *, versioned: bool = True) -> None:
        """Make *bucket* if there is none, with versioning if *versioned*; harmless when repeated."""
        with judged(f"make the bucket {bucket}"):
            try:
                await self._client.head_bucket(Bucket=bucket)
            except ClientError as error:
                if fate(error) is not ObjectMissingError:
                    raise
                await self._create(bucket)
            if versioned:
                await self._client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    async def check_bucket(self, bucket: str) -> None:
        """Raise StoreRefusalError if there is no such *bucket*."""
        with judged(f"look at the bucket {bucket}"):
            await self._client.head_bucket(Bucket=bucket)

    async def _create(self, bucket: str) -> None:
        try:
            await self._client.create_bucket(Bucket=bucket)
        except ClientError as error:
            # Somebody was faster, which is as good.
            if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise

    async def remove_bucket(self, bucket: str) -> None:
        """Remove *bucket*, which must be empty."""
        with judged(f"remove the bucket {bucket}"):
            await self._client.delete_bucket(Bucket=bucket)

    async def put(self, bucket: str, key: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        """Write one small object whole."""
        with judged(f"write s3://{bucket}/{key}"):
            await self._client.put_object(
                Bucket=bucket,
                Key=key,
                Body=io.BytesIO(body),
                ContentLength=len(body),
                ContentType=content_type,
                ChecksumAlgorithm="SHA256",
            )

    async def get(self, bucket: str, key: str) -> bytes:
        """Read one small object whole; raises ObjectMissingError."""
        return b"".join([chunk async for chunk in self.stream(bucket, key)])

    async def stream(
        self,
        bucket: str,
        key: str,
        *,
        first: int = 0,
        last: int | None = None,
        etag: str | None = None,
        version: str | None = None,
    ) -> AsyncGenerator[bytes]:
        """Read bytes *first* to *last* (inclusive, as in RFC 9110) in pieces of at most 256 KiB.

        Of that *version*, or of the newest. Raises ObjectMissingError, or ObjectChangedError if the object's *etag* is
        another by now.
        """
        asked = {} if etag is None else {"IfMatch": f'"{etag}"'}
        if version is not None:
            asked["VersionId"] = version
        if (first, last) != (0, None):
            asked["Range"] = f"bytes={first}-{'' if last is None else last}"
        with judged(f"read s3://{bucket}/{key}"):
            answer = await self._signed_get.object(bucket, key, etag) if etag and list(asked) == ["IfMatch"] else None
            if answer is None:
                answer = (await self._client.get_object(Bucket=bucket, Key=key, **asked))["Body"]
            async with answer as body:
                async for piece in body.content.iter_chunked(_PIECE):
                    yield piece

    async def link(self, bucket: str, key: str, seconds: int, version: str | None = None) -> str:
        """Give a URL with which anybody can read one object for so many *seconds*, in pieces too (``Range``).

        With a *version* it ends sooner if that version is removed.
        """
        named = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
        with judged(f"sign a link to s3://{bucket}/{key}"):
            url = await self._client.generate_presigned_url("get_object", Params=named, ExpiresIn=seconds)
        return str(url)

    async def exists(self, bucket: str, key: str) -> bool:
        """Tell whether there is such an object to read."""
        try:
            await self.head(bucket, key)
        except ObjectMissingError:
            return False
        return True

    async def head(self, bucket: str, key: str, version: str | None = None) -> Listed:
        """Tell what is known of one object, in that *version* or the newest, without reading it.

        Raises ObjectMissingError.
        """
        named = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
        with judged(f"look at s3://{bucket}/{key}"):
            found = await self._client.head_object(**named)
        told = found["ContentLength"], found["ETag"].strip('"'), found["LastModified"], found.get("VersionId")
        return Listed(key, *told)

    async def size_of_part(self, bucket: str, key: str, etag: str) -> int | None:
        """Tell of how many bytes the first part was that an object of *etag* was sent in; None where it isn't there."""
        with judged(f"look at s3://{bucket}/{key}"):
            try:
                found = await self._client.head_object(Bucket=bucket, Key=key, PartNumber=1, IfMatch=f'"{etag}"')
            except ClientError as error:
                if fate(error) not in {ObjectMissingError, ObjectChangedError}:
                    raise
                return None
        return int(found["ContentLength"])

    async def list(self, bucket: str, prefix: str) -> AsyncIterator[Listed]:
        """List the current objects under *prefix*, in order of their keys."""
        async for page in self._pages("list_objects_v2", bucket, prefix):
            for item in page.get("Contents", ()):
                yield Listed(item["Key"], item["Size"], item["ETag"].strip('"'), item["LastModified"])

    async def _pages(self, operation: str, bucket: str, prefix: str) -> AsyncIterator[dict[str, Any]]:
        with judged(f"list s3://{bucket}/{prefix}"):
            async for page in self._client.get_paginator(operation).paginate(Bucket=bucket, Prefix=prefix):
                yield page

    async def versions(self, bucket: str, prefix: str) -> AsyncIterator[tuple[str, str]]:
        """List (key, version) of every version and delete marker under *prefix*."""
        async for key, version, _ in self.standing_versions(bucket, prefix):
            yield key, version

    async def standing_versions(self, bucket: str, prefix: str) -> AsyncIterator[tuple[str, str, bool]]:
        """List the same, each with whether it is what is read under its key now: so is one of a key's at most."""
        async for page in self._version_pages(bucket, prefix):
            for one in page:
                yield one

    async def _version_pages(self, bucket: str, prefix: str) -> AsyncGenerator[Sequence[Version]]:
        with judged(f"list s3://{bucket}/{prefix}"):
            async for page in version_pages(self._client, self._signed_get, bucket, prefix):
                yield page

    async def versions_of(self, bucket: str, key: str) -> tuple[str, ...]:
        """Give every version and delete marker of the one object *key*, and of none that is called like it."""
        found: list[str] = []
        async for page in self._version_pages(bucket, key):
            here = [version for at, version, _ in page if at == key]
            found += here
            # In order of the keys, this one comes first.
            if len(here) < len(page):
                break
        return tuple(found)

    async def unfinished(self, bucket: str, prefix: str) -> AsyncIterator[tuple[str, str]]:
        """List (key, upload id) of every upload under *prefix* that was begun and never finished."""
        async for page in self._pages("list_multipart_uploads", bucket, prefix):
            for item in page.get("Uploads", ()):
                yield item["Key"], item["UploadId"]

    async def delete_all_versions(self, bucket: str, prefix: str) -> Swept:
        """Delete everything under *prefix*: versions, delete markers, unfinished uploads; *prefix* can't be empty."""
        swept = await self.sweep(bucket, prefix)
        for one in swept.refused:
            raise StoreRefusalError(f"delete s3://{bucket}/{one.key}: {one.code}")
        return swept

    async def sweep(self, bucket: str, prefix: str, may: Callable[[int], Awaitable[None]] = _may) -> Swept:
        """Delete as ``delete_all_versions`` does, but go on past what the store refuses; one page is held in memory.

        *may* is asked before each page, with how many are gone; what it raises ends the deletion.
        """
        if not prefix:
            raise ValueError("an empty prefix would delete the whole bucket")
        gone, refused = 0, tuple[Refused, ...]()
        uploads = await self.abort_unfinished(bucket, prefix)
        async for page in self._version_pages(bucket, prefix):
            found = [(key, version) for key, version, _ in page]
            if found:
                await may(gone + uploads)
                refused += (said := await self._delete(bucket, found))
                gone += len(found) - len(said)
        return Swept(gone, uploads, refused)

    async def lock_of(self, bucket: str, key: str, version: str) -> Lock | None:
        """Tell which object lock keeps a version from being deleted; None where there is none, or no such version."""
        try:
            with judged(f"look at s3://{bucket}/{key}"):
                found = await self._client.head_object(Bucket=bucket, Key=key, VersionId=version)
        except ObjectMissingError:
            return None
        until, hold = found.get("ObjectLockRetainUntilDate"), found.get("ObjectLockLegalHoldStatus") == "ON"
        return Lock(until.astimezone(UTC) if until else None, hold) if until or hold else None

    async def delete_versions(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        """Delete exactly *some*, each (key, version); gives what the store refused."""
        return await self._delete(bucket, some)

    async def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """Abort one unfinished upload; harmless when it is gone."""
        await abort_upload(self._client, bucket, key, upload_id)

    async def _delete(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        refused: tuple[Refused, ...] = ()
        for start in range(0, len(some), _DELETE_AT_ONCE):
            parts = apart(some[start : start + _DELETE_AT_ONCE], _SIDE_BY_SIDE)
            # All have ended before an error is raised, so that nothing goes on behind whoever hears of it.
            said = await asyncio.gather(*(self._delete_part(bucket, one) for one in parts), return_exceptions=True)
            for one in said:
                if isinstance(one, BaseException):
                    raise one
                refused += one
        return refused

    async def _delete_part(self, bucket: str, some: Sequence[tuple[str, str]]) -> tuple[Refused, ...]:
        objects = [{"Key": key, "VersionId": version} for key, version in some]
        with judged(f"delete from s3://{bucket}"):
            answer = await self._client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        errors = answer.get("Errors", ())
        return tuple(Refused(error["Key"], error.get("VersionId", ""), error["Code"]) for error in errors)

    async def abort_unfinished(self, bucket: str, prefix: str) -> int:
        """Abort every unfinished upload under *prefix*; returns how many there were."""
        found = [found async for found in self.unfinished(bucket, prefix)]
        for key, upload_id in found:
            await abort_upload(self._client, bucket, key, upload_id)
        return len(found)

    async def abort_uploads_of(self, bucket: str, key: str, may: May = nobody_else) -> int:
        """Abort every unfinished upload of exactly *key*; returns how many there were.

        *may* is asked between looking and aborting: what is begun after that stays.
        """
        with judged(f"list the uploads of s3://{bucket}/{key}"):
            found = await uploads_of(self._client, bucket, key)
        if found:
            await may()
        for upload_id in found:
            await abort_upload(self._client, bucket, key, upload_id)
        return len(found)

    async def delete_versions_of(self, bucket: str, key: str, but: str | None = None, may: May = nobody_else) -> int:
        """Delete every version of exactly *key* *but* one, and no unfinished upload; returns how many there were.

        *may* is asked between looking and deleting: what is written after that stays.
        """
        found = [version for version in await self.versions_of(bucket, key) if version != but]
        if found:
            await may()
        for one in await self._delete(bucket, [(key, version) for version in found]):
            raise StoreRefusalError(f"delete s3://{bucket}/{key}: {one.code}")
        return len(found)

    async def withdraw(
        self, bucket: str, key: str, etag: str, version: str | None = None, may: May = nobody_else
    ) -> None:
        """Delete the versions of *key* that have *etag*, or just that *version*; harmless when there is none.

        *may* is asked between looking and deleting.
        """
        await withdraw(self._client, bucket, key, etag, version, may)

    async def count_left(self, bucket: str, prefix: str) -> int:
        """Count what is left under *prefix*: versions, delete markers and unfinished uploads."""
        versions = sum([len(page) async for page in self._version_pages(bucket, prefix)])
        uploads = [found async for found in self.unfinished(bucket, prefix)]
        return versions + len(uploads)

    def upload(
        self,
        bucket: str,
        key: str,
        *,
        part_bytes: int = 6 * MIB,
        in_flight: int = 2,
        keeps: Keeps | None = None,
        told: Told = silent,
        may: May = nobody_else,
    ) -> Upload:
        """Prepare to write one object of unknown size; nothing is sent before ``async with`` is entered.

        With *keeps* it goes on with what an earlier one left, *told*, and leaves what it has where *keeps* says so.
        *may* raises what ends it once somebody else makes this object.
        """
        sizes = {"part_bytes": part_bytes, "in_flight": in_flight}
        return Upload(self._client, bucket, key, **sizes, keeps=keeps, told=told, may=may)
