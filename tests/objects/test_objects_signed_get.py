"""An object is read by the short way only if the answer is plainly that object; for all else the client asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)

from shared.objects import ObjectStore
from shared.settings import Settings
from shared.store_faults import ObjectChangedError, ObjectMissingError, StoreOutageError

# Whatever a URL, a signature or a file's name would read otherwise.
KEYS = (
    "acme/plain.jpg",
    "acme/a b+c%20d&e=f?g#h.jpg",
    "acme/räksmörgås/日本語/🎓.jpg",
    "acme/~_-.!*'();:@$,[]|\\^`{}<>\".jpg",
    "acme/%2e%2e/%00",
    "acme//twice//slashed",
)


class Counted:
    """The store's client, which tells how often it was asked for an object."""

    def __init__(self, client: Any) -> None:
        self._client, self.asked = client, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def get_object(self, **named: Any) -> Any:
        self.asked += 1
        return await self._client.get_object(**named)


@pytest.fixture
def client(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted(store.client)
    monkeypatch.setattr(store, "_client", counted)
    return counted


async def read(store: ObjectStore, bucket: str, key: str, etag: str) -> bytes:
    return b"".join([piece async for piece in store.stream(bucket, key, etag=etag)])


async def put(store: ObjectStore, bucket: str, key: str, body: bytes) -> str:
    await store.put(bucket, key, body)
    return (await store.head(bucket, key)).etag


@pytest.mark.parametrize("key", KEYS)
async def test_whatever_its_name_an_object_is_read_without_the_client(
    store: ObjectStore, bucket: str, client: Counted, key: str
) -> None:
    """It is addressed and signed as the client would."""
    etag = await put(store, bucket, key, key.encode())

    assert await read(store, bucket, key, etag) == key.encode()
    assert client.asked == 0


async def test_what_is_gone_or_another_is_named_as_the_client_names_it(
    store: ObjectStore, bucket: str, client: Counted
) -> None:
    """However many there are: no connection stays taken by an answer that nobody read."""
    etag = await put(store, bucket, "acme/a", b"first")
    await store.put(bucket, "acme/a", b"other")

    async with asyncio.timeout(60):
        for _ in range(12):
            with pytest.raises(ObjectChangedError, match="acme/a"):
                await read(store, bucket, "acme/a", etag)
            with pytest.raises(ObjectMissingError, match="acme/none"):
                await read(store, bucket, "acme/none", etag)
    assert client.asked == 24
    now = (await store.head(bucket, "acme/a")).etag
    assert await read(store, bucket, "acme/a", now) == b"other"
    assert client.asked == 24, "what was said of one object is believed of another"


class Between:
    """Stands between the store and who asks it by the short way: *answered* may change an answer."""

    def __init__(self, http: Any, answered: Callable[[Any], None]) -> None:
        self._http, self._answered, self.asked = http, answered, 0

    async def send(self, request: Any) -> Any:
        self.asked += 1
        answer = await self._http.send(request)
        self._answered(answer)
        return answer


def status(code: int) -> Callable[[Any], None]:
    return lambda answer: setattr(answer, "status_code", code)


@pytest.mark.parametrize(
    ("answered", "again"),
    [
        (lambda answer: answer.headers.update(etag='"another"'), True),
        (lambda answer: answer.headers.pop("etag"), True),
        (lambda answer: answer.headers.pop("content-length"), True),
        (status(206), True),
        (status(412), True),
        (status(429), True),
        (status(503), True),
        (status(307), False),
        (status(400), False),
        (status(403), False),
    ],
    ids=["another", "no etag", "no length", "part", "412", "429", "503", "307", "400", "403"],
)
async def test_any_other_answer_is_none_and_the_client_asks(
    settings: Settings, store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch,
    answered: Callable[[Any], None], again: bool,  # noqa: FBT001 - a parameter of the test
) -> None:  # fmt: skip
    """More often than there are connections; and a store that refuses this way to ask is asked by it once."""
    # More than is received before anybody reads it, so that an answer that isn't closed keeps its connection.
    body = bytes(1 << 20)
    etag = await put(store, bucket, "acme/a", body)

    # One of its own, so that nobody waits for its connections afterwards.
    async with ObjectStore(settings.s3) as asking:
        client, between = Counted(asking.client), Between(asking._signed_get._http, answered)
        monkeypatch.setattr(asking, "_client", client)
        monkeypatch.setattr(asking._signed_get, "_http", between)
        async with asyncio.timeout(20):
            for _ in range(12):
                assert await read(asking, bucket, "acme/a", etag) == body
    assert client.asked == 12
    assert between.asked == (12 if again else 1)


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """Give the address of a server that answers whatever it is asked so, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_connection_that_ends_amid_an_object_is_an_outage(settings: Settings) -> None:
    """What was sent of it is not the object, although all of its headers were right."""
    short = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 10\r\n\r\nhello'
    async with answering(short) as address, ObjectStore(replace(settings.s3, endpoint=address)) as store:
        with pytest.raises(StoreOutageError, match="acme/a"):
            await read(store, "some-bucket", "acme/a", "e")


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://s3"),
        ConnectTimeoutError(endpoint_url="http://s3"),
        ReadTimeoutError(endpoint_url="http://s3"),
        ConnectionClosedError(endpoint_url="http://s3"),
        HTTPClientError(error="something"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_can_not_be_sent_the_client_sends_again(
    store: ObjectStore, bucket: str, client: Counted, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It waits and tries several times before that is an outage."""
    etag = await put(store, bucket, "acme/a", b"hello")

    class Broken:
        async def send(self, request: Any) -> Any:
            raise error

    monkeypatch.setattr(store._signed_get, "_http", Broken())
    for _ in range(2):
        assert await read(store, bucket, "acme/a", etag) == b"hello"
    assert client.asked == 2


async def test_a_part_or_a_version_is_asked_of_the_client(store: ObjectStore, bucket: str, client: Counted) -> None:
    """The short way knows whole objects alone."""
    first = await put(store, bucket, "acme/a", b"first")
    version = (await store.versions_of(bucket, "acme/a"))[0]
    now = await put(store, bucket, "acme/a", b"other")

    assert [piece async for piece in store.stream(bucket, "acme/a", first=1, last=2, etag=now)] == [b"th"]
    assert [piece async for piece in store.stream(bucket, "acme/a", etag=first, version=version)] == [b"first"]
    assert client.asked == 2


@pytest.mark.parametrize("bucket_name", ["arn:aws:s3:eu-north-1:1:accesspoint/a", "a", "a/b", "UPPER"])
async def test_what_is_no_plain_bucket_is_the_clients(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, bucket_name: str
) -> None:
    """It addresses access points and the like at other hosts."""
    between = Between(store._signed_get._http, status(200))
    monkeypatch.setattr(store._signed_get, "_http", between)

    assert await store._signed_get.object(bucket_name, "acme/a", "e") is None
    assert between.asked == 0
