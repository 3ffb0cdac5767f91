"""Archives are built where deletions look for them, and deleted only while the right to still stands."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import signal
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
import structlog
from msgspec.structs import replace as replace_state
from typer.testing import CliRunner
from yarl import URL

from services.exporter import perform
from services.exporter.app import NothingToExportError, build, the_archives, the_database
from services.exporter.states import Copy, Deleting, Keeping, Known, State
from services.exporter.tasks import (
    ArchiveBuilt,
    ArchivesDeleted,
    BuildFailed,
    CompareExport,
    CompareFailed,
    DeleteArchives,
    DeleteFailed,
    ExportCompared,
    RevokeFailed,
    RevokeLinks,
    VersionsReplaced,
)
from shared.clock import system_clock
from shared.contracts import Contract, Ending
from shared.events.platform import NotErased
from shared.events.vocabulary import TableCount
from shared.holder.declaration import PostgresHolder
from shared.holder.objects import erase_objects
from shared.holds import Hold
from shared.objects import Listed, ObjectStore
from shared.renewing import NotVersionedError, renew
from shared.settings import Settings
from shared.signing.keys import KeysError, make_keys
from shared.signing.signer import Signer
from shared.signing.sshsig import ARCHIVE
from shared.statecodec import StateCodec
from shared.store_faults import ObjectMissingError, StoreOutageError
from shared.windowchanges import Change
from tests.exporter_perform.command_line import offramp
from tests.exporter_perform.school import ATTEMPT, BUILD, LARGE, School

pytestmark = pytest.mark.long

CLOSED = datetime(2026, 1, 1, tzinfo=UTC)
DELETE = DeleteArchives(customer_id="acme", deletion_id="d-1", attempt=1, archives=())


def deleting(*holds: Hold, deletion_id: str = "d-1", closed: datetime = CLOSED) -> Deleting:
    return Deleting(Known(customer_id="acme", holds=holds), deletion_id, closed)


async def test_an_archive_lies_where_it_says(school: School) -> None:
    """The archive's place, size, digest and counts are those of the object that is stored."""
    outcome = await school.exporting.build(BUILD, ATTEMPT)
    assert isinstance(outcome, ArchiveBuilt)
    body = await school.store.get(school.bucket, "acme/e-1.zip")

    assert outcome.place == f"s3://{school.bucket}/acme/e-1.zip"
    assert (outcome.size_bytes, outcome.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert [(one.table, one.rows) for one in outcome.tables] == [("customers", 1)]
    assert zipfile.ZipFile(io.BytesIO(body)).testzip() is None
    assert outcome.signed_by == Signer.load(school.settings.home / "exporter-keys", ARCHIVE).key_id


async def test_nothing_leaves_the_service_unsigned(school: School) -> None:
    """Without its keys, or with another service's, the exporter waits for them rather than make an unsigned archive."""
    keys = school.settings.home / "exporter-keys"
    keys.rename(school.settings.home / "away")
    with pytest.raises(KeysError, match="offramp keys make --archives"):
        await school.exporting.build(BUILD, ATTEMPT)
    make_keys(keys)
    with pytest.raises(KeysError, match="Each service has keys of its own"):
        await school.exporting.build(BUILD, ATTEMPT)

    assert await school.keys() == []


def test_production_does_not_start_without_keys(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In production a missing key is told at the start; elsewhere keys are made, for archives alone."""
    monkeypatch.setenv("OFFRAMP_ENV", "production")
    with pytest.raises(KeysError, match="in production nothing makes them"):
        build(replace(settings, home=tmp_path))
    monkeypatch.delenv("OFFRAMP_ENV")
    build(replace(settings, home=tmp_path))

    Signer.load(tmp_path / "exporter-keys", ARCHIVE)


async def test_a_link_to_a_ready_archive(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """Support gets a link from the case as it stands; what is no longer in the store gets none."""
    await school.exporting.build(BUILD, ATTEMPT)
    over = system_clock() - timedelta(days=10)
    ending = Ending(decided=False, period_end=over.date(), terminated_at=over, zone="UTC")
    contract = Contract("c-1", "UTC", 1, over.date(), over.date(), ending)
    await school.is_at(
        Keeping(Known(contracts=(contract,), archives=(Copy("e-1", f"s3://{school.bucket}/acme/e-1.zip"),)))
    )
    monkeypatch.setenv("OFFRAMP_EXPORTER_DSN", school.settings.dsn("exporter"))

    said = await asyncio.to_thread(CliRunner().invoke, offramp(), ["export", "link", "acme", "--json"])
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.get(URL(json.loads(said.stdout)["urls"][0], encoded=True)) as got,
    ):
        assert await got.read() == await school.store.get(school.bucket, "acme/e-1.zip")

    await school.store.delete_all_versions(school.bucket, "acme/")
    gone = await asyncio.to_thread(CliRunner().invoke, offramp(), ["export", "link", "acme"])
    assert isinstance(gone.exception, ObjectMissingError)


async def test_building_again_leaves_one_version(school: School) -> None:
    """A build begun again after a crash leaves no second version and no upload behind, and says so."""
    await school.exporting.build(BUILD, ATTEMPT)
    for _ in range(2):
        await school.store._client.create_multipart_upload(Bucket=school.bucket, Key="acme/e-1.zip")
    with structlog.testing.capture_logs() as logs:
        again = await school.exporting.build(BUILD, ATTEMPT)

    assert isinstance(again, ArchiveBuilt)
    assert await school.keys() == ["acme/e-1.zip"]
    assert await school.store.count_left(school.bucket, "acme/") == 1
    said = [one["event"] for one in logs]
    assert "an archive that nobody was told of was deleted; begun again" in said
    assert "an unfinished upload is gone on with" in said


async def test_an_undeclared_table_makes_no_archive(school: School) -> None:
    """Where the map doesn't cover the schema, no archive is made, and the reason is told."""
    await school.run("create table diary (id int primary key)")
    outcome = await school.exporting.build(BUILD, ATTEMPT)

    assert isinstance(outcome, BuildFailed)
    assert outcome.reason == "map_disagrees"
    assert await school.keys() == []


async def test_a_database_that_is_away_is_tried_again(school: School) -> None:
    """An outage raises, so that the build is tried again, and leaves nothing behind."""
    away = urlunsplit(urlsplit(school.settings.postgres)._replace(path=f"/t_{uuid4().hex[:12]}"))
    settings = replace(school.settings, own_dsns=MappingProxyType({"platform": away}))

    with pytest.raises((OSError, asyncpg.PostgresError)):
        await replace(school.exporting, settings=settings).build(BUILD, ATTEMPT)
    assert await school.keys() == []


async def stopped(school: School, cause: type[BaseException]) -> None:
    """Build until all rows are read, then stop of *cause*, with parts in the store."""

    def stop(stage: str, _done: int, _total: int | None) -> None:
        if stage == "media":
            raise cause

    with pytest.raises(cause):
        await school.exporting.build(LARGE, replace(ATTEMPT, report=stop))


async def uploads(school: School) -> list[str]:
    return sorted([key async for key, _ in school.store.unfinished(school.bucket, "")])


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from uuid import uuid4
from services.exporter.app import the_archives, the_database
from services.exporter.perform import Exporting
from services.exporter.tasks import BuildArchive
from shared.clock import system_clock
from shared.holder.declaration import load_holders
from shared.holder.heard import Unpublished
from shared.performer import Attempt
from shared.settings import read_settings

def kill(stage, done, total):
    if stage == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)

settings = read_settings()
holders = load_holders(settings.home / "holders.yaml")
archives = the_archives(holders, "export-archives", settings)
exporting = Exporting(settings, the_database(holders), archives, settings.home / "exporter-keys", Unpublished())
asyncio.run(exporting.build(BuildArchive.model_validate_json(sys.argv[2]), Attempt(uuid4(), 1, system_clock, kill)))
"""


async def killed(school: School, stage: str) -> None:
    """Let another process build, and kill it (SIGKILL) when it reports *stage*."""
    dsns = {f"OFFRAMP_{name.upper()}_DSN": dsn for name, dsn in school.settings.own_dsns.items()}
    places = {"OFFRAMP_HOME": str(school.settings.home), "OFFRAMP_EXPORTS_BUCKET": school.bucket}
    environment = {**os.environ, **dsns, **places, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, "-c", KILLED, stage, LARGE.model_dump_json()]
    child = await asyncio.create_subprocess_exec(*arguments, env=environment)
    assert await child.wait() == -signal.SIGKILL


@pytest.mark.parametrize("stage", ["essays jsonlines", "media", "read back"])
async def test_a_killed_build_is_gone_on_with(essays: School, stage: str) -> None:
    """What lies there isn't sent again; the archive is of the rows as they are now, and is proven against them."""
    await killed(essays, stage)
    await essays.run("update essays set said = 'changed since' where id = 390")
    with structlog.testing.capture_logs() as logs:
        outcome = await essays.exporting.build(LARGE, ATTEMPT)
    assert isinstance(outcome, ArchiveBuilt)
    body = await essays.store.get(essays.bucket, "acme/e-1.zip")
    with zipfile.ZipFile(io.BytesIO(body)) as opened:
        assert b"390,acme,changed since\n" in opened.read("e-1/data/csv/report/essays.csv")

    assert outcome.sha256 == hashlib.sha256(body).hexdigest()
    assert await essays.store.count_left(essays.bucket, "acme/") == 1
    said = [one for one in logs if one["event"] == "parts were taken over"]
    if stage == "read back":
        # It was complete, and nobody was told: then there is nothing to go on with.
        assert "an archive that nobody was told of was deleted; begun again" in [one["event"] for one in logs]
    else:
        assert said[0]["parts"] >= 1
        assert said[0]["export"] == "e-1"


@pytest.mark.parametrize("cause", [asyncio.CancelledError, StoreOutageError, ConnectionResetError])
async def test_an_interruption_or_an_outage_keeps_what_was_sent(essays: School, cause: type[BaseException]) -> None:
    """A lost lease, a stop, a store or a database that goes away: it is raised, to be tried again, and gone on with."""
    await essays.store._client.create_multipart_upload(Bucket=essays.bucket, Key="acme/e-2.zip")
    await stopped(essays, cause)
    assert await uploads(essays) == ["acme/e-1.zip", "acme/e-2.zip"]
    with structlog.testing.capture_logs() as logs:
        await essays.exporting.build(LARGE, ATTEMPT)

    assert "parts were taken over" in [one["event"] for one in logs]
    assert await uploads(essays) == ["acme/e-2.zip"]


@pytest.mark.parametrize("spoilt", ["schema", "map"])
async def test_an_export_that_is_given_up_keeps_nothing(essays: School, spoilt: str) -> None:
    """Whether it fails while it is written or before it has begun, what earlier tries have sent goes."""
    await stopped(essays, StoreOutageError)
    if spoilt == "schema":
        await essays.run("create table diary (id int primary key)")
    else:
        (essays.settings.home / "map.yaml").write_text("version: none")
    outcome = await essays.exporting.build(LARGE, ATTEMPT)

    assert isinstance(outcome, BuildFailed)
    assert await essays.store.count_left(essays.bucket, "acme/") == 0


async def test_what_was_kept_goes_with_the_customer(essays: School) -> None:
    """A deletion counts an unfinished upload, and leaves none."""
    await stopped(essays, StoreOutageError)
    await essays.is_at(deleting())
    outcome = await essays.exporting.delete(DELETE, ATTEMPT)

    assert isinstance(outcome, ArchivesDeleted)
    assert [one.rows for one in (*outcome.deleted, *outcome.remaining)] == [1, 0]
    assert await uploads(essays) == []


async def test_all_archives_of_the_customer_go_and_nobody_elses(school: School) -> None:
    """Every version under the customer's prefix goes; a customer whose id begins the same keeps everything."""
    for key in ("acme/e-1.zip", "acme/e-1.zip", "acme/unknown.zip", "acme2/e-9.zip"):
        await school.store.put(school.bucket, key, b"archive")
    await school.is_at(deleting())
    outcome = await school.exporting.delete(DELETE, ATTEMPT)

    assert isinstance(outcome, ArchivesDeleted)
    assert [one.rows for one in (*outcome.deleted, *outcome.remaining)] == [3, 0]
    assert outcome.bystanders[0].before == outcome.bystanders[0].after
    assert await school.keys() == ["acme2/e-9.zip"]


async def test_it_is_said_that_others_archives_were_only_sampled(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a bucket with too many versions to compare all of them."""
    await school.store.put(school.bucket, "acme/e-1.zip", b"archive")
    await school.store.put(school.bucket, "acme2/e-9.zip", b"archive")
    await school.is_at(deleting())
    monkeypatch.setattr(perform, "erase_objects", partial(erase_objects, compared=1))
    outcome = await school.exporting.delete(DELETE, ATTEMPT)

    assert isinstance(outcome, ArchivesDeleted)
    assert outcome.sampled == (school.bucket,)


async def test_what_went_before_it_failed_is_told(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object lock keeps one archive until its end, while the others are gone for good."""
    await school.is_at(deleting())
    count = (TableCount(table=school.bucket, rows=1),)
    until = system_clock().replace(microsecond=0)

    async def locked(*_: object, **__: object) -> NotErased:
        return NotErased(reason="failed", deleted=count, saved=count, until=until)

    monkeypatch.setattr(perform, "erase_objects", locked)
    outcome = await school.exporting.delete(DELETE, ATTEMPT)

    assert isinstance(outcome, DeleteFailed)
    assert (outcome.reason, outcome.deleted, outcome.saved, outcome.until) == ("failed", count, count, until)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (deleting(Hold("hold-1", "BFL 7:2", CLOSED)), "held"),
        (deleting(closed=system_clock() + timedelta(days=1)), "window_open"),
        (deleting(deletion_id="d-2"), "not_asked"),
        (Keeping(Known(customer_id="acme")), "not_asked"),
        (None, "not_asked"),
    ],
)
async def test_without_the_right_nothing_goes(school: School, state: State | None, reason: str) -> None:
    """A hold that came after the order, an open window, an order that no longer stands: nothing is deleted."""
    await school.store.put(school.bucket, "acme/e-1.zip", b"archive")
    if state is not None:
        await school.is_at(state)
    outcome = await school.exporting.delete(DELETE, ATTEMPT)

    assert isinstance(outcome, DeleteFailed)
    assert outcome.reason == reason
    assert await school.keys() == ["acme/e-1.zip"]


