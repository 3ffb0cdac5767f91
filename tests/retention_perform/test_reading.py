"""The holders' systems are read before and after a deletion, and what can't be read is never taken for empty."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from retention_systems import MAP, Platform

from services.retention.reading import Reader, Reading
from shared.events.platform import OfTables
from shared.events.retention import Keep
from shared.holder.declaration import PostgresHolder, S3Holder
from shared.holder.right import RefusedError
from shared.objects import ObjectStore
from shared.store_faults import StoreError

NOW = datetime(2026, 11, 1, tzinfo=UTC)

BY_SCHEMA = """
version: 1
system: platform
tenancy: {schema: "t_{customer}"}
tables: {users: {category: user}}
"""


def reader(platform: Platform) -> Reader:
    return Reader(platform.holders, platform.settings)


def own(readings: tuple[Reading, ...]) -> dict[str, int]:
    return {f"{reading.holder}.{one.table}": one.own for reading in readings for one in reading.seen}


async def test_before_it_counts_everything_of_the_customer(platform: Platform) -> None:
    """Before, the customer's rows and objects are counted, and nobody else's among them."""
    counts = own(await reader(platform).before("acme"))

    assert list(counts.values()) == [1, 2, 3, 2, 0]


async def test_many_are_read_as_each_alone(platform: Platform) -> None:
    """With one scan for all, the same counts and fingerprints; also of one who isn't there."""
    customers = ["acme", "fjord", "nobody"]
    together = await reader(platform).before_all(customers)

    assert together == {one: await reader(platform).before(one) for one in customers}


