"""A worker lives while it makes progress, and is ready when it waits for nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from counting import DOMAIN
from probing import until

from shared.health import health, ready
from shared.progress import Progress
from shared.worker import Worker


@dataclass
class _Watch:
    seconds: float = 0.0
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.progress = Progress({"consumer": 60.0, "waker": 60.0}, lambda: self.seconds)


def _worker(progress: Progress, assigned: int = 2) -> Any:
    kafka = SimpleNamespace(assignment=lambda: set(range(assigned)), paused=set)
    return SimpleNamespace(progress=progress, kafka=kafka, service=SimpleNamespace(domain=DOMAIN))


def test_a_part_that_stops_going_round_is_found() -> None:
    """A part past its limit makes the worker unhealthy, and the answer names it; an outage alone does not."""
    watch = _Watch()
    watch.progress.made("consumer")
    watch.progress.made("waker", "ConnectionRefusedError")
    assert health(_worker(watch.progress))[0] == 200

    watch.seconds = 61.0
    watch.progress.made("waker", "ConnectionRefusedError")
    assert health(_worker(watch.progress)) == (
        503,
        {
            "service": "notice",
            "status": "stuck",
            "why": ["consumer made no progress for 61 s; 60 s are allowed"],
        },
    )


async def test_what_is_waited_for_is_named() -> None:
    """Parts not yet started, outages and clocks that disagree each keep a worker from being ready, and are told."""
    watch = _Watch()
    watch.progress.made("waker", "ClockDisagreesError")

    status, body = await ready(_worker(watch.progress, assigned=0))
    assert status == 503
    assert body["why"] == [
        "consumer has not gone round yet",
        "waker waits: our clock and the database's are more than a minute apart, so nothing is woken",
        "no partitions are assigned: the group is rebalancing, or has more workers than partitions",
    ]
    watch.progress.made("consumer", "ConnectionRefusedError")
    _, body = await ready(_worker(watch.progress))
    assert body["why"][0].startswith("waker waits: our clock")
    assert body["why"][1] == "consumer waits out an outage: ConnectionRefusedError"


async def test_a_real_worker_becomes_ready(worker: Worker) -> None:
    """A worker that reads, wakes and publishes says that it is ready and how many partitions it has."""

    async def answer() -> tuple[int, dict[str, Any]]:
        return await ready(worker)

    _, body = await until(answer, lambda one: one[0] == 200)
    assert body == {"service": "notice", "status": "ready", "why": [], "partitions": 6, "paused": False}
    assert health(worker)[0] == 200
