"""The statements that make the exported tables anew: what they need before their rows, and keys and sequences after.

Postgres writes each part itself (``format_type``, ``pg_get_expr``, ``pg_get_constraintdef``, ``pg_get_indexdef``); what
is decided here is only what belongs to the export. pg_dump can't leave out a column that others refer to, writes no
types for chosen tables, and needs a way into the database of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.datamap.ownership import relation

if TYPE_CHECKING:
    import asyncpg

    from services.exporter.archive.source import Source


@dataclass(frozen=True, slots=True)
class Schema:
    """Statements *before* and *after* the rows, the *columns* to fill by table, and what was *left_out* and why."""

    before: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    after: tuple[str, ...]
    left_out: tuple[str, ...]


async def schema_of(source: Source) -> Schema:
    """Read from the catalogue how the tables of *source* are made."""
    pairs = [(relation(one.table.name), column.name) for one in source.tables for column in one.columns]
    shown = [name for name, _ in pairs], [name for _, name in pairs]
    types, columns, sequences, later = [await source.snapshot.catalogue(SHOWN + query, *shown) for query in QUERIES]
    by_table = {
        one.table.name: [row for row in columns if row["relation"] == relation(one.table.name)] for one in source.tables
    }
    return Schema(
        before=(*_texts(types, "statement"), *_texts(sequences, "made"), *map(_table, by_table.values())),
        columns={name: tuple(row["name"] for row in rows if not row["computed"]) for name, rows in by_table.items()},
        after=(*_texts(later, "statement"), *_texts(sequences, "owned"), *_texts(sequences, "set")),
        left_out=tuple(_left_out([*columns, *later])),
    )


def _table(columns: list[asyncpg.Record]) -> str:
    return f"create table {columns[0]['table']} (\n    " + ",\n    ".join(row["definition"] for row in columns) + "\n);"


def _texts(rows: Iterable[asyncpg.Record], name: str) -> Iterator[str]:
    return (row[name] for row in rows if row[name] is not None)


def _left_out(rows: Iterable[asyncpg.Record]) -> Iterator[str]:
    return (f"{row['place']}: {row['reason']}" for row in rows if row["reason"] is not None)


# name: the columns that the archive shows, in the map's order, and what the database's own functions are called by
SHOWN = """
    with recursive named as (
        select u.relation, u.relation::regclass as relid, a.attnum, a as attribute, u.at
          from unnest($1::text[], $2::text[]) with ordinality as u (relation, name, at)
          join pg_attribute a on a.attrelid = u.relation::regclass and a.attname = u.name
    ), shown as (
        select relid, attnum from named
    ), extended as (
        select d.classid, d.objid, e.extname, e.extnamespace
          from pg_depend d join pg_extension e on e.oid = d.refobjid
         where d.deptype = 'e' and d.refclassid = 'pg_extension'::regclass
    ), calling as (
        select d.classid, d.objid,
               case when d.refclassid = 'pg_proc'::regclass then d.refobjid::regproc::text
                    else pg_describe_object(d.refclassid, d.refobjid, 0) end as called
          from pg_depend d
         where d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass,
                                'pg_ts_config'::regclass, 'pg_ts_dict'::regclass, 'pg_collation'::regclass)
           and d.classid in ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_class'::regclass,
                             'pg_type'::regclass)
           and not exists (select from extended e where e.classid = d.refclassid and e.objid = d.refobjid)
           and (pg_identify_object(d.refclassid, d.refobjid, 0)).schema is distinct from 'pg_catalog'
    ), parents as (
        select distinct i.inhparent as relid
          from pg_inherits i
          join pg_class c on c.oid = i.inhparent and c.relkind in ('r', 'f')
    ), optional as (
        select a.attrelid as relid, a.attnum
          from pg_attribute a
          join pg_class c on c.oid = a.attrelid
         where a.attrelid in (select relid from shown) and a.attnotnull
           and (c.relkind = 'f'
                or exists (select from pg_constraint n
                            where n.conrelid = a.attrelid and n.contype = 'n' and n.conkey = array[a.attnum]
                              and (not n.convalidated
                                   or n.connoinherit and n.conrelid in (select relid from parents))))
    ), types (top, oid, depth) as (
        select distinct (attribute).atttypid, (attribute).atttypid, 0 from named
        union
        select u.top, n.oid, u.depth + 1
          from types u
          cross join lateral (
              select typelem as oid from pg_type where oid = u.oid and typelem <> 0
              union all
              select typbasetype from pg_type where oid = u.oid and typbasetype <> 0
              union all
              select a.atttypid from pg_type t join pg_attribute a on a.attrelid = t.typrelid
               where t.oid = u.oid and t.typtype = 'c' and a.attnum > 0 and not a.attisdropped
              union all
              select r.rngsubtype from pg_range r where u.oid in (r.rngtypid, r.rngmultitypid)
              union all
              select r.rngtypid from pg_range r where r.rngmultitypid = u.oid
          ) n
         where u.depth < 32
    ), texts as (
        select distinct u.top
          from types u
          join pg_type t on t.oid = u.oid
          left join pg_class c on c.oid = t.typrelid
         where c.relkind <> 'c'
            or t.typtype = 'b' and t.typelem = 0 and t.typnamespace <> 'pg_catalog'::regnamespace
               and not exists (select from extended e where e.classid = 'pg_type'::regclass and e.objid = t.oid)
    ), reaching as (
        select d.classid, d.objid
          from pg_depend d
         where d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0
           and d.classid in ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_class'::regclass)
           and d.refobjid in (select relid from shown)
           and not exists (select from named s
                            where s.relid = d.refobjid and s.attnum = d.refobjsubid
                              and (s.attribute).atttypid not in (select top from texts))
    )
