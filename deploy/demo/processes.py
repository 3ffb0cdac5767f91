"""The services of one demo run, as processes of their own that end with it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from socket import socket
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from shared.errors import OperatorError

SERVICES: Final = ("notice", "exporter", "retention", "holder", "mailer")
OFFRAMP = Path(sys.executable).parent / "offramp"
_PATIENCE = 60.0
_GRACE = 10.0


@asynccontextmanager
async def running(environment: Mapping[str, str], logs: Path) -> AsyncIterator[dict[str, int]]:
    """Run one worker of each service until the block ends; give the ports of their pages.

    Raises OperatorError if one ends or isn't ready in time, with the place of its log.
    """
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    processes = {name: await start(name, port, environment, logs) for name, port in ports.items()}
    try:
        await asyncio.gather(*(ready(name, ports[name], processes[name], logs) for name in SERVICES))
        yield ports
    finally:
        await asyncio.gather(*map(stop, processes.values()))


async def start(name: str, port: int, environment: Mapping[str, str], logs: Path) -> asyncio.subprocess.Process:
    """Start one worker of service *name*, which logs into *logs*."""
    with (logs / f"{name}.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            OFFRAMP, name, "run", "--web-port", str(port), "--no-plain-logs",
            env=dict(environment), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


async def ready(name: str, port: int, process: asyncio.subprocess.Process, logs: Path) -> None:
    """Wait until the service says that it is ready; it has no other way to signal across processes."""
    try:
        async with asyncio.timeout(_PATIENCE):
            while not await asyncio.to_thread(_says_ready, port):
                if process.returncode is not None:
                    raise OperatorError(f"{name} ended at once; see {logs / name}.log")
                # A service that starts gives no word but on its page.
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise OperatorError(f"{name} was not ready after {_PATIENCE:.0f} s; see {logs / name}.log") from None


def _says_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (URLError, ConnectionError, TimeoutError):
        return False


async def stop(process: asyncio.subprocess.Process) -> None:
    """End a worker by SIGTERM, and by SIGKILL if it takes too long."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_GRACE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def free_ports(count: int) -> list[int]:
    """Give ports of loopback that nobody listens on."""
    sockets = [socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