async def test_a_second_database_is_not_left_out_in_silence(school: School) -> None:
    """Archives are made of one database; with two declared, or none, the service does not start."""
    databases = tuple(one for one in school.holders if isinstance(one, PostgresHolder))

    for wrong in ((), databases * 2):
        with pytest.raises(NothingToExportError, match="exactly one database"):
            the_database(wrong)


async def test_archives_need_their_declared_place(school: School) -> None:
    """A bucket or a name other than the declared one would put archives where no deletion looks."""
    with pytest.raises(NothingToExportError, match="OFFRAMP_EXPORTS_BUCKET"):
        the_archives(school.holders, "export-archives", replace(school.settings, exports_bucket="t-elsewhere"))
    with pytest.raises(NothingToExportError, match="another-name"):
        the_archives(school.holders, "another-name", school.settings)


COMPARE = CompareExport(customer_id="acme", export_id="e-1", attempt=1)
LESSONS_MAP = """
version: 1
system: platform
tenancy: rows
tables:
  customers: {category: user, owner: {column: id}}
  lessons:
    category: course
    owner: {column: customer}
    media: {file: {bucket: BUCKET, key: "{value}"}}
buckets:
  media: {bucket: BUCKET, prefix: "own/{customer}/", category: course}
"""


async def lessons(school: School) -> None:
    """Give the school lessons with a file each."""
    path = school.exporting.database.map
    path.write_text(LESSONS_MAP.replace("BUCKET", f"{school.bucket}-media"))
    await school.store.ensure_bucket(f"{school.bucket}-media")
    await school.run(
        "create table lessons (id int primary key, customer text references customers, name text, file text);"
        "insert into lessons values (1, 'acme', 'Bråk', 'own/acme/a.mp4'), (2, 'acme', 'Tal', null), "
        "(3, 'acme2', 'X', null),"
        "(5, 'acme', 'Y', 'pool/p.png')"
    )
    for key in ("own/acme/a.mp4", "own/acme/b.mp4", "own/acme2/c.mp4", "pool/p.png", "pool/q.png"):
        await school.store.put(f"{school.bucket}-media", key, key.encode())


