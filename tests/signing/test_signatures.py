"""Signatures hold before the stock tools of OpenSSH and OpenSSL, and before nothing but the signed bytes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.signing import sshsig
from shared.signing.keys import ALLOWED_SIGNERS, PUBLIC_PEM, make_keys, rotate_keys
from shared.signing.signer import Signer

DATA = "§ counts: 0 left, ✓\n".encode()
needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH's ssh-keygen")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    make_keys(made)
    return made


def ssh_accepts(folder: Path, data: bytes, signature: bytes, namespace: str = "offramp") -> bool:
    signed = folder / "F.sshsig"
    signed.write_bytes(signature)
    command = ["ssh-keygen", "-Y", "verify", "-f", ALLOWED_SIGNERS, "-I", "offramp", "-n", namespace, "-s", signed.name]
    return subprocess.run(command, cwd=folder, input=data, capture_output=True, check=False).returncode == 0


def openssl_accepts(folder: Path, data: bytes, signature: bytes, pem: str = PUBLIC_PEM) -> bool:
    (folder / "F").write_bytes(data)
    (folder / "F.sig").write_bytes(signature)
    command = ["openssl", "dgst", "-sha256", "-verify", pem, "-signature", "F.sig", "F"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@needs_ssh
def test_ssh_keygen_accepts(folder: Path) -> None:
    """ssh-keygen accepts the OpenSSH signature of any bytes, none and many too."""
    signer = Signer.load(folder)
    for data in (b"", DATA, bytes(range(256)) * 5_000):
        assert ssh_accepts(folder, data, signer.sign(data).sshsig)


@needs_ssh
def test_ssh_keygen_refuses_a_flipped_byte(folder: Path) -> None:
    """One flipped bit anywhere in the signed bytes, and ssh-keygen refuses."""
    signature = Signer.load(folder).sign(DATA).sshsig

    assert not any(ssh_accepts(folder, flipped(DATA, at), signature) for at in range(len(DATA)))


@needs_ssh
def test_ssh_keygen_refuses_another_purpose(folder: Path) -> None:
    """The signature counts for one purpose: as a signed commit of git it is refused."""
    assert not ssh_accepts(folder, DATA, Signer.load(folder).sign(DATA).sshsig, namespace="git")


@needs_ssh
def test_ssh_keygen_makes_the_same_bytes(folder: Path) -> None:
    """Ed25519 is deterministic, so ssh-keygen, signing with the same key, makes exactly our signature."""
    (folder / "F").write_bytes(DATA)
    command = ["ssh-keygen", "-Y", "sign", "-f", "offramp.ed25519", "-n", "offramp", "F"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)

    assert (folder / "F.sig").read_bytes() == Signer.load(folder).sign(DATA).sshsig


@needs_openssl
def test_openssl_accepts_and_refuses(folder: Path) -> None:
    """Openssl accepts the ECDSA signature, and none of other bytes."""
    signature = Signer.load(folder).sign(DATA).ecdsa

    assert openssl_accepts(folder, DATA, signature)
    assert not any(openssl_accepts(folder, flipped(DATA, at), signature) for at in range(len(DATA)))


def test_signing_again_is_no_change(folder: Path) -> None:
    """A second try signs the same bytes the same way, so that it changes nothing in the store."""
    assert Signer.load(folder).sign(DATA) == Signer.load(folder).sign(DATA)


@needs_ssh
@needs_openssl
def test_old_signatures_outlive_a_rotation(folder: Path) -> None:
    """After a rotation new keys sign, and what the old ones signed is still accepted, twice over."""
    before = Signer.load(folder).sign(DATA)
    for _ in range(2):
        rotate_keys(folder)
    after = Signer.load(folder).sign(DATA)

    assert before.key_id != after.key_id
    assert ssh_accepts(folder, DATA, before.sshsig)
    assert ssh_accepts(folder, DATA, after.sshsig)
    assert openssl_accepts(folder, DATA, before.ecdsa, "signing.1.pub.pem")
    assert openssl_accepts(folder, DATA, after.ecdsa)
    assert not openssl_accepts(folder, DATA, before.ecdsa)


@needs_ssh
def test_key_id_is_openssh_fingerprint(folder: Path) -> None:
    """A key is called what ``ssh-keygen -l`` calls it."""
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", "offramp.ed25519"], cwd=folder, capture_output=True, check=True, text=True
    )

    assert Signer.load(folder).sign(b"").key_id in shown.stdout


def test_our_own_verification_agrees(folder: Path) -> None:
    """Without any tool at hand our own check accepts the signature, and nothing that differs in one bit."""
    signer = Signer.load(folder)
    signature, allowed = signer.sign(DATA).sshsig, sshsig.read_allowed_signers(signer.allowed_signers.decode())
    stranger = Ed25519PrivateKey.generate()

    assert sshsig.verified_by(DATA, signature, allowed) == signer.sign(DATA).key_id
    assert not any(sshsig.verified_by(flipped(DATA, at), signature, allowed) for at in range(len(DATA)))
    assert not any(sshsig.verified_by(DATA, flipped(signature, at), allowed) for at in range(len(signature) - 1))
    assert sshsig.verified_by(DATA, sshsig.sign(DATA, stranger), allowed) is None
    assert sshsig.verified_by(DATA, b"no signature at all", allowed) is None
