"""One local stack's place: its folder, its ports, what runs in it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shared.settings import KAFKA_PORT, POSTGRES_PORT, S3_PORT, Settings

# One block of neighbours per server, so that an offset of 20 or more keeps two stacks apart.
BASE_PORTS: dict[str, dict[str, int]] = {
    "kafka": {"client": KAFKA_PORT, "controller": KAFKA_PORT + 1},
    "postgres": {"client": POSTGRES_PORT},
    "s3": {
        "client": S3_PORT,
        "s3_grpc": S3_PORT + 1,
        "filer": S3_PORT + 2,
        "filer_grpc": S3_PORT + 3,
        "master": S3_PORT + 4,
        "master_grpc": S3_PORT + 5,
        "volume": S3_PORT + 6,
        "volume_grpc": S3_PORT + 7,
    },
}


@dataclass(frozen=True, slots=True)
class Record:
    """A server that was started: *identity* tells its process from a later one with the same *pid*."""

    pid: int
    identity: str
    ports: dict[str, int]


@dataclass(frozen=True, slots=True)
class Site:
    """The folder of one stack (``data``, ``logs``, ``run``) and the ports of its servers."""

    home: Path
    cache: Path
    port_offset: int

    @classmethod
    def of(cls, settings: Settings) -> Site:
        """Take the place that *settings* name."""
        return cls(settings.home, settings.cache, settings.port_offset)

    def ports(self, server: str) -> dict[str, int]:
        """Give the ports of *server* by purpose; ``client`` is the one that the world connects to."""
        return {purpose: port + self.port_offset for purpose, port in BASE_PORTS[server].items()}

    def data(self, server: str) -> Path:
        """Give the folder of *server*'s data."""
        return self.home / "data" / server

    def log(self, server: str) -> Path:
        """Give the file that *server* writes its output to."""
        return self.home / "logs" / f"{server}.log"

    def record(self, server: str) -> Record | None:
        """Read what was recorded when *server* was started; nothing or nonsense counts as nothing."""
        try:
            fields: Any = json.loads(self._record_file(server).read_text())
            return Record(int(fields["pid"]), str(fields["identity"]), dict(fields["ports"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            # A run that was cut off while it wrote leaves half a file; its process shows as a taken port.
            return None

    def write_record(self, server: str, record: Record) -> None:
        """Remember that *server* was started."""
        file = self._record_file(server)
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_suffix(".new")
        half.write_text(json.dumps(asdict(record)))
        half.replace(file)

    def forget(self, server: str) -> None:
        """Remember nothing of *server*."""
        self._record_file(server).unlink(missing_ok=True)

    def _record_file(self, server: str) -> Path:
        return self.home / "run" / f"{server}.json"
