"""Whether a value may name what it names: values are somebody's input."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from .owners import CUSTOMER

if TYPE_CHECKING:
    from .declared import DataMap
    from .referring import Referring

Where = Literal["free", "own prefix", "foreign prefix"]
# S3's own limit, in bytes.
_LONGEST_KEY = 1_024


def lies(map: DataMap, customer: str, bucket: str, key: str) -> Where:  # noqa: A002
    """Tell whether *key* lies under a prefix of the map's, which says by itself whose it is."""
    found: Where = "free"
    for one in map.buckets:
        if one.bucket != bucket:
            continue
        if key.startswith(one.prefix_of(customer)):
            return "own prefix"
        before, after = one.prefix.split(CUSTOMER)
        if re.match(f"{re.escape(before)}[^/]+{re.escape(after)}", key):
            found = "foreign prefix"
    return found


def is_key(key: str) -> bool:
    """Tell whether an object can be called so, and is in any store that looks at it as at a path."""
    steps = key.split("/")
    return 0 < len(key.encode()) <= _LONGEST_KEY and "\0" not in key and not {".", ".."} & set(steps)


def decoded(key: bytes) -> str | None:
    """Read *key* as text; None where it is none."""
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None


def fault_of(map: DataMap, customer: str, one: Referring, bucket: str, key: bytes | None) -> str | None:  # noqa: A002
    """Say what is wrong with the place that a value of *one* names; None where it is, or where the map says why."""
    if key is None:
        return None if one.reference.elsewhere else "a value lies elsewhere than the map says, under url"
    text = decoded(key)
    if text is None or not is_key(text):
        return None if one.reference.missing else "a value can be no object's key"
    if lies(map, customer, bucket, text) == "foreign prefix" and not one.reference.elsewhere:
        return f"a value names an object of {bucket} that is another customer's by its prefix"
    return None
