"""Other ids are read before the first command, kept to the case's end, looked for by the check, and told nobody."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from retention_systems import MAP, Platform

from services.retention.dues import Dues
from services.retention.gathered import Gathered
from services.retention.perform import check, survey
from services.retention.reading import Reader
from services.retention.tasks import Check, Checked, Searched, Survey, Surveyed
from shared.performer import Attempt

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NAMES = ("platform-database", "platform-media", "export-archives")
# Only of which kind a state is plays a part here, so that it needs not be a whole one.
UNCHECKED = """
    do $$ declare one text; begin
        for one in select conname from pg_constraint where conrelid = 'cases'::regclass and contype = 'c' loop
            execute format('alter table cases drop constraint %I', one);
        end loop;
    end $$
"""
CASE = """
    insert into cases (customer_id, key_hash, state) values ('acme', 1, $1::jsonb)
        on conflict (customer_id) do update set state = excluded.state
"""
MORE = "  plans: {exempt: no customer's}\n"


@pytest.fixture
async def named(platform: Platform) -> Platform:
    """Give a platform in which customers have slugs, and a case that is being surveyed."""
    declared = MAP.replace("tables:", "customers: customers.id\nids: {slug: customers.slug}\ntables:")
    (platform.holders_file.parent / "map.yaml").write_text(declared + MORE)
    await platform.run("""
        alter table customers add slug text; create table plans (note text);
        update customers set slug = id || '-slug'
    """)
    await case(platform, "surveying")
    return platform


async def own(platform: Platform, statement: str, *values: Any) -> list[asyncpg.Record]:
    """Ask the service's own database."""
    connection = await asyncpg.connect(platform.settings.dsn("retention"))
    try:
        await connection.execute(UNCHECKED)
        return await connection.fetch(statement, *values)
    finally:
        await connection.close()


async def case(platform: Platform, kind: str) -> None:
    await own(platform, CASE, json.dumps({"kind": kind}))


async def surveyed(platform: Platform, *, together: bool = False) -> Surveyed:
    reader, dues = Reader(platform.holders, platform.settings), Dues(platform.settings.dsn("retention"), 25)
    task = Survey(customer_id="acme", deletion_id="d-1", attempt=1, holders=NAMES)
    if together:
        other = "insert into tasks (id, customer_id, kind, body) values ($1, 'acme2', 'Survey', '{}')"
        await own(platform, other, uuid4())
    made = await survey(Gathered(reader, dues), dues, task, Attempt(uuid4(), 1, lambda: NOW))
    assert isinstance(made, Surveyed)
    return made


async def looked(platform: Platform) -> Searched:
    task = Check(customer_id="acme", deletion_id="d-1", attempt=2, holders=NAMES, before=())
    made = await check(Reader(platform.holders, platform.settings), task, Attempt(uuid4(), 1, lambda: NOW))
    assert isinstance(made, Checked)
    searched = made.readings[0].searched
    assert searched is not None
    assert "acme-slug" not in made.model_dump_json()
    return searched


async def notes(platform: Platform) -> list[tuple[str, list[str], bool]]:
    rows = await own(platform, "select holder, identifiers, map_sha256 is not null as in_time from called")
    return [(row["holder"], sorted(row["identifiers"]), row["in_time"]) for row in rows]


@pytest.mark.parametrize("together", [False, True])
async def test_a_copy_under_another_id_is_found(
    named: Platform,
    together: bool,  # noqa: FBT001
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The survey reads them, alone or with others'; its outcome, the check's and the log have none of them."""
    made = await surveyed(named, together=together)
    await named.erase()
    clean = await looked(named)
    await named.run("insert into plans values ('of acme-slug')")
    found = await looked(named)

    assert "slug" not in made.model_dump_json()
    assert await notes(named) == [("platform-database", ["acme-slug"], True)]
    assert (clean.identifiers, clean.left_out, clean.others_unknown, clean.mentions) == (2, 0, False, ())
    assert [(one.table, one.column, one.rows) for one in found.mentions] == [("plans", "note", 1)]
    assert "acme-slug" not in "".join(capsys.readouterr())


async def test_of_a_case_that_began_under_a_former_release_others_are_unknown(named: Platform) -> None:
    """It read none of them, and now nobody can; the certificate doesn't say that they were looked for."""
    await named.erase()
    found = await looked(named)

    assert (found.identifiers, found.others_unknown) == (1, True)


async def test_what_is_read_after_the_first_command_is_added_and_not_in_time(named: Platform) -> None:
    """Some may have gone by then; what was known before stays known."""
    await case(named, "deleting")
    await surveyed(named)
    late = await notes(named)
    await case(named, "surveying")
    await surveyed(named)
    await case(named, "stalled")
    await named.run("update customers set slug = 'acme-new' where id = 'acme'")
    await surveyed(named)

    assert late == [("platform-database", ["acme-slug"], False)]
    assert await notes(named) == [("platform-database", ["acme-new", "acme-slug"], True)]
    await named.erase()
    assert (await looked(named)).identifiers == 3


async def test_by_another_map_others_are_unknown(named: Platform) -> None:
    """It may know of ids that nobody read."""
    await surveyed(named)
    file = named.holders_file.parent / "map.yaml"
    file.write_text(file.read_text() + "  # changed\n")
    await named.erase()

    assert (await looked(named)).others_unknown


async def test_they_are_forgotten_when_the_case_needs_them_no_more(named: Platform) -> None:
    """In the very transaction; a survey that ends later notes nothing."""
    for kind in ("serving", "window", "held", "retaining", "closed"):
        await case(named, "surveying")
        await surveyed(named)
        for step in ("awaiting", "deleting", "stalled", "checking", "keeping", "certifying"):
            await case(named, step)
        kept = await notes(named)
        await case(named, kind)
        forgotten = await notes(named)
        await surveyed(named)

        assert (len(kept), forgotten, await notes(named)) == (1, [], [])


async def test_without_other_ids_nothing_is_kept(platform: Platform) -> None:
    """The map says that it goes by none."""
    await case(platform, "surveying")
    await surveyed(platform)
    await platform.erase()
    found = await looked(platform)

    assert await notes(platform) == []
    assert (found.identifiers, found.others_unknown) == (1, False)
