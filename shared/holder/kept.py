"""The rows of a customer that have to stay: those that holds cover, and those that these need."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg

from ..datamap.names import literal, reported
from ..datamap.ownership import about, relation
from ..events.platform import HeldRows, RetainedRows
from ..events.vocabulary import TableCount
from .going import free
from .right import RefusedError
from .scope import Cover, covered, persons
from .statutory import ByLaw, retained_rows
from .whose import goes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..datamap.model import DataMap, Table
    from .references import Reference
    from .scope import Covering, Covers
    from .work import Work


@dataclass(frozen=True, slots=True)
class Kept:
    """How many rows stay, per table: *rows* in all; *held* by each hold; *retained* by laws; *needed* by those only."""

    rows: Counter[str] = field(default_factory=Counter)
    held: tuple[HeldRows, ...] = ()
    retained: tuple[RetainedRows, ...] = ()
    needed: Counter[str] = field(default_factory=Counter)


async def keep(work: Work, known: tuple[Reference, ...]) -> Kept:
    """Find what has to stay, and list it until the end of the transaction, whose snapshot must be one for all of it.

    What a kept row refers to, by *known* references, can't go: not by its foreign keys, and not by the way on which
    the row is found again as the customer's, or as a person's, when the hold is over. Raises ``RefusedError`` ("held")
    where a person whom a hold names can't be found.
    """
    if not work.holds:
        return Kept()
    try:
        await work.connection.execute(LIST)
    except asyncpg.InsufficientPrivilegeError as error:
        raise RefusedError("failed", f"a list of what holds keep can't be made: {error}") from error
    await _check_persons(work)
    places = {table.name: place for place, table in enumerate(work.map.tables)}
    for table in work.map.tables:
        for by_law in (False, True):
            if some := _of_kind(work.holds.get(table.name, ()), by_law=by_law):
                await work.connection.execute(_held(work, table, places[table.name], some, by_law), work.customer)
    seeds = await _counts(work)
    # First what holds need: that has to stay as it is, even where a law has listed it already.
    turn = await _spread(work, known, places, 0, by_law=False)
    await _spread(work, known, places, turn, by_law=True)
    # Of a temporary table nobody else gathers what the planner has to know.
    await work.connection.execute("analyze pg_temp.offramp_kept")
    rows = await _counts(work)
    return Kept(rows, await _by_hold(work), await retained_rows(work), rows - seeds)


def loose(map: DataMap, table: Table, holds: Covers, known: tuple[Reference, ...]) -> str:  # noqa: A002
    """Give the condition for rows ``t`` of the customer ``$1`` that no hold covers and none of its other rows needs.

    It needs no list, and finds all that goes if the tables are emptied children first; of a ring it finds some.
    """
    clauses = [f"({goes(map, table)})", free(map, table, holds, "t")]
    for one in known:
        if one.to == table.name:
            itself = " and (r.tableoid, r.ctid) <> (t.tableoid, t.ctid)" if one.table == one.to else ""
            child = goes(map, map.table(one.table), "r")
            needs = f"{one.holds('r', 't')}{itself}" if one.columns else "true"
            clauses.append(f"not exists (select from {relation(one.table)} as r where ({child}) and {needs})")
    return " and ".join(clauses)


def _of_kind(some: Iterable[Covering], *, by_law: bool) -> tuple[Covering, ...]:
    return tuple(one for one in some if isinstance(one, ByLaw) is by_law)


def _held(work: Work, table: Table, place: int, some: tuple[Covering, ...], by_law: bool) -> str:  # noqa: FBT001
    which = f"({goes(work.map, table)}) and ({covered(work.map, table, {table.name: some}, 't')})"
    return HELD.format(place=place, relation=relation(table.name), which=which, by_law=by_law)


async def _spread(work: Work, known: tuple[Reference, ...], places: dict[str, int], turn: int, *, by_law: bool) -> int:
    """Follow the references of what was listed last, until that adds nothing; give the next turn.

    For a law it begins with all that a law has listed in the first turn, whatever *turn* is.
    """
    added, first = 1, 0
    while added:
        added = 0
        for one in known:
            query = NEEDED if one.columns else ALL_NEEDED
            listed = query.format(
                place=places[one.to],
                turn=turn,
                last=first,
                by_law=by_law,
                onto=NOTHING if by_law else HELD_AFTER_ALL.format(turn=turn),
                child_place=places[one.table],
                child=relation(one.table),
                parent=relation(one.to),
                holds=one.holds("c", "p"),
                which=goes(work.map, work.map.table(one.to), "p"),
            )
            status = await work.connection.execute(listed, work.customer)
            added += int(status.rpartition(" ")[2])
        first = turn + 1
        turn += 1
    return turn


async def _check_persons(work: Work) -> None:
    """Refuse where nothing of the customer's is about somebody whom a hold names: a mistake looks the same."""
    for (hold_id, person), tables in persons(work.holds).items():
        if not any([await _is_there(work, work.map.table(name), person, hold_id) for name in tables]):
            raise RefusedError("held", f"what the hold {hold_id} covers can't be told, so nothing goes: {UNFOUND}")


