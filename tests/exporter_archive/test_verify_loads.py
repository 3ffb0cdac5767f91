"""``offramp verify`` loads what it checks with: starting everything else once took longer than checking an archive."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from archive_school import School

from shared.signing.keys import make_keys
from shared.signing.signer import Signer
from shared.signing.sshsig import ARCHIVE
from tests.loaded import loaded_by

# The command's first step, its sentence for an operator, the verifier, and what inflates in half the time.
ITS_OWN = {"isal", "shared", "shared.cli", "shared.errors", "shared.verify"} | {
    f"shared.verify.{name}" for name in ("archive", "by_library", "commands")
}
OF_SIGNATURES = {"shared.signing"} | {f"shared.signing.{name}" for name in ("allowed", "moments", "public", "sshsig")}
# Of the standard library, what is slow to load and of no use here.
NOT_ITS_OWN = {"asyncio", "email", "http", "importlib.metadata", "multiprocessing", "ssl", "unittest", "xml"}


def others_than_the_standard_library(loaded: set[str]) -> set[str]:
    """Give our own modules, and of each other library its name."""
    ours = {name for name in loaded if name.partition(".")[0] == "shared"}
    return ours | {name.partition(".")[0] for name in loaded - ours} - sys.stdlib_module_names


async def test_an_unsigned_archive(school: School, tmp_path: Path) -> None:
    """The standard library, what inflates, and the verifier: no command lines, no pydantic, nothing that signs."""
    path, _ = await school.archive(tmp_path)
    loaded = loaded_by("verify", str(path), home=tmp_path, code=3)

    assert others_than_the_standard_library(loaded) == ITS_OWN
    assert loaded & NOT_ITS_OWN == set()


async def test_a_signed_archive(school: School, tmp_path: Path) -> None:
    """What checks a signature besides, and neither what makes keys nor the papers' certificates."""
    make_keys(tmp_path / "keys", ARCHIVE)
    path, _ = await school.archive(tmp_path, Signer.load(tmp_path / "keys", ARCHIVE))
    loaded = loaded_by("verify", str(path), "--json", home=tmp_path)

    assert others_than_the_standard_library(loaded) == ITS_OWN | OF_SIGNATURES | {
        "cryptography",
        "_cffi_backend",
        "_openssl",
    }
    assert "cryptography.x509" not in loaded


@pytest.mark.parametrize("arguments", [["--help"], ["nowhere"]])
def test_help_and_what_cannot_be_read(tmp_path: Path, arguments: list[str]) -> None:
    """Neither needs more."""
    loaded = loaded_by("verify", *arguments, home=tmp_path, code=int(arguments != ["--help"]))

    assert others_than_the_standard_library(loaded) <= ITS_OWN
