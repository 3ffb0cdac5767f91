"""A stored certificate is checked without any tool: true ones pass, and whatever was altered is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from retention_facts import facts

from services.retention.certificate import certificate_of, document
from shared.signing.keys import make_keys, rotate_keys
from shared.signing.signer import Signer
from shared.signing.verify_certificate import BadCertificateError, verify_certificate

FILES = ("certificate.json", "certificate.json.sshsig", "certificate.json.sig", "allowed_signers", "signing.pub.pem")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def stored(tmp_path: Path, keys: Path) -> Path:
    return written(tmp_path / "desk", keys, document(certificate_of(facts())))


def written(folder: Path, keys: Path, data: bytes) -> Path:
    signer = Signer.load(keys)
    signed = signer.sign(data)
    folder.mkdir()
    bodies = (data, signed.sshsig, signed.ecdsa, signer.allowed_signers, signer.public_pem)
    for name, body in zip(FILES, bodies, strict=True):
        (folder / name).write_bytes(body)
    return folder / FILES[0]


def test_a_true_certificate_passes(stored: Path, keys: Path) -> None:
    """A certificate as stored is good; only with keys that came another way is it trusted, too."""
    verdict = verify_certificate(stored)

    assert (verdict.customer_id, verdict.deletion_id, verdict.rows_deleted) == ("acme", "deletion:acme/1", 2)
    assert verdict.sha256 == hashlib.sha256(stored.read_bytes()).hexdigest()
    assert not verdict.trusted
    assert verify_certificate(stored, keys).trusted


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_in_any_file_is_refused(stored: Path, name: str) -> None:
    """One bit flipped in the middle of any of the five files, and the certificate is refused."""
    file = stored.with_name(name)
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(body)

    with pytest.raises(BadCertificateError):
        verify_certificate(stored)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(stored: Path, name: str) -> None:
    """Without one of its files a certificate can't be checked, and the file is named."""
    stored.with_name(name).unlink()

    with pytest.raises(BadCertificateError, match=name):
        verify_certificate(stored)


def test_a_forgery_fails_against_the_published_keys(tmp_path: Path, keys: Path) -> None:
    """A certificate forged with keys of its own agrees with itself, and fails against the published keys."""
    make_keys(tmp_path / "forger")
    forged = written(tmp_path / "forged", tmp_path / "forger", document(certificate_of(facts())))

    assert not verify_certificate(forged).trusted
    with pytest.raises(BadCertificateError, match="none of the keys"):
        verify_certificate(forged, keys)


def test_old_certificates_pass_after_rotations(stored: Path, keys: Path) -> None:
    """After two rotations the published keys still tell an old certificate to be true."""
    rotate_keys(keys)
    rotate_keys(keys)

    assert verify_certificate(stored, keys).trusted


def test_a_signed_paper_that_is_no_certificate_is_refused(tmp_path: Path, keys: Path) -> None:
    """What is signed but says that something was left, or is of another format, is no certificate."""
    data = document(certificate_of(facts()))
    left = written(tmp_path / "left", keys, data.replace(b'"left": 0', b'"left": 1'))
    letter = written(tmp_path / "letter", keys, b'{"format": "offramp-certificate/1"}')
    other = written(tmp_path / "other", keys, data.replace(b"offramp-certificate/1", b"offramp-certificate/2"))

    with pytest.raises(BadCertificateError, match="something was left"):
        verify_certificate(left)
    with pytest.raises(BadCertificateError, match="newer offramp"):
        verify_certificate(other)
    with pytest.raises(BadCertificateError, match="no certificate"):
        verify_certificate(letter)
