"""An export loads what it uses: a quarter of its memory was once what other commands are made of."""

from __future__ import annotations

import asyncio
from pathlib import Path

from archive_school import MAP, School

from shared.signing.keys import make_keys
from shared.signing.sshsig import ARCHIVE
from tests.loaded import loaded_by

# Kafka's client, the service's loop and logs, what signs, what encrypts, what retention prints with, other commands.
NOT_ITS_OWN = {
    "aiokafka",
    "faust",
    "structlog",
    "cryptography",
    "pyrage",
    "pyhanko",
    "typst",
    "pygments",
    "shared.process",
    "shared.worker",
    "services.exporter.deliver_command",
    "services.exporter.domain",
    "services.exporter.link_command",
}


async def exported(school: School, folder: Path, *more: str) -> set[str]:
    path = folder / "map.yaml"
    path.write_text(MAP.replace("BUCKET", school.bucket))
    words = ("export", "--map", str(path), "--dsn", school.dsn, "--customer", "acme", "--json", "--format", "csv")
    to = ("--to", f"s3://{school.bucket}/made/{len(more)}.zip")
    return await asyncio.to_thread(loaded_by, *words, *to, *more, home=folder)


async def test_an_export_loads_nothing_that_it_does_not_use(school: School, tmp_path: Path) -> None:
    """Neither Kafka's client nor logs nor keys nor other commands, from the first connection to the proof."""
    assert await exported(school, tmp_path) & NOT_ITS_OWN == set()


async def test_who_signs_loads_what_signs_and_nothing_else(school: School, tmp_path: Path) -> None:
    """The keys' library comes with the keys: so what the test above doesn't find would have been found."""
    make_keys(tmp_path / "exporter-keys", ARCHIVE)

    assert await exported(school, tmp_path) & NOT_ITS_OWN == {"cryptography"}
