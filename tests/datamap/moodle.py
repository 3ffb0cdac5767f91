"""A Moodle database as it is: 494 tables without one foreign key, restored from a dump beside the repository."""

from __future__ import annotations

import subprocess
import tarfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.platform.scratch import scratch_database
from shared.postgres_tool import postgres_tool
from shared.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ROOT = Path(__file__).resolve().parents[2]
MAP = ROOT / "deploy" / "maps" / "moodle.yaml"
# Beside the checkout, or beside the folder of checkouts.
DUMPS = [up / "shared" / "data" / "moodle" / "moodle-4.5-small.dump" for up in ROOT.parents[:2]]
DUMP = next((dump for dump in DUMPS if dump.is_file()), None)
needs_moodle = pytest.mark.skipif(DUMP is None, reason="the data set shared/data/moodle is not there")


def content_store() -> Iterator[tuple[str, bytes]]:
    """Give Moodle's files: where each lies, and its bytes."""
    assert DUMP is not None
    with tarfile.open(DUMP.with_name("moodle-4.5-small-filedir.tar.gz")) as opened:
        for member in opened:
            body = opened.extractfile(member)
            if body is not None:
                yield member.name, body.read()


@asynccontextmanager
async def moodle_database() -> AsyncIterator[str]:
    """Restore the dump into a database of its own, and give its address."""
    async with scratch_database(read_settings().postgres) as dsn:
        restore = [str(postgres_tool("pg_restore")), "--no-owner", "--no-privileges", "--dbname", dsn, str(DUMP)]
        subprocess.run(restore, check=True, capture_output=True)
        yield dsn
