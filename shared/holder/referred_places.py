"""Whether what the customer's rows refer to may be looked for where they say: a value is somebody's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..datamap.object_places import fault_of
from ..datamap.ownership import relation
from ..datamap.referring import referring
from .referred_keys import going
from .right import RefusedError

if TYPE_CHECKING:
    from ..datamap.live import Connection
    from ..datamap.model import DataMap

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


VALUES = """
    select ({bucket})::text as bucket, {key} as key from {relation} as t where ({which}) and {named}
"""
