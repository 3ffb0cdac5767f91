"""Addenda as the service stores them, set and signed: true ones pass with their certificate, nothing else does."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from retention_facts import CLOSED, facts, reading
from test_paper import leaves, shown, words
from test_what_laws_keep import LATER, amend, keeping, part

from services.retention import perform
from services.retention.perform import Shelf, certify
from services.retention.tasks import Certified, ContinuedPart
from shared.clock import system_clock
from shared.objects import ObjectStore
from shared.performer import Attempt
from shared.settings import Settings
from shared.signing.keys import make_keys
from shared.verify.certificate import verify
from shared.verify.verdicts import First
from tests.verified import verified

ATTEMPT = Attempt(uuid4(), 1, system_clock)
SIGNED = ("addendum.json", "addendum.json.sshsig", "addendum.json.sig", "addendum.pdf")
PUBLIC = ("allowed_signers", "signing.pub.pem", "paper_roots.pem")


@dataclass(frozen=True)
class Stored:
    """The certificates of two customers with their addenda, fetched from the bucket in which they were stored."""

    acme: Path
    other: Path
    keys: Path


@pytest.fixture(scope="module")
def stored(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return asyncio.run(_store(settings, tmp_path_factory.mktemp("stored")))


async def _store(settings: Settings, folder: Path) -> Stored:
    make_keys(folder / "keys")
    shelf = Shelf(settings.s3, f"t-{uuid4().hex[:12]}-certificates", folder / "keys")
    async with ObjectStore(settings.s3) as store:
        await store.ensure_bucket(shelf.bucket)
        try:
            made = [await _case(store, shelf, customer, folder) for customer in ("acme", "other")]
        finally:
            for customer in ("acme", "other"):
                await store.delete_all_versions(shelf.bucket, f"{customer}/")
            await store.remove_bucket(shelf.bucket)
    return Stored(*made, shelf.keys)


async def _case(store: ObjectStore, shelf: Shelf, customer: str, to: Path) -> Path:
    """Have a certificate and both of its addenda made and stored, and fetch them all."""
    whose: dict[str, Any] = {"customer_id": customer, "deletion_id": f"deletion:{customer}/1"}
    kept = {"answers": (keeping(5),), "after": (reading(0, kept=5),), "retained": (part(3), part(2, LATER))}
    first = await certify(shelf, facts(**whose, **kept), ATTEMPT)
    assert isinstance(first, Certified)
    continued = ContinuedPart(
        deletion_id=first.deletion_id, certificate=first.certificate, certificate_sha256=first.certificate_sha256
    )
    for number in (1, 2):
        whose["deletion_id"] = f"deletion:{customer}/1:{number + 1}"
        task = amend(b"", number, **whose).model_copy(update={"first": continued})
        made = await perform.amend(shelf, task, ATTEMPT)
        assert isinstance(made, Certified)
        assert await perform.amend(shelf, task, ATTEMPT) == made
    above = first.certificate.removeprefix(f"s3://{shelf.bucket}/").removesuffix("certificate.json")
    fetched = [one.key async for one in store.list(shelf.bucket, above)]
    assert len([key async for key, _ in store.versions(shelf.bucket, above)]) == len(fetched)
    for key in fetched:
        file = to / customer / key.removeprefix(above)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(await store.get(shelf.bucket, key))
    return to / customer


@pytest.fixture
def desk(stored: Stored, tmp_path: Path) -> Path:
    """Give a copy of acme's that a test may alter."""
    return shutil.copytree(stored.acme, tmp_path / "desk")


def broken(desk: Path, *options: str) -> dict[str, str]:
    """Verify what is on the desk, and give what is wrong with it."""
    told = verified(desk, "--json", *options)
    assert told.exit_code == 1, told.output
    (finding,) = json.loads(told.stdout)["findings"]
    found: dict[str, str] = finding
    return found


def test_they_are_accepted_with_their_certificate(stored: Stored) -> None:
    """By the published keys, each with its paper; the last one says that all is gone."""
    told = verified(stored.acme, "--keys", stored.keys)
    whole = verify(stored.acme / "certificate.json", stored.keys)

    assert told.exit_code == 0, told.output
    assert "by the last of 2 good addenda all of them are gone" in told.stdout
    assert isinstance(whole, First)
    assert [(one.number, one.retained, one.trusted) for one in whole.addenda] == [(1, 2, True), (2, 0, True)]
    for one in whole.addenda:
        paper = stored.acme / f"addendum-{one.number}" / "addendum.pdf"
        assert one.paper is not None
        assert one.paper.sha256 == hashlib.sha256(paper.read_bytes()).hexdigest()


