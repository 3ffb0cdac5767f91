"""Deletes the objects that only the customer's rows referred to, after those rows are gone for good."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..datamap.object_places import decoded, is_key, lies
from ..events.platform import Erased, ErasedInPart, NotErased
from ..events.vocabulary import TableCount
from . import noted_objects
from .bystander_objects import COMPARED, compared, marks, still_there
from .foreseen import foreseen
from .kept import keep
from .kept_objects import (
    KeptObjects,
    as_held,
    as_kept,
    as_needed,
    as_retained,
    check_several,
    keys_to_stay,
    table_of,
)
from .references import references
from .referred_keys import (
    all_keys,
    check_decidable,
    leaving_keys,
    others_referring,
    own_keys,
    refers,
    standing_keys,
    staying_keys,
)
from .referred_places import check_places
from .referred_store import Store, at_once, pages_of
from .right import RefusedError, check_guard, check_still
from .scope import holding
from .statutory import instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..events.vocabulary import TableFingerprint
    from ..objects import Refused
    from .kept_objects import Reason
    from .scope import Covers
    from .work import Work

# Objects that are settled in one transaction.
BATCH = 500

MINE = """
    select digest from offramp.objects
     where system = $1 and customer = $2 and bucket = $3 and state = 'noted' and digest = any($4::bytea[])
"""


class LockedError(RefusedError):
    """Some of the objects are locked, *until* a moment at which it is worth asking again."""

    until: datetime | None = None

    @property
    def answer(self) -> NotErased:
        """Give what the holder answers."""
        return super().answer.model_copy(update={"until": self.until})


async def check_referred(work: Work) -> None:
    """Refuse before the first row goes where its objects could not follow, or might be somebody else's."""
    if not refers(work.map):
        return
    if work.objects is None:
        places = ", ".join(f"{one.name}.{column}" for one in work.map.tables for column in one.media)
        raise RefusedError("not_declared", f"{places}: no object store is given that holds what they refer to")
    check_decidable(work.map)
    async with work.transaction("repeatable_read"):
        await check_places(work.connection, work.map, work.customer)
        if now := instant(work.holds):
            await check_several(work.connection, work.map, work.customer, now)
    if not work.dry_run:
        await noted_objects.prepare(work.connection)


async def note_referred(work: Work) -> None:
    """Note, in the transaction that deletes the rows, what all of them refer to; each delete notes its own as well.

    Where something is kept, after it was listed.
    """
    if not refers(work.map):
        return
    # For a dry run the table goes with the transaction.
    await noted_objects.prepare(work.connection)
    if not work.holds:
        notes = [noted_objects.noting_all(work.map, own_keys(work.map), {})]
    else:
        leaving, standing = leaving_keys(work.map, work.holds), standing_keys(work.map, work.holds)
        notes = [
            noted_objects.noting_all(work.map, leaving, work.holds),
            noted_objects.noting_all(work.map, standing, None),
        ]
    for note in notes:
        await work.connection.execute(note, work.customer)


async def objects_so_far(work: Work) -> tuple[tuple[TableCount, ...], tuple[TableCount, ...]]:
    """Count what earlier tries of this deletion deleted, in versions and uploads, and the objects still to go."""
    connection, who = work.connection, (work.map.system, work.customer)
    if not refers(work.map) or not work.noted_as or not await connection.fetchval(noted_objects.ALL_THERE):
        return (), ()
    gone = Counter[str]()
    for query in (GONE, ABORTED):
        # By the deletion's id alone.
        for row in await connection.fetch(query, *who, work.noted_as, datetime.max.replace(tzinfo=UTC)):
            gone[row["bucket"]] += row["rows"]
    noted = await connection.fetch(NOTED, *who)
    deleted = tuple(TableCount(table=table_of(bucket), rows=rows) for bucket, rows in sorted(gone.items()))
    return deleted, tuple(TableCount(table=table_of(row["bucket"]), rows=row["rows"]) for row in noted)