@pytest.mark.parametrize(
    ("statement", "object_key", "changed"),
    [
        ("select 1", None, set()),
        ("update lessons set name = 'other' where customer = 'acme2'", "own/acme2/c.mp4", set()),
        ("update lessons set name = name where customer = 'acme'", None, set()),
        ("update lessons set name = 'Bråk!' where id = 1", None, {"lessons"}),
        ("delete from lessons where id = 2; insert into lessons values (4, 'acme', 'Tal', null)", None,
         {"lessons"}),
        ("select 1", "own/acme/b.mp4", {"media"}),
        ("select 1", "own/acme/a.mp4", {"media"}),
        ("select 1", "own/acme/new.mp4", {"media"}),
        ("select 1", "pool/p.png", {"media"}),
        ("select 1", "pool/q.png", set()),
    ],
)  # fmt: skip
@pytest.mark.parametrize("compare_up_to", [0, 5_000_000])
async def test_what_changed_since_the_export_is_found(
    school: School, statement: str, object_key: str | None, changed: set[str], compare_up_to: int
) -> None:
    """A changed row or object of the customer is found, in a table of any size; anybody else's is not its business."""
    await lessons(school)
    exporting = replace(school.exporting, compare_up_to=compare_up_to)
    built = await exporting.build(BUILD, ATTEMPT)
    assert isinstance(built, ArchiveBuilt)
    await school.run(statement)
    if object_key is not None:
        await school.store.put(f"{school.bucket}-media", object_key, b"other")
    compared = await exporting.compare(COMPARE, ATTEMPT)

    assert isinstance(compared, ExportCompared)
    assert {one.place for one in {*built.account} ^ {*compared.account}} == changed
    assert built.map_sha256 == compared.map_sha256
    assert {one.place for one in built.account} == {"customers", "lessons", "media"}