async def _is_there(work: Work, table: Table, person: str, hold_id: str) -> bool:
    which = f"({goes(work.map, table)}) and ({about(work.map, table, 't', literal(person))})"
    try:
        return bool(
            await work.connection.fetchval(ANY.format(relation=relation(table.name), which=which), work.customer)
        )
    except asyncpg.DataError as error:
        details = f"the hold {hold_id} names a person by what can't be compared with {table.name}"
        raise RefusedError("held", details) from error


async def _counts(work: Work) -> Counter[str]:
    names = [table.name for table in work.map.tables]
    return Counter({names[row["place"]]: row["rows"] for row in await work.connection.fetch(COUNTS)})


async def _by_hold(work: Work) -> tuple[HeldRows, ...]:
    found = []
    for name, some in work.holds.items():
        table = work.map.table(name)
        holding = [cover for cover in some if isinstance(cover, Cover)]
        bases = {cover.hold_id: cover.basis for cover in sorted(holding, key=lambda one: one.basis or "")}
        for hold_id, basis in sorted(bases.items()):
            mine: Covers = {name: tuple(cover for cover in holding if cover.hold_id == hold_id)}
            which = f"({goes(work.map, table)}) and ({covered(work.map, table, mine, 't')})"
            rows = await work.connection.fetchval(COUNT.format(relation=relation(name), which=which), work.customer)
            found.append(HeldRows(table=reported(name), rows=rows, hold_id=hold_id, basis=basis))
    return tuple(one for one in found if one.rows)


def as_counts(rows: Counter[str]) -> tuple[TableCount, ...]:
    """Write *rows* per table as events carry them, tables without any left out."""
    return tuple(TableCount(table=reported(name), rows=number) for name, number in sorted(rows.items()) if number)


UNFOUND = "nothing of the customer's is about one of the persons whom it names"

# A row's place is unique in one partition only. It is that of the transaction's snapshot: whoever writes the row
# meanwhile makes the transaction fail. The turn is that in which a row was listed.
LIST = """
    drop table if exists pg_temp.offramp_kept;
    create temporary table offramp_kept (
        place  int not null,
        part   oid not null,
        at     tid not null,
        turn   int not null,
        by_law boolean not null,
        primary key (part, at)
    ) on commit drop
"""

HELD = """
    insert into pg_temp.offramp_kept
    select {place}, t.tableoid, t.ctid, 0, {by_law} from {relation} as t where {which}
    on conflict do nothing
"""

NEEDED = """
    insert into pg_temp.offramp_kept
    select distinct {place}, p.tableoid, p.ctid, {turn} + 1, {by_law}
      from pg_temp.offramp_kept k
      join {child} as c on c.tableoid = k.part and c.ctid = k.at
      join {parent} as p on {holds}
     where k.place = {child_place} and k.turn = {last} and k.by_law = {by_law} and ({which})
    on conflict {onto}
"""

NOTHING = "do nothing"

# What a law has listed, and a hold needs, is followed again from there.
HELD_AFTER_ALL = """(part, at) do update set by_law = false, turn = {turn} + 1 where offramp_kept.by_law"""

# Nobody can tell which rows of the one hang on which of the other.
ALL_NEEDED = """
    insert into pg_temp.offramp_kept
    select {place}, p.tableoid, p.ctid, {turn} + 1, {by_law}
      from {parent} as p
     where ({which})
       and exists (select from pg_temp.offramp_kept k where k.place = {child_place} and k.turn = {last}
                      and k.by_law = {by_law})
    on conflict {onto}
"""

ANY = "select exists (select from {relation} as t where {which})"

COUNT = "select count(*) from {relation} as t where {which}"

COUNTS = "select place, count(*) as rows from pg_temp.offramp_kept group by place"
