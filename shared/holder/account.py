"""What a transaction wrote, by the database's own counters: the proof that a batch touched nobody else's rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..datamap.live import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..datamap.live import Connection


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows of one table were inserted, updated and deleted; *file* changes when it is emptied whole."""

    inserted: int
    updated: int
    deleted: int
    file: int

    def since(self, before: Written) -> Written:
        """Give what was written after *before*; a session's counters go on from one transaction to the next."""
        return Written(
            self.inserted - before.inserted,
            self.updated - before.updated,
            self.deleted - before.deleted,
            self.file - before.file,
        )


NOTHING = Written(0, 0, 0, 0)
Account = dict[str, Written]


async def account(connection: Connection) -> Account:
    """Read the counters of every table but our own ledger's, triggers' and cascades' writes included."""
    return {row["name"]: Written(*list(row.values())[1:]) for row in await connection.fetch(COUNTERS)}


def written(before: Account, after: Account) -> Account:
    """Give the tables that were written to between two readings in one transaction."""
    since = {name: now.since(before.get(name, NOTHING)) for name, now in after.items()}
    return {name: one for name, one in since.items() if one != NOTHING}


def unaccounted(wrote: Account, deleted: Mapping[str, int], exempt: Mapping[str, str]) -> tuple[str, ...]:
    """Name the tables that were written to otherwise than by the rows *deleted*; *exempt* ones hold nobody's data."""
    meant = {name: Written(0, 0, rows, 0) for name, rows in deleted.items() if rows}
    names = sorted({*wrote, *meant} - {*exempt})
    return tuple(name for name in names if wrote.get(name, NOTHING) != meant.get(name, NOTHING))


def rewritten(wrote: Account, names: Iterable[str]) -> tuple[str, ...]:
    """Give those of *names* in which rows that stood there were changed, deleted, or emptied out."""
    return tuple(sorted(name for name in names if wrote.get(name, NOTHING) != _only_added(wrote.get(name, NOTHING))))


def _only_added(one: Written) -> Written:
    return Written(one.inserted, 0, 0, 0)


COUNTERS = f"""
    -- counters: pending ones of this session, which count rows as they are written, whoever's trigger it was
    select root.name,
           sum(pg_stat_get_xact_tuples_inserted(part.oid))::bigint as inserted,
           sum(pg_stat_get_xact_tuples_updated(part.oid))::bigint as updated,
           sum(pg_stat_get_xact_tuples_deleted(part.oid))::bigint as deleted,
           sum(pg_relation_filenode(part.oid)::bigint)::bigint as file
      from pg_class part
      join pg_namespace its on its.oid = part.relnamespace
      join lateral (
          select {NAME} as name
            from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
           where c.oid = coalesce(pg_partition_root(part.oid), part.oid)
      ) root on true
     where part.relkind in ('r', 'm')
       and its.nspname not in ('information_schema', 'offramp')
       and its.nspname !~ '^pg_'
     group by root.name
"""