async def erase_referred(work: Work, outcome: Erased | ErasedInPart) -> Erased | ErasedInPart:
    """Delete the noted objects to which no row refers any more, and tell it in *outcome*, that of the rows.

    What rows refer to that stay does so in all its versions, and is told like them; so does, for as long as a hold
    lasts that came after the rows had gone, what these referred to. Objects can't be rolled back,
    so each is asked for again in the transaction that forgets its key, right before it is deleted. A try that was cut
    off is taken up by the next one, with its counts. Raises ``RefusedError`` with what went and what is left,
    ``StoreError`` as the store has it.
    """
    store = work.objects
    if not refers(work.map) or store is None:
        return outcome
    if work.dry_run:
        return await _foretold(work, store, outcome)
    kept = KeptObjects(work, store)
    phase = _Phase(work, store, kept, await work.connection.fetchval("select clock_timestamp()"))
    try:
        return await phase.run(outcome)
    except RefusedError as refused:
        told = [*outcome.deleted, *await phase.deleted()]
        deleted = tuple(one for one in told if one.rows)
        again = type(refused)(refused.reason, refused.details, deleted, await phase.left())
        if isinstance(again, LockedError) and isinstance(refused, LockedError):
            again.until = refused.until
        raise again from refused


async def _foretold(work: Work, store: Store, outcome: Erased | ErasedInPart) -> Erased | ErasedInPart:
    async with work.transaction("repeatable_read"):
        stay: dict[bytes, Reason] = {}
        if work.holds:
            await keep(work, await references(work.connection, work.map, work.holds))
            stay = await keys_to_stay(work.connection, work.map, work.customer, work.holds, listed=True)
        found, kept = await foreseen(work.connection, work.map, work.customer, store, stay)
    counts = {table_of(bucket): one for bucket, one in found.items()}
    told = outcome.model_copy(
        update={
            "deleted": (*outcome.deleted, *(TableCount(table=name, rows=one.versions) for name, one in counts.items())),
            "shared": tuple(TableCount(table=name, rows=one.shared) for name, one in counts.items() if one.shared),
        }
    )
    return _with_kept(told, kept, work.holds)


def _with_kept(outcome: Erased | ErasedInPart, found: Mapping[Reason, int], holds: Covers) -> Erased | ErasedInPart:
    """Tell what stays; of a hold that came late it may be objects alone."""
    if not isinstance(outcome, ErasedInPart):
        if not sum(found.values()):
            return outcome
        outcome = ErasedInPart(**outcome.model_dump(exclude={"kind"}), kept=(), held=(), needed=())
    return outcome.model_copy(
        update={
            "kept": (*outcome.kept, *as_kept(found)),
            "held": (*outcome.held, *as_held(found, holding(holds))),
            "needed": (*outcome.needed, *as_needed(found)),
            "retained": (*outcome.retained, *as_retained(found)),
        }
    )


@dataclass(frozen=True, slots=True)
class _Noted:
    """An object whose key is noted."""

    bucket: str
    key: str
    digest: bytes


