"""Deletes in one transaction, with everybody else's rows compared in its snapshot: all of it, or nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import asyncpg

from ..datamap.fingerprint import Measuring, measuring, rest_of
from ..datamap.names import reported
from ..datamap.ownership import relation
from ..events.platform import Erased, ErasedInPart
from ..events.vocabulary import TableCount, TableFingerprint
from .account import Account, account, rewritten, written
from .going import stays
from .kept import Kept, as_counts, keep
from .order import Group, delete_all, grouped
from .plan import check_entangled, refuse_entangled
from .references import references
from .referred import note_referred
from .right import RefusedError, check_still, check_system
from .statutory import BY_LAW, check_dates, minimise, minimised_rows, minimises
from .whose import goes
from .work import RACES, Work

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from ..datamap.fingerprint import Rows
    from ..datamap.model import Table
    from .references import Reference

    Answer: TypeAlias = Erased | ErasedInPart

_TRIES = 3
# A trigger may write a row for each one that goes, and another trigger for each of those.
_ROUNDS = 3


async def erase_whole(work: Work) -> Answer:
    """Delete what there is, but for what holds keep; where a writer came between, again from a fresh snapshot.

    Raises ``RefusedError`` when something is in the way, and a race that doesn't end as the database tells it.
    """
    for _ in range(_TRIES - 1):
        try:
            return await _attempt(work)
        except _TouchedError as error:
            raise await _why(work, error) from error
        except (*RACES, asyncpg.IntegrityConstraintViolationError):
            continue
    try:
        return await _attempt(work)
    except _TouchedError as error:
        raise await _why(work, error) from error
    except asyncpg.IntegrityConstraintViolationError as error:
        # The constraint's name only: the server's own text quotes values.
        forbidden = RefusedError("failed", f"{error.table_name}: the constraint {error.constraint_name} forbids it")
        raise await _why(work, forbidden) from error


class _TouchedError(RefusedError):
    """Rows were left, or written, that should not have been."""


async def _why(work: Work, refused: RefusedError) -> RefusedError:
    """Add to *refused* what may have caused it; raises ``RefusedError`` where others' rows refer to the customer's."""
    await check_entangled(work, await references(work.connection, work.map, work.holds))
    names = [table.name for table in work.map.tables]
    found = [row["trigger"] for row in await work.connection.fetch(TRIGGERS, [relation(name) for name in names])]
    if not found:
        return refused
    return RefusedError(refused.reason, f"{refused.details}; look at what these triggers write: {', '.join(found)}")


async def _attempt(work: Work) -> Erased | ErasedInPart:
    async with work.transaction("repeatable_read"):
        await check_system(work.connection, work.map, work.customer)
        known = await references(work.connection, work.map, work.holds)
        groups = grouped(work.map.tables, known)
        measured = await measuring(work.connection, work.map)
        if work.holds:
            answer, deleted = await _spare(work, measured, known, groups)
        else:
            answer, deleted = await _all(work, measured, known, groups)
        await work.note(deleted)
        await work.finish()
        await check_still(work.right)
    work.gone.update(deleted)
    return await _in_all(work, answer)


def _unenforced(known: tuple[Reference, ...]) -> tuple[Reference, ...]:
    """Give the references that the database doesn't watch over: whoever refers by one would be left leading nowhere."""
    return tuple(one for one in known if not one.enforced)


async def _all(
    work: Work, measured: Measuring, known: tuple[Reference, ...], groups: tuple[Group, ...]
) -> tuple[Erased, Counter[str]]:
    await note_referred(work)
    await refuse_entangled(work, _unenforced(known))
    others = await _others(work, measured)
    deleted = await _delete(work, groups) if others else Counter()
    # Read back without asking whose the rows are: a row that led to the customer through a deleted one
    # would no longer be found, but it stands among the rest now, where nothing may have been added.
    rest = {one.name: await measured.rows(one) for one in work.map.tables}
    _nothing_left_and_nobody_touched(others or rest, rest)
    return _answer(others or rest, rest), deleted


async def _spare(
    work: Work, measured: Measuring, known: tuple[Reference, ...], groups: tuple[Group, ...]
) -> tuple[Answer, Counter[str]]:
    """Delete what holds don't keep; everybody else's rows and the kept ones are compared before and after.

    Afterwards it is asked anew what has to stay, since a trigger may have written more of it: there may be nothing
    else of the customer's, or a kept row isn't found as its own any more.
    """
    await check_dates(work)
    kept, others_before = await keep(work, known), await _standing_others(work, measured)
    await note_referred(work)
    await refuse_entangled(work, _unenforced(known))
    # First, so that what a trigger writes of it goes with the rest.
    kept = await _minimised(work, measured, known, kept)
    before = await _standing_kept(work, measured, kept)
    deleted = await _delete(work, groups)
    after, others_after = await _standing_kept(work, measured, kept), await _standing_others(work, measured)
    again = await keep(work, known)
    _same(before, after)
    _same(others_before, others_after)
    left = Counter({one.name: await _own(work, one) for one in work.map.tables})
    wrong = sorted(name for name in {*left, *again.rows} if left[name] != again.rows[name])
    if wrong:
        raise _TouchedError("failed", f"rows were left that no hold keeps: {', '.join(wrong)}")
    emptied = await minimised_rows(work)
    erased = _answer(others_after, others_after)
    if not again.rows.total():
        return erased, deleted
    told = {"kept": as_counts(again.rows), "held": again.held, "needed": as_counts(again.needed)}
    by_law = {"retained": again.retained, "minimised": emptied}
    return ErasedInPart(**erased.model_dump(exclude={"kind"}), **told, **by_law), deleted


