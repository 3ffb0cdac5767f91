"""The service's deltas: made against an archive that lies in the store, read back with it, and sent only with it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest
from msgspec.structs import replace as replace_state
from test_archives import in_its_window
from test_deliveries import Moving, moving  # noqa: F401
from test_volumes import PUPILS
from typer.testing import CliRunner

from services.exporter.states import Copy, Deleting, Delta, Keeping, Known, Volume
from services.exporter.tasks import (
    ArchiveBuilt,
    ArchiveCopy,
    ArchivesDeleted,
    BaseCopy,
    BuildArchive,
    BuildFailed,
    DeleteArchives,
    Delivered,
    DeltaBuilt,
    NotDelivered,
    VolumeCopy,
)
from shared.renewing import renew
from shared.store_faults import StoreOutageError
from shared.verify.archive import verify
from shared.verify.encrypted import verify_encrypted
from tests.exporter_perform.command_line import offramp
from tests.exporter_perform.school import ATTEMPT, LARGE, MAP, MORE, School

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = replace(ATTEMPT, clock=lambda: NOW.replace(day=2))
CHANGE = "update customers set name = 'another' where id = 'acme'"
SIZE = 1 << 16
SECRET = pyrage.x25519.Identity.generate()


@pytest.fixture
async def pupils(school: School) -> AsyncIterator[School]:
    """Give the school a few long texts, which don't change, and a name, which will."""
    await school.run(PUPILS + "; alter table customers add column name text")
    (school.settings.home / "map.yaml").write_text(MAP + MORE.replace("BUCKET", school.bucket))
    await school.store.put(school.bucket, "media/acme/a", b"a")
    yield school
    await school.store.delete_all_versions(school.bucket, "media/")


async def base(school: School, **changed: Any) -> ArchiveBuilt:
    """Make the archive of the first of March."""
    outcome = await school.exporting.build(LARGE.model_copy(update=changed), replace(ATTEMPT, clock=lambda: NOW))
    assert isinstance(outcome, ArchiveBuilt), outcome
    return outcome


def since(of: ArchiveBuilt, **changed: Any) -> BuildArchive:
    """Order what changed since, as the domain does."""
    told = [(one.place, one.sha256) for one in of.before]
    volumes = tuple(VolumeCopy(place=place, sha256=sha256) for place, sha256 in (*told, (of.place, of.sha256)))
    named = BaseCopy(export_id=of.export_id, volumes=volumes, map_sha256=of.map_sha256)
    return LARGE.model_copy(update={"request_id": "r-2", "export_id": "e-2", "since": named, **changed})


async def built(school: School, order: BuildArchive) -> DeltaBuilt:
    outcome = await school.exporting.build(order, LATER)
    assert isinstance(outcome, DeltaBuilt), outcome
    return outcome


async def fails(school: School, order: BuildArchive) -> str:
    outcome = await school.exporting.build(order, LATER)
    assert isinstance(outcome, BuildFailed), outcome
    assert [key for key in await school.keys() if "/e-2." in key] == []
    return outcome.reason


async def fetch(school: School, folder: Path, *places: str) -> Path:
    """Fetch them, and give the last."""
    for place in places:
        key = place.removeprefix(f"s3://{school.bucket}/")
        (folder / key.rpartition("/")[2]).write_bytes(await school.store.get(school.bucket, key))
    return folder / places[-1].rpartition("/")[2]


def join(folder: Path, first: Path, then: Path) -> str:
    """Join as the customer does; gives the SHA-256 of what comes of it."""
    arguments = ["export", "join", str(first), str(then), "--to", str(folder / "full.zip")]
    said = CliRunner().invoke(offramp(), arguments)
    assert said.exit_code == 0, said.output
    return hashlib.sha256((folder / "full.zip").read_bytes()).hexdigest()