@dataclass(slots=True)
class _Phase:
    """The deletion of one customer's objects; *began* is the database's clock."""

    work: Work
    store: Store
    kept: KeptObjects
    began: datetime
    refused: list[tuple[str, Refused]] = field(default_factory=list)

    @property
    def _who(self) -> tuple[str, str]:
        return self.work.map.system, self.work.customer

    async def run(self, outcome: Erased | ErasedInPart) -> Erased | ErasedInPart:
        """Delete, read back, and tell it."""
        work = self.work
        await self.kept.prepare()
        await self._sort_out()
        kept = await self.kept.count()
        buckets = [row["bucket"] for row in await work.connection.fetch(BUCKETS, *self._who, self.began, work.noted_as)]
        before = {bucket: await self._others(bucket) for bucket in buckets}
        for bucket in buckets:
            await self._abort_uploads(bucket)
        after = b""
        while batch := await self._next(after):
            after = batch[-1].digest
            await self._delete(batch)
        await self._nothing_is_locked()
        left, deleted = await self.left(), await self.deleted()
        if sum(one.rows for one in left):
            raise RefusedError("failed", "objects were found again after they were deleted")
        bystanders = [await self._compare(bucket, before[bucket]) for bucket in buckets]
        if await self.kept.count() != kept:
            raise RefusedError("failed", "objects that are kept changed while others were deleted")
        told = outcome.model_copy(
            update={
                "deleted": (*outcome.deleted, *deleted),
                "remaining": (*outcome.remaining, *(TableCount(table=table_of(one), rows=0) for one in buckets)),
                "bystanders": (*outcome.bystanders, *bystanders),
                "sampled": (*outcome.sampled, *(table_of(one) for one in buckets if len(before[one]) >= COMPARED)),
                "shared": await self._counts(SHARED),
            }
        )
        return _with_kept(told, {reason: versions for reason, (versions, _) in kept.items()}, work.holds)

    async def deleted(self) -> tuple[TableCount, ...]:
        """Count the versions and uploads that went in all tries of this deletion."""
        gone = Counter[str]()
        for one in (*await self._counts(GONE), *await self._counts(ABORTED)):
            gone[one.table] += one.rows
        return tuple(TableCount(table=table, rows=rows) for table, rows in sorted(gone.items()))

    async def left(self) -> tuple[TableCount, ...]:
        """Count the objects whose keys are still noted, but for those that stay."""
        rows = await self.work.connection.fetch(LEFT, *self._who)
        return tuple(TableCount(table=table_of(row["bucket"]), rows=row["rows"]) for row in rows)

    async def _counts(self, query: str) -> tuple[TableCount, ...]:
        rows = await self.work.connection.fetch(query, *self._who, self.work.noted_as, self.began)
        return tuple(TableCount(table=table_of(row["bucket"]), rows=row["rows"]) for row in rows)

    async def _sort_out(self) -> None:
        """Let stay what somebody's rows refer to, and what a prefix says whose it is."""
        connection = self.work.connection
        async with self.work.transaction("repeatable_read"):
            await check_guard(connection, self.work.map, self.work.customer)
            await connection.execute(
                SHARE.format(all=await self._anybodys()), self.work.customer, *self._who, self.work.noted_as
            )
        after = b""
        while batch := await self._next(after):
            after = batch[-1].digest
            for one in batch:
                if not is_key(one.key) or lies(self.work.map, self.work.customer, one.bucket, one.key) != "free":
                    await connection.execute(DROP, *self._who, one.bucket, one.digest)
        async with self.work.transaction("repeatable_read"):
            await check_guard(connection, self.work.map, self.work.customer)
            await self.kept.fill()

    async def _next(self, after: bytes) -> list[_Noted]:
        rows = await self.work.connection.fetch(NEXT, *self._who, after, BATCH)
        return [_Noted(row["bucket"], decoded(row["key"]) or "", row["digest"]) for row in rows]

    async def _delete(self, batch: list[_Noted]) -> None:
        found = await self._versions(batch)
        # Before anything goes, so that a crash takes no count away.
        rows = [(*self._who, one.bucket, one.digest, len(found[one])) for one in batch]
        await self.work.connection.executemany(COUNT, rows)
        late: tuple[str, ...] = ()
        async with self.work.transaction("read_committed"):
            await check_guard(self.work.connection, self.work.map, self.work.customer)
            await check_still(self.work.right)
            shared = await self._referred(batch)
            await self._settle(sorted(shared), "shared")
            if await self.kept.among([one.digest for one in batch if one.digest not in shared]):
                # Listed next time, and nothing is gone yet of these.
                raise RefusedError("failed", "a row that is kept began to refer to an object that was to go")
            free = [one for one in batch if one.digest not in shared]
            locked = await self._take(free, found)
            gone = [one for one in free if one not in locked]
            again = await self._referred(gone) | await self.kept.among([one.digest for one in gone])
            late = tuple({one.bucket for one in gone if one.digest in again})
            await self._settle([one.digest for one in gone], "gone")
        if late:
            says = "somebody's row began to refer to an object in the moment in which it was deleted"
            raise RefusedError("failed", f"{', '.join(late)}: {says}")

    async def _take(self, some: list[_Noted], found: dict[_Noted, tuple[str, ...]]) -> set[_Noted]:
        """Delete the versions that were *found* of *some*, and read back; gives those that a lock keeps."""
        by_bucket: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for one in some:
            by_bucket[one.bucket] += [(one.key, version) for version in found[one]]
        kept: set[tuple[str, str]] = set()
        for bucket, versions in by_bucket.items():
            for refused in await self.store.delete_versions(bucket, versions):
                self.refused.append((bucket, refused))
                kept.add((bucket, refused.key))
        locked = {one for one in some if (one.bucket, one.key) in kept}
        await self._read_back([one for one in some if one not in locked])
        return locked

    async def _read_back(self, some: list[_Noted]) -> None:
        """Look by another way than the listing of versions, and by that as well."""
        seen = await at_once([self.store.exists(one.bucket, one.key) for one in some])
        again = await self._versions(some)
        left = [one.bucket for one, readable in zip(some, seen, strict=True) if readable or again[one]]
        if left:
            raise RefusedError("failed", f"{len(left)} objects of {', '.join(sorted(set(left)))} are still there")

    async def _versions(self, some: list[_Noted]) -> dict[_Noted, tuple[str, ...]]:
        found = await at_once([self.store.versions_of(one.bucket, one.key) for one in some])
        return dict(zip(some, found, strict=True))

    async def _referred(self, some: list[_Noted]) -> set[bytes]:
        digests = [one.digest for one in some]
        query = REFERRED.format(all=await self._anybodys())
        rows = await self.work.connection.fetch(query, self.work.customer, *self._who, digests)
        return {row["digest"] for row in rows}

    async def _anybodys(self) -> str:
        """Give the query for what rows refer to that aren't the customer's; it has none left, or those that stay."""
        map = self.work.map  # noqa: A001 - the domain's word
        others = await others_referring(self.work.connection, map)
        return staying_keys(map, others) if self.work.holds else all_keys(map, others)

    async def _settle(self, digests: list[bytes], state: str) -> None:
        await self.work.connection.execute(SETTLE, *self._who, digests, state, self.work.noted_as)

    async def _abort_uploads(self, bucket: str) -> None:
        async for page in pages_of(self.store.unfinished(bucket, ""), BATCH):
            mine = await self._mine(bucket, [key for key, _ in page], ABORTABLE)
            for key, upload in page:
                if key in mine:
                    await check_still(self.work.right)
                    # Before it goes, so that a crash takes no count away; also of objects that stay.
                    await self.work.connection.execute(NOTE_UPLOAD, *self._who, bucket, upload, self.work.noted_as)
                    await self.store.abort(bucket, key, upload)

    async def _mine(self, bucket: str, keys: list[str], query: str = MINE) -> frozenset[str]:
        """Give those of *keys* that are noted still."""
        digests = {noted_objects.digest_of(bucket, key): key for key in keys}
        rows = await self.work.connection.fetch(query, *self._who, bucket, list(digests))
        return frozenset(digests[row["digest"]] for row in rows)

    async def _others(self, bucket: str) -> frozenset[int]:
        found: set[int] = set()
        async for page in pages_of(self.store.versions(bucket, ""), BATCH):
            mine = await self._mine(bucket, [key for key, _ in page])
            found |= marks(one for one in page if one[0] not in mine)
            if len(found) >= COMPARED:
                break
        return frozenset(found)

    async def _compare(self, bucket: str, before: frozenset[int]) -> TableFingerprint:
        after = await still_there(self.store.versions(bucket, ""), before)
        if after != before:
            raise RefusedError(
                "failed", f"{len(before - after)} objects of {bucket} that are not the customer's are gone"
            )
        return compared(table_of(bucket), before, after)

    async def _nothing_is_locked(self) -> None:
        if not self.refused:
            return
        locks = [await self.store.lock_of(bucket, one.key, one.version) for bucket, one in self.refused]
        held, ends = any(lock and lock.hold for lock in locks), [lock.until for lock in locks if lock and lock.until]
        error = LockedError("held" if held else "failed", f"the store keeps {len(self.refused)} versions of objects")
        # A moment only if every lock has one: before it nothing more can go.
        error.until = max(ends) if ends and len(ends) == len(locks) and not held else None
        raise error


