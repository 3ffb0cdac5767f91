"""Where the map and the live schema disagree, it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.datamap.live import check, columns, foreign_keys

if TYPE_CHECKING:
    import asyncpg

    from shared.datamap.model import DataMap

    Database = asyncpg.Connection[asyncpg.Record]


async def test_a_map_that_fits_has_no_findings(database: Database, school: DataMap) -> None:
    """Every table is declared or exempt, every path leads to a customer, every foreign key has an index."""
    assert await check(database, school) == ()


DRIFTS = {
    "a new table": ("create table grades (id int)", "undeclared_table", "grades"),
    "a new table in another schema": ("create schema lms; create table lms.x (id int)", "undeclared_table", "lms.x"),
    "a copy in a view": ("create materialized view v as select * from users", "undeclared_table", "v"),
    "a dropped table": ("drop table marks", "vanished_table", "marks"),
    "a dropped exempt table": ("drop table migrations", "vanished_table", "migrations"),
    "a renamed secret": ("alter table users rename password_hash to hash", "vanished_column", "users.password_hash"),
    "a renamed owner": ("alter table users rename customer_id to tenant", "owner_missing", "users.customer_id"),
    "an owner of another type": (
        "alter table users drop customer_id; alter table users add customer_id int",
        "owner_type",
        "users.customer_id",
    ),
    "a renamed step": ("alter table enrolments rename user_id to person", "path_broken", "enrolments"),
    "a path by what is not unique": (
        "alter table enrolments drop constraint enrolments_pkey cascade",
        "path_ambiguous",
        "marks",
    ),
    "a foreign key from an exempt table": (
        "alter table migrations add customer text references customers",
        "foreign_key_from_outside",
        "migrations.customer",
    ),
    "a foreign key without an index": (
        "alter table users add boss int references users",
        "foreign_key_not_indexed",
        "users.boss",
    ),
    "a foreign key with a partial index only": (
        "alter table users add boss int references users; create index on users (boss) where boss > 0",
        "foreign_key_not_indexed",
        "users.boss",
    ),
}


@pytest.mark.parametrize("drift", DRIFTS)
async def test_a_drift_is_found(database: Database, school: DataMap, drift: str) -> None:
    """Each way in which a schema can grow away from its map is one finding, with its place and what to do."""
    change, kind, place = DRIFTS[drift]
    await database.execute(change)

    found = await check(database, school)

    assert (kind, place) in [(one.kind, one.place) for one in found]
    assert all(one.remedy for one in found)


async def test_only_a_missing_index_is_a_mere_warning(database: Database, school: DataMap) -> None:
    """What makes a deletion slow does not stop it; everything else does."""
    await database.execute("alter table users add boss int references users; create table grades (id int)")

    stops = {one.kind: one.stops for one in await check(database, school)}

    assert stops == {"undeclared_table": True, "foreign_key_not_indexed": False}


async def test_columns_are_told_as_they_are(database: Database, school: DataMap) -> None:
    """Types are as the server writes them, and keys are known."""
    found = await columns(database, school)

    assert list(found) == ["customers", "users", "enrolments", "marks"]
    assert [(one.name, one.type, one.nullable, one.position) for one in found["marks"]] == [
        ("enrolment_id", "integer", True, 1),
        ("mark", "double precision", True, 2),
    ]
    assert [(one.key_position, one.unique) for one in found["users"]] == [(1, True), (None, False)] + [
        (None, False)
    ] * 2


async def test_foreign_keys_are_told_with_their_columns(database: Database) -> None:
    """Who refers to whom, by which columns, and whether an index serves it."""
    keys = {(key.table, key.columns, key.to_table, key.to_columns, key.indexed) for key in await foreign_keys(database)}

    assert keys == {
        ("users", ("customer_id",), "customers", ("id",), True),
        ("enrolments", ("user_id",), "users", ("id",), True),
        ("marks", ("enrolment_id",), "enrolments", ("id",), True),
    }
