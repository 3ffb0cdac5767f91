"""The objects that deleted rows referred to, noted in the statement that deletes them: nothing else knows their keys.

It is noted with them under which holds their rows went: what one that came later covers of them nobody can tell. A note
is kept in the schema ``offramp`` of the same database. When its object is gone, or stays as somebody else's too, the
key is forgotten, and a digest stays for a while, by which the check afterwards knows the object again.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from ..datamap.names import literal
from ..datamap.referring import referring
from .spared import spared

if TYPE_CHECKING:
    from ..datamap.live import Connection
    from ..datamap.model import DataMap, Table
    from ..datamap.referring import Referring
    from .scope import Covers


async def prepare(connection: Connection) -> None:
    """Make the table of notes if it is missing, and forget digests that nobody needs any more."""
    if not await connection.fetchval(ALL_THERE):
        await connection.execute(NOTES)
    await connection.execute(FORGET)


def digest_of(bucket: str, key: str) -> bytes:
    """Give the digest by which an object is known when its key is forgotten."""
    return sha256(f"{bucket}\0{key}".encode()).digest()


def returned(map: DataMap, table: Table) -> str:  # noqa: A002
    """Give what a ``delete … as t`` of *table* returns, so that ``noting`` can note it."""
    columns = [
        f"({one.bucket('$1')})::text as b{number}, {one.key('t', '$1')} as k{number}"
        for number, one in enumerate(_of(map, table))
    ]
    return ", ".join(["1", *columns])


def noting(map: DataMap, table: Table, source: str, holds: Covers) -> str | None:  # noqa: A002
    """Give the statement, for a ``with``, that notes what *source* returned; None where *table* names no objects.

    Its rows go since none of *holds* covers or needs them.
    """
    pairs = [f"(d.b{number}, d.k{number})" for number, _ in enumerate(_of(map, table))]
    if not pairs:
        return None
    listed = f"{source} as d cross join lateral (values {', '.join(pairs)}) as k (bucket, key)"
    return NOTE.format(system=literal(map.system), listed=listed, customer="$1", spared=spared(map, holds))


def noting_all(map: DataMap, query: str, holds: Covers | None) -> str:  # noqa: A002
    """Give the statement that notes what *query* lists for the customer ``$1``; None: of rows that stay."""
    marks = "null::text[]" if holds is None else spared(map, holds)
    return NOTE.format(system=literal(map.system), listed=f"({query}) as k", customer="$1", spared=marks)


def _of(map: DataMap, table: Table) -> list[Referring]:  # noqa: A002
    return [one for one in referring(map) if one.table == table.name]


DIGEST = "sha256(convert_to(k.bucket, 'UTF8') || '\\x00'::bytea || k.key)"

# What was settled before is open again when a row refers to it again. Of several rows that went, only the holds count
# that spared nothing of each.
NOTE = f"""
    insert into offramp.objects as o (system, customer, bucket, digest, key, spared)
    select distinct {{system}}, {{customer}}::text, k.bucket, {DIGEST}, k.key, {{spared}}
      from {{listed}}
     where k.key is not null
    on conflict (system, customer, bucket, digest) do update
       set key = excluded.key, state = 'noted', deletion_id = null, settled_at = null,
           versions = case o.state when 'noted' then o.versions else 0 end,
           uploads = case o.state when 'noted' then o.uploads else 0 end,
           spared = case when o.state <> 'noted' or o.spared is null then excluded.spared
                         else array(select unnest(o.spared) intersect select unnest(excluded.spared)) end
     where o.state <> 'noted'
        or (excluded.spared is not null and (o.spared is null or not o.spared <@ excluded.spared))
"""

THERE = "select to_regclass('offramp.objects') is not null"
# A former release made the table without it.
WITH_MARKS = """
    select exists (select from pg_attribute
                    where attrelid = to_regclass('offramp.objects') and attname = 'spared' and not attisdropped)
"""
ALL_THERE = f"{WITH_MARKS} and to_regclass('offramp.aborted_uploads') is not null"

NOTES = """
    select pg_advisory_xact_lock(hashtext('offramp.ledger'));
    create schema if not exists offramp;
    create table if not exists offramp.objects (
        system       text not null,
        customer     text not null,
        bucket       text not null,
        digest       bytea not null,
        -- null as soon as it isn't needed
        key          bytea,
        -- the most versions that were seen of it at once; the uploads that a former release aborted
        versions     bigint not null default 0,
        uploads      bigint not null default 0,
        state        text not null default 'noted' check (state in ('noted', 'shared', 'gone')),
        deletion_id  text,
        settled_at   timestamptz,
        primary key (system, customer, bucket, digest),
        check ((state = 'noted') = (key is not null)),
        check ((state = 'noted') = (settled_at is null))
    );
    -- marks of the holds under which its rows went; null as long as they stand. What a former release notes has none
    alter table offramp.objects add column if not exists spared text[] default '{}';
    -- by their ids in the store, noted before they are aborted: each counts once, whoever is killed between
    create table if not exists offramp.aborted_uploads (
        system       text not null,
        customer     text not null,
        bucket       text not null,
        upload       text not null,
        deletion_id  text,
        noted_at     timestamptz not null default now(),
        primary key (system, customer, bucket, upload)
    )
"""

FORGET = """
    delete from offramp.objects where settled_at < now() - interval '90 days';
    delete from offramp.aborted_uploads where noted_at < now() - interval '90 days'
"""
