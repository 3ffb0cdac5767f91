"""An export loads what it uses: a quarter of its memory was once what other commands are made of."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from archive_school import MAP, School

from shared.signing.keys import make_keys
from shared.signing.sshsig import ARCHIVE

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
RUN = """
import json, sys
from shared.cli import main
main_failed = None
try:
    main()
except SystemExit as ended:
    main_failed = ended.code
print(json.dumps({"exit": main_failed, "loaded": sorted(sys.modules)}))
"""


def loaded_by(*command: str, home: Path) -> set[str]:
    """Run ``offramp`` in a process of its own, and give the modules that it had at its end."""
    environment = {name: value for name, value in os.environ.items() if name != "OFFRAMP_EXPORTER_KEYS"}
    words = [sys.executable, "-c", RUN, *command]
    done = subprocess.run(words, env=environment | {"OFFRAMP_HOME": str(home)}, capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    assert not told["exit"], done.stderr
    return set(told["loaded"])


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
