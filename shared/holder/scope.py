"""What of a system legal holds cover (P8), told by its data map; what a map can't tell stops the whole deletion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..datamap.declared import BySchema
from ..datamap.names import PUBLIC, literal, named, parts, reported
from ..datamap.ownership import about
from ..datamap.referring import referring
from ..events.platform import OfCategories, OfPersons, OfTables
from .right import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..datamap.model import DataMap, Table
    from ..events.retention import Keep

# What a map may count its tables among; a word that is none of these is a mistake.
CATEGORIES = frozenset({"user", "course", "report"})


@dataclass(frozen=True, slots=True)
class Cover:
    """What *hold_id* covers of one table: the rows about *person*, or, without one, all of the customer's.

    Of a hold of a *bucket* it is those that name an object there.
    """

    hold_id: str
    basis: str | None = None
    person: str | None = None
    bucket: str | None = None

    def of(self, map: DataMap, table: Table, alias: str) -> str:  # noqa: A002
        """Give the condition for the covered rows among the customer's own, called *alias*; it may be null."""
        if self.bucket is not None:
            naming = [
                one.named(alias) for one in referring(map) if one.table == table.name and one.lies_in(self.bucket)
            ]
            return " or ".join(naming) or "false"
        return "true" if self.person is None else about(map, table, alias, literal(self.person))


class Covering(Protocol):
    """What keeps some of one table's rows: a hold, or a law."""

    def of(self, map: DataMap, table: Table, alias: str) -> str:  # noqa: A002
        """Give the condition for the covered rows among the customer's own, called *alias*; it may be null."""


Covers = dict[str, tuple[Covering, ...]]


def covers(map: DataMap, keep: tuple[Keep, ...], elsewhere: tuple[Keep, ...] = ()) -> Covers:  # noqa: A002
    """Tell what holds cover, by table; nothing is covered of a table that isn't named in the answer.

    Raises ``RefusedError`` ("held") where *map* can't tell: a table, a category or a person that it doesn't know.
    Only the tables that a hold *elsewhere* names may be another system's.
    """
    found: dict[str, list[Cover]] = {}
    for one in (*keep, *elsewhere):
        for table, cover in _covered(map, one, may_be_elsewhere=one not in keep):
            found.setdefault(table, []).append(cover)
    return {table: tuple(dict.fromkeys(some)) for table, some in found.items()}


def bucket_covers(
    bucket: str, category: str | None, keep: tuple[Keep, ...], elsewhere: tuple[Keep, ...] = ()
) -> tuple[Cover, ...]:
    """Tell which holds cover a customer's objects in *bucket*, all of them or none.

    Raises ``RefusedError`` ("held") where that can't be told: objects are not known by person, nor by a category
    where none is declared.
    """
    found = [one for one in keep if _covers_bucket(bucket, category, one, may_be_elsewhere=False)]
    found += [one for one in elsewhere if _covers_bucket(bucket, category, one, may_be_elsewhere=True)]
    return tuple(dict.fromkeys(Cover(one.hold_id, one.basis) for one in found))


def _covers_bucket(bucket: str, category: str | None, keep: Keep, *, may_be_elsewhere: bool) -> bool:
    match keep.scope:
        case OfTables(tables=names) if names:
            strange = [name for name in names if name != bucket]
            if strange and not may_be_elsewhere:
                raise _unresolved(keep, f"it names {', '.join(strange)}, and this is the bucket {bucket}")
            return bucket in names
        case OfCategories(categories=names) if names:
            if category is None or not CATEGORIES.issuperset(names):
                raise _unresolved(keep, f"it names categories, and the bucket {bucket} is declared with none of them")
            return category in names
        case OfPersons(refs=refs) if refs:
            raise _unresolved(keep, f"it names persons, and the objects in {bucket} aren't known by person")
    raise RefusedError("held", f"the hold {keep.hold_id} keeps everything")


def holding(holds: Covers) -> Mapping[str, str | None]:
    """Give the legal holds that cover anything, in the order of their ids, each with its basis."""
    some = {one for of_table in holds.values() for one in of_table if isinstance(one, Cover)}
    return {one.hold_id: one.basis for one in sorted(some, key=lambda one: (one.hold_id, one.basis or ""))}


