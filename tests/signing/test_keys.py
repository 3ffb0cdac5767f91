"""Keys are made on a person's word, kept from others, and never replaced in silence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.signing.keys import ECDSA, ED25519, KeysError, keys_folder, local_keys, make_keys, rotate_keys
from shared.signing.signer import Signer

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
    local_keys(tmp_path, {})

    with pytest.raises(KeysError, match=r"offramp\.ecdsa\.pem is missing"):
        Signer.load(tmp_path)


def test_production_makes_no_keys_silently(tmp_path: Path) -> None:
    """In production keys appear on a person's word only; elsewhere they are made on first use."""
    with pytest.raises(KeysError, match="in production nothing makes them"):
        local_keys(tmp_path, PRODUCTION)
    assert not list(tmp_path.iterdir())

    local_keys(tmp_path, {})
    local_keys(tmp_path, PRODUCTION)
    Signer.load(tmp_path)


def test_workers_that_start_together_agree(tmp_path: Path) -> None:
    """Many first uses at once make one pair of keys."""
    with ThreadPoolExecutor(8) as at_once:
        list(at_once.map(lambda _: local_keys(tmp_path, {}), range(8)))

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
        rotate_keys(tmp_path)


def test_the_environment_names_the_folder(tmp_path: Path) -> None:
    """Keys lie in OFFRAMP_KEYS, else beside the rest of our state."""
    assert keys_folder(tmp_path, {}) == tmp_path / "keys"
    assert keys_folder(tmp_path, {"OFFRAMP_KEYS": "/elsewhere"}) == Path("/elsewhere")
