"""Whether a port of this machine is free, and if not, who has it."""

from __future__ import annotations

import errno
import socket
import time
from pathlib import Path

from shared.errors import OperatorError

LOOPBACK = "127.0.0.1"
_LISTENS = "0A"


def refuse_taken(server: str, ports: dict[str, int]) -> None:
    """Raise ``OperatorError`` when one of *ports* is not free for *server*."""
    for port in ports.values():
        if is_taken(port):
            msg = (
                f"{server} can't start: port {port} on {LOOPBACK} is taken by {_holder(port)}. "
                "Stop that process, or give this stack other ports with OFFRAMP_PORT_OFFSET=100."
            )
            raise OperatorError(msg)


def await_free(ports: dict[str, int], seconds: float) -> None:
    """Wait up to *seconds* until none of *ports* is taken; whether they are then is for the caller to ask."""
    deadline = time.monotonic() + seconds
    while any(is_taken(port) for port in ports.values()) and time.monotonic() < deadline:
        time.sleep(0.05)  # a port gives no signal that it is free


def is_open(port: int) -> bool:
    """Tell whether somebody answers on *port*."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def is_taken(port: int) -> bool:
    """Tell whether a server can't have *port*."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def _holder(port: int) -> str:
    inodes = _listening_inodes(port)
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink().name in inodes:
                process = link.parents[1]
                return f"process {process.name} ({(process / 'comm').read_text().strip()})"
        except OSError:
            # Ended meanwhile, or another user's.
            continue
    return "another process"


def _listening_inodes(port: int) -> set[str]:
    tables = [table for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if table.exists()]
    rows = [row.split() for table in tables for row in table.read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[3] == _LISTENS and row[1].endswith(f":{port:04X}")}
