"""The SQL dump: psql alone restores it, and what it restored is what the customer had, keys and sequences included."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import asyncpg
import pytest
from archive_school import School, database_of_its_own, restored, run

from services.exporter.archive.build import build
from services.exporter.archive.sink import FileSink
from services.exporter.formats.registry import WHOLE
from shared.postgres_tool import postgres_tool
from shared.settings import Settings

FOLDER = Path(__file__).parent
ZOO = "  zoo: {category: user, owner: {column: customer_id}}\n  copy_of_zoo: {exempt: a copy}\n  settings:"
ODD = """
  Odd-schema.Order:
    {category: user, owner: {column: customer_id}, leave_out: {secret: a secret}}
  parted: {category: course, owner: {path: [{column: order_id, to: Odd-schema.Order.select}]}}
  Odd-schema.order: {category: course, owner: {path: [{column: order_id, to: Odd-schema.Order.select}]}}
  elsewhere: {exempt: the platform's own}
  settings:"""


async def dumped(school: School, folder: Path) -> Path:
    """Export acme as a dump only; gives the dump."""
    path = folder / "one.zip"
    await build(school.sources, replace(school.order(), formats=(WHOLE["sql"],)), FileSink(path))
    with ZipFile(path) as opened:
        return Path(opened.extract("export-1/data/sql/dump.sql", folder))


async def digest(connection: asyncpg.Connection, table: str, columns: str, where: str = "true") -> str:
    rows = f"select string_agg(r::text, E'\\n' order by r::text) from (select {columns} from {table} where {where}) r"
    return str(await connection.fetchval(f"select coalesce(md5(({rows})), 'none')"))


async def columns_of(connection: asyncpg.Connection, table: str) -> list[str]:
    found = await connection.fetch(
        "select quote_ident(attname) c from pg_attribute where attrelid = $1::text::regclass and attnum > 0 order by 1",
        table,
    )
    return [row["c"] for row in found]


@pytest.fixture
async def odd(school: School) -> School:
    await school.run((FOLDER / "hostile_schema.sql").read_text())
    return school.mapped("\n  settings:", ODD)


async def test_psql_restores_equal_rows(school: School, settings: Settings, tmp_path: Path) -> None:
    """Every value of the zoo comes back, and nobody else's row."""
    await school.run((FOLDER / "zoo.sql").read_text())
    dump = await dumped(school.mapped("  settings:", ZOO), tmp_path)

    async with school.connect() as before, restored(settings, dump) as after:
        for table, where in (("zoo", "true"), ("notes", "user_id <> 3"), ("customers", "id = 'acme'")):
            columns = ", ".join(await columns_of(before, table))
            assert await digest(after, table, columns) == await digest(before, table, columns, where)
        assert "password_hash" not in await columns_of(after, "users")
        assert "password_hash" not in dump.read_text().split("\nbegin;")[1]


async def test_a_hostile_schema_is_made_anew(odd: School, settings: Settings, tmp_path: Path) -> None:
    """Types, sequences, schemas, quoted names and a partitioned table come back with equal rows."""
    dump = await dumped(odd, tmp_path)

    async with odd.connect() as before, restored(settings, dump) as after:
        for table, where in (
            ('"Odd-schema"."Order"', "customer_id = 'acme'"),
            ("parted", "order_id <> 4"),
            ('"Odd-schema"."order"', "order_id <> 4"),
        ):
            columns = await columns_of(after, table)
            shown = ", ".join(columns)
            assert await digest(after, table, shown) == await digest(before, table, shown, where)
            assert set(columns) == set(await columns_of(before, table)) - {"secret"}


async def test_keys_come_back_but_for_those_that_need_what_is_not_there(
    odd: School, settings: Settings, tmp_path: Path
) -> None:
    """What was left out is named at the head of the dump; what refers to another customer's row holds for new rows."""
    dump = await dumped(odd, tmp_path)
    kept = "select conrelid::regclass || ' ' || conname || case when convalidated then '' else ' new rows only' end c"

    async with restored(settings, dump) as after:
        found = {
            row["c"]
            for row in await after.fetch(
                f"{kept} from pg_constraint where contype in ('p', 'u', 'f', 'c') and conrelid > 0"
            )
        }
        indexes = {row["relname"] for row in await after.fetch("select relname from pg_class where relkind = 'i'")}
    order = '"Odd-schema"."Order" '
    assert {f"{order}Order_pkey", f"{order}ring new rows only", "parted parted_pkey", f"{order}Order_twin_key"} <= found
    assert '"Odd-schema"."order" order_order_id_day_fkey' in found
    assert {"by mood", "parted_day_idx"} <= indexes
    head = dump.read_text().split("\nbegin;")[0]
    for lost in (
        "Order_elsewhere_fkey",
        'keeps it" secret',
        "tidily",
        "tidy_index",
        "Order_secret_idx",
        '"Order".hint',
        ".code",
        ".tidied",
    ):
        assert re.search(re.escape(lost) + '"?: ', head)
        assert not any(lost in one for one in found | indexes)


async def test_sequences_go_on_where_they_stood(odd: School, settings: Settings, tmp_path: Path) -> None:
    """The next number is the one that would have come next; nothing collides."""
    dump = await dumped(odd, tmp_path)

    async with odd.connect() as before, restored(settings, dump) as after:
        for sequence in ('"Odd-schema"."Order_select_seq"', '"Odd-schema"."Order_twin_seq"', "shared_numbers"):
            following = f"select nextval('{sequence}')"
            assert await after.fetchval(following) == await before.fetchval(following)


async def test_it_is_restored_whole_or_not_at_all(school: School, settings: Settings, tmp_path: Path) -> None:
    """A dump that was cut short leaves an empty database, and psql says that it failed."""
    dump = await dumped(school, tmp_path)
    whole = dump.read_text()
    dump.write_text(whole[: whole.rindex("\\.")])

    async with database_of_its_own(settings.postgres) as dsn:
        run([postgres_tool("psql"), "-X", "-q", "-d", dsn, "-f", str(dump)], tmp_path, check=False)
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("select count(*) from pg_tables where schemaname = 'public'") == 0
        await connection.close()
