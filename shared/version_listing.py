"""The listing of a bucket's versions, page by page, of which only what is asked for is read.

The library makes a dictionary of all that a store says of each version: a third of the time that a listing takes. Here
a page is asked for and read the short way, and what isn't plainly a page is asked for again by the library's client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.etree import ElementTree as ET

from botocore.compat import unquote_str

from .store_faults import StoreRefusalError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from .signed_get import SignedGet

# S3's own limit, and what it gives unasked.
AT_ONCE = 1_000
_BOOLEANS = {"true": True, "false": False}

# Its key, its id, and whether it is what is read under its key now: so is one of a key's at most, and no delete marker.
Version: TypeAlias = "tuple[str, str, bool]"


@dataclass(frozen=True, slots=True)
class Page:
    """Some versions and delete markers, and after which key and version the listing goes on; None where it ends."""

    versions: list[Version]
    after: tuple[str, str] | None


async def version_pages(client: Any, short: SignedGet, bucket: str, prefix: str) -> AsyncGenerator[Sequence[Version]]:
    """List every version and delete marker under *prefix*; raises as *client* does, and StoreRefusalError."""
    after: tuple[str, str] | None = None
    while True:
        said = await short.listing(bucket, _asked(prefix, after))
        page = (None if said is None else page_of(said)) or await _by_library(client, bucket, prefix, after)
        yield page.versions
        if page.after is None:
            return
        if page.after == after:
            raise StoreRefusalError(f"list s3://{bucket}/{prefix}: the store gives the same page again and again")
        after = page.after


def _asked(prefix: str, after: tuple[str, str] | None) -> dict[str, str]:
    asked = {"versions": "", "encoding-type": "url", "max-keys": str(AT_ONCE), "prefix": prefix}
    if after is not None:
        asked["key-marker"] = after[0]
        asked |= {"version-id-marker": after[1]} if after[1] else {}
    return asked


def page_of(said: bytes) -> Page | None:
    """Read a page; None where something is missing without which it could be taken for another, or for all there is."""
    try:
        root = ET.fromstring(said)  # noqa: S314 - of the store, and the library reads it no other way
    except ET.ParseError:
        return None
    space = root.tag.removesuffix("ListVersionsResult")
    goes_on = _BOOLEANS.get(root.findtext(f"{space}IsTruncated", ""))
    if goes_on is None:
        return None
    encoded = root.findtext(f"{space}EncodingType") == "url"
    versions = _versions(root, space, encoded=encoded)
    key, version = root.findtext(f"{space}NextKeyMarker", ""), root.findtext(f"{space}NextVersionIdMarker", "")
    if versions is None or (goes_on and not key):
        return None
    return Page(versions, (unquote_str(key) if encoded else key, version) if goes_on else None)


def _versions(root: ET.Element, space: str, *, encoded: bool) -> list[Version] | None:
    version, marker = f"{space}Version", f"{space}DeleteMarker"
    key_of, id_of, latest_of = f"{space}Key", f"{space}VersionId", f"{space}IsLatest"
    found: list[Version] = []
    for one in root:
        if not one.tag.startswith(space):
            return None
        if one.tag not in {version, marker}:
            continue
        key, told, latest = one.findtext(key_of), one.findtext(id_of), _BOOLEANS.get(one.findtext(latest_of, ""))
        if not key or not told or latest is None:
            return None
        found.append((unquote_str(key) if encoded else key, told, latest and one.tag == version))
    return found


async def _by_library(client: Any, bucket: str, prefix: str, after: tuple[str, str] | None) -> Page:
    markers = {} if after is None else {"KeyMarker": after[0], **({"VersionIdMarker": after[1]} if after[1] else {})}
    said = await client.list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=AT_ONCE, **markers)
    versions = [(one["Key"], one["VersionId"], bool(one["IsLatest"])) for one in said.get("Versions", ())]
    versions += [(one["Key"], one["VersionId"], False) for one in said.get("DeleteMarkers", ())]
    if not said["IsTruncated"]:
        return Page(versions, None)
    if not said.get("NextKeyMarker"):
        raise StoreRefusalError(f"list s3://{bucket}/{prefix}: the store says that there is more, and not after what")
    return Page(versions, (said["NextKeyMarker"], said.get("NextVersionIdMarker", "")))