async def test_of_a_part_only_that_part_is_compared(school: School) -> None:
    """An export of users' data alone is compared with users' data alone."""
    await lessons(school)
    built = await school.exporting.build(BUILD.model_copy(update={"scope": ("user",)}), ATTEMPT)
    assert isinstance(built, ArchiveBuilt)
    await school.run("delete from lessons")
    compared = await school.exporting.compare(COMPARE.model_copy(update={"scope": ("user",)}), ATTEMPT)

    assert isinstance(compared, ExportCompared)
    assert compared.account == built.account


async def test_what_can_not_be_compared_is_said(school: School) -> None:
    """A schema that the map no longer fits is no comparison; a database that is away is waited for."""
    await school.exporting.build(BUILD, ATTEMPT)
    await school.run("create table undeclared (id int)")
    failed = await school.exporting.compare(COMPARE, ATTEMPT)
    assert isinstance(failed, CompareFailed)
    assert failed.reason == "map_disagrees"
    away = replace(school.settings, own_dsns=MappingProxyType({"platform": "postgresql://127.0.0.1:1/none"}))
    with pytest.raises(OSError, match="Connect"):
        await replace(school.exporting, settings=away).compare(COMPARE, ATTEMPT)


def in_its_window(school: School, version: str = "") -> Keeping:
    """Give a customer whose archive can be fetched."""
    over = system_clock() - timedelta(days=10)
    ending = Ending(decided=False, period_end=over.date(), terminated_at=over, zone="UTC")
    contract = Contract("c-1", "UTC", 1, over.date(), over.date(), ending)
    copy = Copy("e-1", f"s3://{school.bucket}/acme/e-1.zip", version=version)
    return Keeping(Known(contracts=(contract,), archives=(copy,)))


