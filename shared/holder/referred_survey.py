"""The objects that rows refer to, as whoever checks a deletion sees them: read-only, before it and after."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING

from ..datamap.object_places import lies
from ..datamap.referring import referring
from .foreseen import going_objects
from .kept_objects import as_retained, doubted, keys_to_stay, table_of
from .noted_objects import THERE, digest_of
from .referred_keys import others_referring, refers, staying_keys
from .right import RefusedError
from .scope import covers
from .statutory import with_law

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping
    from datetime import datetime

    from ..datamap.live import Connection
    from ..datamap.model import DataMap
    from ..events.platform import RetainedRows
    from ..events.retention import Keep
    from .kept_objects import Reason
    from .referred_store import Store


@dataclass(frozen=True, slots=True)
class Objects:
    """Of one bucket: *own*, the customer's versions and uploads; all *others*' versions, and their fingerprint.

    *kept* versions are the customer's, too, and stay; *retained* says how many of them for a law, until when.
    *objects* of the customer's, kept ones too, can be read, each counted once; *shared* can be besides, which others'
    rows refer to as well.
    """

    table: str
    own: int
    others: int
    fingerprint: str
    kept: int = 0
    retained: tuple[RetainedRows, ...] = ()
    objects: int = 0
    shared: int = 0


@dataclass(frozen=True, slots=True)
class ObjectSurvey:
    """Looks at the buckets that *map* names in columns, for *customer*, inside a transaction of *connection*'s."""

    connection: Connection
    map: DataMap
    customer: str
    store: Store

    async def before(self) -> tuple[Objects, ...]:
        """Count what would go with the customer's rows, and mark all the rest."""
        going: dict[str, set[bytes]] = {bucket: set() for bucket in await self._buckets()}
        theirs: dict[str, set[bytes]] = {bucket: set() for bucket in going}
        if going:
            async for bucket, key, shared in going_objects(self.connection, self.map, self.customer):
                (theirs if shared else going)[bucket].add(digest_of(bucket, key))
        return tuple([await self._bucket(bucket, mine, {}, theirs[bucket]) for bucket, mine in going.items()])

    async def after(self, now: datetime | None = None, keep: tuple[Keep, ...] = ()) -> tuple[Objects, ...]:
        """Go through whole buckets, where the deletion went from key to key; what was noted is known by its digest.

        What the rows refer to that stand may be left where laws keep rows at *now*, or holds what is in *keep*; and
        what rows referred to that had gone when such a hold came. Raises ``RefusedError`` for a map by which laws keep
        rows, asked without *now*.
        """
        if self.map.retains and now is None:
            raise RefusedError("failed", "what laws keep can be told for a moment only, and none is given")
        holds = covers(self.map, keep)
        holds = with_law(self.map, holds, now) if now else holds
        stay: dict[bytes, Reason] = {}
        if holds and refers(self.map):
            stay = await doubted(self.connection, self.map, self.customer, holds)
            stay |= await keys_to_stay(self.connection, self.map, self.customer, holds)
        mine: dict[str, set[bytes]] = {bucket: set() for bucket in await self._buckets()}
        if mine and await self.connection.fetchval(THERE):
            for row in await self.connection.fetch(NOTED, self.map.system, self.customer, list(mine)):
                mine[row["bucket"]].add(row["digest"])
        return tuple([await self._bucket(bucket, digests, stay) for bucket, digests in mine.items()])

    async def _buckets(self) -> list[str]:
        if not refers(self.map):
            return []
        named = ", ".join(one.bucket("$1") for one in referring(self.map))
        query = f"select array[{named}]::text[] where $1::text is not null"
        return sorted(set(await self.connection.fetchval(query, self.customer)))

    async def _bucket(
        self,
        bucket: str,
        mine: Collection[bytes],
        stay: Mapping[bytes, Reason],
        theirs_too: Collection[bytes] = (),
    ) -> Objects:
        own: list[tuple[str, str]] = []
        standing: set[str] = set()
        count = total = shared = 0
        async for key, version, stands in self._everything(bucket):
            digest = digest_of(bucket, key)
            if digest in mine or digest in stay:
                own.append((key, version))
                standing.update([key] if stands else [])
            elif version:
                count += 1
                total += _mark(key, version)
                shared += stands and digest in theirs_too
        # What came back since somebody's row refers to it is that row's.
        theirs = await self._referred(bucket, sorted({key for key, _ in own}))
        returned = [one for one in own if one[0] in theirs and one[1]]
        count, total = count + len(returned), total + sum(_mark(*one) for one in returned)
        left = [(key, version) for key, version in own if key not in theirs]
        found = [(stay.get(digest_of(bucket, key)), version) for key, version in left]
        # An unfinished upload is nothing that a row could refer to.
        kept = Counter(reason for reason, version in found if reason and (version or reason.uploads))
        fingerprint = sha256(f"{count}:{total}".encode()).hexdigest()
        lawful, objects = as_retained(kept), len(standing - theirs)
        rows = table_of(bucket), len(left) - kept.total(), count, fingerprint, kept.total(), lawful
        return Objects(*rows, objects, shared)

    async def _everything(self, bucket: str) -> AsyncIterator[tuple[str, str, bool]]:
        """List versions, and unfinished uploads without one; what lies under a prefix is counted elsewhere."""
        async for key, version, stands in self.store.standing_versions(bucket, ""):
            if lies(self.map, self.customer, bucket, key) != "own prefix":
                yield key, version, stands
        async for key, _ in self.store.unfinished(bucket, ""):
            if lies(self.map, self.customer, bucket, key) != "own prefix":
                yield key, "", False

    async def _referred(self, bucket: str, keys: list[str]) -> frozenset[str]:
        """Give those of *keys* that rows refer to which don't go with the customer."""
        if not keys:
            return frozenset()
        others = await others_referring(self.connection, self.map)
        query = REFERRED.format(staying_keys(self.map, others))
        rows = await self.connection.fetch(query, self.customer, bucket, [key.encode() for key in keys])
        return frozenset(row["key"].decode() for row in rows)


def _mark(key: str, version: str) -> int:
    return int.from_bytes(blake2b(f"{key}\0{version}".encode(), digest_size=16).digest(), "big")


NOTED = """
    select bucket, digest from offramp.objects
     where system = $1 and customer = $2 and bucket = any($3::text[]) and state <> 'shared'
"""

REFERRED = """
    select distinct s.key from ({}) as s where s.bucket = $2 and s.key = any($3::bytea[]) and $1::text is not null
"""
