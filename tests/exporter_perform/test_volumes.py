"""The service's archives in several volumes: all of them are there, or none; they are linked to, sent and deleted."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest
import structlog
from aiohttp import web
from msgspec.structs import replace as replace_state
from test_archives import DELETE, deleting, fetched, in_its_window
from test_deliveries import BODY, Moving, moving  # noqa: F401
from test_overtaken import STALE, Gate, Two, came_to_nothing, two  # noqa: F401
from typer.testing import CliRunner

from services.exporter import perform
from services.exporter.states import Volume
from services.exporter.tasks import (
    ArchiveBuilt,
    ArchivesDeleted,
    BuildFailed,
    Delivered,
    DeliverExport,
    NotDelivered,
    RevokeFailed,
    RevokeLinks,
    VersionsReplaced,
    VolumeCopy,
)
from shared.objects import ObjectStore
from shared.sending import FarEndAwayError
from shared.store_faults import StoreOutageError
from shared.verify.archive import verify
from shared.verify.encrypted import verify_encrypted
from tests.exporter_perform.command_line import offramp
from tests.exporter_perform.far_end import FarEnd
from tests.exporter_perform.school import ATTEMPT, ESSAYS, LARGE, MAP, MORE, School

SIZE = 1 << 16
ORDER = LARGE.model_copy(update={"volume_size": SIZE})
SECRET = pyrage.x25519.Identity.generate()
SEALED = ORDER.model_copy(update={"encrypt_to": (str(SECRET.to_public()),)})
# Of rows as CSV, of the same as JSON, and of all else.
KEYS = [f"acme/e-1.vol00{number}.zip" for number in (1, 2, 3)]


PUPILS = ESSAYS.replace("400) n", "4) n")


@pytest.fixture
async def pupils(school: School) -> AsyncIterator[School]:
    """Give the school a few long texts: each table of them fills a volume."""
    await school.run(PUPILS)
    (school.settings.home / "map.yaml").write_text(MAP + MORE.replace("BUCKET", school.bucket))
    await school.store.put(school.bucket, "media/acme/a", b"a")
    yield school
    await school.store.delete_all_versions(school.bucket, "media/")


async def anew(school: School) -> None:
    """Put the school back to where it began: a database of its own for each case takes longer than the case."""
    await school.run("drop table essays;" + PUPILS)
    await school.store.delete_all_versions(school.bucket, "acme/")


async def built(school: School, order: Any = ORDER) -> ArchiveBuilt:
    outcome = await school.exporting.build(order, ATTEMPT)
    assert isinstance(outcome, ArchiveBuilt), outcome
    return outcome


def volumes(outcome: ArchiveBuilt) -> list[tuple[str, int, str, str | None]]:
    """Give key, size, digest and version of each."""
    last = outcome.place, outcome.size_bytes, outcome.sha256, outcome.object_version
    others = [(one.place, one.size_bytes, one.sha256, one.object_version) for one in outcome.before]
    return [(place.partition("/acme/")[2], *more) for place, *more in (*others, last)]


async def has_only(school: School, outcome: ArchiveBuilt, folder: Path | None = None) -> None:
    """See that nothing lies under the customer's prefix but the volumes as they were told; and fetch them."""
    told = volumes(outcome)
    lying = [one async for one in school.store.versions(school.bucket, "acme/")]
    assert sorted(lying) == [(f"acme/{name}", version) for name, _, _, version in told]
    assert await school.store.count_left(school.bucket, "acme/") == len(told)
    for name, size, sha256, _ in told:
        body = await school.store.get(school.bucket, f"acme/{name}")
        assert (len(body), hashlib.sha256(body).hexdigest()) == (size, sha256)
        if folder is not None:
            (folder / name).write_bytes(body)