BUCKETS = """
    select distinct bucket from offramp.objects
     where system = $1 and customer = $2 and (state = 'noted' or settled_at >= $3 or deletion_id = $4) order by bucket
"""

SHARE = """
    -- share: in the snapshot in which the right was looked at; the hash join reads everybody's rows once
    update offramp.objects as o
       set state = 'shared', key = null, settled_at = now(), deletion_id = $4
      from (select distinct bucket, key from ({all}) as a) as r
     where o.system = $2 and o.customer = $3 and o.state = 'noted' and o.bucket = r.bucket and o.key = r.key
       and $1::text is not null
"""

REFERRED = """
    select distinct o.digest
      from offramp.objects as o
      join ({all}) as a on a.bucket = o.bucket and a.key = o.key
     where o.system = $2 and o.customer = $3 and o.digest = any($4::bytea[]) and $1::text is not null
"""

# By digest alone, so that a batch ends anywhere.
NEXT = """
    select bucket, key, digest from offramp.objects
     where system = $1 and customer = $2 and state = 'noted' and digest > $3
       and digest not in (select digest from pg_temp.offramp_kept_objects)
     order by digest limit $4
"""

DROP = "delete from offramp.objects where system = $1 and customer = $2 and bucket = $3 and digest = $4"

COUNT = """
    update offramp.objects set versions = greatest(versions, $5)
     where system = $1 and customer = $2 and bucket = $3 and digest = $4
"""

