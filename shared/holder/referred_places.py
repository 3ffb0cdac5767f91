"""Whether what the customer's rows refer to may be looked for where they say: a value is somebody's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..datamap.ownership import relation
from ..datamap.referring import referring
from .referred_keys import going, is_key, lies
from .right import RefusedError

if TYPE_CHECKING:
    from ..datamap.live import Connection
    from ..datamap.model import DataMap
    from ..datamap.referring import Referring

_AT_ONCE = 1_000


async def check_places(connection: Connection, map: DataMap, customer: str) -> None:  # noqa: A002
    """Refuse, inside a transaction, where a row names no key, or what a prefix says is another customer's.

    Where the map says with a reason that there are such values (``missing``, ``elsewhere``) they are passed over.
    """
    for one in referring(map):
        query = VALUES.format(
            bucket=one.bucket("$1"),
            key=one.key("t", "$1"),
            named=one.named("t"),
            relation=relation(one.table),
            which=going(map, one),
        )
        async for row in connection.cursor(query, customer, prefetch=_AT_ONCE):
            fault = fault_of(map, customer, one, row["bucket"], row["key"])
            if fault is not None:
                raise RefusedError("failed", f"{one.place}: {fault}")


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


def decoded(key: bytes) -> str | None:
    """Read *key* as text; None where it is none."""
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None


VALUES = """
    select ({bucket})::text as bucket, {key} as key from {relation} as t where ({which}) and {named}
"""