async def test_a_bucket_is_listed_once_for_many(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many customers are read: each kind of listing once, and nobody's objects are taken for another's."""
    await platform.store.put(platform.media, "acme/", b"a folder")
    await platform.store.put(platform.media, "ac", b"nobody's")
    await platform.store.put(platform.media, "acme-east/logo.png", b"a neighbour's")
    await platform.store.client.create_multipart_upload(Bucket=platform.media, Key="acme2/film.mp4")
    customers = ["acme", "acme2", "acme-east", "a", "nobody-at-all"]
    media = Reader((platform.holders[1],), platform.settings)
    alone = {one: await counted_alone(platform, one) for one in customers}
    listed: list[str] = []
    pages = ObjectStore._pages
    monkeypatch.setattr(ObjectStore, "_pages", lambda *asked: listed.append(asked[1]) or pages(*asked))
    versions = ObjectStore._version_pages
    monkeypatch.setattr(ObjectStore, "_version_pages", lambda *asked: listed.append("versions") or versions(*asked))

    together = await media.before_all(customers)

    assert {one: (at.seen[0].own, at.seen[0].others) for one, (at,) in together.items()} == alone
    assert sorted(listed) == ["list_multipart_uploads", "list_objects_v2", "versions"]


async def counted_alone(platform: Platform, customer: str) -> tuple[int, int]:
    """Count own versions and uploads by the customer's prefix, and everybody else's versions."""
    everything = [one async for one in platform.store.versions(platform.media, "")]
    own = [one async for one in platform.store.versions(platform.media, f"{customer}/")]
    return await platform.store.count_left(platform.media, f"{customer}/"), len(everything) - len(own)


async def test_many_are_read_one_by_one_where_one_scan_can_not_tell(platform: Platform) -> None:
    """A condition has to be asked of each, and where each has a schema there is nothing to scan for all."""
    file, customers = platform.holders_file.parent / "map.yaml", ["acme", "fjord"]
    condition = MAP.replace("{column: customer_id}", '{sql: "{row}.customer_id = {customer}"}')
    file.write_text(condition.replace("tables:", "customers: customers.id\ntables:"))
    by_condition = await reader(platform).before_all(customers)
    alone = {one: await reader(platform).before(one) for one in customers}
    for one, rows in (("acme", 2), ("fjord", 3)):
        await platform.run(f"create schema t_{one}; create table t_{one}.users as select generate_series(1, {rows}) n")
    file.write_text(BY_SCHEMA)
    by_schema = await reader(platform).before_all(customers)

    assert by_condition == alone
    assert [own(by_schema[one])["platform-database.t_" + one + ".users"] for one in customers] == [2, 3]


async def test_after_nothing_is_left_and_others_stand_as_before(platform: Platform) -> None:
    """After a true deletion nothing is left, and everybody else's fingerprints are those from before."""
    before = await reader(platform).before("acme")
    await platform.erase()
    after = await reader(platform).after("acme", NOW)

    assert set(own(after).values()) == {0}
    assert [[replace(one, own=0, objects=one.objects and 0) for one in reading.seen] for reading in before] == [
        list(reading.seen) for reading in after
    ]


async def test_what_is_held_is_counted_by_itself(platform: Platform) -> None:
    """A held table's rows are left, with those that they need, and are no residue; a bucket is, or isn't."""
    keep = (Keep(hold_id="h1", scope=OfTables(tables=("notes",))),)
    media = (Keep(hold_id="h1", scope=OfTables(tables=(platform.media,))),)
    before = await reader(platform).before("acme")
    held = await reader(platform).after("acme", NOW, {"platform-database": keep, "platform-media": media})
    await platform.run("insert into users values (9, 'acme')")
    more = await reader(platform).after("acme", NOW, {"platform-database": keep})

    assert {f"{at.holder}.{one.table}": (one.own, one.kept) for at in held for one in at.seen} == {
        "platform-database.customers": (0, 1),
        "platform-database.users": (0, 2),
        "platform-database.notes": (0, 3),
        f"platform-media.{platform.media}": (0, 2),
        own_key(held[2]): (0, 0),
    }
    assert [(one.others, one.fingerprint) for at in held for one in at.seen] == [
        (one.others, one.fingerprint) for at in before for one in at.seen
    ]
    assert own(more)["platform-database.users"] == 1
    assert own(more)[f"platform-media.{platform.media}"] == 2


def own_key(reading: Reading) -> str:
    return f"{reading.holder}.{reading.seen[0].table}"


async def test_a_hold_that_cannot_be_told_is_no_proof(platform: Platform) -> None:
    """Nobody knows then what may be left, so the check fails by name."""
    keep = (Keep(hold_id="h1", scope=OfTables(tables=("notez",))),)

    with pytest.raises(RefusedError, match="notez"):
        await reader(platform).after("acme", NOW, {"platform-database": keep})


@pytest.mark.parametrize(
    ("damage", "table"),
    [
        ("update notes set body = 'x' where id = 4", "notes"),
        ("delete from notes where id = 4", "notes"),
        ("insert into customers values ('acme3', null)", "customers"),
    ],
)
async def test_a_touched_bystander_is_seen(platform: Platform, damage: str, table: str) -> None:
    """Another customer's row changed, gone or new shows in its table's fingerprint and in no other."""
    before = await reader(platform).before("acme")
    await platform.erase()
    await platform.run(damage)
    after = await reader(platform).after("acme", NOW)
    differing = {
        now.table
        for then_at, now_at in zip(before, after, strict=True)
        for then, now in zip(then_at.seen, now_at.seen, strict=True)
        if (then.others, then.fingerprint) != (now.others, now.fingerprint)
    }

    assert differing == {table}


async def test_a_hidden_version_is_left_over(platform: Platform) -> None:
    """An object deleted in the ordinary way is still there as a version, and the check counts it."""
    await platform.store.put(platform.media, "acme/again.jpg", b"1")
    await platform.store.put(platform.media, "acme/again.jpg", b"2")
    after = own(await reader(platform).after("acme", NOW))

    assert after[f"platform-media.{platform.media}"] == 4


async def test_objects_are_counted_once_whatever_versions_there_are(platform: Platform) -> None:
    """Two versions are one object; what lies under a delete marker is none that could be read, or exported."""
    await platform.store.put(platform.media, "acme/a.jpg", b"again")
    await platform.store._client.delete_object(Bucket=platform.media, Key="acme/b c.mp4")
    _, media, _ = await reader(platform).before("acme")

    assert [(one.own, one.objects) for one in media.seen] == [(4, 1)]


async def test_objects_that_rows_refer_to_are_counted_too(platform: Platform) -> None:
    """One is the customer's alone, one is somebody else's as well; afterwards there is none."""
    file = platform.holders_file.parent / "map.yaml"
    media = f'media: {{face: {{bucket: {platform.media}, key: "faces/{{value}}"}}}}'
    file.write_text(MAP.replace("owner: {column: customer_id}}", f"owner: {{column: customer_id}}, {media}}}"))
    await platform.run("alter table users add face text; update users set face = id")
    await platform.run("update users set face = '2' where id = 3")
    for name in ("1", "1", "2"):
        await platform.store.put(platform.media, f"faces/{name}", b"")
    before, *_ = await reader(platform).before("acme")
    await platform.erase()
    after, *_ = await reader(platform).after("acme", NOW)

    assert [(one.own, one.objects, one.shared) for one in (before.seen[-1], after.seen[-1])] == [(2, 1, 1), (0, 0, 0)]


async def test_an_undeclared_table_is_named(platform: Platform) -> None:
    """A table that the map doesn't know is named before and after: nothing is proven of it."""
    await platform.run("create table diary (id int primary key, customer_id text)")
    await platform.run("insert into diary values (1, 'acme')")

    assert "diary" in (await reader(platform).before("acme"))[0].undeclared
    assert "diary" in (await reader(platform).after("acme", NOW))[0].undeclared


async def test_a_database_that_is_away_is_an_outage(platform: Platform) -> None:
    """A database that can't be reached raises, so that the reading is tried again."""
    away = urlunsplit(urlsplit(platform.settings.postgres)._replace(path=f"/t_{uuid4().hex[:12]}"))
    settings = replace(platform.settings, own_dsns=MappingProxyType({"platform": away}))

    with pytest.raises((OSError, asyncpg.PostgresError)):
        await Reader(platform.holders, settings).after("acme", NOW)


async def test_a_bucket_that_is_away_is_no_empty_bucket(platform: Platform) -> None:
    """A bucket that does not exist raises; it is never reported as empty."""
    missing = tuple(
        replace(holder, bucket=f"t-{uuid4().hex[:12]}") if isinstance(holder, S3Holder) else holder
        for holder in platform.holders
    )

    with pytest.raises(StoreError):
        await Reader(missing, platform.settings).after("acme", NOW)


async def test_a_role_that_sees_less_is_an_error(platform: Platform) -> None:
    """A table that the reading role may not read raises; what one may not see is not gone."""
    role = f"t_{uuid4().hex[:12]}"
    await platform.run(f"create role {role} login password 'x'")
    try:
        await platform.run(f"grant usage on schema public to {role}; grant select on customers, users to {role}")
        dsn = urlsplit(platform.settings.dsn("platform"))
        reading = dsn._replace(netloc=f"{role}:x@{dsn.netloc.rpartition('@')[2]}")
        own_dsns = {**platform.settings.own_dsns, "holder_platform_database": urlunsplit(reading)}
        settings = replace(platform.settings, own_dsns=MappingProxyType(own_dsns))

        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await Reader(platform.holders, settings).after("acme", NOW)
    finally:
        await platform.run(f"drop owned by {role}; drop role {role}")


async def test_the_check_can_only_read(platform: Platform) -> None:
    """The connection of the check refuses to write, whatever its role may do."""
    database = platform.holders[0]
    assert isinstance(database, PostgresHolder)
    connection = await reader(platform)._connect(database)
    try:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("delete from notes")
    finally:
        await connection.close()


async def test_what_held_rows_name_is_counted_by_itself(platform: Platform) -> None:
    """Of objects that rows refer to just those of held rows may be left, and others' stand as before."""
    referring = 'media: {body: {bucket: BUCKET, key: "{value}"}}'.replace("BUCKET", platform.media)
    text = MAP.replace("notes: {category: course,", f"notes: {{category: course, {referring},")
    (platform.holders_file.parent / "map.yaml").write_text(text)
    for key in ("räksmörgås", "not acme's"):
        await platform.store.put(platform.media, key, b"1")
    database = Reader((platform.holders[0],), platform.settings)
    keep = (Keep(hold_id="h1", scope=OfTables(tables=("notes",))),)
    before = await database.before("acme")
    held = await database.after("acme", NOW, {"platform-database": keep})

    # What is looked for at a customer who has left is what its rows name that stand.
    [(then,), (now,)] = [
        [one for one in reading[0].seen if one.table.startswith("objects.")] for reading in (before, held)
    ]
    assert (then.own, then.kept) == (1, 0)
    assert (now.own, now.kept) == (0, 1)
    assert (now.others, now.fingerprint) == (then.others, then.fingerprint)