async def test_each_is_there_as_it_is_told_and_all_are_one_archive(pupils: School, tmp_path: Path) -> None:
    """Place, version, size and digest of each; whichever is named, all are checked, by the signature of the last."""
    outcome = await built(pupils)
    assert [f"acme/{name}" for name, *_ in volumes(outcome)] == KEYS
    await has_only(pupils, outcome, tmp_path)
    verdict = verify(tmp_path / "e-1.vol001.zip")

    assert (verdict.findings, verdict.sha256) == ((), outcome.sha256)
    assert verdict.signature.key_id == outcome.signed_by
    (tmp_path / "e-1.vol002.zip").unlink()
    assert [one.path for one in verify(tmp_path / "e-1.vol003.zip").findings if one.kind == "missing"]


async def test_encrypted_each_volume_is(pupils: School, tmp_path: Path) -> None:
    """Nothing lies there in any other way, and who has the key checks all of them."""
    outcome = await built(pupils, SEALED)
    await has_only(pupils, outcome, tmp_path)
    (tmp_path / "KEY").write_text(str(SECRET))

    assert len(outcome.before) == 2
    assert {name[-12:] for name, *_ in volumes(outcome)} == {f".vol00{number}.zip.age"[-12:] for number in (1, 2, 3)}
    assert verify_encrypted(tmp_path / "e-1.vol001.zip.age", tmp_path / "KEY").findings == ()
    assert verify_encrypted(tmp_path / "e-1.vol001.zip.age", tmp_path / "KEY").sha256 == outcome.sha256


