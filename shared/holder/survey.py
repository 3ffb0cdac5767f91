"""The check afterwards, by another way than the one that deleted: what is left, and how the rest stands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..datamap.drift import hops
from ..datamap.fingerprint import BY_COLUMNS, Measuring, Method, Rows, measuring, rest_of, settle
from ..datamap.live import columns_of, tables
from ..datamap.owners import CUSTOMER, ByColumn, ByPath
from ..datamap.ownership import goes_with, quoted, relation
from ..datamap.predicate import cast, rendered
from .kept_survey import kept_rows, lawful_rows, not_emptied
from .right import RefusedError
from .scope import covers
from .statutory import with_law

if TYPE_CHECKING:
    from datetime import datetime

    from ..datamap.live import Connection
    from ..datamap.model import DataMap, Table
    from ..datamap.owners import Owner
    from ..events.platform import RetainedRows
    from ..events.retention import Keep
    from ..objects import ObjectStore


@dataclass(frozen=True, slots=True)
class TableSurvey:
    """One declared table: rows *left* of the customer, *kept* of them, *orphans* whose path leads nowhere.

    *standing* is everybody else's rows, to be compared with ``TableFingerprint.after``: all that stand, or, where rows
    are kept, all but the customer's.
    *orphans* are nobody's: they may be old, or have lost their customer without being deleted. Where nothing but laws
    keep rows, *unemptied* are those in which something stands that the map says is emptied.
    """

    table: str
    left: int
    orphans: int
    standing: Rows
    kept: int = 0
    unemptied: int = 0


@dataclass(frozen=True, slots=True)
class ObjectsLeft:
    """How many versions, delete markers and uploads there are; and how many *objects* can be read, one for each key."""

    left: int
    objects: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found in one database; *elsewhere* are undeclared tables in which the customer's id still stands.

    *retained*: of the kept, what laws keep, by its last day.
    """

    tables: tuple[TableSurvey, ...]
    elsewhere: tuple[tuple[str, int], ...]
    retained: tuple[RetainedRows, ...] = ()

    @property
    def clean(self) -> bool:
        """Tell whether nothing of the customer is left but what is kept."""
        whole = all(table.left == table.kept and not table.unemptied for table in self.tables)
        return whole and not self.elsewhere


async def survey_rows(
    connection: Connection,
    map: DataMap,  # noqa: A002
    customer: str,
    keep: tuple[Keep, ...] = (),
    now: datetime | None = None,
    method: Method = BY_COLUMNS,
) -> Survey:
    """Look for *customer*'s rows, read-only and in one snapshot; the role needs to read only.

    *method* is that of what it is to be compared with. What is in *keep*, what laws keep at *now*, and what that needs,
    may be left. Raises ``RefusedError`` where the map can't tell what that is, and for a map by which laws keep rows,
    asked without *now*.
    """
    map = map.of(customer)  # noqa: A001
    if map.retains and now is None:
        raise RefusedError("failed", "what laws keep can be told for a moment only, and none is given")
    holds = with_law(map, covers(map, keep), now) if now else covers(map, keep)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await settle(connection)
        kept = await kept_rows(connection, map, customer, holds) if holds else {}
        # Of what a hold keeps nothing is emptied, and which rows those are isn't told apart here.
        full = Counter[str]() if keep else await not_emptied(connection, map, customer)
        measured = await measuring(connection, map, method)
        found = [
            await _survey_table(measured, map, table, customer, kept.get(table.name, 0), full[table.name])
            for table in map.tables
        ]
        retained = await lawful_rows(connection, map, customer, now) if now else ()
        return Survey(tuple(found), await _elsewhere(connection, map, customer), retained)


async def survey_objects(store: ObjectStore, bucket: str, prefix: str) -> ObjectsLeft:
    """Count what is left under *prefix*, as the current objects, the versions and the uploads show it; the worst."""
    current = [found async for found in store.list(bucket, prefix)]
    everywhere = [key async for key, _ in store.versions(bucket, "") if key.startswith(prefix)]
    return ObjectsLeft(max(len(current), len(everywhere), await store.count_left(bucket, prefix)), len(current))


