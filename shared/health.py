"""Whether a worker lives (it makes progress) and whether it is ready (it has work, and nothing that it waits out)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .worker import Worker

_OK, _UNAVAILABLE = 200, 503


def health(worker: Worker) -> tuple[int, dict[str, Any]]:
    """Tell whether *worker* lives: HTTP status 200, or 503 if a part stopped going round and a restart would help.

    Asks nobody else: a database that is away must not get its workers restarted as well.
    """
    stuck = worker.progress.stuck()
    limits = worker.progress.limits
    why = [
        f"{part} made no progress for {seconds:.0f} s; {limits[part]:.0f} s are allowed"
        for part, seconds in stuck.items()
    ]
    return _answer(worker, "alive", "stuck", why)


async def ready(worker: Worker) -> tuple[int, dict[str, Any]]:
    """Tell whether *worker* takes its share of the work: HTTP status 200, or 503 and all that it waits for."""
    why = [_waits(part, trouble) for part, trouble in worker.progress.troubles().items()]
    assigned = worker.kafka.assignment()
    if not assigned:
        why.append("no partitions are assigned: the group is rebalancing, or has more workers than partitions")
    status, body = _answer(worker, "ready", "not ready", why)
    return status, body | {"partitions": len(assigned), "paused": bool(worker.kafka.paused())}


def _answer(worker: Worker, good: str, bad: str, why: list[str]) -> tuple[int, dict[str, Any]]:
    status = _UNAVAILABLE if why else _OK
    return status, {"service": worker.service.domain.name, "status": bad if why else good, "why": why}


def _waits(part: str, trouble: str) -> str:
    if trouble == "not started":
        return f"{part} has not gone round yet"
    if trouble == "ClockDisagreesError":
        return f"{part} waits: our clock and the database's are more than a minute apart, so nothing is woken"
    return f"{part} waits out an outage: {trouble}"