async def test_too_many_are_none(pupils: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered by name, and nothing is left of those that were full."""
    monkeypatch.setattr("services.exporter.archive.volumes.MOST", 2)
    outcome = await pupils.exporting.build(ORDER, ATTEMPT)

    assert isinstance(outcome, BuildFailed)
    assert outcome.reason == "too_many_volumes"
    assert await pupils.store.count_left(pupils.bucket, "acme/") == 0


async def test_what_is_not_read_back_is_no_archive(pupils: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """A volume before the last that isn't what was written, encrypted or not: all are taken away again."""
    checked = perform.prove

    async def proven(report: Any, *given: Any) -> Any:
        first = replace(report.volumes[0], sha256="0" * 64)
        return await checked(replace(report, volumes=(first, *report.volumes[1:])), *given)

    monkeypatch.setattr(perform, "prove", proven)
    for order in (ORDER, SEALED):
        outcome = await pupils.exporting.build(order, ATTEMPT)
        assert isinstance(outcome, BuildFailed)
        assert outcome.reason == "not_read_back"
        assert await pupils.store.count_left(pupils.bucket, "acme/") == 0


async def test_an_outage_keeps_what_was_sent_and_giving_up_drops_it(pupils: School) -> None:
    """Of each volume; of one that a larger archive had, too. What is only called like one is another's."""
    others = ["acme/e-1.volume.zip", "acme/e-10.vol001.zip"]

    def stop(stage: str, _done: int, _total: int | None) -> None:
        if stage == "media":
            raise StoreOutageError("away")

    for spoilt in (False, True):
        with pytest.raises(StoreOutageError):
            await pupils.exporting.build(ORDER, replace(ATTEMPT, report=stop))
        for key in ("acme/e-1.vol900.zip", *others):
            await pupils.store.client.create_multipart_upload(Bucket=pupils.bucket, Key=key)
        left = {key async for key, _ in pupils.store.unfinished(pupils.bucket, "acme/")}
        assert left >= {*KEYS[:2], *others}
        if spoilt:
            await pupils.run("create table diary (id int primary key)")
            assert isinstance(await pupils.exporting.build(ORDER, ATTEMPT), BuildFailed)
        else:
            with structlog.testing.capture_logs() as logs:
                outcome = await built(pupils)
            assert [one["event"] for one in logs].count("parts were taken over") >= 2
            assert [key async for key, _ in pupils.store.versions(pupils.bucket, "acme/")] == KEYS
            assert len(outcome.before) == 2
        assert sorted([key async for key, _ in pupils.store.unfinished(pupils.bucket, "acme/")]) == others
        for key in others:
            await pupils.store.abort_uploads_of(pupils.bucket, key)


# SIGKILL, between two volumes.

KILLED = """
import os, signal, sys
from shared.upload import Upload

completed = 0
complete = Upload._complete

async def then_die(upload):
    global completed
    await complete(upload)
    completed += 1
    if completed == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

Upload._complete = then_die
"""


async def killed(school: School, completed: int) -> None:
    """Let another process build, and kill it when so many volumes lie there."""
    # Its "stage" is never reached: what kills it stands before.
    from test_archives import KILLED as BUILDS  # noqa: PLC0415

    dsns = {f"OFFRAMP_{name.upper()}_DSN": dsn for name, dsn in school.settings.own_dsns.items()}
    places = {"OFFRAMP_HOME": str(school.settings.home), "OFFRAMP_EXPORTS_BUCKET": school.bucket}
    environment = {**os.environ, **dsns, **places, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, "-c", KILLED + BUILDS, str(completed), ORDER.model_dump_json()]
    child = await asyncio.create_subprocess_exec(*arguments, env=environment)
    assert await child.wait() == -signal.SIGKILL
    assert await school.keys() == [*KEYS[:completed], "media/acme/a"]


async def test_killed_between_two_volumes(pupils: School, tmp_path: Path) -> None:
    """Those that lie there go, the last of them first, and what was sent of others is gone on with."""
    for completed in (1, 3):
        await killed(pupils, completed)
        await pupils.run("update essays set said = 'changed since' where id = 4")
        with structlog.testing.capture_logs() as logs:
            outcome = await built(pupils)
        await has_only(pupils, outcome, tmp_path)
        assert verify(tmp_path / "e-1.vol001.zip").findings == ()
        said = [one["event"] for one in logs]
        assert "an archive that nobody was told of was deleted; begun again" in said
        assert said.count("an unfinished upload is gone on with") == 3 - completed
        await anew(pupils)


async def test_killed_and_less_since(pupils: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next archive has fewer volumes: those of the killed one that it has no need of go too, sent or complete.

    The last that lies there goes first: cut off once more, what is left is never the last without the others.
    """
    await killed(pupils, 2)
    await pupils.run("delete from essays")
    gone, real = list[str](), ObjectStore.delete_versions_of

    async def delete(store: ObjectStore, bucket: str, key: str, *more: Any) -> int:
        gone.append(key)
        return await real(store, bucket, key, *more)

    monkeypatch.setattr(ObjectStore, "delete_versions_of", delete)
    outcome = await built(pupils)

    assert gone[:2] == KEYS[1::-1]
    assert outcome.before == ()
    await has_only(pupils, outcome)


# A worker that stood still until another one had its task.


@pytest.mark.parametrize("fewer", [False, True], ids=["as many", "fewer"])
async def test_nothing_is_laid_over_what_was_announced(two: Two, pupils: School, fewer: bool) -> None:  # noqa: F811, FBT001
    """It wakes on the point of completing one of its volumes, when the other one's archive is ready."""
    for nth in (1, 2, 3):
        two.holder = 1
        gate = Gate("complete_multipart_upload", nth)
        stale = two.begin(pupils.exporting.build(ORDER, two.attempt(1)), gate)
        await gate.reached.wait()
        two.holder = 2
        if fewer:
            await pupils.run("delete from essays")
        ready = await pupils.exporting.build(ORDER, two.attempt(2))
        assert isinstance(ready, ArchiveBuilt)
        assert len(ready.before) == (0 if fewer else 2)
        gate.open.set()
        await came_to_nothing(stale)
        await has_only(pupils, ready)
        await anew(pupils)


async def test_what_it_completes_meanwhile_goes(
    two: Two, pupils: School, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    """It wakes while the other one reads back, which has fewer volumes: the last, which it lays beside them, goes."""
    gate = Gate("complete_multipart_upload", 3)
    stale = two.begin(pupils.exporting.build(ORDER, two.attempt(1)), gate)
    await gate.reached.wait()
    two.holder = 2
    await pupils.run("delete from essays")
    real, beside = perform.prove, list[str]()

    async def then_it_wakes(*given: Any) -> Any:
        if STALE.get() is None:
            gate.open.set()
            await asyncio.wait([stale], timeout=20)
            beside.extend([key async for key, _ in pupils.store.versions(pupils.bucket, KEYS[2])])
        return await real(*given)

    monkeypatch.setattr(perform, "prove", then_it_wakes)
    ready = await pupils.exporting.build(ORDER, two.attempt(2))
    assert isinstance(ready, ArchiveBuilt)

    assert (ready.before, beside) == ((), [KEYS[2]])
    await has_only(pupils, ready)


async def test_the_stale_one_deletes_nothing_that_was_announced(two: Two, pupils: School) -> None:  # noqa: F811
    """It comes to look for remainders when the other one is done: what it finds isn't its own to delete.

    As it begins, a volume later, and when it has read its own archive back.
    """
    for nth in (1, 2, 4):
        two.holder = 1
        await pupils.exporting.build(ORDER, two.attempt(1))
        gate = Gate("versions_of", nth)
        stale = two.begin(pupils.exporting.build(ORDER, two.attempt(1)), gate)
        await gate.reached.wait()
        two.holder = 2
        ready = await pupils.exporting.build(ORDER, two.attempt(2))
        assert isinstance(ready, ArchiveBuilt)
        gate.open.set()
        await came_to_nothing(stale)
        await has_only(pupils, ready)


# Links, and the deletion.


def revoking(outcome: ArchiveBuilt, **changed: object) -> RevokeLinks:
    before = tuple(
        VolumeCopy(place=one.place, sha256=one.sha256, object_version=one.object_version) for one in outcome.before
    )
    return RevokeLinks(
        customer_id="acme", export_id="e-1", attempt=1, place=outcome.place, sha256=outcome.sha256,
        object_version=outcome.object_version, before=before,
    ).model_copy(update=changed)  # fmt: skip


async def linked(school: School, outcome: ArchiveBuilt, versions: list[str | None]) -> list[str]:
    """Be support, and give links, as the case knows the archive."""
    case = in_its_window(school)
    told = [
        Volume(f"s3://{school.bucket}/acme/{name}", sha256, version or "")
        for (name, _, sha256, _), version in zip(volumes(outcome), versions, strict=True)
    ]
    place, sha256, version = told[-1].place, told[-1].sha256, told[-1].version
    copy = replace_state(case.known.archives[0], place=place, sha256=sha256, version=version, before=tuple(told[:-1]))
    await school.run("delete from cases", service="exporter")
    await school.is_at(replace_state(case, known=replace_state(case.known, archives=(copy,))))
    said = await asyncio.to_thread(CliRunner().invoke, offramp(), ["export", "link", "acme", "--json"])
    assert said.exit_code == 0, said.output
    plain = await asyncio.to_thread(CliRunner().invoke, offramp(), ["export", "link", "acme"])
    assert "all 3 of them together are the archive" in plain.output
    return list(json.loads(said.stdout)["urls"])


async def test_links_are_to_all_and_all_are_taken_back(pupils: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each volume has a link; taken back, each leads nowhere, and each is there to be linked to anew."""
    monkeypatch.setenv("OFFRAMP_EXPORTER_DSN", pupils.settings.dsn("exporter"))
    outcome = await built(pupils)
    old = await linked(pupils, outcome, [one[3] for one in volumes(outcome)])
    bodies = [await fetched(url) for url in old]
    assert [hashlib.sha256(b"P" + body).hexdigest() for _, body in bodies] == [one[2] for one in volumes(outcome)]
    # A try that was killed had done some of it.
    first = revoking(outcome, place=outcome.before[0].place, sha256=outcome.before[0].sha256, before=())
    assert isinstance(await pupils.exporting.revoke(first, ATTEMPT), VersionsReplaced)
    done = await pupils.exporting.revoke(revoking(outcome), ATTEMPT)
    assert isinstance(done, VersionsReplaced)

    assert [(await fetched(url))[0] for url in old] == [404, 404, 404]
    new = await linked(pupils, outcome, [*done.before, done.object_version])
    assert [await fetched(url) for url in new] == bodies
    assert await pupils.store.count_left(pupils.bucket, "acme/") == 3


async def test_what_is_not_the_same_is_not_taken_back(pupils: School) -> None:
    """One of them isn't what it was: that is said, and none is lost."""
    outcome = await built(pupils)
    wrong = outcome.before[1].model_copy(update={"sha256": "0" * 64})
    order = revoking(outcome.model_copy(update={"before": (outcome.before[0], wrong)}))
    failed = await pupils.exporting.revoke(order, ATTEMPT)

    assert isinstance(failed, RevokeFailed)
    assert failed.reason == "not_the_same"
    assert [key async for key, _ in pupils.store.versions(pupils.bucket, "acme/")] == KEYS


async def test_all_go_with_the_customer(pupils: School) -> None:
    """Every volume in every version, its markers, and what is unfinished of any; nobody else's."""
    await built(pupils)
    await pupils.store.put(pupils.bucket, KEYS[0], b"laid over")
    await pupils.store.client.delete_object(Bucket=pupils.bucket, Key=KEYS[1])
    for key in (KEYS[2], "acme/e-1.vol004.zip"):
        await pupils.store.client.create_multipart_upload(Bucket=pupils.bucket, Key=key)
    await pupils.store.put(pupils.bucket, "acme2/e-1.vol001.zip", b"another's")
    await pupils.is_at(deleting())
    outcome = await pupils.exporting.delete(DELETE, ATTEMPT)

    assert isinstance(outcome, ArchivesDeleted)
    assert [one.rows for one in (*outcome.deleted, *outcome.remaining)] == [3 + 2 + 2, 0]
    assert await pupils.store.count_left(pupils.bucket, "acme/") == 0
    assert await pupils.keys() == ["acme2/e-1.vol001.zip", "media/acme/a"]
    await pupils.store.delete_all_versions(pupils.bucket, "acme2/")


# Delivery.

BODIES = [b"PK one" * 1000, b"PK two" * 2000, BODY]
NAMES = [f"from/us/e-1.vol00{number}.zip" for number in (1, 2, 3)]


class Parcel:
    """An archive of three volumes that is to be sent."""

    def __init__(self, moving: Moving) -> None:  # noqa: F811
        self.moving, self.store, self.far = moving, moving.store, moving.far
        self.ours = moving.settings.exports_bucket

    async def lies_here(self) -> None:
        told = []
        for key, body in zip(KEYS, BODIES, strict=True):
            await self.store.put(self.ours, key, body)
            version = (await self.store.head(self.ours, key)).version or ""
            told.append(Volume(f"s3://{self.ours}/{key}", hashlib.sha256(body).hexdigest(), version))
            # What was announced is sent, whatever lies over it.
            await self.store.put(self.ours, key, b"laid over")
        case = self.moving.case()
        copy = replace_state(
            case.known.archives[0], place=told[2].place, sha256=told[2].sha256, version=told[2].version,
            before=tuple(told[:2]),
        )  # fmt: skip
        self.case = replace_state(case, known=replace_state(case.known, archives=(copy,)))
        await self.moving.is_at(self.case)

    @property
    def order(self) -> DeliverExport:
        copy = self.case.known.archives[0]
        before = tuple(VolumeCopy(place=one.place, sha256=one.sha256) for one in copy.before)
        return self.moving.order.model_copy(update={"place": copy.place, "sha256": copy.sha256, "before": before})

    async def deliver(self, number: int = 1) -> Delivered | NotDelivered:
        return await self.moving.delivering.deliver(self.order, self.moving.attempt(number))

    async def there(self) -> list[bytes]:
        keys = [key async for key, _ in self.store.versions(self.moving.theirs, "")]
        assert keys == NAMES[: len(keys)]
        return [await self.store.get(self.moving.theirs, key) for key in keys]

    async def fails(self, number: int = 1) -> tuple[str, str]:
        outcome = await self.deliver(number)
        assert isinstance(outcome, NotDelivered), outcome
        return outcome.reason, outcome.left_behind


@pytest.fixture
async def parcel(moving: Moving) -> Parcel:  # noqa: F811
    made = Parcel(moving)
    await made.lies_here()
    return made


async def test_all_lie_there_byte_for_byte(parcel: Parcel) -> None:
    """The last of them last, each read back; asked again, all are found."""
    outcome = await parcel.deliver()

    assert isinstance(outcome, Delivered)
    assert (outcome.volumes, outcome.sent, outcome.size_bytes) == (3, "copied", sum(map(len, BODIES)))
    assert outcome.sha256 == hashlib.sha256(BODIES[2]).hexdigest()
    assert await parcel.there() == BODIES
    again = await parcel.deliver(2)
    assert isinstance(again, Delivered)
    assert again.sent == "found"


async def test_who_breaks_off_between_them_is_waited_for(parcel: Parcel) -> None:
    """Nothing is said before all are there; the next try finds the first, and sends the others."""

    async def dies(request: web.Request) -> None:
        if "vol002" in request.path and "partNumber" in request.query and request.transport is not None:
            request.transport.abort()

    parcel.far.fault = dies  # type: ignore[assignment]
    with pytest.raises(FarEndAwayError):
        await parcel.deliver()
    assert await parcel.there() == BODIES[:1]
    parcel.far.fault = FarEnd().fault
    parcel.far.asked.clear()
    outcome = await parcel.deliver(2)

    assert isinstance(outcome, Delivered)
    assert outcome.sent == "copied"
    assert await parcel.there() == BODIES
    assert not [one for one in parcel.far.asked if "vol001" in one and one.startswith("PUT")]
    assert await parcel.moving.unfinished() == []


async def test_a_part_of_them_is_no_delivery(parcel: Parcel) -> None:
    """Something of theirs lies where the second belongs: it stays; that the first is there is told, by every try."""
    await parcel.store.put(parcel.moving.theirs, NAMES[1], b"theirs")
    for number in (1, 2):
        assert await parcel.fails(number) == ("exists", "object")
    assert await parcel.there() == [BODIES[0], b"theirs"]
    assert await parcel.moving.unfinished() == []


async def test_one_that_reads_back_otherwise_is_no_delivery(parcel: Parcel) -> None:
    """It need not be the last: the far end has altered the first."""
    parcel.far.alter = lambda body: body[:-1] + b"x"

    assert (await parcel.fails())[0] == "other_checksum"
    parcel.far.alter = lambda body: body
    assert await parcel.there() == []


async def test_the_right_is_looked_at_between_them(parcel: Parcel) -> None:
    """The window closes when the first has arrived: nothing more is sent, and what lies there is told."""

    async def closes(request: web.Request) -> None:
        if "vol001" in request.path and request.method == "GET" and "uploads" not in request.query:
            parcel.moving.now = in_its_window_no_more(parcel)

    parcel.far.fault = closes  # type: ignore[assignment]
    assert await parcel.fails() == ("window_closed", "object")
    assert await parcel.there() == BODIES[:1]
    # Tried again, or asked again: it lies there still.
    assert await parcel.fails(2) == ("window_closed", "object")


def in_its_window_no_more(parcel: Parcel) -> Any:
    return parcel.case.known.contracts[0].ending.terminated_at.replace(year=2099)
