"""A listing of versions misses none, however it is asked for, and is never cut short in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Self

import pytest
from botocore.exceptions import ConnectionClosedError

from shared import version_listing
from shared.objects import ObjectStore
from shared.store_faults import StoreRefusalError
from shared.version_listing import Page, page_of

# None begins with all of another: at the end of a page SeaweedFS passes over such ones, whoever lists.
KEYS = ("acme/a", "acme/b b+c%20d&e=<f>", "acme/räksmörgås/日本/🎓", "acme/%41", "acme/z")


class Client:
    """The store's client, which tells how often it was asked for a listing, and may *say* another."""

    def __init__(self, client: Any, says: dict[str, Any] | None = None) -> None:
        self._client, self._says, self.asked = client, says, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def list_object_versions(self, **named: Any) -> Any:
        self.asked += 1
        await asyncio.sleep(0)
        return self._says or await self._client.list_object_versions(**named)


@pytest.fixture
def changes(bucket: str) -> Iterator[pytest.MonkeyPatch]:
    """Let two versions be a page; all that is changed is as it was before the bucket is emptied."""
    with pytest.MonkeyPatch.context() as changes:
        changes.setattr(version_listing, "AT_ONCE", 2)
        yield changes


async def filled(store: ObjectStore, bucket: str) -> set[tuple[str, str, bool]]:
    """Write three versions of some objects, and delete one; give what the library lists of them."""
    for key in KEYS:
        for body in (b"1", b"2", b"3"):
            await store.put(bucket, key, body)
    await store.client.delete_object(Bucket=bucket, Key="acme/z")
    await store.put(bucket, "other/a", b"1")
    said = await store.client.list_object_versions(Bucket=bucket, Prefix="acme/")
    return {
        (one["Key"], one["VersionId"], kind == "Versions" and one["IsLatest"])
        for kind in ("Versions", "DeleteMarkers")
        for one in said[kind]
    }


async def listed(store: ObjectStore, bucket: str) -> list[tuple[str, str, bool]]:
    return [one async for one in store.standing_versions(bucket, "acme/")]


async def test_all_that_the_library_lists_is_listed_once(
    store: ObjectStore, bucket: str, changes: pytest.MonkeyPatch
) -> None:
    """Over many pages, whose ends lie amid an object's versions, and whatever the keys; the client isn't asked."""
    there = await filled(store, bucket)
    client = Client(store.client)
    changes.setattr(store, "_client", client)

    found = await listed(store, bucket)

    assert len(found) == len(there) == 16
    assert set(found) == there
    assert client.asked == 0


class Broken:
    """Sends nothing, or what isn't a page, every second time."""

    def __init__(self, http: Any, error: Exception | None, body: bytes) -> None:
        self._http, self._error, self._body, self._count = http, error, body, 0

    async def send(self, request: Any) -> Any:
        self._count += 1
        answer = await self._http.send(request)
        if self._count % 2:
            if self._error is not None:
                answer.raw.close()
                raise self._error
            answer.raw = Said(answer.raw, self._body)
        return answer


class Said:
    """An answer with another body, or one that breaks off where there is none."""

    def __init__(self, raw: Any, body: bytes) -> None:
        self._raw, self._body = raw, body

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._raw.close()

    async def read(self) -> bytes:
        if not self._body:
            raise TimeoutError
        return self._body


@pytest.mark.parametrize(
    ("error", "body"),
    [(ConnectionClosedError(endpoint_url="http://s3"), b""), (None, b""), (None, b"<html></html>"), (None, b"<")],
    ids=["not sent", "broken off", "another page", "no page"],
)
async def test_what_is_no_page_is_asked_of_the_client(
    store: ObjectStore, bucket: str, changes: pytest.MonkeyPatch, error: Exception | None, body: bytes
) -> None:
    """Each such page from where it begins, and the listing goes on."""
    there = await filled(store, bucket)
    client = Client(store.client)
    changes.setattr(store, "_client", client)
    changes.setattr(store._signed_get, "_http", Broken(store._signed_get._http, error, body))

    async with asyncio.timeout(60):
        found = await listed(store, bucket)

    assert (len(found), set(found)) == (16, there)
    assert client.asked == 4


