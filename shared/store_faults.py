"""What can go wrong with the object store, by what to do about it: wait, or tell somebody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004 - its name

_THROTTLED = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests"})


class StoreError(Exception):
    """Something the store did not do; the message names the action and the place."""


class StoreOutage(StoreError):
    """The store can't be reached or is overloaded: waiting helps."""


class StoreRefusal(StoreError):
    """The store said no: waiting does not help, somebody must change something."""


class ObjectMissing(StoreRefusal):
    """There is no such object."""


def fate(error: ClientError) -> type[StoreError]:
    """Judge the store's own answer: overload waits, all else is a refusal."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code", "")
    if status >= 500 or code in _THROTTLED:  # noqa: PLR2004 - HTTP's own boundary
        return StoreOutage
    return ObjectMissing if code in {"NoSuchKey", "404"} else StoreRefusal


@contextmanager
def judged(action: str) -> Iterator[None]:
    """Give every failure of *action* its fate: an outage waits, a refusal is told."""
    try:
        yield
    except ClientError as error:
        raise fate(error)(f"{action}: {error}") from error
    except (ConnectionError, HTTPClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise StoreOutage(f"{action}: {error!r}") from error
    except BotoCoreError as error:
        raise StoreRefusal(f"{action}: {error}") from error