@pytest.mark.parametrize("number", [1, 2])
def test_all_that_it_says_is_in_its_paper(stored: Stored, number: int) -> None:
    """Every value of the JSON can be read, and its own digest, and that of the certificate it is to."""
    data = (stored.acme / f"addendum-{number}" / "addendum.json").read_bytes()
    text, said = words((stored.acme / f"addendum-{number}" / "addendum.pdf").read_bytes()), json.loads(data)
    told = {key: value for key, value in said.items() if key not in ("about", "format")}

    assert [one for one in leaves(told) if shown(one).replace(" ", "") not in text] == []
    assert hashlib.sha256(data).hexdigest() in text
    assert hashlib.sha256((stored.acme / "certificate.json").read_bytes()).hexdigest() in text


def test_the_stock_tools_accept_it(desk: Path) -> None:
    """The commands of its VERIFY.txt, pasted beside the files as stored, all succeed; beside altered ones, not."""
    missing = [tool for tool in ("ssh-keygen", "openssl", "pdfsig", "pdftotext") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    folder = desk / "addendum-1"
    lines = (folder / "VERIFY.txt").read_text().splitlines()
    commands = [line.strip() for line in lines if line.startswith("   ") and "macOS" not in line]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(command: str) -> int:
        return subprocess.run(command, shell=True, cwd=folder, capture_output=True, env=environment).returncode

    assert [(one, run(one)) for one in commands] == [(one, 0) for one in commands]
    assert len(commands) > 8
    body = (folder / "addendum.json").read_bytes()
    (folder / "addendum.json").write_bytes(re.sub(rb'"rows_deleted": \d+', b'"rows_deleted": 99', body))
    assert sum(run(one) != 0 for one in commands) >= 4


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("name", [*SIGNED, *PUBLIC])
def test_a_flipped_bit_is_refused(desk: Path, name: str, number: int) -> None:
    """In any file of any addendum, and the one that is wrong is named, though the certificate itself is good."""
    file = desk / f"addendum-{number}" / name
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(body)

    assert f"addendum-{number}" in broken(desk)["path"]


def test_a_flipped_bit_of_the_certificate_is_refused_with_it(desk: Path) -> None:
    """An addendum stands on a good certificate: also asked for alone, it isn't good without."""
    file = desk / "certificate.json"
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(body)

    assert broken(desk / "addendum-1" / "addendum.json")["link"] == "first certificate"
    assert broken(desk)


@pytest.mark.parametrize("name", [*SIGNED[1:3], *PUBLIC])
def test_a_missing_file_is_named(desk: Path, name: str) -> None:
    """Without one of its files an addendum can't be checked."""
    (desk / "addendum-1" / name).unlink()

    found = broken(desk)
    assert f"addendum-1/{name}" in found["path"]


def test_a_missing_addendum_is_refused(desk: Path) -> None:
    """One before the last can't be left out; without the last one, rows are said to wait still."""
    shutil.move(desk / "addendum-2", desk.parent / "kept")
    alone = verified(desk)
    shutil.rmtree(desk / "addendum-1")
    bare = verified(desk)
    shutil.move(desk.parent / "kept", desk / "addendum-2")

    assert (broken(desk)["link"], "number 1 isn't there" in broken(desk)["says"]) == ("addendum", True)
    assert "by the last of 1 good addenda 2 rows still wait for their time" in alone.stdout
    assert "laws kept 5 rows, which are listed; no addendum is here" in bare.stdout


def test_another_case_s_addendum_is_refused(desk: Path, stored: Stored) -> None:
    """A true one, truly signed by the same keys, is none to this certificate."""
    shutil.rmtree(desk / "addendum-1")
    shutil.copytree(stored.other / "addendum-1", desk / "addendum-1")

    assert broken(desk)["link"] == "first certificate"
    assert broken(desk, "--keys", str(stored.keys))["link"] == "first certificate"


def test_another_case_s_paper_is_refused(desk: Path, stored: Stored) -> None:
    """Nor is a true paper of somebody else's addendum, or of the certificate, this one's."""
    paper = desk / "addendum-1" / "addendum.pdf"
    for other in (stored.other / "addendum-1" / "addendum.pdf", stored.acme / "certificate.pdf"):
        shutil.copy(other, paper)
        assert broken(desk)["link"] == "paper"


def test_the_moment_is_the_check_s(stored: Stored) -> None:
    """It names the moment at which all was seen to be gone, for which the key has to count."""
    said = json.loads((stored.acme / "addendum-1" / "addendum.json").read_bytes())

    assert said["validation"]["checked_at"] == f"{CLOSED:%Y-%m-%dT%H:%M:%SZ}"
