"""Whatever else a customer goes by is read before its rows go, and looked for afterwards, in the same one pass."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.platform.scratch import scratch_database
from shared.datamap.model import parse
from shared.holder.called import MOST, Called, Sought, called, sought
from shared.holder.commands import app
from shared.holder.residue import search
from shared.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import Any

SCHEMA = """
    create table orgs (id text primary key, slug text, number bigint);
    create table aliases (org text references orgs, name text);
    create table crm (note text, more jsonb);
    insert into orgs values ('acme', 'acme-school', 5560001), ('fjord', 'fjord-school', 5560002), ('nobel', null, null);
    insert into aliases values
        ('acme', 'Akademin'), ('acme', 'old'), ('acme', 'Both'), ('acme', 'FJORD'), ('acme', ''), ('acme', null),
        ('acme', 'acme'), ('acme', 'ACME-school'), ('fjord', 'both');
"""
MAP = """
version: 1
system: shop
tenancy: rows
customers: orgs.id
ids: {slug: orgs.slug, number: orgs.number, alias: aliases.name}
tables:
  orgs: {category: user, owner: {column: id}}
  aliases: {category: user, owner: {column: org}}
  crm: {exempt: "no customer's"}
"""
SHOP = parse(MAP.encode(), "map.yaml")
NAMES = ("ACME-school", "Akademin", "Both", "FJORD", "acme-school", "old", "5560001")


@pytest.fixture
async def dsn() -> AsyncIterator[str]:
    async with scratch_database(read_settings().postgres) as dsn:
        yield dsn


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(dsn)
    await connection.execute(SCHEMA)
    yield connection
    await connection.close()


async def erase(dsn: str, tmp_path: Path, *more: str) -> tuple[int, dict[str, Any], str]:
    file = tmp_path / "map.yaml"
    file.write_text(MAP)
    arguments = ["--map", str(file), "--dsn", dsn, "--customer", "acme", "--yes", *more]
    done = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"])
    return done.exit_code, json.loads(done.stdout), done.output


async def test_the_customers_rows_say_by_what_it_goes(shop: asyncpg.Connection[asyncpg.Record]) -> None:
    """All values in all of its own rows, whatever their type; not the id itself, and nobody else's."""
    assert set(await called(shop, SHOP, "acme")) == set(NAMES)
    assert await called(shop, SHOP, "nobel") == ()


async def test_what_is_another_customers_too_or_too_short_is_left_out(shop: asyncpg.Connection[asyncpg.Record]) -> None:
    """By whatever kind of id the other goes, however it is written; it is counted, and not taken for sought."""
    found = await sought(shop, SHOP, "acme", Called(NAMES, SHOP.sha256))

    assert {one.lower() for one in found.identifiers} == {"acme", "acme-school", "akademin", "5560001"}
    assert found.identifiers[0] == "acme"
    assert (found.left_out, found.others_unknown) == (3, False)


async def test_an_id_that_could_be_anything_is_left_out_and_the_others_are_not(
    shop: asyncpg.Connection[asyncpg.Record],
) -> None:
    """Where events name a customer by a small number, just its slug can be looked for."""
    assert await sought(shop, SHOP, "42", Called(("school-42",), SHOP.sha256)) == Sought(("school-42",), 1)


@pytest.mark.parametrize("known", [None, Called((), None), Called((), "0" * 64)])
async def test_what_was_not_read_in_time_or_by_another_map_is_unknown(
    shop: asyncpg.Connection[asyncpg.Record], known: Called | None
) -> None:
    """Unless the map knows of no other ids at all."""
    assert (await sought(shop, SHOP, "acme", known)).others_unknown
    assert not (await sought(shop, replace(SHOP, ids={}), "acme", known)).others_unknown


async def test_of_very_many_some_are_looked_for(shop: asyncpg.Connection[asyncpg.Record]) -> None:
    """And it is said of how many that isn't so."""
    found = await sought(shop, SHOP, "acme", Called(tuple(f"alias-{one}" for one in range(MOST + 9)), SHOP.sha256))

    assert (len(found.identifiers), found.left_out) == (MOST, 10)


async def test_one_scan_looks_for_all_of_them(shop: asyncpg.Connection[asyncpg.Record]) -> None:
    """However many ids there are, each table is read once."""
    scans: list[str] = []
    shop.add_query_logger(lambda one: scans.extend([one.query] if " like any " in one.query else []))
    await search(shop, SHOP, ("acme",))
    once = len(scans)
    await search(shop, SHOP, NAMES)

    assert (once, len(scans)) == (3, 6)


async def test_where_each_has_a_schema_its_own_is_read(shop: asyncpg.Connection[asyncpg.Record]) -> None:
    """The column that holds the id lies in the customer's schema."""
    await shop.execute(
        "create schema t_acme; create table t_acme.self (slug text); insert into t_acme.self values ('x-y')"
    )
    text = "{version: 1, system: s, tenancy: {schema: 't_{customer}'}, customers: orgs.id, ids: {slug: self.slug},"
    text += " tables: {self: {category: user}, orgs: {exempt: all}}}"
    own = parse(text.encode(), "map.yaml").of("acme")

    assert await called(shop, own, "acme") == ("x-y",)
    found = await sought(shop, own, "acme", Called(("x-y", "slug-of-acme"), own.sha256))
    assert found == Sought(("acme", "slug-of-acme"), 1)


@pytest.mark.parametrize("copy", ["Dear akademin,", "5560001", '{"of": "acme-school"}'])
async def test_a_copy_under_another_id_is_no_success(
    shop: asyncpg.Connection[asyncpg.Record], dsn: str, tmp_path: Path, copy: str
) -> None:
    """``offramp erase`` reads them before it deletes; of which it doesn't tell."""
    await shop.execute("insert into crm (note) values ($1)", copy)
    code, told, output = await erase(dsn, tmp_path)

    assert code == 1
    assert [(one["table"], one["rows"], one["whose"]) for one in told["mentions"]] == [("crm", 1, "nobody")]
    assert told["searched_for"] == {"identifiers": 4, "left_out": 3, "others_unknown": False}
    assert "kademin" not in output


async def test_what_another_goes_by_as_well_stops_nothing(
    shop: asyncpg.Connection[asyncpg.Record], dsn: str, tmp_path: Path
) -> None:
    """It may be the other's, or any word; who names it with ``--also`` looks for it."""
    await shop.execute("insert into crm (note) values ('both, old and fjord')")
    code, told, _ = await erase(dsn, tmp_path)
    again, _, _ = await erase(dsn, tmp_path, "--also", "old")

    assert (code, told["mentions"], again) == (0, [], 1)


async def test_who_comes_when_the_rows_are_gone_is_told_that_others_are_unknown(
    shop: asyncpg.Connection[asyncpg.Record], dsn: str, tmp_path: Path
) -> None:
    """A second try after one that was cut off has nothing to read them from."""
    await erase(dsn, tmp_path)
    _, told, _ = await erase(dsn, tmp_path)

    assert told["searched_for"] == {"identifiers": 1, "left_out": 0, "others_unknown": True}
