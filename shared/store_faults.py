"""What can go wrong with the object store, by what to do about it: wait, or tell somebody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004 - its name
from botocore.parsers import ResponseParserError

from .errors import OperatorError

_THROTTLED = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests"})


class StoreError(OperatorError):
    """Something the store did not do; the message names the action and the place."""


class StoreOutageError(StoreError):
    """The store can't be reached or is overloaded: waiting helps."""


class UploadGoneError(StoreOutageError):
    """An unfinished upload, or a part of it, is gone or another by now: it was completed, aborted or sent over.

    To begin again helps, so it is no refusal.
    """


class StoreRefusalError(StoreError):
    """The store said no: waiting does not help, somebody must change something."""


class ObjectMissingError(StoreRefusalError):
    """There is no such object."""


class ObjectChangedError(StoreRefusalError):
    """The object is no longer the one that was asked for."""


_BY_CODE: dict[str, type[StoreError]] = {
    "NoSuchUpload": UploadGoneError,
    "InvalidPart": UploadGoneError,
    "NoSuchKey": ObjectMissingError,
    "404": ObjectMissingError,
    "PreconditionFailed": ObjectChangedError,
    "412": ObjectChangedError,
}


def fate(error: ClientError) -> type[StoreError]:
    """Judge the store's own answer: overload waits, all else is a refusal."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code", "")
    if status >= 500 or code in _THROTTLED:  # noqa: PLR2004 - HTTP's own boundary
        return StoreOutageError
    return _BY_CODE.get(code, StoreRefusalError)


@contextmanager
def judged(action: str) -> Iterator[None]:
    """Give every failure of *action* its fate: an outage waits, a refusal is told."""
    try:
        yield
    except ClientError as error:
        raise fate(error)(f"{action}: {error}") from error
    except (ConnectionError, HTTPClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise StoreOutageError(f"{action}: {error!r}") from error
    except (BotoCoreError, ResponseParserError) as error:
        # Whoever answers something else than S3 does isn't one.
        raise StoreRefusalError(f"{action}: {error}") from error
