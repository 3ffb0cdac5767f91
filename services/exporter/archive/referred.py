"""The objects that rows refer to, each read once, compared with what its rows recorded, and linked to them."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import TypeAlias

from shared.datamap.referring import Referring
from shared.objects import Listed
from shared.store_faults import ObjectMissingError

from .archive import Archive, Written
from .faults import MediaDiffersError, MediaMissingError
from .links import Links, Outcome
from .lost import Loss, Lost
from .media import AHEAD, SMALL, Media, MediaIndex, Tally, add_one, fetched, whole
from .references import Group, References

# So many of what is missing or differs are named in the report; all of them in the list of links.
NAMED_AT_MOST = 1_000
_Found: TypeAlias = "tuple[Listed, bytes | None] | None"


@dataclass(slots=True)
class Found:
    """What became of what one column refers to.

    *rows* have a value, which name so many *objects*. *files* of *size* bytes were written for it: an object to which
    two columns refer is one file of the first of them. *counts* are of those objects of which something else became,
    *named* are some of them.
    """

    place: Referring
    rows: int = 0
    objects: int = 0
    files: int = 0
    size: int = 0
    counts: dict[Loss, int] = field(default_factory=dict)
    named: list[tuple[Loss, str]] = field(default_factory=list)

    def lose(self, outcome: Loss, what: str) -> None:
        """Count one object that is not in the archive as its row says."""
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        if len(self.named) < NAMED_AT_MOST:
            self.named.append((outcome, what))

    @property
    def lost(self) -> tuple[Lost, ...]:
        """Tell what is not in the archive as the rows say."""
        to = self.place.reference
        why = {"missing": to.missing, "differing": to.differing, "elsewhere": to.elsewhere}
        counts = sorted(self.counts.items())
        return tuple(Lost(self.place.place, what, count, why[what] or "no reason given") for what, count in counts)


class Referred:
    """Writes the objects of *references* into *archive*; *found* tells what became of them, column by column."""

    def __init__(
        self, archive: Archive, store: Media | None, references: References, index: MediaIndex, links: Links
    ) -> None:
        self._archive = archive
        self._store = store
        self._references = references
        self._index = index
        self._under_prefix: set[int] = set()
        self._buckets: set[str] = set()
        self._links = links
        self.found = [Found(place) for place in references.places]

    def has(self, bucket: str, key: str) -> bool:
        """Tell whether an object under one of the customer's prefixes was written already."""
        return _mark(bucket, key) in self._under_prefix

    async def write(self) -> AsyncGenerator[Tally]:
        """Write all of them, and give the tally after each.

        Raises MediaMissingError and MediaDiffersError where the map doesn't say that this may be so.
        """
        tally = Tally()
        async with aclosing(self._fetched()) as groups:
            async for group, found in groups:
                written = await self._one(group, found)
                if written is not None:
                    tally = tally.and_one(written.size)
                    yield tally

    async def _fetched(self) -> AsyncGenerator[tuple[Group, _Found]]:
        """Give each object with what the store has; some are fetched while those before are written."""
        waiting: deque[tuple[Group, asyncio.Task[_Found]]] = deque()
        try:
            for group in self._references.groups():
                waiting.append((group, asyncio.create_task(self._look(group))))
                if len(waiting) > AHEAD:
                    first, looking = waiting[0]
                    yield first, await looking
                    waiting.popleft()
            while waiting:
                first, looking = waiting[0]
                yield first, await looking
                waiting.popleft()
        finally:
            for _, looking in waiting:
                looking.cancel()
            await asyncio.gather(*(looking for _, looking in waiting), return_exceptions=True)

    async def _look(self, group: Group) -> _Found:
        store, bucket, key = self._store, group.first.bucket, group.first.key
        if store is None or key is None or group.first.lost is not None:
            return None
        if bucket not in self._buckets:
            # A bucket that is not there is no bucket in which all is missing.
            await store.check_bucket(bucket)
            self._buckets.add(bucket)
        try:
            found = await store.head(bucket, key)
        except ObjectMissingError:
            return None
        return found, await whole(store, bucket, found) if found.size <= SMALL else None

    async def _one(self, group: Group, found: _Found) -> Written | None:
        first, key = group.first, group.first.key
        if self._store is None or key is None or found is None:
            self._missing(group)
            return None
        listed, body = found
        again = partial(self._store.stream, first.bucket, key, etag=listed.etag)
        pieces = again() if body is None else fetched(body)
        digests = {name: hashlib.new(name) for name in self._algorithms(group)}
        path = f"data/media/{self._name(group, key)}"
        written = await add_one(self._archive, first.bucket, listed, pieces, path, again, digests.values())
        self._index.add(first.bucket, listed, written)
        if self._references.under_own_prefix(first.bucket, key):
            self._under_prefix.add(_mark(first.bucket, key))
        read = {name: digest.hexdigest() for name, digest in digests.items()}
        self._settle(group, written, read)
        return written

    def _name(self, group: Group, key: str) -> str:
        first, names = group.first, self._index.names
        return names.path(first.bucket, key) if not first.name else names.named(first.bucket, first.name, key)

    def _algorithms(self, group: Group) -> Iterator[str]:
        for number in group.numbers:
            digest = self.found[number].place.reference.digest
            if digest is not None:
                yield digest.algorithm

    def _missing(self, group: Group) -> None:
        first = group.first
        outcome: Loss = "elsewhere" if first.lost == "elsewhere" else "missing"
        what = f"s3://{first.bucket}/{first.key}" if first.key is not None else f"the value of the row {first.row}"
        for number in sorted(group.numbers):
            found = self.found[number]
            if first.lost is None and found.place.reference.missing is None:
                where = f"{found.place.place} of the row {first.row}"
                raise MediaMissingError(where, f"it refers to {what}, which is not there", _SAY_MISSING)
            found.lose(outcome, what)
        self._link(group, outcome, None)

    def _settle(self, group: Group, written: Written, read: Mapping[str, str]) -> None:
        differing: dict[int, str] = {}
        for number, says in self._differences(group, written, read):
            differing.setdefault(number, says)
        for number in sorted(group.numbers):
            found = self.found[number]
            if number in differing:
                if found.place.reference.differing is None:
                    where = f"{found.place.place} of the row {group.first.row}"
                    raise MediaDiffersError(where, differing[number], _SAY_DIFFERING)
                found.lose("differing", differing[number])
        owner = self.found[min(group.numbers)]
        owner.files += 1
        owner.size += written.size
        self._link(group, "differing" if differing else "exported", written.path.removeprefix("data/"))

    def _differences(self, group: Group, written: Written, read: Mapping[str, str]) -> Iterator[tuple[int, str]]:
        what = f"s3://{group.first.bucket}/{group.first.key}"
        for number, size, digest in sorted(group.expected, key=str):
            recorded = self.found[number].place.reference.digest
            if size is not None and size != str(written.size):
                yield number, f"{what} has {written.size} bytes, recorded are {size}"
            if recorded and digest is not None and digest.lower() != read[recorded.algorithm]:
                yield number, f"the {recorded.algorithm} of {what} is {read[recorded.algorithm]}, recorded is {digest}"

    def _link(self, group: Group, outcome: Outcome, path: str | None) -> None:
        for number in group.numbers:
            self.found[number].objects += group.first.key is not None
        for named in self._references.of(group):
            found = self.found[named.number]
            found.rows += 1
            self._links.add(found.place, named, outcome, path)


def _mark(bucket: str, key: str) -> int:
    return int.from_bytes(blake2b(f"{bucket}\0{key}".encode(), digest_size=16).digest(), "big")


_SAY_MISSING = "Put the object back, or say in the map, under missing, why it may be so"
_SAY_DIFFERING = "Look which of the two is right, or say in the map, under differing, why it may be so"
