"""A GET by the store library's own signer and connections, without what the library does around each request.

That is most of what a small object costs. Only the answer that was hoped for is one; of anything else (an outage, a
refusal, another object, a store that wants more than this) the caller learns nothing, and asks the library's client,
which tries again, waits, and names what is wrong.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from aiobotocore.httpsession import AIOHTTPSession
from aiohttp import ClientError
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.utils import percent_encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .settings import S3

_OK = 200
# What the library addresses otherwise is not asked for here, such as access points, which have hosts of their own.
_PLAIN_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# Said of an object, or of a moment. Any other refusal is of this way to ask, so that nothing more is asked by it.
_OF_THE_OBJECT = frozenset({404, 412, 429})
_REFUSED = range(300, 500)


class SignedGet:
    """Asks the store at *address*, over the connections that ``session`` makes for the library's client."""

    def __init__(self, address: S3, user_agent: str) -> None:
        self._endpoint: Final = address.endpoint.rstrip("/")
        self._auth: Final = S3SigV4Auth(Credentials(address.access_key, address.secret_key), "s3", address.region)
        self._user_agent: Final = user_agent
        self._http: Any = None
        self._understood = True

    def session(self, *given: Any, **named: Any) -> Any:
        """Make what a client sends its requests by, with the client's own settings of time limits, TLS and proxies."""
        self._http = AIOHTTPSession(*given, **named)
        return self._http

    async def object(self, bucket: str, key: str, etag: str) -> Any:
        """Give the answer (aiohttp's, to be read in ``async with``) that has the whole object of *etag*, or None."""
        answer = await self._asked(bucket, f"/{percent_encode(key, safe='/~')}", {"If-Match": f'"{etag}"'})
        if answer is None:
            return None
        if answer.headers.get("etag", "").strip('"') == etag and "content-length" in answer.headers:
            return answer.raw
        answer.raw.close()
        return None

    async def listing(self, bucket: str, asked: Mapping[str, str]) -> bytes | None:
        """Give what the store says of *bucket*, to the parameters *asked*, or None."""
        query = "&".join(f"{name}={percent_encode(value)}" for name, value in sorted(asked.items()))
        answer = await self._asked(bucket, f"?{query}", {})
        if answer is None:
            return None
        try:
            async with answer.raw as body:
                said: bytes = await body.read()
        except (ClientError, TimeoutError, OSError):
            return None
        return said

    async def _asked(self, bucket: str, path: str, headers: Mapping[str, str]) -> Any:
        if self._http is None or not self._understood or _PLAIN_BUCKET.fullmatch(bucket) is None:
            return None
        url = f"{self._endpoint}/{bucket}{path}"
        request = AWSRequest("GET", url, headers={**headers, "User-Agent": self._user_agent})
        # Else all of it would be read before anybody has seen how long it is.
        request.stream_output = True
        self._auth.add_auth(request)
        try:
            answer = await self._http.send(request.prepare())
        except BotoCoreError:
            return None
        if answer.status_code == _OK:
            return answer
        answer.raw.close()
        if answer.status_code in _REFUSED and answer.status_code not in _OF_THE_OBJECT:
            self._understood = False
        return None