async def _minimised(work: Work, measured: Measuring, known: tuple[Reference, ...], kept: Kept) -> Kept:
    """Empty what the map says of kept rows, and list them again; all else of them has to be as it was."""
    if not minimises(work.map) or not kept.rows.total():
        return kept
    before = await _lasting(work, measured, kept)
    await minimise(work)
    again = await keep(work, known)
    if again != kept:
        raise RefusedError("failed", "emptying columns changed which rows have to stay")
    _same(before, await _lasting(work, measured, again))
    return again


async def _lasting(work: Work, measured: Measuring, kept: Kept) -> dict[str, Rows]:
    """Measure what must not change when columns are emptied: rows that holds keep, and the others' other columns."""
    found = {}
    for table in work.map.tables:
        if kept.rows[table.name]:
            found[f"{table.name} held"] = await measured.rows(table, f"{stays()} and not {BY_LAW}")
            found[f"{table.name} by law"] = await measured.rows(
                table, f"{stays()} and {BY_LAW}", without=table.minimise
            )
    return found


async def _standing_others(work: Work, measured: Measuring) -> dict[str, Rows]:
    """Measure everybody else's rows."""
    return {one.name: await measured.rows(one, rest_of(work.map, one), work.customer) for one in work.map.tables}


async def _standing_kept(work: Work, measured: Measuring, kept: Kept) -> dict[str, Rows]:
    """Measure the rows that were listed to stay."""
    return {one.name: await measured.rows(one, stays()) for one in work.map.tables if kept.rows[one.name]}


def _same(before: Mapping[str, Rows], after: Mapping[str, Rows]) -> None:
    differing = sorted(name for name, rows in before.items() if after.get(name) != rows)
    if differing:
        raise _TouchedError("failed", f"others' rows or kept ones changed: {', '.join(differing)}")


async def _own(work: Work, table: Table) -> int:
    which = goes(work.map, table)
    found: int = await work.connection.fetchval(COUNT.format(relation=relation(table.name), which=which), work.customer)
    return found


async def _others(work: Work, measured: Measuring) -> Mapping[str, Rows]:
    """Measure everybody else's rows; where the customer has none, all are, and one reading of them is enough."""
    for table in work.map.tables:
        query = ANY.format(relation=relation(table.name), which=goes(work.map, table))
        if await work.connection.fetchval(query, work.customer):
            return await _standing_others(work, measured)
    return {}


async def _delete(work: Work, groups: tuple[Group, ...]) -> Counter[str]:
    """Empty the groups, and again while triggers write rows of declared tables meanwhile."""
    before, deleted = await account(work.connection), Counter[str]()
    wrote: Account = {}
    for _ in range(_ROUNDS):
        went = Counter({name: rows for group in groups for name, rows in (await _empty(work, group)).items()})
        deleted.update(went)
        # What was put off to the end of the transaction happens now, where it is still looked at.
        await work.connection.execute("set constraints all immediate")
        wrote = written(before, await account(work.connection))
        if not any(wrote[one.name].inserted for one in work.map.tables if one.name in wrote) or not went.total():
            break
    touched = rewritten(wrote, work.map.shared)
    if touched:
        details = f"rows that all customers share were changed: {', '.join(touched)} (exempt them if that is meant)"
        raise _TouchedError("failed", details)
    return deleted


async def _empty(work: Work, group: Group) -> dict[str, int]:
    row = await work.connection.fetchrow(delete_all(work.map, group, work.holds), work.customer)
    went = dict(zip([table.name for table in group.tables], row or (), strict=True))
    for name, rows in went.items():
        work.progress(TableCount(table=reported(name), rows=rows))
    return went


def _nothing_left_and_nobody_touched(others: Mapping[str, Rows], rest: Mapping[str, Rows]) -> None:
    differing = [_difference(name, others[name], rest[name]) for name in rest if rest[name] != others[name]]
    if differing:
        raise _TouchedError("failed", f"rows were left or others' rows changed: {', '.join(differing)}")


def _difference(name: str, others: Rows, rest: Rows) -> str:
    more = rest.count - others.count
    if not more:
        return f"{name} (others' rows)"
    return f"{name} ({more:,} were left or written)" if more > 0 else f"{name} ({-more:,} of others are gone)"


def _answer(others: Mapping[str, Rows], rest: Mapping[str, Rows]) -> Erased:
    """Say what is left and how everybody else's rows stand; what was deleted in all is put in at the end."""
    return Erased(
        deleted=(),
        remaining=tuple(
            TableCount(table=reported(name), rows=max(0, rest[name].count - others[name].count)) for name in rest
        ),
        bystanders=tuple(_compared(name, others[name], rest[name]) for name in rest),
    )


async def _in_all(work: Work, answer: Answer) -> Answer:
    gone = {one.table: one.rows for one in await work.total()}
    names = [reported(table.name) for table in work.map.tables]
    return answer.model_copy(
        update={"deleted": tuple(TableCount(table=name, rows=gone.get(name, 0)) for name in names)}
    )


def _compared(name: str, others: Rows, rest: Rows) -> TableFingerprint:
    return TableFingerprint(
        table=reported(name),
        rows_before=others.count,
        rows_after=rest.count,
        before=others.fingerprint,
        after=rest.fingerprint,
    )


ANY = "select exists (select from {relation} as t where {which})"

COUNT = "select count(*) from {relation} as t where {which}"

TRIGGERS = """
    -- triggers: that fire where rows go, of the tables or of their partitions
    select c.relname || '.' || g.tgname as trigger
      from pg_trigger g
      join pg_class c on c.oid = g.tgrelid
     where not g.tgisinternal and g.tgenabled <> 'D' and g.tgtype & 8 <> 0 and g.tgparentid = 0
       and coalesce(pg_partition_root(c.oid), c.oid) = any($1::text[]::regclass[])
     order by 1
"""
