"""An archive that is to be encrypted never lies in the store, nor leaves it, in any other way."""

from __future__ import annotations

import asyncio
import io
import zipfile
from dataclasses import replace

import pyrage
import pytest
from msgspec.structs import replace as replace_state
from test_archives import DELETE, deleting, killed, uploads
from test_deliveries import Moving, moving  # noqa: F401

from services.exporter import perform
from services.exporter.archive.faults import NotReadBackError
from services.exporter.tasks import ArchiveBuilt, ArchivesDeleted, BuildFailed, Delivered, RevokeLinks, VersionsReplaced
from shared.objects import ObjectStore
from shared.store_faults import StoreOutageError
from tests.exporter_perform.school import ATTEMPT, LARGE, School

SECRET = pyrage.x25519.Identity.generate()
PUBLIC = str(SECRET.to_public())
SEALED = LARGE.model_copy(update={"encrypt_to": (PUBLIC,)})
KEY = "acme/e-1.zip.age"


async def opened(school: School) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(pyrage.decrypt(await school.store.get(school.bucket, KEY), [SECRET])))


async def test_the_service_encrypts(essays: School) -> None:
    """The one object that lies there is the encrypted one, as it says, and who has the key reads the rows."""
    outcome = await essays.exporting.build(SEALED, ATTEMPT)
    assert isinstance(outcome, ArchiveBuilt), outcome

    assert outcome.place == f"s3://{essays.bucket}/{KEY}"
    assert outcome.encrypted_to == (PUBLIC,)
    assert [key for key in await essays.keys() if key.startswith("acme/")] == [KEY]
    assert b"\n390,acme," in (await opened(essays)).read("e-1/data/csv/report/essays.csv")


NO_POINT = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z"


@pytest.mark.parametrize("key", ["age1" + "q" * 58, "ssh-ed25519 AAAA" + "A" * 60, NO_POINT])
async def test_for_a_key_that_is_none_there_is_no_archive(essays: School, key: str) -> None:
    """It is answered by name, and never made unencrypted."""
    outcome = await essays.exporting.build(LARGE.model_copy(update={"encrypt_to": (PUBLIC, key)}), ATTEMPT)

    assert isinstance(outcome, BuildFailed)
    assert outcome.reason == "unusable_recipient"
    assert await essays.store.count_left(essays.bucket, "acme/") == 0


async def stopped(school: School, cause: BaseException, at: str) -> None:
    def stop(stage: str, _done: int, _total: int | None) -> None:
        if stage == at:
            raise cause

    with pytest.raises(type(cause)):
        await school.exporting.build(SEALED, replace(ATTEMPT, report=stop))


@pytest.mark.parametrize("cause", [StoreOutageError("away"), asyncio.CancelledError()])
@pytest.mark.parametrize("at", ["essays jsonlines", "media"])
async def test_of_an_interrupted_try_nothing_is_kept(essays: School, cause: BaseException, at: str) -> None:
    """Its parts would be of no use to the next one, which has another key; whatever stopped it, nothing lies there."""
    await stopped(essays, cause, at)
    assert await essays.store.count_left(essays.bucket, "acme/") == 0
    outcome = await essays.exporting.build(SEALED, ATTEMPT)

    assert isinstance(outcome, ArchiveBuilt)
    assert await essays.store.count_left(essays.bucket, "acme/") == 1


@pytest.mark.parametrize("stage", ["essays jsonlines", "media", "read back"])
async def test_what_a_killed_try_left_goes(
    essays: School, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """SIGKILL leaves parts, or an archive that nobody has the proof of: the next try begins without either."""
    monkeypatch.setattr("test_archives.LARGE", SEALED)
    await killed(essays, stage)
    assert await essays.store.count_left(essays.bucket, "acme/") == 1
    await essays.run("update essays set said = 'changed since' where id = 390")
    outcome = await essays.exporting.build(SEALED, ATTEMPT)

    assert isinstance(outcome, ArchiveBuilt)
    assert await essays.store.count_left(essays.bucket, "acme/") == 1
    assert b"390,acme,changed since\n" in (await opened(essays)).read("e-1/data/csv/report/essays.csv")


async def test_what_is_not_read_back_is_no_archive(
    essays: School, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """A table that comes back with other rows is found through the encryption, and nothing stays."""
    checked = perform.prove

    async def proven(report: object, *given: object) -> object:
        (expected,) = (one for one in report.compared if one.table == "essays")  # type: ignore[attr-defined]
        wrong = replace(report, compared=(replace(expected, fingerprint="1"),))  # type: ignore[type-var]
        return await checked(wrong, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(perform, "prove", proven)
    outcome = await essays.exporting.build(SEALED, ATTEMPT)

    assert isinstance(outcome, BuildFailed)
    assert outcome.reason == NotReadBackError.code
    assert await essays.store.count_left(essays.bucket, "acme/") == 0


async def test_it_goes_with_the_customer(essays: School) -> None:
    """A deletion finds it, and what a killed try left, by where they lie."""
    await essays.exporting.build(SEALED, ATTEMPT)
    await essays.store._client.create_multipart_upload(Bucket=essays.bucket, Key="acme/e-2.zip.age")
    await essays.is_at(deleting())
    outcome = await essays.exporting.delete(DELETE, ATTEMPT)

    assert isinstance(outcome, ArchivesDeleted)
    assert [one.rows for one in (*outcome.deleted, *outcome.remaining)] == [2, 0]
    assert await uploads(essays) == []


async def test_links_to_it_are_taken_back(essays: School) -> None:
    """By what lies there, which nobody here can open any more."""
    built = await essays.exporting.build(SEALED, ATTEMPT)
    assert isinstance(built, ArchiveBuilt)
    order = RevokeLinks(customer_id="acme", export_id="e-1", attempt=1, place=built.place, sha256=built.sha256)
    outcome = await essays.exporting.revoke(order, ATTEMPT)

    assert isinstance(outcome, VersionsReplaced)
    assert (await opened(essays)).testzip() is None


async def test_it_is_delivered_as_it_is(moving: Moving) -> None:  # noqa: F811
    """It lies at the far end under a name that says that it is encrypted, byte for byte."""
    async with ObjectStore(moving.settings.s3) as ours:
        body = await ours.get(moving.settings.exports_bucket, "acme/e-1.zip")
        await ours.put(moving.settings.exports_bucket, KEY, body)
    place = f"{moving.order.place}.age"
    case = moving.case()
    copies = tuple(replace_state(one, place=place) for one in case.known.archives)
    await moving.is_at(replace_state(case, known=replace_state(case.known, archives=copies)))

    assert isinstance(await moving.deliver(place=place), Delivered)
    assert await moving.store.get(moving.theirs, "from/us/e-1.zip.age") == body
    assert await moving.there() is None
