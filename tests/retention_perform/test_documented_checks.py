"""What docs/certificate.md tells a stranger to paste finds a true certificate good, and an altered one not."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from retention_facts import CLOSED, facts

from services.retention.certificate import certificate_of, document
from services.retention.press import Order, _printed
from services.retention.tasks import CopyToExpire, Upgrade
from services.retention.upgrade import second_document
from shared.signing.keys import make_keys
from shared.signing.paperkeys import ROOTS, PaperKeys
from shared.signing.signer import Signer

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", (ROOT / "docs" / "certificate.md").read_text(), re.MULTILINE)
needed = [name for name in ("ssh-keygen", "openssl", "jq", "pdfsig", "pdftotext", "xxd") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(needed), reason=f"needs {', '.join(needed)}")


def block(word: str) -> str:
    (found,) = (one for one in BLOCKS if word in one)
    return re.sub(r"^    ", "", found, flags=re.MULTILINE)


def run(script: str, folder: Path) -> int:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environment, capture_output=True).returncode


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Lay both certificates of a deletion on a desk, as they are stored."""
    make_keys(tmp_path / "keys")
    copies = (CopyToExpire(copy_name="dumps", of="platform-database", expires_at=CLOSED + timedelta(days=30)),)
    first = document(certificate_of(facts(copies=copies)))
    task = Upgrade(
        customer_id="acme",
        deletion_id="deletion:acme/1",
        attempt=1,
        certificate="s3://certificates/acme/certificate.json",
        certificate_sha256=hashlib.sha256(first).hexdigest(),
        copies=copies,
    )
    folder = tmp_path / "desk"
    for name, body in (("certificate.json", first), ("upgrade/upgrade.json", second_document(task))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        put(folder / name, body, tmp_path / "keys")
    return folder


def put(file: Path, body: bytes, keys: Path) -> None:
    signer, paper_keys, digest = Signer.load(keys), PaperKeys.load(keys), hashlib.sha256(body).hexdigest()
    signed = signer.sign(body, CLOSED)
    order = Order(body, file.name, digest, "en", CLOSED, CLOSED + timedelta(days=40), paper_keys, None, None)
    for name, content in (
        (f"{file.stem}.pdf", _printed(order).body), (ROOTS, paper_keys.roots),
        (file.name, body), (f"{file.name}.sshsig", signed.sshsig), (f"{file.name}.sig", signed.ecdsa),
        ("allowed_signers", signer.allowed_signers), ("signing.pub.pem", signer.public_pem),
    ):  # fmt: skip
        file.with_name(name).write_bytes(content)


def commands(desk: Path) -> dict[str, str]:
    """Give what is told to paste, each for itself, with the blanks filled in."""
    sha256 = hashlib.sha256((desk / "certificate.json").read_bytes()).hexdigest()
    digest, at, ssh, openssl = block("-O verify-time").splitlines()
    filled = digest.replace("<certificate_sha256 of AccountClosed>", sha256)
    offramp = block("offramp verify").replace("FOLDER", str(desk.parent / "keys")).replace("HEX", sha256)
    belongs, copies = block(".copies_to_expire").splitlines()
    says, signed, where, whole, taken, vouched = block("pdftotext").splitlines()
    paper = {
        "paper": says,
        "pdfsig": f"test 2 = $({signed} | grep -c -e 'Signature is Valid' -e 'Total document signed')",
        "vouched": f"{where}\n{whole}\n{taken}\n{vouched}",
    }
    first = {"digest": filled, "ssh": f"{at}\n{ssh}", "openssl": openssl, "offramp": offramp} | paper
    return first | {"journal": block("journal OK"), "belongs": belongs, "copies": copies}


def test_the_commands_find_a_true_certificate_good(desk: Path) -> None:
    """Every command in the document ends well."""
    assert {name: run(command, desk) for name, command in commands(desk).items()} == dict.fromkeys(commands(desk), 0)


def journal(desk: Path) -> None:
    said = json.loads((desk / "certificate.json").read_text())
    said["journal"][0]["given"] = "Woke"
    put(desk / "certificate.json", json.dumps(said).encode(), desk.parent / "keys")


def head(desk: Path) -> None:
    said = json.loads((desk / "certificate.json").read_text())
    said["journal"].pop()
    put(desk / "certificate.json", json.dumps(said).encode(), desk.parent / "keys")


def copies(desk: Path) -> None:
    said = json.loads((desk / "upgrade" / "upgrade.json").read_text())
    said["expired"][0]["copy_name"] = "tapes"
    put(desk / "upgrade" / "upgrade.json", json.dumps(said).encode(), desk.parent / "keys")


def number(desk: Path) -> None:
    body = (desk / "certificate.json").read_bytes()
    (desk / "certificate.json").write_bytes(body.replace(b'"rows_deleted": 2', b'"rows_deleted": 3'))


ALTERED: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "one number": (number, {"digest", "ssh", "openssl", "paper", "offramp", "belongs"}),
    "a decision, and signed anew": (journal, {"digest", "offramp", "journal", "belongs"}),
    "the last decision cut off, and signed anew": (head, {"digest", "offramp", "journal", "belongs"}),
    "other copies, and signed anew": (copies, {"offramp", "copies"}),
}


@pytest.mark.parametrize("name", ALTERED)
def test_the_commands_find_what_was_altered(desk: Path, name: str) -> None:
    """Those commands that are about what was altered end badly, and the others well."""
    alter, fail = ALTERED[name]
    before = commands(desk)
    alter(desk)

    assert {name for name, command in before.items() if run(command, desk)} == fail
