"""``offramp verify`` knows the paper beside a certificate: that it is signed, and that it is of that certificate."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from retention_facts import CLOSED, facts

from services.retention.certificate import certificate_of, document
from services.retention.paper import paper_of
from services.retention.press import Order, _printed
from shared.clock import system_clock
from shared.signing.keys import make_keys, rotate_keys
from shared.signing.paperkeys import ROOTS, TIMESTAMP_ROOTS, PaperKeys
from shared.signing.signer import Signer
from shared.verify.certificate import verify_certificate
from shared.verify.faults import BadCertificateError
from tests.timestamps import timestamp_authority
from tests.verified import verified


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def stored(tmp_path: Path, keys: Path) -> Path:
    return written(tmp_path / "desk", keys)


def written(folder: Path, keys: Path, customer: str = "acme", authority: str | None = None) -> Path:
    """Lay a certificate and its paper down as they are stored."""
    data = document(certificate_of(facts(customer_id=customer)))
    signer, paper_keys, digest = Signer.load(keys), PaperKeys.load(keys), hashlib.sha256(data).hexdigest()
    signed = signer.sign(data, CLOSED)
    order = Order(data, "certificate.json", digest, "en", CLOSED, system_clock(), paper_keys, authority, None)
    folder.mkdir()
    for name, body in (
        ("certificate.json", data), ("certificate.json.sshsig", signed.sshsig), ("certificate.json.sig", signed.ecdsa),
        ("allowed_signers", signer.allowed_signers), ("signing.pub.pem", signer.public_pem),
        ("certificate.pdf", _printed(order).body), (ROOTS, paper_keys.roots),
    ):  # fmt: skip
        (folder / name).write_bytes(body)
    return folder / "certificate.json"


def test_a_true_paper_passes(stored: Path, keys: Path) -> None:
    """The verdict names the paper and its signer, when it was signed, and that nobody else says so."""
    verdict = verify_certificate(stored, keys)

    assert verdict.paper is not None
    assert verdict.paper.sha256 == hashlib.sha256(stored.with_suffix(".pdf").read_bytes()).hexdigest()
    assert verdict.paper.stamped_at is None
    rotate_keys(keys, system_clock())
    assert verify_certificate(stored, keys).paper == verdict.paper


def test_a_paper_of_another_certificate_is_refused(stored: Path, keys: Path, tmp_path: Path) -> None:
    """A true paper, truly signed, of somebody else's certificate is none of this one."""
    other = written(tmp_path / "other", keys, customer="other")
    shutil.copy(other.with_suffix(".pdf"), stored.with_suffix(".pdf"))

    with pytest.raises(BadCertificateError, match="is a reading of a certificate with the SHA-256") as refused:
        verify_certificate(stored, keys)
    assert refused.value.link == "paper"


def test_a_paper_that_is_unsigned_altered_or_forged_is_refused(stored: Path, keys: Path, tmp_path: Path) -> None:
    """Nothing passes that our key didn't sign, as it is."""
    paper, data = stored.with_suffix(".pdf"), stored.read_bytes()
    make_keys(tmp_path / "forger")
    forged = written(tmp_path / "forged", tmp_path / "forger").with_suffix(".pdf").read_bytes()
    unsigned = paper_of(data, "certificate.json", hashlib.sha256(data).hexdigest(), "en", CLOSED, stamped=False)
    for body in (unsigned, paper.read_bytes().replace(b"/Producer", b"/Producen", 1), forged, b""):
        paper.write_bytes(body)
        with pytest.raises(BadCertificateError) as refused:
            verify_certificate(stored, keys)
        assert refused.value.link == "paper"


def test_the_command_tells_of_the_paper(stored: Path, keys: Path) -> None:
    """To people and machines; that there is none is said, too; its roots may not be missing."""
    told = verified(stored, "--keys", keys)
    asked = json.loads(verified(stored, "--json").stdout)
    (stored.parent / ROOTS).unlink()
    rootless = verified(stored, "--json")
    stored.with_suffix(".pdf").unlink()
    bare = verified(stored)

    assert "certificate.pdf says the same, signed at" in told.stdout
    assert "without a timestamp of a third party" in told.stdout
    assert asked["paper"]["path"].endswith("certificate.pdf")
    assert (rootless.exit_code, json.loads(rootless.stdout)["findings"][0]["path"][-15:]) == (1, ROOTS)
    assert "no PDF lies beside it" in bare.stdout


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_a_timestamp_is_told(tmp_path: Path, keys: Path) -> None:
    """With the roots of its authority, the moment is a third party's word."""
    with timestamp_authority(tmp_path / "tsa") as authority:
        (keys / TIMESTAMP_ROOTS).write_bytes(authority.root)
        stored = written(tmp_path / "desk", keys, authority=authority.url)
    told = verified(stored, "--keys", keys)

    assert "at the latest, by a third party's timestamp" in told.stdout
