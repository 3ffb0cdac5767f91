"""The account of what a customer has at one moment: a sum over the rows of each table, and one over its objects.

Two accounts are equal if nothing changed between them, in whatever order rows and objects are read. It is taken while
the archive is built, in the same snapshot, and again when the customer confirms the archive (P10).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import TypeAlias

from shared.datamap.model import DataMap
from shared.datamap.names import reported
from shared.objects import Listed, ObjectStore
from shared.store_faults import ObjectMissingError

from .faults import NothingLeftError
from .references import References
from .snapshot import snapshot
from .witness import Connect

OBJECTS = "media"
# Sums are kept in so many bits: the hash of an object has as many, those of rows have 64.
_BITS = 128
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Sum:
    """How many *rows* a table has, or how many objects there are, and their order-independent *fingerprint* (hex)."""

    place: str
    rows: int
    fingerprint: str


Account: TypeAlias = tuple[Sum, ...]


class ObjectsSum:
    """The sum over objects: of each its bucket, key, size and ETag, which the store changes with the content."""

    def __init__(self) -> None:
        self._objects = 0
        self._sum = 0

    def add(self, bucket: str, found: Listed) -> None:
        """Take in one object."""
        self._objects += 1
        self._sum += int.from_bytes(_hashed(bucket, found.key, str(found.size), found.etag), "big")

    @property
    def sum(self) -> Sum:
        """Tell what it comes to."""
        return Sum(OBJECTS, self._objects, _hexadecimal(self._sum))


def account(counts: Mapping[str, int], fingerprints: Mapping[str, str], objects: ObjectsSum) -> Account:
    """Sum up the tables in *counts*, whose *fingerprints* are a sum in decimal each, and the *objects*."""
    tables = (Sum(reported(name), rows, _hexadecimal(int(fingerprints[name]))) for name, rows in counts.items())
    return *tables, objects.sum


async def account_now(
    connect: Connect,
    store: ObjectStore | None,
    map: DataMap,  # noqa: A002 - the domain's word
    asked: DataMap,
    customer: str,
) -> Account:
    """Take the account of what *customer* has now by *map*, of the part that was *asked* for.

    It is read in one snapshot; objects are looked at after it, not read. Raises ArchiveError, StoreError, or asyncpg's
    errors.
    """
    with closing(References(asked, customer)) as references:
        async with snapshot(connect, map, customer, accounted=True) as rows:
            await references.read(rows)
            counted = await rows.witness.counts()
        objects = await _objects(store, references, asked, customer)
    counts = {table.name: counted[table.name] for table in asked.tables}
    return account(counts, rows.witness.sums, objects)


async def _objects(store: ObjectStore | None, references: References, asked: DataMap, customer: str) -> ObjectsSum:
    objects, there = ObjectsSum(), set[bytes]()
    if store is None:
        if asked.buckets or references.places:
            raise NothingLeftError(OBJECTS, "the map names objects, no object store is given", "Give one")
        return objects
    named = ((group.first.bucket, group.first.key) for group in references.groups() if group.first.lost is None)
    looked_at = ((bucket, key) for bucket, key in named if key is not None)
    while some := list(islice(looked_at, _AT_ONCE)):
        for bucket, found in await asyncio.gather(*(_looked(store, *one) for one in some)):
            if found is not None:
                objects.add(bucket, found)
                if references.under_own_prefix(bucket, found.key):
                    there.add(_hashed(bucket, found.key))
    for one in asked.buckets:
        async for found in store.list(one.bucket, one.prefix_of(customer)):
            if _hashed(one.bucket, found.key) not in there:
                objects.add(one.bucket, found)
    return objects


async def _looked(store: ObjectStore, bucket: str, key: str) -> tuple[str, Listed | None]:
    try:
        return bucket, await store.head(bucket, key)
    except ObjectMissingError:
        # The map says that it may be so, or no archive had been made.
        return bucket, None


def _hashed(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode(), digest_size=_BITS // 8).digest()


def _hexadecimal(sum: int) -> str:  # noqa: A002 - the domain's word
    return f"{sum % (1 << _BITS):x}"