NOTE_UPLOAD = """
    insert into offramp.aborted_uploads (system, customer, bucket, upload, deletion_id) values ($1, $2, $3, $4, $5)
    on conflict (system, customer, bucket, upload) do update set deletion_id = excluded.deletion_id, noted_at = now()
"""

SETTLE = """
    update offramp.objects set state = $4, key = null, settled_at = now(), deletion_id = $5
     where system = $1 and customer = $2 and digest = any($3::bytea[]) and state = 'noted'
"""

# What rows name that a law keeps is their versions; what a hold may mean stays as it is.
ABORTABLE = f"""
    {MINE} and digest not in (select digest from pg_temp.offramp_kept_objects where uploads)
"""

NOTED = """
    select bucket, count(*) as rows from offramp.objects
     where system = $1 and customer = $2 and state = 'noted'
     group by bucket order by bucket
"""

LEFT = """
    select bucket, count(*) as rows from offramp.objects
     where system = $1 and customer = $2 and state = 'noted'
       and digest not in (select digest from pg_temp.offramp_kept_objects)
     group by bucket order by bucket
"""

GONE = """
    select bucket, sum(versions + uploads)::bigint as rows from offramp.objects
     where system = $1 and customer = $2 and state = 'gone'
       and (deletion_id = $3 or settled_at >= $4)
     group by bucket order by bucket
"""

ABORTED = """
    select bucket, count(*) as rows from offramp.aborted_uploads
     where system = $1 and customer = $2 and (deletion_id = $3 or noted_at >= $4)
     group by bucket order by bucket
"""

SHARED = """
    select bucket, count(*) as rows from offramp.objects
     where system = $1 and customer = $2 and state = 'shared' and (deletion_id = $3 or settled_at >= $4)
     group by bucket order by bucket
"""