"""

# name: the schemas, extensions and types that the tables need, each after those that it needs itself
TYPES = """
    , needed as (
        select t.*, u.depth, e.extname, e.extnamespace
          from (select oid, max(depth) as depth from types where top not in (select top from texts) group by oid) u
          join pg_type t on t.oid = u.oid
          left join extended e on e.classid = 'pg_type'::regclass and e.objid = t.oid
         where t.typnamespace <> 'pg_catalog'::regnamespace
    ), extensions as (
        select extname, extnamespace from needed where extname is not null
        union
        select e.extname, e.extnamespace
          from pg_depend d
          join extended e on e.classid = d.refclassid and e.objid = d.refobjid
         where (d.classid = 'pg_class'::regclass
                and d.objid in (select indexrelid from pg_index where indrelid in (select relid from shown)))
            or (d.classid = 'pg_attrdef'::regclass
                and d.objid in (select oid from pg_attrdef where (adrelid, adnum) in (select relid, attnum from shown)))
            or (d.classid = 'pg_constraint'::regclass
                and d.objid in (select oid from pg_constraint where conrelid in (select relid from shown)))
    ), schemas as (
        select c.relnamespace as oid from pg_class c where c.oid in (select relid from shown)
        union select typnamespace from needed
        union select extnamespace from extensions
    )
    select statement from (
        select 1 as step, 0 as depth, format('create schema if not exists %s;', oid::regnamespace) as statement
          from schemas where oid not in ('public'::regnamespace, 'pg_catalog'::regnamespace)
        union all
        select 2, 0, format('create extension if not exists %I with schema %s;', extname, extnamespace::regnamespace)
          from extensions where extname <> 'plpgsql'
        union all
        select 3, -n.depth, case n.typtype
            when 'e' then format('create type %s as enum (%s);', n.oid::regtype,
                (select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder)
                   from pg_enum where enumtypid = n.oid))
            when 'c' then format('create type %s as (%s);', n.oid::regtype,
                (select string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' order by attnum)
                   from pg_attribute where attrelid = n.typrelid and attnum > 0 and not attisdropped))
            when 'r' then (select format('create type %s as range (subtype = %s, multirange_type_name = %s);',
                                         n.oid::regtype, format_type(rngsubtype, null), rngmultitypid::regtype)
                             from pg_range where rngtypid = n.oid)
            when 'd' then format('create domain %s as %s%s%s%s;',
                n.oid::regtype, format_type(n.typbasetype, n.typtypmod),
                case when not exists (select from calling c where c.classid = 'pg_type'::regclass and c.objid = n.oid)
                     then ' default ' || pg_get_expr(n.typdefaultbin, 'pg_type'::regclass) end,
                case when n.typnotnull then ' not null' end,
                (select string_agg(format(' constraint %I %s', conname, pg_get_constraintdef(oid)), '' order by conname)
                   from pg_constraint k where contypid = n.oid and contype = 'c' and convalidated
                    and not exists (select from calling c
                                     where c.classid = 'pg_constraint'::regclass and c.objid = k.oid)))
            end
          from needed n
          left join pg_class c on c.oid = n.typrelid
         where n.extname is null and coalesce(c.relkind, 'c') = 'c' and n.typtype in ('e', 'c', 'r', 'd')
    ) all_of_them
    order by step, depth, statement