async def linked(school: School, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give a link, as support does."""
    monkeypatch.setenv("OFFRAMP_EXPORTER_DSN", school.settings.dsn("exporter"))
    said = await asyncio.to_thread(CliRunner().invoke, offramp(), ["export", "link", "acme", "--json"])
    assert said.exit_code == 0, said.output
    return str(json.loads(said.stdout)["urls"][0])


async def fetched(url: str) -> tuple[int, bytes]:
    """Fetch *url* as a stranger, from its second byte on."""
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.get(URL(url, encoded=True), headers={"Range": "bytes=1-"}) as got,
    ):
        return got.status, await got.read()


def revoking(built: ArchiveBuilt, **changes: object) -> RevokeLinks:
    values = {"customer_id": "acme", "export_id": "e-1", "attempt": 1, "place": built.place, "sha256": built.sha256}
    return RevokeLinks.model_validate({**values, **changes})


async def test_a_link_that_was_taken_back_leads_nowhere(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a link led to is gone for whoever holds it, and there for whoever gets another one; twice is as good."""
    built = await school.exporting.build(BUILD, ATTEMPT)
    assert isinstance(built, ArchiveBuilt)
    await school.is_at(in_its_window(school))
    old = await linked(school, monkeypatch)
    body = (await fetched(old))[1]
    for _ in range(2):
        assert isinstance(await school.exporting.revoke(revoking(built), ATTEMPT), VersionsReplaced)
    status, answer = await fetched(old)
    assert (status, body in answer) == (404, False)

    status, answer = await fetched(await linked(school, monkeypatch))
    assert (status, answer) == (206, body)
    assert hashlib.sha256(await school.store.get(school.bucket, "acme/e-1.zip")).hexdigest() == built.sha256
    assert await school.store.count_left(school.bucket, "acme/") == 1


async def test_a_link_leads_to_what_was_announced(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies over it by now: the version that was read back is what is given."""
    built = await school.exporting.build(BUILD, ATTEMPT)
    assert isinstance(built, ArchiveBuilt)
    body = await school.store.get(school.bucket, "acme/e-1.zip")
    await school.is_at(in_its_window(school, built.object_version or ""))
    await school.store.put(school.bucket, "acme/e-1.zip", b"laid over")

    assert (await fetched(await linked(school, monkeypatch)))[1] == body[1:]


async def test_a_large_archive_is_put_in_its_place_in_parts(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is larger than S3 copies at once is copied in parts, and is the same."""
    body = bytes(range(256)) * 50_000
    await school.store.put(school.bucket, "acme/e-1.zip", body)
    await school.is_at(in_its_window(school))
    old = await linked(school, monkeypatch)
    await renew(school.store, school.bucket, "acme/e-1.zip", hashlib.sha256(body).hexdigest(), at_once=5 << 20)

    assert (await fetched(old))[0] == 404
    assert await school.store.get(school.bucket, "acme/e-1.zip") == body
    assert await school.store.count_left(school.bucket, "acme/") == 1


async def test_what_is_not_the_same_is_not_put_in_its_place(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """If what was copied is another archive than was built, the old one stays, with its links, and that is said."""
    built = await school.exporting.build(BUILD, ATTEMPT)
    assert isinstance(built, ArchiveBuilt)
    await school.is_at(in_its_window(school))
    old = await linked(school, monkeypatch)
    failed = await school.exporting.revoke(revoking(built, sha256="9" * 64), ATTEMPT)
    assert isinstance(failed, RevokeFailed)

    assert failed.reason == "not_the_same"
    assert (await fetched(old))[0] == 206
    assert await school.store.count_left(school.bucket, "acme/") == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"place": "s3://BUCKET/acme/e-2.zip"}, "missing"), ({"sha256": None}, "checksum_unknown")],
)
async def test_what_can_not_be_taken_back_is_said(school: School, change: dict[str, str | None], reason: str) -> None:
    """Of no archive, or one whose checksum nobody knows, nobody says that its links lead nowhere."""
    built = await school.exporting.build(BUILD, ATTEMPT)
    assert isinstance(built, ArchiveBuilt)
    place = change.get("place")
    named = {"place": place.replace("BUCKET", school.bucket)} if place else change
    failed = await school.exporting.revoke(revoking(built, **named), ATTEMPT)

    assert isinstance(failed, RevokeFailed)
    assert failed.reason == reason


