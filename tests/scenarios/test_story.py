"""The whole story as `offramp demo` tells it: four customers, five services, months in a minute."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.demo.processes import OFFRAMP

pytestmark = pytest.mark.long

# Beside the checkout, for whoever has it; too large and not ours to be part of it.
OULAD = Path(__file__).parents[3] / "shared" / "data" / "oulad"
_MARK = "OFFRAMP_SCENARIO"


@pytest.mark.parametrize("data", [None, OULAD], ids=["invented", "oulad"])
def test_story(data: Path | None) -> None:
    """It ends well, says so with tools that aren't ours, and leaves no process behind."""
    if data is not None and not (data / "student.csv").is_file():
        pytest.skip(f"the tables of OULAD are not in {data}")
    mark = uuid4().hex
    arguments = () if data is None else ("--data", str(data))
    told = subprocess.run(
        [OFFRAMP, "demo", *arguments], env=os.environ | {_MARK: mark}, capture_output=True, text=True, check=False
    )

    assert told.returncode == 0, told.stdout + told.stderr
    for words, number in _expected().items():
        assert told.stdout.count(words) == number, words
    assert _marked(mark) == []


def _expected() -> dict[str, int]:
    """Say how often what has to stand there: one archive, two certificates, two customers gone and two untouched."""
    return {
        "files, untouched.": 2,
        "files, gone.": 2,
        "archive.zip: OK": 1,
        "every file is as it was written": 2,  # once in the command
        "certificate.json: OK": 2,
        'Good "offramp-archive" signature': 1 * bool(shutil.which("ssh-keygen")),
        'Good "offramp" signature': 2 * bool(shutil.which("ssh-keygen")),
        "Verified OK": 3 * bool(shutil.which("openssl")),
    }


def _marked(mark: str) -> list[str]:
    """Name every process that was born with *mark* in its environment, children's children too."""
    wanted = f"{_MARK}={mark}".encode()
    found = (one for one in Path("/proc").iterdir() if one.name.isdecimal())
    return [one.name for one in found if wanted in _environment(one)]


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        # It ended meanwhile, or is somebody else's.
        return b""
