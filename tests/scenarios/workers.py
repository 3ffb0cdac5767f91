"""Worker processes of a scenario: started as the demo starts them, and ended in every way there is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from deploy.demo import processes


@dataclass
class Worker:
    """One worker of *service*, an operating-system process with web pages on *port*."""

    service: str
    port: int
    process: asyncio.subprocess.Process
    logs: Path

    @classmethod
    async def start(cls, service: str, environment: Mapping[str, str], logs: Path) -> Worker:
        """Start it, without waiting for it."""
        logs.mkdir()
        (port,) = processes.free_ports(1)
        return cls(service, port, await processes.start(service, port, environment, logs), logs)

    async def ready(self) -> None:
        """Wait until it has its share of the work."""
        await processes.ready(self.service, self.port, self.process, self.logs)

    async def kill(self) -> None:
        """End it at whatever line it is (SIGKILL)."""
        self.process.kill()
        await self.process.wait()

    async def terminate(self) -> int:
        """Ask it to end (SIGTERM) and give its exit code; the caller says how long that may take."""
        self.process.terminate()
        return await self.process.wait()

    async def stop(self) -> None:
        """End it if it still runs, kindly or not."""
        await processes.stop(self.process)

    async def page(self, name: str) -> tuple[int, dict[str, Any]]:
        """Open the page ``/health`` or ``/ready``; gives the status and the document."""
        status, text = await asyncio.to_thread(_get, f"http://127.0.0.1:{self.port}/{name}")
        return status, json.loads(text)

    async def metric(self, name: str, **labels: str) -> float:
        """Give the sum of the samples of *name* that have *labels*; 0 if there is none."""
        _, text = await asyncio.to_thread(_get, f"http://127.0.0.1:{self.port}/metrics")
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())

    def log(self) -> str:
        """Give all that it wrote."""
        return (self.logs / f"{self.service}.log").read_text()


async def command(environment: Mapping[str, str], *arguments: str, given: bytes = b"") -> tuple[int, str]:
    """Run ``offramp`` with *arguments*, *given* on its standard input; gives exit code and output."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        processes.OFFRAMP, *arguments, env=dict(environment), stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate(given)
    return process.returncode or 0, output.decode()


def _get(address: str) -> tuple[int, str]:
    try:
        with urlopen(address, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
