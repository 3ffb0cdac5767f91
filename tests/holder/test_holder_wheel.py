"""Another team's service installs the wheel, and is a holder: without our checkout, by the name ``offramp``."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.demo.processes import free_ports
from deploy.platform.generate import HERE
from shared.datamap.model import load
from shared.events.platform import Erased
from tests.holder.command_topics import command, command_topics
from tests.holder.platform_rows import everything, others

if TYPE_CHECKING:
    from tests.holder.platform_rows import Database

SHARED = Path(__file__).parents[2] / "shared"
HOLDERS = """
version: 1
holders:
  rows: {kind: postgres, map: map.yaml, database: platform, answers_within: P1D}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it into a fresh environment, which borrows only the libraries of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=SHARED)
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder / "venv"))
    python = folder / "venv" / "bin" / "python"
    [wheel] = folder.glob("offramp-*.whl")
    _run("uv", "pip", "install", "--quiet", "--no-deps", "--offline", "--python", str(python), str(wheel))
    [packages] = (folder / "venv").glob("lib/python*/site-packages")
    # A folder named in a .pth file is searched, but its own .pth files, our checkout's among them, are not read.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return python


def _run(*command: str, cwd: Path | None = None) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=cwd, env=os.environ | {"PATH": path}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_knows_no_service_of_ours(installed: Path, tmp_path: Path) -> None:
    """There is a package ``offramp`` and none of our checkout's."""
    found = (
        "import importlib.util as u; print([n for n in ('offramp', 'shared', 'services', 'deploy') if u.find_spec(n)])"
    )

    assert _run(str(installed), "-c", found, cwd=tmp_path) == "['offramp']\n"


async def test_it_answers_a_command(
    installed: Path, tmp_path: Path, dsn: str, postgres: str, database: Database
) -> None:
    """``offramp holder run`` out of the wheel deletes what it is told to, and says so on Kafka."""
    (tmp_path / "holders.yaml").write_text(HOLDERS)
    (tmp_path / "map.yaml").write_bytes((HERE / "map.yaml").read_bytes())
    async with command_topics() as topics:
        environment = {
            "OFFRAMP_HOLDERS": str(tmp_path / "holders.yaml"),
            "OFFRAMP_HOME": str(tmp_path),
            "OFFRAMP_HOLDER_DSN": postgres,
            "OFFRAMP_PLATFORM_DSN": dsn,
            "OFFRAMP_TOPIC_PREFIX": topics.prefix,
        }
        holder = await asyncio.create_subprocess_exec(
            str(installed.with_name("offramp")),
            "holder",
            "run",
            "--web-port",
            str(*free_ports(1)),
            cwd=tmp_path,
            env=os.environ | environment,
        )
        try:
            await topics.tell(command("rows", map_sha256=load(HERE / "map.yaml").sha256))
            answer = await topics.answer()
        finally:
            # Not SIGTERM: what is asked here is whether it answers, not how it ends. It may have ended by itself.
            if holder.returncode is None:
                holder.kill()
            await holder.wait()

    assert isinstance(answer.outcome, Erased)
    assert {"users": 12}.items() <= {one.table: one.rows for one in answer.outcome.deleted}.items()
    assert await everything(database) == await others(database)
