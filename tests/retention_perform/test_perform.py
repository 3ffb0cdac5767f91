"""The tasks of retention, performed on a real database and store: read before, read after, certify."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from retention_facts import CLOSED, facts, reading
from retention_systems import MAP, Platform

from services.retention.app import MisdeclaredError, build, check_declared
from services.retention.dues import Dues
from services.retention.gathered import Gathered
from services.retention.perform import Shelf, certify, check, survey, upgrade
from services.retention.reading import Reader
from services.retention.tasks import (
    Certified,
    CertifyFailed,
    Check,
    Checked,
    CheckFailed,
    CopyToExpire,
    HolderReading,
    Survey,
    Surveyed,
    SurveyFailed,
    Upgrade,
)
from shared.clock import system_clock
from shared.datamap.fingerprint import BY_COLUMNS, BY_TEXT, Method, measuring
from shared.holder.declaration import load_holders
from shared.performer import Attempt
from shared.settings import Settings
from shared.signing.keys import KeysError, make_keys, rotate_keys
from shared.signing.paper import TimestampMissingError
from shared.signing.paperkeys import PAPER_KEY, TIMESTAMP_ROOTS, PaperKeysError
from shared.store_faults import StoreError
from shared.verify.certificate import verify_certificate
from tests.timestamps import timestamp_authority

ATTEMPT = Attempt(uuid4(), 1, system_clock)
NAMES = ("platform-database", "platform-media", "export-archives")


@pytest.fixture
def shelf(platform: Platform, tmp_path: Path) -> Shelf:
    make_keys(tmp_path / "keys")
    return Shelf(platform.settings.s3, platform.settings.certificates_bucket, tmp_path / "keys")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Give a folder to fetch a certificate into."""
    folder = tmp_path / "desk"
    folder.mkdir()
    return folder


def reader(platform: Platform) -> Reader:
    return Reader(platform.holders, platform.settings)


def dues(platform: Platform) -> Dues:
    return Dues(platform.settings.dsn("retention"), 25)


def gathered(platform: Platform) -> Gathered:
    return Gathered(reader(platform), dues(platform))


def asked(attempt: int = 1) -> Survey:
    return Survey(customer_id="acme", deletion_id="d-1", attempt=attempt, holders=NAMES)


def doubted() -> Check:
    return Check(customer_id="acme", deletion_id="d-1", attempt=2, holders=NAMES, before=())


async def fetched(platform: Platform, shelf: Shelf, outcome: Certified, to: Path) -> Path:
    folder = outcome.certificate.removeprefix(f"s3://{shelf.bucket}/").removesuffix("certificate.json")
    async for one in platform.store.list(shelf.bucket, folder):
        file = to / one.key.removeprefix(folder)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(await platform.store.get(shelf.bucket, one.key))
    return to


async def test_a_survey_reads_every_declared_holder(platform: Platform) -> None:
    """A survey tells of each holder, and answers the attempt that asked."""
    outcome = await survey(gathered(platform), dues(platform), asked(3), ATTEMPT)

    assert isinstance(outcome, Surveyed)
    assert (outcome.deletion_id, outcome.attempt) == ("d-1", 3)
    assert [one.holder for one in outcome.readings] == list(NAMES)


async def test_a_check_finds_what_is_left_and_then_nothing(platform: Platform) -> None:
    """Before the deletion the check finds everything, after it nothing."""
    before = await check(reader(platform), doubted(), ATTEMPT)
    await platform.erase()
    after = await check(reader(platform), doubted(), ATTEMPT)

    assert isinstance(before, Checked)
    assert isinstance(after, Checked)
    assert sum(table.own for at in before.readings for table in at.tables) == 8
    assert sum(table.own for at in after.readings for table in at.tables) == 0


