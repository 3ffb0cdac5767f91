"""What the customer's rows refer to, read in the snapshot and kept on disk until the objects are fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile

import msgspec

from shared.datamap.model import DataMap
from shared.datamap.names import literal, quoted
from shared.datamap.object_places import decoded, fault_of, is_key, lies
from shared.datamap.referring import Referring, referring

from .faults import MediaMissingError
from .snapshot import Shown, Snapshot
from .spooled import SPOOLED

_AT_ONCE = 2_000
# So many different sizes or digests of one object are remembered; two are a contradiction already.
_EXPECTATIONS = 100


class Named(msgspec.Struct, frozen=True, array_like=True):
    """One row's value that names an object: *number* counts the columns that do.

    *row* is the row's primary key as JSON. *key* is None where the value names none of the bucket; *lost* is what
    becomes of an object that may not be looked for. The rest is as the row has it, None where it has nothing or the map
    leaves it out.
    """

    number: int
    row: str
    value: str | None
    bucket: str
    key: str | None
    lost: str | None
    name: str | None
    media_type: str | None
    size: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """An object, and all rows that refer to it: those from *start* to *end* of the list."""

    first: Named
    numbers: frozenset[int]
    expected: frozenset[tuple[int, str | None, str | None]]
    start: int
    end: int


class References:
    """The list of what *shown* tables refer to, in the order of buckets and keys; it waits on disk if it is long."""

    def __init__(self, map: DataMap, customer: str) -> None:  # noqa: A002 - the domain's word
        self.map = map
        self.places = referring(map)
        self._customer = customer
        self._lines = SpooledTemporaryFile(max_size=SPOOLED)  # noqa: SIM115 - closed by close()

    async def read(self, rows: Snapshot) -> None:
        """Read all of them; raises MediaMissingError where a value names what can't be the customer's."""
        shown = {one.table.name: one for one in rows.shown}
        queries = [_query(number, one, shown[one.table], rows) for number, one in enumerate(self.places)]
        if not queries:
            return
        encoder = msgspec.json.Encoder()
        async for row in rows.listed(ORDERED.format(" union all ".join(queries)), _AT_ONCE):
            self._lines.write(encoder.encode(self._named(*row)) + b"\n")

    def _named(
        self, number: int, row: str, value: str | None, bucket: str, key: bytes | None, *rest: str | None
    ) -> Named:
        place = self.places[number]
        fault = fault_of(self.map, self._customer, place, bucket, key)
        if fault is not None:
            raise MediaMissingError(f"{place.place} of the row {row}", fault, _SAY)
        text = None if key is None else decoded(key) or key.hex()
        return Named(number, row, value, bucket, text, self._lost(bucket, key), *rest)

    def _lost(self, bucket: str, key: bytes | None) -> str | None:
        text = None if key is None else decoded(key)
        if key is None:
            return "elsewhere"
        if text is None or not is_key(text):
            return "missing"
        return "elsewhere" if lies(self.map, self._customer, bucket, text) == "foreign prefix" else None

    def under_own_prefix(self, bucket: str, key: str) -> bool:
        """Tell whether the object is listed under the customer's prefix too."""
        return lies(self.map, self._customer, bucket, key) == "own prefix"

    def groups(self) -> Iterator[Group]:
        """Give the rows of one object after the other; between two of them the list may be read elsewhere."""
        at, group = 0, None
        while line := self._line(at):
            one, start, at = _decode(line), at, at + len(line)
            if group is None or one.key is None or (one.bucket, one.key) != (group.first.bucket, group.first.key):
                if group is not None:
                    yield group
                group = Group(one, frozenset(), frozenset(), start, start)
            group = _grown(group, one, at)
        if group is not None:
            yield group

    def of(self, group: Group) -> Iterator[Named]:
        """Give the rows of *group* again."""
        at = group.start
        while at < group.end:
            line = self._line(at)
            at += len(line)
            yield _decode(line)

    def _line(self, at: int) -> bytes:
        if self._lines.tell() != at:
            self._lines.seek(at)
        return self._lines.readline()

    def close(self) -> None:
        """Forget the list."""
        self._lines.close()


def _grown(group: Group, one: Named, end: int) -> Group:
    expected = (one.number, one.size, one.digest)
    if one.number in group.numbers and (expected in group.expected or len(group.expected) >= _EXPECTATIONS):
        return Group(group.first, group.numbers, group.expected, group.start, end)
    return Group(group.first, group.numbers | {one.number}, group.expected | {expected}, group.start, end)


def _query(number: int, one: Referring, shown: Shown, rows: Snapshot) -> str:
    columns = {column.name for column in shown.columns}
    pairs = [f"{literal(name)}, t.{quoted(name)}" for name in shown.key if name in columns]
    digest = one.reference.digest

    def text(column: str | None) -> str:
        return f"t.{quoted(column)}::text" if column and column not in shown.table.left_out else "null::text"

    return NAMED.format(
        number=number,
        row=f"jsonb_build_object({', '.join(pairs)})::text",
        value=text(one.column),
        bucket=one.bucket(rows.customer),
        key=one.key("t", rows.customer),
        name=text(one.reference.name),
        media_type=text(one.reference.media_type),
        # Compared, not shown.
        size=f"t.{quoted(one.reference.size)}::text" if one.reference.size else "null::text",
        digest=f"t.{quoted(digest.column)}::text" if digest else "null::text",
        rows=rows.rows(shown.table),
        named=one.named("t"),
    )


_decode = msgspec.json.Decoder(Named).decode
_SAY = "Correct the row, or say in the map (missing, elsewhere) why there are such values"

NAMED = """
    select {number} as number, {row} as row, {value} as value, ({bucket})::text as bucket, {key} as key,
           {name} as name, {media_type} as media_type, {size} as size, {digest} as digest
    {rows} and {named}
"""

# By bytes, so that the order is the same in any database.
ORDERED = """
    select * from ({}) as named
     order by bucket collate "C", key nulls last, name collate "C" nulls last, number, row collate "C",
           value collate "C", media_type collate "C"
"""