async def _survey_table(
    measured: Measuring,
    map: DataMap,  # noqa: A002
    table: Table,
    customer: str,
    kept: int,
    unemptied: int,
) -> TableSurvey:
    connection = measured.connection
    left = await connection.fetchval(left_query(map, table), customer)
    orphans = await connection.fetchval(orphans_query(table)) if isinstance(table.owner, ByPath) else 0
    standing = await (measured.rows(table, rest_of(map, table), customer) if kept else measured.rows(table))
    return TableSurvey(table.name, left, orphans, standing, kept, unemptied)


def left_query(map: DataMap, table: Table) -> str:  # noqa: A002
    """Count by joins from the customer's own rows, where the deletion asked row by row.

    Where the way is no plain path the question is the deletion's own: which rows still go with the customer.
    """
    if not _plain(map, table.owner):
        which = goes_with(map, table, "t0")
        return f"select count(*) from {relation(table.name)} as t0 where {which}"
    joins: list[str] = []
    at, owner = "t0", table.owner
    while isinstance(owner, ByPath):
        for hop in owner.hops:
            following = f"t{len(joins) + 1}"
            pairs = zip(hop.columns, hop.keys, strict=True)
            condition = " and ".join(f"{at}.{quoted(here)} = {following}.{quoted(key)}" for here, key in pairs)
            joins.append(f"join {relation(hop.table)} as {following} on {condition}")
            at = following
        owner = map.table(owner.hops[-1].table).owner
    assert isinstance(owner, ByColumn)  # noqa: S101
    which = f"{at}.{quoted(owner.column)}"
    # As the type compares: written as a text, a UUID in large letters or the number 7.00 would be found nowhere.
    if owner.key.type in _TEXTS:
        which, called = f"{which}::text", "$1"
    else:
        called = rendered(owner.key, "($1)::text")
    return LEFT.format(relation=relation(table.name), joins=" ".join(joins), owner=which, called=called)


_TEXTS = ("text", "character varying")


def _plain(map: DataMap, owner: Owner) -> bool:  # noqa: A002
    while isinstance(owner, ByPath):
        if owner.several or any(hop.cast for hop in owner.hops):
            return False
        owner = map.table(owner.hops[-1].table).owner
    return isinstance(owner, ByColumn) and owner.key.template == CUSTOMER and not owner.key.ids


def orphans_query(table: Table) -> str:
    """Count the rows of *table* whose first step leads to no row."""
    hop = hops(table)[0]
    pairs = list(zip(hop.columns, hop.keys, strict=True))
    return ORPHANS.format(
        relation=relation(table.name),
        leads=" and ".join(f"t.{quoted(column)} is not null" for column, _ in pairs),
        to=relation(hop.table),
        there=" and ".join(f"{cast(f'h.{quoted(key)}', hop.cast)} = t.{quoted(column)}" for column, key in pairs),
    )


async def _elsewhere(connection: Connection, map: DataMap, customer: str) -> tuple[tuple[str, int], ...]:  # noqa: A002
    """Look at tables that the map doesn't declare, in columns named as those that name the customer elsewhere."""
    names = {table.owner.column for table in map.tables if isinstance(table.owner, ByColumn)} - {"id"}
    strangers = sorted(await tables(connection) - {table.name for table in map.tables} - set(map.exempt))
    found = []
    for table, columns in (await columns_of(connection, strangers)).items():
        for column in columns:
            if column.name in names:
                query = ELSEWHERE.format(relation=relation(table), column=quoted(column.name))
                found.append((table, await connection.fetchval(query, customer)))
    return tuple(one for one in found if one[1])


LEFT = "select count(*) from {relation} as t0 {joins} where {owner} = {called}"

ORPHANS = """
    select count(*) from {relation} as t
     where {leads} and not exists (select from {to} as h where {there})
"""

ELSEWHERE = "select count(*) from {relation} as t where t.{column}::text = $1"