async def test_a_listing_that_says_there_is_more_but_not_after_what_is_refused(
    store: ObjectStore, bucket: str, changes: pytest.MonkeyPatch
) -> None:
    """It isn't taken for all there is."""
    changes.setattr(store._signed_get, "_http", None)
    changes.setattr(store, "_client", Client(store.client, {"Versions": [], "IsTruncated": True}))
    with pytest.raises(StoreRefusalError, match="not after what"):
        await listed(store, bucket)


async def test_a_store_that_gives_the_same_page_again_and_again_is_refused(
    store: ObjectStore, bucket: str, changes: pytest.MonkeyPatch
) -> None:
    """Nobody waits for its end."""
    said = {"Versions": [], "IsTruncated": True, "NextKeyMarker": "acme/a", "NextVersionIdMarker": "1"}
    changes.setattr(store._signed_get, "_http", None)
    changes.setattr(store, "_client", Client(store.client, said))
    async with asyncio.timeout(5):
        with pytest.raises(StoreRefusalError, match="again and again"):
            await listed(store, bucket)


ONE = "<Version><Key>acme/a+b%41</Key><VersionId>1</VersionId><IsLatest>true</IsLatest><Size>1</Size></Version>"
MARKER = "<DeleteMarker><Key>acme/b</Key><VersionId>null</VersionId><IsLatest>true</IsLatest></DeleteMarker>"
MORE = "<NextKeyMarker>acme/b%41</NextKeyMarker><NextVersionIdMarker>2%41</NextVersionIdMarker>"
ENDS, GOES_ON = "<IsTruncated>false</IsTruncated>", "<IsTruncated>true</IsTruncated>"


def answer(*parts: str, named: str = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"') -> bytes:
    return f'<?xml version="1.0"?><ListVersionsResult{named}>{"".join(parts)}</ListVersionsResult>'.encode()


@pytest.mark.parametrize("named", ["", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'])
def test_a_page_is_read_with_or_without_the_namespace(named: str) -> None:
    """Versions and markers are told apart; keys are decoded where, and only where, the store says it encoded them."""
    plain = Page([("acme/a+b%41", "1", True), ("acme/b", "null", False)], ("acme/b%41", "2%41"))
    decoded = Page([("acme/a bA", "1", True), ("acme/b", "null", False)], ("acme/bA", "2%41"))
    encoding = "<EncodingType>url</EncodingType>"

    assert page_of(answer(GOES_ON, MORE, ONE, MARKER, named=named)) == plain
    assert page_of(answer(encoding, GOES_ON, MORE, ONE, MARKER, named=named)) == decoded
    assert page_of(answer(ENDS, named=named)) == Page([], None)


def unreadable() -> Iterator[Any]:
    yield pytest.param(answer(ONE), id="whether there is more")
    yield pytest.param(answer("<IsTruncated>perhaps</IsTruncated>", ONE), id="whether there really is")
    yield pytest.param(answer(GOES_ON, ONE), id="after what there is more")
    yield pytest.param(answer(GOES_ON, MORE.replace("acme/b%41", ""), ONE), id="after which key")
    yield pytest.param(answer(ENDS, ONE.replace("acme/a+b%41", "")), id="a key")
    yield pytest.param(answer(ENDS, ONE.replace("<VersionId>1</VersionId>", "")), id="a version")
    yield pytest.param(answer(ENDS, MARKER.replace("<VersionId>null</VersionId>", "")), id="a marker's version")
    yield pytest.param(answer(ENDS, ONE.replace("<IsLatest>true</IsLatest>", "")), id="whether it is the newest")
    yield pytest.param(answer(ENDS, ONE.replace("<Version>", '<Version xmlns="x">')), id="its own namespace")
    yield pytest.param(answer(ENDS, ONE)[:-30], id="its end")
    yield pytest.param(answer(ENDS, ONE).replace(b"ListVersionsResult", b"Error"), id="its name")
    yield pytest.param(b"", id="all")


@pytest.mark.parametrize("said", [*unreadable()])
def test_a_page_that_misses_something_is_none(said: bytes) -> None:
    """It may be short of a version, or no listing at all."""
    assert page_of(said) is None
