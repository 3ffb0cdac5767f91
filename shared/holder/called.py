"""By what else a customer goes, as its rows say: read before they go, to be looked for when nothing tells any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..datamap.ownership import owned_by, owned_by_another, quoted, relation
from .residue import searchable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..datamap.live import Connection
    from ..datamap.model import DataMap

# More words than these make a search slow for everybody.
MOST = 200


@dataclass(frozen=True, slots=True)
class Called:
    """The other *ids* of a customer, by the map of *map_sha256*; that is None where they weren't read in time."""

    ids: tuple[str, ...]
    map_sha256: str | None


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for: of the ids by which the customer goes, those that are its alone and long enough.

    *left_out* are how many others are known; *others_unknown* tells that there may be more, which weren't read in time.
    """

    identifiers: tuple[str, ...]
    left_out: int = 0
    others_unknown: bool = False


async def called(connection: Connection, map: DataMap, customer: str) -> tuple[str, ...]:  # noqa: A002
    """Give the values of the map's ``ids`` in *customer*'s rows, each once; reads only."""
    found: set[str] = set()
    for one in map.ids.values():
        which = owned_by(map, map.table(one.table))
        query = CALLED.format(column=quoted(one.column), relation=relation(one.table), which=which)
        found |= {row["called"] for row in await connection.fetch(query, customer)}
    return tuple(sorted(found - {customer}))


async def sought(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    known: Called | None,
) -> Sought:
    """Choose from *known* what to look for, besides the id itself; what somebody else goes by as well is left out."""
    others = known.ids if known else ()
    theirs = await _of_another(connection, map, customer, others)
    names = list({one.casefold(): one for one in (*others, customer)}.values())
    # The id first; then the others, the same ones each time.
    names.sort(key=lambda one: (one != customer, one))
    fit = [one for one in names if searchable(one) and (one == customer or one not in theirs)][:MOST]
    unknown = bool(map.ids) and (known is None or known.map_sha256 != map.sha256)
    return Sought(tuple(fit), len(names) - len(fit), unknown)


async def _of_another(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    names: Sequence[str],
) -> set[str]:
    if not names or map.registry is None:
        return set()
    query = SHARED.format(" or ".join(_somebodys(map)))
    return {row["called"] for row in await connection.fetch(query, customer, list(names))}


def _somebodys(map: DataMap) -> Iterable[str]:  # noqa: A002
    registry = map.registry
    if registry is not None:
        column = f"t.{quoted(registry.column)}::text"
        yield IS_THERE.format(relation=relation(registry.table), column=column, which=f"{column} <> $1")
    for one in map.ids.values():
        which = owned_by_another(map, map.table(one.table))
        column = f"t.{quoted(one.column)}::text"
        yield IS_THERE.format(relation=relation(one.table), column=column, which=which)


CALLED = """
    -- called: by what its rows say that the customer goes
    select distinct t.{column}::text as called from {relation} as t
     where ({which}) and t.{column}::text <> ''
"""

SHARED = """
    -- shared: what another customer goes by, too, tells nothing of this one
    select n.called from unnest($2::text[]) as n (called) where {}
"""

IS_THERE = "exists (select from {relation} as t where lower({column}) = lower(n.called) and ({which}) and $1 <> '')"