@pytest.mark.parametrize("method", [BY_TEXT, BY_COLUMNS])
async def test_a_check_compares_by_the_method_of_the_survey(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, method: Method
) -> None:
    """What a former release surveyed, which told of no method, is compared by its own; nobody else is touched."""
    monkeypatch.setattr("services.retention.reading.measuring", partial(measuring, method=method))
    surveyed = await survey(gathered(platform), dues(platform), asked(), ATTEMPT)
    assert isinstance(surveyed, Surveyed)
    written = [one.model_dump(mode="json") for one in surveyed.readings]
    for table in (table for one in written for table in one["tables"]):
        assert table.pop("method") == BY_COLUMNS
        if method == BY_COLUMNS:
            table["method"] = method
    before = tuple(HolderReading.model_validate(one) for one in written)
    await platform.erase()
    checked = await check(reader(platform), doubted().model_copy(update={"before": before}), ATTEMPT)

    assert isinstance(checked, Checked)
    assert {table.method for at in checked.readings for table in at.tables if at.holder == NAMES[0]} == {method}
    assert _others(checked.readings) == _others(before)


def _others(readings: tuple[HolderReading, ...]) -> dict[str, tuple[int, str]]:
    return {one.table: (one.others, one.fingerprint) for at in readings for one in at.tables}


SHARED = """
    create table plans (name text, history jsonb);
    insert into plans values ('gold', '{"first": "acme-east"}'), ('small', '{"first": "acme"}');
"""


@pytest.mark.parametrize(
    ("said", "holders", "found"),
    [
        ("shared: everybody's", "", (("plans", "history", 1),)),
        ("exempt: no customer's", "", (("plans", "history", 1),)),
        ("shared: everybody's, mentions: of whom they were made", "", ()),
        ("shared: everybody's", ", search: false", None),
    ],
)
async def test_a_check_looks_for_the_id_in_what_is_nobody_s(
    platform: Platform, said: str, holders: str, found: tuple[tuple[str, str, int], ...] | None
) -> None:
    """A row that speaks of the customer in a table that has no owner is found, unless the map says why it may."""
    (platform.holders_file.parent / "map.yaml").write_text(f"{MAP}  plans: {{{said}}}\n")
    text = platform.holders_file.read_text()
    platform.holders_file.write_text(text.replace("database: platform", f"database: platform{holders}"))
    await platform.run(SHARED)
    await platform.erase()

    outcome = await check(Reader(load_holders(platform.holders_file), platform.settings), doubted(), ATTEMPT)

    assert isinstance(outcome, Checked)
    (searched,) = [one.searched for one in outcome.readings if one.holder == "platform-database"]
    if found is None:
        assert searched is None
        return
    assert searched is not None
    assert tuple((one.table, one.column, one.rows) for one in searched.mentions) == found
    # Those of customers, users, notes, and of plans.
    assert (searched.columns, searched.passed_over) == ((6, ()) if found else (4, ("plans",)))


async def test_an_id_that_could_be_anything_is_not_looked_for(platform: Platform) -> None:
    """A short word or number stands everywhere; then the certificate doesn't say that it was looked for."""
    for customer in ("abc", "12345"):
        task = doubted().model_copy(update={"customer_id": customer})
        outcome = await check(reader(platform), task, ATTEMPT)
        assert isinstance(outcome, Checked)
        assert [one.searched for one in outcome.readings] == [None] * len(NAMES)


