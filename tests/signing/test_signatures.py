"""Signatures hold before the stock tools of OpenSSH and OpenSSL, and before nothing but the signed bytes."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.signing import sshsig
from shared.signing.allowed import ALLOWED_SIGNERS
from shared.signing.keys import PUBLIC_PEM, KeysError, former_pem, make_keys, rotate_keys
from shared.signing.moments import ssh_time
from shared.signing.public import PublicKeys, SignatureError
from shared.signing.signer import Signer
from shared.signing.sshsig import CERTIFICATE

NOW = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)
DATA = "§ counts: 0 left, ✓\n".encode()
needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH's ssh-keygen")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    make_keys(made)
    return made


def ssh_accepts(folder: Path, data: bytes, signature: bytes, namespace: str = "offramp", at: datetime = NOW) -> bool:
    signed = folder / "F.sshsig"
    signed.write_bytes(signature)
    moment, who = f"verify-time={ssh_time(at)}", ["-f", ALLOWED_SIGNERS, "-I", "offramp", "-n", namespace]
    command = ["ssh-keygen", "-Y", "verify", "-O", moment, *who, "-s", signed.name]
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
        assert ssh_accepts(folder, data, signer.sign(data, NOW).sshsig)


@needs_ssh
def test_ssh_keygen_refuses_a_flipped_byte(folder: Path) -> None:
    """One flipped bit anywhere in the signed bytes, and ssh-keygen refuses."""
    signature = Signer.load(folder).sign(DATA, NOW).sshsig

    assert not any(ssh_accepts(folder, flipped(DATA, at), signature) for at in range(len(DATA)))


@needs_ssh
def test_ssh_keygen_refuses_another_purpose(folder: Path) -> None:
    """The signature counts for one purpose: as a signed commit of git it is refused."""
    assert not ssh_accepts(folder, DATA, Signer.load(folder).sign(DATA, NOW).sshsig, namespace="git")


@needs_ssh
def test_ssh_keygen_makes_the_same_bytes(folder: Path) -> None:
    """Ed25519 is deterministic, so ssh-keygen, signing with the same key, makes exactly our signature."""
    (folder / "F").write_bytes(DATA)
    command = ["ssh-keygen", "-Y", "sign", "-f", "offramp.ed25519", "-n", "offramp", "F"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)

    assert (folder / "F.sig").read_bytes() == Signer.load(folder).sign(DATA, NOW).sshsig


@needs_openssl
def test_openssl_accepts_and_refuses(folder: Path) -> None:
    """Openssl accepts the ECDSA signature, and none of other bytes."""
    signature = Signer.load(folder).sign(DATA, NOW).ecdsa

    assert openssl_accepts(folder, DATA, signature)
    assert not any(openssl_accepts(folder, flipped(DATA, at), signature) for at in range(len(DATA)))


def test_signing_again_is_no_change(folder: Path) -> None:
    """A second try signs the same bytes the same way, so that it changes nothing in the store."""
    assert Signer.load(folder).sign(DATA, NOW) == Signer.load(folder).sign(DATA, NOW)


@needs_ssh
@needs_openssl
def test_old_signatures_outlive_a_rotation(folder: Path) -> None:
    """After a rotation new keys sign, and what the old ones signed is still accepted, twice over."""
    before = Signer.load(folder).sign(DATA, NOW)
    for _ in range(2):
        rotate_keys(folder, NOW)
    after = Signer.load(folder).sign(DATA, NOW)

    assert before.key_id != after.key_id
    assert ssh_accepts(folder, DATA, before.sshsig)
    assert ssh_accepts(folder, DATA, after.sshsig)
    assert openssl_accepts(folder, DATA, before.ecdsa, former_pem(before.key_id))
    assert openssl_accepts(folder, DATA, after.ecdsa)
    assert not openssl_accepts(folder, DATA, before.ecdsa)


@needs_ssh
def test_key_id_is_openssh_fingerprint(folder: Path) -> None:
    """A key is called what ``ssh-keygen -l`` calls it."""
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", "offramp.ed25519"], cwd=folder, capture_output=True, check=True, text=True
    )

    assert Signer.load(folder).sign(b"", NOW).key_id in shown.stdout


def test_our_own_verification_agrees(folder: Path) -> None:
    """Without any tool at hand our own check accepts both signatures, and nothing that differs in one bit."""
    signer = Signer.load(folder)
    signed, keys = signer.sign(DATA, NOW), PublicKeys.read(folder)
    stranger = sshsig.sign(DATA, Ed25519PrivateKey.generate())

    assert holds(keys, DATA, signed.sshsig, signed.ecdsa) == signed.key_id
    assert not any(holds(keys, flipped(DATA, at), signed.sshsig, signed.ecdsa) for at in range(len(DATA)))
    for at in range(len(signed.sshsig) - 1):
        assert not holds(keys, DATA, flipped(signed.sshsig, at), signed.ecdsa)
    assert not any(holds(keys, DATA, signed.sshsig, flipped(signed.ecdsa, at)) for at in range(len(signed.ecdsa)))
    assert not holds(keys, DATA, stranger, signed.ecdsa)
    assert not holds(keys, DATA, b"no signature at all", signed.ecdsa)


def holds(keys: PublicKeys, data: bytes, first: bytes, second: bytes, at: datetime = NOW) -> str | None:
    try:
        return keys.check(data, first, second, CERTIFICATE, at)
    except SignatureError:
        return None


@needs_ssh
def test_a_key_counts_up_to_its_end(folder: Path) -> None:
    """What a rotated key signed for a moment up to its end still checks, and for a second later not; ssh agrees."""
    signed = Signer.load(folder).sign(DATA, NOW)
    rotate_keys(folder, NOW)
    keys, end = PublicKeys.read(folder), NOW + timedelta(minutes=10)

    for at, counts in ((NOW, True), (end, True), (end + timedelta(seconds=1), False), (NOW.replace(year=2030), False)):
        assert bool(holds(keys, DATA, signed.sshsig, signed.ecdsa, at)) is counts
        assert ssh_accepts(folder, DATA, signed.sshsig, at=at) is counts
    with pytest.raises(SignatureError, match="does not count for 2030"):
        keys.check(DATA, signed.sshsig, signed.ecdsa, CERTIFICATE, NOW.replace(year=2030))


def test_a_key_signs_nothing_after_its_end(folder: Path) -> None:
    """A key whose period is over by allowed_signers signs nothing that nobody would accept."""
    signers = folder / ALLOWED_SIGNERS
    signers.write_text(signers.read_text().replace('="offramp"', '="offramp",valid-before="20260101Z"'))

    with pytest.raises(KeysError, match="offramp keys rotate"):
        Signer.load(folder).sign(DATA, NOW)


LINES = {
    "as we write it": ('namespaces="offramp"', True),
    "two purposes": ('namespaces="offramp,offramp-archive"', True),
    "another purpose": ('namespaces="offramp-archive"', False),
    "from now on": ('namespaces="offramp",valid-after="20261122201500Z"', True),
    "from later on": ('namespaces="offramp",valid-after="20261122201501Z"', False),
    "a day": ('namespaces="offramp",valid-after="20261122Z",valid-before="20261123Z"', True),
    "the day before": ('namespaces="offramp",valid-before="20261122Z"', False),
    "minutes": ('namespaces="offramp",valid-before="202611222015Z"', True),
    "no such day": ('namespaces="offramp",valid-before="20261399Z"', False),
    "given twice": ('namespaces="offramp",valid-before="20261123Z",valid-before="20261124Z"', False),
    "of an authority": ('cert-authority,namespaces="offramp"', False),
    "unknown": ('namespaces="offramp",whatever="1"', False),
}


@needs_ssh
@pytest.mark.parametrize("name", LINES)
def test_periods_mean_what_ssh_means(folder: Path, name: str) -> None:
    """A line of allowed_signers with a period counts for us when it counts for ssh-keygen, to the second."""
    options, counts = LINES[name]
    signer = Signer.load(folder)
    signed, signers = signer.sign(DATA, NOW), folder / ALLOWED_SIGNERS
    signers.write_text(signers.read_text().replace('namespaces="offramp"', options))

    assert bool(holds(PublicKeys.read(folder), DATA, signed.sshsig, signed.ecdsa)) is counts
    assert ssh_accepts(folder, DATA, signed.sshsig) is counts


def test_what_depends_on_the_clock_of_the_desk_counts_for_nothing(folder: Path) -> None:
    """A period without Z would mean something else in each time zone, so we accept nothing by it."""
    signers = folder / ALLOWED_SIGNERS
    signed = Signer.load(folder).sign(DATA, NOW)
    signers.write_text(signers.read_text().replace('="offramp"', '="offramp",valid-before="20301231"'))

    assert not holds(PublicKeys.read(folder), DATA, signed.sshsig, signed.ecdsa)
