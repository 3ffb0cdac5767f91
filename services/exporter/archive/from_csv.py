"""How a scratch database takes a table's CSV and gives its fingerprint: as texts, however wide the table is."""

from __future__ import annotations

from .fingerprint import fingerprint

# A row of a table has to fit into a page of 8,160 bytes, in which a text that isn't stored elsewhere takes up to 24 and
# each column a bit: so many fit whatever they hold. The source's own row may be narrower: a moment has 8 bytes there.
NARROW = 300


def takes(columns: int) -> str:
    """Give the SQL that makes ``pg_temp.restored`` for a CSV of so many *columns*, until the transaction ends."""
    named = ", ".join(f"c{number} text" for number in range(columns))
    return TABLE.format(named) if columns <= NARROW else TABLE.format(named) + HASHED


def tells(columns: int) -> str:
    """Give the query for the number of rows that it took, and for their fingerprint."""
    if columns > NARROW:
        return HASHES
    values = fingerprint([f"t.c{number}" for number in range(columns)])
    return f"select count(*), {values} from pg_temp.restored as t"


# name: texts only, since the scratch database need not know the source's types
TABLE = "create temporary table restored ({}) on commit drop;"

# name: a row that might not fit is hashed before it is stored, and only that is
HASHED = """
    create temporary table hashes (hash bigint not null) on commit drop;
    create or replace function pg_temp.hashed() returns trigger language plpgsql as $offramp$
    begin
        insert into pg_temp.hashes values (pg_catalog.hashtextextended(new::text, 0));
        return null;
    end $offramp$;
    create trigger hashed before insert on pg_temp.restored for each row execute function pg_temp.hashed();
"""
HASHES = "select count(*), coalesce(sum(hash), 0)::text from pg_temp.hashes"
