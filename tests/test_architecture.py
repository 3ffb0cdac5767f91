"""Who may import whom: the contracts in pyproject.toml are kept, and each has been seen to fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = {
    one["id"] for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}
# One line that breaks each contract, and the module that it is written into.
BREACHES = {
    "services-apart": ("services/notice/calendar.py", "import services.exporter.states"),
    "shared-below": ("shared/clock.py", "import services.notice.calendar"),
    "pure": ("shared/days.py", "import asyncio"),
    "faust-in-the-shell": ("services/notice/app.py", "import faust"),
    "one-object-store": ("services/retention/app.py", "import aioboto3"),
    "rings-notice": ("services/notice/domain.py", "import services.notice.app"),
    "rings": ("services/retention/domain.py", "import services.retention.perform"),
}


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in ("shared", "services", "deploy"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_are_kept(copied: Path) -> None:
    """Everybody imports only whom they may."""
    done = _lint(copied)

    assert done.returncode == 0, done.stdout


def test_every_contract_has_its_breach() -> None:
    """No contract stands that was never seen to fail."""
    assert set(BREACHES) == CONTRACTS


@pytest.mark.parametrize("contract", sorted(BREACHES))
def test_a_breach_is_found(copied: Path, contract: str) -> None:
    """The line that breaks a contract makes the check fail and names the contract."""
    file, line = BREACHES[contract]
    name = next(
        one["name"]
        for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        if one["id"] == contract
    )
    with (copied / file).open("a") as module:
        module.write(f"\n{line}\n")

    done = _lint(copied)

    assert done.returncode == 1
    assert f"{name} BROKEN" in " ".join(done.stdout.split())
