"""What of the objects that rows refer to would go with a customer, read before anything does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..datamap.object_places import decoded, is_key, lies
from .kept_objects import Reason
from .noted_objects import digest_of
from .referred_keys import others_referring, own_keys, staying_keys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from ..datamap.live import Connection
    from ..datamap.model import DataMap
    from .referred_store import Store

_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Of one bucket: how many *versions* (and delete markers) would go; how many objects stay as *shared*."""

    versions: int = 0
    shared: int = 0


async def going_objects(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
) -> AsyncIterator[tuple[str, str, bool]]:
    """List (bucket, key, whether others' rows refer to it too) once for each object, inside a transaction."""
    others = await others_referring(connection, map)
    query = GOING.format(own=own_keys(map), staying=staying_keys(map, others))
    async for row in connection.cursor(query, customer, prefetch=_AT_ONCE):
        key = decoded(row["key"])
        # What lies under a prefix is counted there.
        if key is not None and is_key(key) and lies(map, customer, row["bucket"], key) == "free":
            yield row["bucket"], key, row["shared"]


async def foreseen(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    store: Store,
    stay: Mapping[bytes, Reason],
) -> tuple[dict[str, Foreseen], Counter[Reason]]:
    """Count per bucket; the same question as the deletion's, asked while the rows are there.

    *stay* are the digests of what laws keep, whose versions are counted apart, by the reason.
    """
    found: dict[str, Foreseen] = {}
    kept = Counter[Reason]()
    async for bucket, key, shared in going_objects(connection, map, customer):
        known = found.get(bucket, Foreseen())
        if shared:
            found[bucket] = Foreseen(known.versions, known.shared + 1)
        elif reason := stay.get(digest_of(bucket, key)):
            kept[reason] += len(await store.versions_of(bucket, key))
        else:
            found[bucket] = Foreseen(known.versions + len(await store.versions_of(bucket, key)), known.shared)
    return found, kept


GOING = """
    with own as materialized (select distinct bucket, key from ({own}) as o),
         theirs as (select distinct s.bucket, s.key from ({staying}) as s join own using (bucket, key))
    select own.bucket, own.key, theirs.key is not null as shared
      from own left join theirs using (bucket, key)
     order by own.bucket, own.key
"""