async def test_without_versions_nothing_is_taken_back(school: School) -> None:
    """In a bucket that keeps no versions a copy would be what the old link leads to."""
    bucket = f"{school.bucket}-plain"
    await school.store.ensure_bucket(bucket, versioned=False)
    await school.store.put(bucket, "acme/e-1.zip", b"archive")
    with pytest.raises(NotVersionedError, match="keeps no versions"):
        await renew(school.store, bucket, "acme/e-1.zip", hashlib.sha256(b"archive").hexdigest())
    await school.store.delete_all_versions(bucket, "acme/")
    await school.store.remove_bucket(bucket)


async def test_links_taken_back_while_one_is_given(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is looked up before the case is: a link to a new one is by the window as it is by then."""
    built = await school.exporting.build(BUILD, ATTEMPT)
    assert isinstance(built, ArchiveBuilt)
    ready = in_its_window(school)
    await school.is_at(ready)
    head, now = ObjectStore.head, system_clock()
    change = Change("q", now.date(), now, ready.known.contracts[0].ending.terminated_at)
    cut = StateCodec[State](State).dump(Keeping(replace_state(ready.known, changes=(change,))))

    async def slow(store: ObjectStore, bucket: str, key: str, _: str | None) -> Listed:
        """Let the window be cut short, and its links be taken back, before the version is known."""
        connection = await asyncpg.connect(school.settings.dsn("exporter"))
        await connection.execute("update cases set state = $1", cut)
        await connection.close()
        return await head(store, bucket, key)

    monkeypatch.setattr(ObjectStore, "head", slow)
    monkeypatch.setenv("OFFRAMP_EXPORTER_DSN", school.settings.dsn("exporter"))
    said = await asyncio.to_thread(CliRunner().invoke, offramp(), ["export", "link", "acme", "--json"])

    expires_at = datetime.fromisoformat(json.loads(said.stdout)["expires_at"])
    assert expires_at <= now + timedelta(days=1)


async def test_an_outage_is_no_comparison(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store is away nothing is known: a confirmation isn't void for that, it is compared again later."""

    async def away(*_: object) -> None:
        raise StoreOutageError("the store is away")

    monkeypatch.setattr(perform, "account_now", away)

    with pytest.raises(StoreOutageError):
        await school.exporting.compare(COMPARE, ATTEMPT)