async def test_with_its_base_it_is_the_archive_that_the_service_would_have_made(pupils: School, tmp_path: Path) -> None:
    """Byte for byte, its signatures among them; by itself it is small, and is never called complete."""
    first = await base(pupils)
    await pupils.run(CHANGE)
    full = await pupils.exporting.build(LARGE.model_copy(update={"export_id": "e-2"}), LATER)
    assert isinstance(full, ArchiveBuilt)
    # It lies at the delta's own place, and goes as what a killed try has left does.
    outcome = await built(pupils, since(first))
    path = await fetch(pupils, tmp_path, first.place, outcome.volumes[0].place)

    assert (outcome.base_id, outcome.export_id) == ("e-1", "e-2")
    assert (outcome.tables, outcome.media, outcome.map_sha256) == (full.tables, full.media, full.map_sha256)
    assert outcome.volumes[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert outcome.volumes[0].size_bytes == path.stat().st_size < first.size_bytes / 5
    # The names as CSV and JSON, and three files that tell of all; the essays, the object and the lists are there.
    assert (outcome.files.new, outcome.files.changed, outcome.files.unchanged, outcome.files.gone) == (0, 5, 4, 0)
    assert (verify(path).exit_code, verify(path, base=tmp_path / "e-1.zip").exit_code) == (5, 0)
    assert await asyncio.to_thread(join, tmp_path, tmp_path / "e-1.zip", path) == full.sha256


async def test_both_may_be_in_volumes_and_the_delta_for_one_alone(pupils: School, tmp_path: Path) -> None:
    """The base's links were taken back meanwhile, which gives it other versions of the same bytes."""
    first = await base(pupils, volume_size=SIZE)
    assert len(first.before) == 2
    bucket, _, key = first.place.removeprefix("s3://").partition("/")
    await renew(pupils.store, bucket, key, first.sha256, first.object_version)
    await pupils.run("update essays set said = 'changed since' || said where id = 4")
    outcome = await built(pupils, since(first, volume_size=SIZE, encrypt_to=(str(SECRET.to_public()),)))
    places = [one.place for one in (*first.before, *outcome.volumes)]
    path = await fetch(pupils, tmp_path, first.place, *places)
    (tmp_path / "KEY").write_text(str(SECRET))

    assert [one.place.rpartition("/")[2] for one in outcome.volumes] == [
        f"e-2.vol00{number}.zip.age" for number in (1, 2, 3)
    ]
    verdict = verify_encrypted(path, tmp_path / "KEY", base=tmp_path / "e-1.vol001.zip")
    assert (verdict.findings, verdict.exit_code, verdict.needs) == ((), 0, None)


async def test_what_can_be_no_base_is_told_by_name_and_nothing_is_left(
    pupils: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another map; other bytes than were announced; nothing at all. An outage says nothing of it."""
    first = await base(pupils)
    of_it = since(first)

    def away(*_: Any, **__: Any) -> Any:
        raise StoreOutageError("away")

    for looking in ("head", "stream"):
        with monkeypatch.context() as broken:
            broken.setattr(f"shared.objects.ObjectStore.{looking}", away)
            with pytest.raises(StoreOutageError):
                await pupils.exporting.build(of_it, LATER)
    assert of_it.since is not None
    other = of_it.since.model_copy(update={"map_sha256": "0" * 64})
    assert await fails(pupils, of_it.model_copy(update={"since": other})) == "base_other_map"
    # Whole, signed, of the same customer and name, and another one.
    await pupils.run(CHANGE)
    assert (await base(pupils)).sha256 != first.sha256
    assert await fails(pupils, of_it) == "unusable_base"
    await pupils.store.delete_all_versions(pupils.bucket, "acme/")
    assert await fails(pupils, of_it) == "unusable_base"


async def test_a_link_to_it_leads_to_its_base_too(pupils: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says that it isn't all; without a name the archive is given."""
    monkeypatch.setenv("OFFRAMP_EXPORTER_DSN", pupils.settings.dsn("exporter"))
    for key in ("acme/e-1.zip", "acme/e-2.zip"):
        await pupils.store.put(pupils.bucket, key, key.encode())
    case = in_its_window(pupils)
    delta = Delta(Copy("e-2", f"s3://{pupils.bucket}/acme/e-2.zip"), "e-1")
    await pupils.is_at(replace_state(case, known=replace_state(case.known, deltas=(delta,))))

    def said(*more: str) -> str:
        done = CliRunner().invoke(offramp(), ["export", "link", "acme", *more])
        assert done.exit_code == 0, done.output
        return done.stdout

    newest, named, shown = [await asyncio.to_thread(said, *one) for one in (("--json",), ("e-2", "--json"), ("e-2",))]
    told = json.loads(named)
    assert json.loads(newest)["export_id"] == "e-1"
    assert "base" not in json.loads(newest)
    assert (told["export_id"], told["base"]["export_id"]) == ("e-2", "e-1")
    assert ["e-2.zip" in one for one in (*told["urls"], *told["base"]["urls"])] == [True, False]
    assert "NOT ALL OF IT: e-2 is a delta, complete only together with e-1" in shown


async def test_a_deletion_that_breaks_off_leaves_no_delta_without_its_base(
    pupils: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All volumes of the delta go first, however they are called; what is left of it is complete by itself."""
    places = {name: f"s3://{pupils.bucket}/acme/{name}.zip" for name in ("a-base", "b-delta", "c-delta")}
    for key in places:
        await pupils.store.put(pupils.bucket, f"acme/{key}.zip", key.encode())
    delta = ArchiveCopy(export_id="e-2", place=places["c-delta"], before=(places["b-delta"],))
    both = ArchiveCopy(export_id="e-1", place=places["a-base"]), delta
    order = DeleteArchives(customer_id="acme", deletion_id="d-1", attempt=1, archives=both, deltas=(delta,))
    await pupils.is_at(Deleting(Known(customer_id="acme"), "d-1", NOW.replace(month=1)))

    def away(*_: Any, **__: Any) -> Any:
        raise StoreOutageError("away")

    with monkeypatch.context() as broken:
        broken.setattr("shared.objects.ObjectStore.sweep", away)
        with pytest.raises(StoreOutageError):
            await pupils.exporting.delete(order, ATTEMPT)
    left = await pupils.keys()
    assert isinstance(await pupils.exporting.delete(order, ATTEMPT), ArchivesDeleted)

    assert [key for key in left if key.startswith("acme/")] == ["acme/a-base.zip"]
    assert not [key for key in await pupils.keys() if key.startswith("acme/")]


# Delivery.

BODIES = {"e-1.vol001.zip": b"PK base one", "e-1.vol002.zip": b"PK base two", "e-2.zip": b"PK delta"}


async def parcel(moving: Moving) -> Keeping:  # noqa: F811
    """Give a delta that is to be sent, and its base."""
    ours, told = moving.settings.exports_bucket, []
    for name, body in BODIES.items():
        await moving.store.put(ours, f"acme/{name}", body)
        version = (await moving.store.head(ours, f"acme/{name}")).version or ""
        told.append(Volume(f"s3://{ours}/acme/{name}", hashlib.sha256(body).hexdigest(), version))
    case = moving.case()
    first, second, last = told
    copy = Copy("e-1", second.place, second.sha256, version=second.version, before=(first,))
    delta = Delta(Copy("e-2", last.place, last.sha256, version=last.version), "e-1")
    going = tuple(replace_state(one, export_id="e-2") for one in case.known.delivering)
    case = replace_state(case, known=replace_state(case.known, archives=(copy,), deltas=(delta,), delivering=going))
    await moving.is_at(case)
    return case


async def sent(moving: Moving, case: Keeping) -> Delivered | NotDelivered:  # noqa: F811
    (copy,), (delta,) = case.known.archives, case.known.deltas
    volumes = tuple(VolumeCopy(place=one.place, sha256=one.sha256) for one in copy.volumes)
    order = moving.order.model_copy(
        update={
            "export_id": "e-2",
            "place": delta.copy.place,
            "sha256": delta.copy.sha256,
            "base": BaseCopy(export_id="e-1", volumes=volumes, map_sha256="0" * 64),
        }
    )
    return await moving.delivering.deliver(order, moving.attempt())


async def test_its_base_is_sent_before_it(moving: Moving) -> None:  # noqa: F811
    """Each by its own name; what lies there already is found, and isn't sent again."""
    case = await parcel(moving)
    await moving.store.put(moving.theirs, "from/us/e-1.vol001.zip", BODIES["e-1.vol001.zip"])
    outcome = await sent(moving, case)

    assert isinstance(outcome, Delivered), outcome
    assert (outcome.volumes, outcome.sent, outcome.size_bytes) == (3, "copied", sum(map(len, BODIES.values())))
    for name, body in BODIES.items():
        assert await moving.store.get(moving.theirs, f"from/us/{name}") == body
    written = [one for one in moving.far.asked if one.startswith(("PUT", "POST"))]
    assert not [one for one in written if "e-1.vol001" in one]
    assert [("e-2" in one) for one in written] == sorted("e-2" in one for one in written)


async def test_where_its_base_is_missing_nothing_of_it_is_sent(moving: Moving) -> None:  # noqa: F811
    """Half of it is nothing."""
    case = await parcel(moving)
    await moving.store.delete_all_versions(moving.settings.exports_bucket, "acme/e-1")
    outcome = await sent(moving, case)

    assert isinstance(outcome, NotDelivered)
    assert (outcome.reason, outcome.left_behind) == ("missing", "nothing")
    assert [key async for key, _ in moving.store.versions(moving.theirs, "")] == []
