"""Make `.venv` what a lock file says; with the standard library alone, so that any python3 can start it.

Usage: python3 deploy/stack/setup.py requirements/dev.lock
"""

# Python 3.7 to 3.10 must get as far as the sentence in `main`, so annotations stay unevaluated.
from __future__ import annotations

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypedDict

    class Installed(TypedDict):
        """What the stamp says: every pin with its hashes, and the digest of pyproject.toml."""

        pins: list[str]
        project: str


OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / "offramp-setup.json"
UV_LOCK = ROOT / "requirements" / "uv.lock"


def main(lock: Path) -> None:
    """Bring `.venv` to *lock*, or do nothing when a lock that holds all of it was installed already."""
    if sys.version_info < OLDEST:
        sys.exit(
            f"offramp: Python 3.11 or newer is needed and {sys.executable} is {sys.version.split()[0]}. "
            "Install one, or name it: make setup PYTHON=python3.12"
        )
    wanted: Installed = {"pins": _pins(lock), "project": _digest(ROOT / "pyproject.toml")}
    found = _installed()
    if not set(wanted["pins"]) <= set(found["pins"]):
        _sync(lock)
        found = wanted
    elif found["project"] == wanted["project"]:
        return
    _uv("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    STAMP.write_text(json.dumps({"pins": found["pins"], "project": wanted["project"]}))


def _pins(lock: Path) -> list[str]:
    try:
        lines = lock.read_text().splitlines()
    except FileNotFoundError:
        sys.exit(f"offramp: there is no lock file {lock}: name one of those in requirements/.")
    return sorted(line.split()[0] + _digest_of_hashes(lines, at) for at, line in enumerate(lines) if "==" in line)


def _digest_of_hashes(lines: list[str], at: int) -> str:
    """Tell two locks of one version apart when their hashes differ."""
    hashes = []
    for line in lines[at + 1 :]:
        if not line.strip().startswith("--hash"):
            break
        hashes.append(line.strip(" \\"))
    return "#" + hashlib.sha256("".join(hashes).encode()).hexdigest()[:12]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _installed() -> Installed:
    if not STAMP.exists() or not _works():
        return {"pins": [], "project": ""}
    stamp: Installed = json.loads(STAMP.read_text())
    return stamp


def _works() -> bool:
    """Tell whether the environment's Python still runs: the one it was made from may be gone."""
    try:
        return subprocess.run([VENV / "bin" / "python", "-c", ""], check=False).returncode == 0
    except OSError:
        return False


def _sync(lock: Path) -> None:
    STAMP.unlink(missing_ok=True)
    if not _works():
        shutil.rmtree(VENV, ignore_errors=True)
        _run(
            [sys.executable, "-m", "venv", VENV],
            "make a virtual environment: on Debian and Ubuntu, install the package python3-venv",
        )
    pip: list[str | Path] = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--no-deps", "--require-hashes", "-r", UV_LOCK], "install uv: see whether the package index is reached")
    _uv("pip", "sync", "--quiet", "--require-hashes", str(lock))


def _uv(*arguments: str) -> None:
    what = "install what the lock names: see whether the package index is reached and the disk has room"
    _run([VENV / "bin" / "uv", *arguments, "--python", VENV / "bin" / "python"], what)


def _run(command: Sequence[str | Path], what: str) -> None:
    # pip trusts whom this machine trusts, such as a company's proxy; uv does so when it is told.
    environment = {"UV_SYSTEM_CERTS": "1" if _has_certificates() else "0", **os.environ}
    if subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode:
        sys.exit(f"offramp: setup can't {what}. What failed: {' '.join(map(str, command))}")


def _has_certificates() -> bool:
    known = ssl.get_default_verify_paths()
    return bool(known.cafile or (known.capath and any(Path(known.capath).glob("*.0"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
