"""Keys are made on a person's word, kept from others, and never replaced in silence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.signing.allowed import read_allowed_signers
from shared.signing.keys import (
    ECDSA,
    ED25519,
    PUBLIC_PEM,
    KeysError,
    former_pem,
    local_keys,
    make_keys,
    rotate_keys,
)
from shared.signing.place import keys_folder
from shared.signing.signer import Signer
from shared.signing.sshsig import ARCHIVE

NOW = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)
PRODUCTION = {"OFFRAMP_ENV": "production"}


def test_only_the_owner_reads_private_keys(tmp_path: Path) -> None:
    """Private keys are for their owner alone."""
    make_keys(tmp_path / "keys")

    assert [(tmp_path / "keys" / name).stat().st_mode & 0o777 for name in (ED25519, ECDSA)] == [0o600, 0o600]


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    """Making keys where there are some is refused, and the old ones stay as they are."""
    make_keys(tmp_path)
    before = (tmp_path / ED25519).read_bytes()

    with pytest.raises(KeysError, match="offramp keys rotate"):
        make_keys(tmp_path)
    assert (tmp_path / ED25519).read_bytes() == before


def test_a_missing_key_says_what_to_do(tmp_path: Path) -> None:
    """Without keys the operator is told which file is missing and how to make it."""
    with pytest.raises(KeysError, match=r"offramp\.ed25519 is missing.*offramp keys make"):
        Signer.load(tmp_path)


def test_half_a_pair_is_no_signer(tmp_path: Path) -> None:
    """One of two keys is not enough, and the local stack doesn't make up for the other."""
    make_keys(tmp_path)
    (tmp_path / ECDSA).unlink()
    local_keys(tmp_path, environ={})

    with pytest.raises(KeysError, match=r"offramp\.ecdsa\.pem is missing"):
        Signer.load(tmp_path)


def test_production_makes_no_keys_silently(tmp_path: Path) -> None:
    """In production keys appear on a person's word only; elsewhere they are made on first use."""
    with pytest.raises(KeysError, match="in production nothing makes them"):
        local_keys(tmp_path, environ=PRODUCTION)
    assert not list(tmp_path.iterdir())

    local_keys(tmp_path, environ={})
    local_keys(tmp_path, environ=PRODUCTION)
    Signer.load(tmp_path)


def test_workers_that_start_together_agree(tmp_path: Path) -> None:
    """Many first uses at once make one pair of keys."""
    with ThreadPoolExecutor(8) as at_once:
        list(at_once.map(lambda _: local_keys(tmp_path, environ={}), range(8)))

    assert len(Signer.load(tmp_path).allowed_signers.splitlines()) == 1


def test_a_key_that_everybody_reads_is_refused(tmp_path: Path) -> None:
    """A private key that every user of the machine can read is no secret, so it signs nothing."""
    make_keys(tmp_path)
    (tmp_path / ED25519).chmod(0o644)

    with pytest.raises(KeysError, match="chmod 600"):
        Signer.load(tmp_path)


@pytest.mark.parametrize("name", [ED25519, ECDSA])
def test_a_file_that_is_no_key_is_named(tmp_path: Path, name: str) -> None:
    """A damaged key file is told by its name."""
    make_keys(tmp_path)
    (tmp_path / name).write_bytes(b"not a key")

    with pytest.raises(KeysError, match=name):
        Signer.load(tmp_path)


def test_a_key_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    """A key that allowed_signers doesn't name would make certificates that nobody can check."""
    make_keys(tmp_path)
    (tmp_path / "allowed_signers").write_text("")

    with pytest.raises(KeysError, match="Add this line"):
        Signer.load(tmp_path)


def test_rotating_needs_keys(tmp_path: Path) -> None:
    """Where there are no keys there is nothing to rotate."""
    with pytest.raises(KeysError, match="offramp keys make"):
        rotate_keys(tmp_path, NOW)


def test_the_environment_names_the_folder(tmp_path: Path) -> None:
    """Keys lie in OFFRAMP_KEYS, else beside the rest of our state; the exporter's own elsewhere."""
    assert keys_folder(tmp_path, environ={}) == tmp_path / "keys"
    assert keys_folder(tmp_path, environ={"OFFRAMP_KEYS": "/elsewhere"}) == Path("/elsewhere")
    assert keys_folder(tmp_path, "exporter", {"OFFRAMP_KEYS": "/elsewhere"}) == tmp_path / "exporter-keys"
    assert keys_folder(tmp_path, "exporter", {"OFFRAMP_EXPORTER_KEYS": "/there"}) == Path("/there")


def test_keys_for_one_purpose_sign_for_no_other(tmp_path: Path) -> None:
    """Keys that sign certificates sign no archive: whoever names the wrong folder is told so."""
    make_keys(tmp_path)

    with pytest.raises(KeysError, match=r"are for offramp, not for offramp-archive.*OFFRAMP_EXPORTER_KEYS"):
        Signer.load(tmp_path, ARCHIVE)


def test_a_rotation_leaves_what_people_wrote(tmp_path: Path) -> None:
    """Lines of another form in allowed_signers stay as they are, and the purpose stays the same."""
    make_keys(tmp_path, ARCHIVE)
    signers = tmp_path / "allowed_signers"
    signers.write_text("# published on our site\n" + signers.read_text())
    rotate_keys(tmp_path, NOW)

    assert signers.read_text().startswith("# published on our site\n")
    assert Signer.load(tmp_path, ARCHIVE).purpose == ARCHIVE


def test_a_rotation_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    """Cut off before the new private keys were there, a rotation is repeated, and the old key's files stay right."""
    make_keys(tmp_path)
    ed25519, ecdsa, pem = ((tmp_path / name).read_bytes() for name in (ED25519, ECDSA, PUBLIC_PEM))
    old = Signer.load(tmp_path).key_id
    rotate_keys(tmp_path, NOW)
    for name, body in ((ED25519, ed25519), (ECDSA, ecdsa)):
        (tmp_path / name).write_bytes(body)
    rotate_keys(tmp_path, NOW + timedelta(days=1))

    assert (tmp_path / former_pem(old)).read_bytes().endswith(pem)
    ends = [one.before for one in read_allowed_signers((tmp_path / "allowed_signers").read_text())]
    assert ends == [NOW + timedelta(minutes=10), None, None]
    Signer.load(tmp_path)
