"""What is to be done, looked at before anything is: the order, the counts, and what is in the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..datamap.fingerprint import settle
from ..datamap.ownership import relation
from .going import leaves
from .kept import keep
from .order import Group, grouped
from .references import Reference, entangled, references
from .right import RefusedError, check_system
from .statutory import check_dates
from .work import Work, counts

if TYPE_CHECKING:
    from ..datamap.drift import Finding
    from ..datamap.live import Connection
    from ..events.vocabulary import TableCount
    from .scope import Covers


@dataclass(frozen=True, slots=True)
class Plan:
    """The tables in order, how many rows they have, *warnings*, and the *digest* of the schema that all this is of."""

    groups: tuple[Group, ...]
    known: tuple[Reference, ...]
    rows: Counter[str]
    warnings: tuple[Finding, ...]
    digest: str

    @property
    def slow(self) -> tuple[Reference, ...]:
        """Give the foreign keys without an index: each row deleted from their parent scans the whole child."""
        return tuple(one for one in self.known if not one.indexed and self.rows[one.to])


async def plan(work: Work) -> Plan:
    """Look at the system, read-only; raises ``RefusedError`` where the map doesn't cover it or its guard objects."""
    async with work.transaction("repeatable_read"):
        warnings = await check_system(work.connection, work.map, work.customer)
        known = await references(work.connection, work.map, work.holds)
        await check_dates(work)
        await keep(work, known)
        rows = Counter({table.name: await _count(work, table.name, work.holds) for table in work.map.tables})
        made = Plan(grouped(work.map.tables, known), known, rows, warnings, await digest(work.connection))
    work.planned(made)
    return made


async def check_entangled(work: Work, known: tuple[Reference, ...]) -> None:
    """Refuse where somebody else's rows refer to the customer's: they would break, or go along."""
    async with work.transaction("repeatable_read"):
        await keep(work, known)
        await refuse_entangled(work, known)


async def refuse_entangled(work: Work, known: tuple[Reference, ...]) -> None:
    """Do what ``check_entangled`` does inside a transaction, in which ``keep`` has listed what stays."""
    found = await entangled(work.connection, work.map, work.customer, known, work.holds)
    if found:
        named = "; ".join(
            f"{rows} rows of {one.table} refer by {', '.join(one.columns)} to {one.to} ({one.name})"
            for one, rows in found
        )
        raise RefusedError("failed", f"rows that are not the customer's need rows that are: {named}")


async def left(work: Work) -> tuple[TableCount, ...]:
    """Count what there is of the customer, whether or not it may be deleted."""
    async with work.connection.transaction(isolation="repeatable_read", readonly=True):
        await settle(work.connection)
        return counts(Counter({table.name: await _count(work, table.name, {}) for table in work.map.tables}))


async def digest(connection: Connection) -> str:
    """Give a digest of what a plan depends on: tables, foreign keys, triggers. It costs about a millisecond."""
    found: str = await connection.fetchval(DIGEST)
    return found


async def _count(work: Work, name: str, holds: Covers) -> int:
    which = leaves(work.map, work.map.table(name), holds)
    found: int = await work.connection.fetchval(COUNT.format(relation=relation(name), which=which), work.customer)
    return found


COUNT = "select count(*) from {relation} as t where {which}"

DIGEST = """
    -- digest: a row of the catalogue that is changed has another xmin; a table's has one after each vacuum, too
    select md5(concat_ws('|',
        (select string_agg(k.oid || ':' || k.xmin, ',' order by k.oid) from pg_constraint k where k.contype = 'f'),
        (select string_agg(g.oid || ':' || g.tgenabled::text, ',' order by g.oid) from pg_trigger g
          where not g.tgisinternal),
        (select string_agg(c.oid || ':' || c.relname, ',' order by c.oid)
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('r', 'p', 'f', 'm') and n.nspname !~ '^pg_'
            and n.nspname not in ('information_schema', 'offramp'))))
"""