"""

# name: how each column is made; what calls the database's own functions, or needs a column left out, is only a value
COLUMNS = """
    , defined as (
        select n.*, (n.attribute).atttypid in (select top from texts) as as_text,
               (n.relid, (n.attribute).attnum) in (select relid, attnum from optional) as optional,
               d.oid as default_id, pg_get_expr(d.adbin, d.adrelid) as expression,
               (select min(c.called) from calling c
                 where c.classid = 'pg_attrdef'::regclass and c.objid = d.oid) as called,
               exists (select from reaching r where r.classid = 'pg_attrdef'::regclass and r.objid = d.oid) as reaches,
               (select format(' (sequence name %s start with %s increment by %s minvalue %s maxvalue %s cache %s%s)',
                              q.seqrelid::regclass, q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache,
                              case when q.seqcycle then ' cycle' else '' end)
                  from pg_depend i join pg_sequence q on q.seqrelid = i.objid
                 where i.deptype = 'i' and i.classid = 'pg_class'::regclass and i.refclassid = 'pg_class'::regclass
                   and i.refobjid = n.relid and i.refobjsubid = n.attnum) as identity
          from named n
          left join pg_attrdef d on d.adrelid = n.relid and d.adnum = n.attnum
    ), judged as (
        select *, called is null and not reaches and not as_text as plain from defined
    )
    select j.relation,
           j.relid::regclass::text as "table",
           (j.attribute).attname as name,
           (j.attribute).attgenerated <> '' and plain as computed,
           format('%s.%I', j.relid::regclass, (j.attribute).attname) as place,
           concat(quote_ident((j.attribute).attname), ' ',
               case when j.as_text then 'text' else format_type((j.attribute).atttypid, (j.attribute).atttypmod) end,
               case when l.collnamespace = 'pg_catalog'::regnamespace then ' collate ' || l.oid::regcollation end,
               case when (j.attribute).attidentity = 'a' then ' generated always as identity' || j.identity
                    when (j.attribute).attidentity = 'd' then ' generated by default as identity' || j.identity
                    when (j.attribute).attgenerated <> '' and plain
                    then format(' generated always as (%s) %s', expression,
                                case (j.attribute).attgenerated when 's' then 'stored' else 'virtual' end)
                    when plain then ' default ' || expression end,
               case when (j.attribute).attnotnull and not j.optional then ' not null' end) as definition,
           case when j.as_text then 'it is a text here, since its type is the row of a table, or the database''s own'
                when j.optional then 'it may be null here, since not all rows keep to its not null'
                when called is not null then format('its default or formula calls %s, the database''s own', called)
                when reaches then 'its formula needs a column that is left out, or a text here'
                when l.collnamespace <> 'pg_catalog'::regnamespace then 'its collation is the database''s own'
           end as reason
      from judged j
      join pg_type t on t.oid = (j.attribute).atttypid
      left join pg_collation l on l.oid = (j.attribute).attcollation and l.oid <> t.typcollation
     order by j.at
"""

# name: the sequences behind the columns, and where they stand: in their own direction past their last number and past
# every one in the rows; a number that the sequence never comes to doesn't count
SEQUENCES = """
    , used as (
        select d.objid as oid, d.refobjid as relid, d.refobjsubid as attnum, d.deptype
          from pg_depend d
          join pg_class c on c.oid = d.objid and c.relkind = 'S'
         where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
           and (d.refobjid, d.refobjsubid) in (select relid, attnum from shown)
        union
        select d.refobjid, a.adrelid, a.adnum, 'n'
          from pg_attrdef a
          join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = a.oid
           and d.refclassid = 'pg_class'::regclass
          join pg_class c on c.oid = d.refobjid and c.relkind = 'S'
         where (a.adrelid, a.adnum) in (select relid, attnum from shown)
    ), once as (
        select distinct on (oid) * from used order by oid, deptype, relid::regclass::text, attnum
    )
    select case when o.deptype <> 'i' then
               format('create sequence %s as %s start with %s increment by %s minvalue %s maxvalue %s cache %s%s;',
                      o.oid::regclass, q.seqtypid::regtype, q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache,
                      case when q.seqcycle then ' cycle' else '' end) end as made,
           case when o.deptype = 'a' then
               format('alter sequence %s owned by %s.%I;', o.oid::regclass, o.relid::regclass, a.attname) end as owned,
           format('select pg_catalog.setval(%L, v) from (select %s(%L::bigint, %s(n)) as v'
                  ' from (select %s as n from %s) r where n between %s and %s) m where v is not null;',
                  o.oid::regclass, case when q.seqincrement < 0 then 'least' else 'greatest' end,
                  pg_sequence_last_value(o.oid), case when q.seqincrement < 0 then 'min' else 'max' end,
                  case when a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
                       then quote_ident(a.attname) else 'null::bigint' end,
                  o.relid::regclass, q.seqmin, q.seqmax) as "set"
      from once o
      join pg_sequence q on q.seqrelid = o.oid
      join pg_attribute a on a.attrelid = o.relid and a.attnum = o.attnum
     order by o.oid::regclass::text