def of_hold(holds: Covers, hold_id: str) -> Covers:
    """Give what the one hold covers."""
    found: Covers = {}
    for table, some in holds.items():
        if mine := tuple(one for one in some if isinstance(one, Cover) and one.hold_id == hold_id):
            found[table] = mine
    return found


def covered(map: DataMap, table: Table, holds: Covers, alias: str) -> str:  # noqa: A002
    """Give the condition for the rows of *table*, called *alias*, that one of *holds* covers; it may be null."""
    return " or ".join(f"({one.of(map, table, alias)})" for one in holds.get(table.name, ())) or "false"


def persons(holds: Covers) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Give the persons whom holds name, each with its hold, and the tables in which there may be rows about them."""
    found: dict[tuple[str, str], list[str]] = {}
    for table, some in holds.items():
        for cover in some:
            if isinstance(cover, Cover) and cover.person is not None:
                found.setdefault((cover.hold_id, cover.person), []).append(table)
    return {who: tuple(tables) for who, tables in found.items()}


def _covered(map: DataMap, keep: Keep, *, may_be_elsewhere: bool) -> Iterator[tuple[str, Cover]]:  # noqa: A002
    match keep.scope:
        case OfTables(tables=names) if names:
            for name in names:
                yield from _of_table(map, keep, name, may_be_elsewhere=may_be_elsewhere)
        case OfCategories(categories=names) if names:
            for name in names:
                yield from _of_category(map, keep, name)
        case OfPersons(refs=refs) if refs:
            yield from _of_persons(map, keep, refs)
        case _:
            raise RefusedError("held", f"the hold {keep.hold_id} keeps everything")


def _of_table(
    map: DataMap,  # noqa: A002
    keep: Keep,
    name: str,
    *,
    may_be_elsewhere: bool,
) -> Iterator[tuple[str, Cover]]:
    found = [table for table in map.tables if name in _names(map, table.name)]
    naming = dict.fromkeys(one.table for one in referring(map) if one.lies_in(name))
    # The map's buckets, and the tables in which no rows are a customer's, aren't deleted from here.
    other = {*map.without_owner, *(bucket.bucket for bucket in map.buckets)}
    if not found and not naming and not may_be_elsewhere and not any(name in _names(map, one) for one in other):
        raise _unresolved(keep, f"it names the table {name}, which the data map of {map.system} doesn't know")
    for table in found:
        yield table.name, Cover(keep.hold_id, keep.basis)
    for table_name in naming:
        yield table_name, Cover(keep.hold_id, keep.basis, bucket=name)


def _of_category(map: DataMap, keep: Keep, name: str) -> Iterator[tuple[str, Cover]]:  # noqa: A002
    if name not in CATEGORIES:
        raise _unresolved(keep, f"it names the category {name}, which no data map knows")
    for table in map.tables:
        if table.category == name:
            yield table.name, Cover(keep.hold_id, keep.basis)


def _of_persons(map: DataMap, keep: Keep, refs: tuple[str, ...]) -> Iterator[tuple[str, Cover]]:  # noqa: A002
    silent = [table.name for table in map.tables if table.person is None and table.impersonal is None]
    if silent:
        why = f"it names persons, and the data map of {map.system} doesn't say whom the rows of {', '.join(silent)} are"
        raise _unresolved(keep, f"{why} about (person, or impersonal with a reason)")
    if not any(table.person for table in map.tables):
        raise _unresolved(keep, f"it names persons, and no table of {map.system} is about persons")
    for table in map.tables:
        if table.person is not None:
            for ref in refs:
                yield table.name, Cover(keep.hold_id, keep.basis, ref)


def _unresolved(keep: Keep, why: str) -> RefusedError:
    return RefusedError("held", f"what the hold {keep.hold_id} covers can't be told, so nothing goes: {why}")


def _names(map: DataMap, name: str) -> frozenset[str]:  # noqa: A002
    """Give the ways in which a hold may write the table *name*: as the map's file does, and as events have to."""
    schema, table = parts(name)
    tenancy = map.tenancy
    own = isinstance(tenancy, BySchema) and tenancy.bound_to and tenancy.schema_of(tenancy.bound_to) == schema
    written = {name, named(PUBLIC, table)} if own else {name}
    return frozenset(written | {reported(one) for one in written})