async def test_an_undeclared_table_fails_survey_and_check(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a table that the map doesn't know nothing can be proven: both steps fail, and the log names it."""
    await platform.run("create table diary (id int primary key)")
    surveyed = await survey(gathered(platform), dues(platform), asked(), ATTEMPT)
    checked = await check(reader(platform), doubted(), ATTEMPT)

    assert isinstance(surveyed, SurveyFailed)
    assert isinstance(checked, CheckFailed)
    assert {surveyed.reason, checked.reason} == {"not_declared"}
    assert "platform-database: diary" in capsys.readouterr().out


async def test_a_map_that_is_gone_fails_the_check(platform: Platform) -> None:
    """Without its map a database can't be checked, and waiting won't bring the map back."""
    (platform.holders_file.parent / "map.yaml").unlink()
    outcome = await check(reader(platform), doubted(), ATTEMPT)

    assert isinstance(outcome, CheckFailed)
    assert outcome.reason == "unreadable"


async def test_the_stock_tools_accept_a_stored_certificate(platform: Platform, shelf: Shelf, desk: Path) -> None:
    """The commands of VERIFY.txt, pasted beside the files as stored, all succeed, by later keys too; changed, none."""
    missing = [tool for tool in ("ssh-keygen", "openssl", "pdfsig", "pdftotext") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    outcome = await certify(shelf, facts(), ATTEMPT)
    assert isinstance(outcome, Certified)
    folder = await fetched(platform, shelf, outcome, desk)
    text = (folder / "VERIFY.txt").read_text()
    commands = [line.strip() for line in text.splitlines() if line.startswith("   ") and "macOS" not in line]

    assert [run(command, folder) for command in commands] == [0] * 9
    rotate_keys(shelf.keys, system_clock())
    for public in ("allowed_signers", "paper_roots.pem"):
        (folder / public).write_bytes((shelf.keys / public).read_bytes())
    assert [run(command, folder) for command in commands] == [0] * 9
    body = (folder / "certificate.json").read_bytes()
    (folder / "certificate.json").write_bytes(body.replace(b'"rows_deleted": 2', b'"rows_deleted": 3'))
    assert [bool(run(command, folder)) for command in commands] == [*[True] * 3, *[False] * 5, True]


def run(command: str, folder: Path) -> int:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, env=environment, check=False).returncode


async def test_the_second_certificate(platform: Platform, shelf: Shelf, desk: Path) -> None:
    """When the copies have expired, a second certificate stands beside the first, and the stock tools accept it."""
    missing = [tool for tool in ("ssh-keygen", "openssl", "pdfsig", "pdftotext") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    copies = (CopyToExpire(copy_name="dumps", of="platform-database", expires_at=CLOSED),)
    first = await certify(shelf, facts(copies=copies), ATTEMPT)
    assert isinstance(first, Certified)
    body = await platform.store.get(shelf.bucket, first.certificate.removeprefix(f"s3://{shelf.bucket}/"))
    assert json.loads(body)["stage"] == "production"
    task = Upgrade(
        customer_id="acme",
        deletion_id="deletion:acme/1",
        attempt=1,
        certificate=first.certificate,
        certificate_sha256=first.certificate_sha256,
        copies=copies,
    )
    second = await upgrade(shelf, task, ATTEMPT)
    assert await upgrade(shelf, task, ATTEMPT) == second
    await fetched(platform, shelf, first, desk)
    above, desk = desk, desk / "upgrade"
    said = json.loads((desk / "upgrade.json").read_text())
    text = (desk / "VERIFY.txt").read_text()
    commands = [line.strip() for line in text.splitlines() if line.startswith("   ") and "macOS" not in line]

    assert (said["stage"], said["first_sha256"]) == ("full", first.certificate_sha256)
    assert [run(command, desk) for command in commands] == [0] * 10
    both = verify_certificate(above / "certificate.json")
    assert both.stage == "production"
    assert both.second is not None
    assert (both.sha256, both.second.sha256) == (first.certificate_sha256, second.certificate_sha256)


async def test_certifying_again_changes_nothing(platform: Platform, shelf: Shelf) -> None:
    """A second try gives the same place and digest, and leaves one version of each file."""
    first = await certify(shelf, facts(), ATTEMPT)
    again = await certify(shelf, facts(), ATTEMPT)
    versions = [key async for key, _ in platform.store.versions(shelf.bucket, "acme/")]

    assert first == again
    assert len(versions) == len(set(versions)) == 8


async def test_a_rotation_between_two_tries_keeps_the_digest(platform: Platform, shelf: Shelf, desk: Path) -> None:
    """Keys rotated between two tries: the same certificate, signed by the new ones."""
    first = await certify(shelf, facts(), ATTEMPT)
    rotate_keys(shelf.keys, system_clock())
    again = await certify(shelf, facts(), ATTEMPT)

    assert first == again
    assert isinstance(again, Certified)
    folder = await fetched(platform, shelf, again, desk)
    assert len((folder / "allowed_signers").read_text().splitlines()) == 2
    assert verify_certificate(folder / "certificate.json").sha256 == first.certificate_sha256


async def test_the_outcome_names_the_bytes_that_are_stored(platform: Platform, shelf: Shelf) -> None:
    """Place and digest of the outcome are those of the stored certificate, which speaks of this deletion."""
    outcome = await certify(shelf, facts(), ATTEMPT)
    assert isinstance(outcome, Certified)
    body = await platform.store.get(shelf.bucket, outcome.certificate.removeprefix(f"s3://{shelf.bucket}/"))

    assert hashlib.sha256(body).hexdigest() == outcome.certificate_sha256
    assert json.loads(body)["deletion_id"] == "deletion:acme/1"


async def test_what_is_not_proven_leaves_no_file(platform: Platform, shelf: Shelf) -> None:
    """Where something is left, the certificate fails for good, and nothing is stored that could pass for one."""
    outcome = await certify(shelf, facts(after=(reading(1),)), ATTEMPT)

    assert isinstance(outcome, CertifyFailed)
    assert outcome.reason == "residue"
    assert [key async for key, _ in platform.store.versions(shelf.bucket, "")] == []


async def test_without_keys_or_store_it_is_tried_again(platform: Platform, shelf: Shelf, tmp_path: Path) -> None:
    """Missing keys or a missing bucket raise, so that the task stays and the certificate comes when they are there."""
    with pytest.raises(KeysError):
        await certify(replace(shelf, keys=tmp_path / "nowhere"), facts(), ATTEMPT)
    with pytest.raises(StoreError):
        await certify(replace(shelf, bucket=f"t-{uuid4().hex[:12]}"), facts(), ATTEMPT)


async def test_an_authority_that_is_away_is_waited_for(platform: Platform, shelf: Shelf, tmp_path: Path) -> None:
    """What is to be stamped is never stored without: no file is there until the authority is back."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    with timestamp_authority(tmp_path / "tsa") as authority:
        (shelf.keys / TIMESTAMP_ROOTS).write_bytes(authority.root)
        asking = replace(shelf, authority=authority.url)
        authority.answers = False
        with pytest.raises(TimestampMissingError):
            await certify(asking, facts(), ATTEMPT)
        assert [key async for key, _ in platform.store.versions(shelf.bucket, "")] == []
        authority.answers = True
        outcome = await certify(asking, facts(), ATTEMPT)
        assert await certify(asking, facts(), ATTEMPT) == outcome
    assert isinstance(outcome, Certified)
    folder = await fetched(platform, shelf, outcome, tmp_path / "desk")
    paper = (await asyncio.to_thread(verify_certificate, folder / "certificate.json", shelf.keys)).paper

    # Once refused, once answered; the second try kept what was stored.
    assert len(authority.asked) == 2
    assert paper is not None
    assert paper.stamped_at is not None
    assert "timestamp by a third party" in (folder / "VERIFY.txt").read_text()


async def test_without_a_key_for_papers_it_is_tried_again(platform: Platform, shelf: Shelf) -> None:
    """Keys from before there were papers make no certificate without one: the operator is told what to make."""
    (shelf.keys / PAPER_KEY).unlink()

    with pytest.raises(PaperKeysError, match="offramp keys make --pdf"):
        await certify(shelf, facts(), ATTEMPT)
    assert [key async for key, _ in platform.store.versions(shelf.bucket, "")] == []


def test_an_authority_without_roots_is_refused_at_the_start(settings: Settings, tmp_path: Path) -> None:
    """Timestamps that nobody could check are no proof; the file that is missing is named."""
    asking = replace(settings, home=tmp_path, timestamp_authority="http://127.0.0.1:9/")

    with pytest.raises(MisdeclaredError, match=r"timestamp_roots\.pem is missing"):
        build(asking)


def test_archives_must_lie_where_the_holders_say(platform: Platform) -> None:
    """Were the archives' bucket another than the declared one, the check would look where nothing ever was."""
    check_declared(platform.holders, platform.settings)

    with pytest.raises(MisdeclaredError, match="OFFRAMP_EXPORTS_BUCKET"):
        check_declared(platform.holders, replace(platform.settings, exports_bucket="t-elsewhere"))
    with pytest.raises(MisdeclaredError, match="certificates"):
        check_declared(platform.holders, replace(platform.settings, certificates_bucket=platform.media))


def test_the_service_starts_with_what_the_checkout_declares(settings: Settings, tmp_path: Path) -> None:
    """The declared policy and holders make a service that performs each of its tasks, and makes keys locally."""
    service = build(replace(settings, home=tmp_path))

    assert {one.task for one in service.performances} == set(service.domain.tasks)
    assert (tmp_path / "keys" / "allowed_signers").exists()


def test_production_does_not_start_without_keys(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In production a missing key is told at the start, not when the first certificate is due."""
    monkeypatch.setenv("OFFRAMP_ENV", "production")

    with pytest.raises(KeysError, match="offramp keys make"):
        build(replace(settings, home=tmp_path))
