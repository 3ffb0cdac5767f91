"""Workers of the product's services, in processes of their own, as an operator starts them."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

# The worker gives no word: seconds between two looks.
_LOOK = 0.05


@asynccontextmanager
async def worker(
    service: str, environment: Mapping[str, str], folder: Path, name: str = "worker"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start ``offramp SERVICE run``, its log in *folder*, and wait until it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = folder / f"{name}.log"
    with said.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("offramp")), service, "run", "--web-port", str(port)),
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
        )
    try:
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(_ready, port):
                assert process.returncode is None, said.read_text()[-2000:]
                await asyncio.sleep(_LOOK)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as page:
            return bool(page.status == 200)
    except (URLError, OSError):
        return False


def peak(pid: int) -> float:
    """Tell how much memory a running process had at most, in MiB."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