"""

# name: keys, checks and indexes, foreign keys last; one that needs what isn't exported is left out, with the reason
# A row may refer to one that isn't the customer's: then the key is made for new rows only, and psql says so.
AFTER = """
    , kept as (
        select k.*, case
                   when exists (select from unnest(k.conkey) as u (attnum)
                                 where not exists (select from shown s
                                                    where s.relid = k.conrelid and s.attnum = u.attnum))
                   then 'a column of it is left out'
                   when exists (select from reaching r
                                 where r.classid = 'pg_constraint'::regclass and r.objid = k.oid
                                   and k.contype <> 'f')
                   then 'it needs a column that is a text here'
                   when k.contype = 'f' and k.confrelid not in (select relid from shown)
                   then format('it refers to %s, which is not exported', k.confrelid::regclass)
                   when exists (select from unnest(k.confkey) as u (attnum)
                                 where not exists (select from shown s
                                                    where s.relid = k.confrelid and s.attnum = u.attnum))
                   then 'it refers to a column that is left out'
                   when k.conrelid in (select relid from parents)
                        and (k.contype in ('p', 'u', 'x') or k.contype = 'c' and k.connoinherit)
                   then 'rows of tables that inherit from it are in it too, and needn''t keep to this'
                   when k.contype = 'f' and k.confrelid in (select relid from parents)
                   then format('rows of tables that inherit from %s are in that too, where no key tells them apart',
                               k.confrelid::regclass)
                   else (select format('it calls %s, the database''s own', min(c.called)) from calling c
                          where c.classid = 'pg_constraint'::regclass and c.objid = k.oid having count(*) > 0)
               end as reason,
               format('alter table %s add constraint %I %s',
                      k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) as made
          from pg_constraint k
         where k.conrelid in (select relid from shown) and k.conparentid = 0 and k.contype in ('p', 'u', 'x', 'c', 'f')
    ), indexes as (
        select i.indexrelid::regclass::text as place, i.indrelid::regclass::text as relation,
               case c.relkind when 'p' then regexp_replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
                              else pg_get_indexdef(i.indexrelid) end || ';' as statement,
               case when exists (select from reaching r
                                  where r.classid = 'pg_class'::regclass and r.objid = i.indexrelid)
                    then 'it needs a column that is left out, or a text here'
                    when i.indisunique and i.indrelid in (select relid from parents)
                    then 'rows of tables that inherit from it are in it too, and needn''t keep to this'
                    else (select format('it calls %s, the database''s own', min(f.called)) from calling f
                           where f.classid = 'pg_class'::regclass and f.objid = i.indexrelid having count(*) > 0)
               end as reason
          from pg_index i
          join pg_class c on c.oid = i.indrelid
         where i.indrelid in (select relid from shown)
           and not exists (select from pg_constraint k
                            where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
    ), domains as (
        select k.oid, k.convalidated, format('%s %s', k.contypid::regtype, k.conname) as place,
               format('alter domain %s add constraint %I %s;', k.contypid::regtype, k.conname,
                      pg_get_constraintdef(k.oid)) as statement
          from pg_constraint k
         where k.contype = 'c' and k.contypid in (select oid from types where top not in (select top from texts))
    ), uncalled as (
        select t.oid::regtype::text as place,
               (select format('its default calls %s, the database''s own', min(c.called)) from calling c
                 where c.classid = 'pg_type'::regclass and c.objid = t.oid having count(*) > 0) as reason
          from pg_type t
         where t.typtype = 'd' and t.oid in (select oid from types where top not in (select top from texts))
    ), all_of_them as (
        select 0 as step, place, reason, null as statement from uncalled where reason is not null
        union all
        select 0, d.place, (select format('it calls %s, the database''s own', min(c.called)) from calling c
                              where c.classid = 'pg_constraint'::regclass and c.objid = d.oid having count(*) > 0),
               case when not d.convalidated then d.statement end
          from domains d
        union all
        select position(k.contype::text in 'puxc-f'), format('%s %s', k.conrelid::regclass, k.conname),
               reason,
               case when k.contype = 'f' and k.convalidated then format($sql$do $offramp$ begin
    %1$s;
exception when foreign_key_violation then
    %1$s not valid;
    raise warning 'some rows refer to rows that are not in this dump, so this key is for new rows only: %%', %2$L;
end $offramp$;$sql$, made, conname) else made || ';' end as statement
          from kept k
        union all
        select 5, place, reason, statement from indexes
    )
    select place, reason, case when reason is null then statement end as statement from all_of_them order by step, place
"""

QUERIES = (TYPES, COLUMNS, SEQUENCES, AFTER)
