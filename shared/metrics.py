"""What a worker tells Prometheus: lag, ages, counts. Never a customer's id."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .operations.readings import MOST, Stored, read_lag, read_stored

if TYPE_CHECKING:
    from .worker import Worker

# Several scrapers, or an impatient one, cost the database one look in so many seconds.
_KEPT = 5.0
_UP_TO = f"counted up to {MOST}"


@dataclass(frozen=True, slots=True)
class Readings:
    """All that was read at once; *stored* is None while the database can't be asked."""

    service: str
    now: datetime
    lag: Mapping[str, int] = field(default_factory=dict)
    partitions: int = 0
    stored: Stored | None = None
    stuck_parts: Mapping[str, float] = field(default_factory=dict)
    progress_ages: Mapping[str, float] = field(default_factory=dict)
    troubles: Mapping[str, str] = field(default_factory=dict)


Samples: TypeAlias = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True)
class _Measure:
    """One metric: its labels beside ``service``, and how its samples follow from what was read."""

    name: str
    means: str
    samples: Callable[[Readings], Samples]
    labels: tuple[str, ...] = ()
    counts: bool = False

    def family(self, read: Readings) -> Metric:
        kind = CounterMetricFamily if self.counts else GaugeMetricFamily
        family = kind(self.name, self.means, labels=("service", *self.labels))
        for labels, value in self.samples(read):
            family.add_metric((read.service, *labels), value)
        return family


class Metrics(Collector):
    """One worker's metrics in a registry of their own; read on demand, and kept for a few seconds."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self._turn = asyncio.Lock()
        self._read_at = float("-inf")
        self._read: Readings | None = None

    async def render(self, now: datetime) -> bytes:
        """Give the text format that Prometheus scrapes; *now* is the service's clock."""
        async with self._turn:
            if time.monotonic() - self._read_at >= _KEPT:
                self._read = await read(self._worker, now)
                self._read_at = time.monotonic()
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Give what was read the last time."""
        if self._read is not None:
            yield from families(self._read)


_OF: WeakKeyDictionary[object, Metrics] = WeakKeyDictionary()


async def render(worker: Worker, now: datetime) -> bytes:
    """Give *worker*'s metrics as text; its registry is made the first time and goes with the worker."""
    # A worker is a mutable dataclass and so no key; its consumer is as much its own.
    metrics = _OF.get(worker.consumer)
    if metrics is None:
        metrics = _OF.setdefault(worker.consumer, Metrics(worker))
    return await metrics.render(now)


async def read(worker: Worker, now: datetime) -> Readings:
    """Read everything once; what can't be asked is left out, never waited for."""
    prefix = worker.place.prefix
    lag, stored = await asyncio.gather(
        read_lag(worker.kafka, prefix), read_stored(worker.pool, worker.partitions, now, prefix)
    )
    return Readings(
        service=worker.service.domain.name,
        now=now,
        lag=lag,
        partitions=len(worker.kafka.assignment()),
        stored=stored,
        stuck_parts=worker.progress.stuck(),
        progress_ages=worker.progress.ages(),
        troubles=worker.progress.troubles(),
    )


def families(read: Readings) -> Iterator[Metric]:
    """Give every metric, those without a sample too."""
    return (measure.family(read) for measure in _MEASURES)


def _one(value: float) -> Samples:
    return [((), value)]


def _by(values: Mapping[str, float]) -> Samples:
    return [((name,), value) for name, value in values.items()]


def _from_database(samples: Callable[[Stored, datetime], Samples]) -> Callable[[Readings], Samples]:
    """Make nothing of a database that can't be asked: no sample is truer than an old one or a 0."""
    return lambda read: () if read.stored is None else samples(read.stored, read.now)


def _age(since: datetime | None, now: datetime) -> Samples:
    return _one(0.0 if since is None else max(0.0, (now - since).total_seconds()))


def _moment(moment: datetime | None) -> Samples:
    return () if moment is None else _one(moment.timestamp())


_MEASURES = (
    _Measure(
        "offramp_consumer_lag_events",
        "Events of this worker's partitions that it has not taken up.",
        lambda read: _by(read.lag),
        ("topic",),
    ),
    _Measure("offramp_consumer_partitions", "Partitions that this worker reads.", lambda read: _one(read.partitions)),
    _Measure(
        "offramp_database_up",
        "1 if the service's database answered; 0 leaves out all that is read from it.",
        lambda read: _one(read.stored is not None),
    ),
    _Measure(
        "offramp_owed_events",
        f"Events decided but not yet published, {_UP_TO}.",
        _from_database(lambda stored, _: _one(stored.owed)),
    ),
    _Measure(
        "offramp_owed_oldest_seconds",
        "Age of the oldest event that is decided but not yet published.",
        _from_database(lambda stored, now: _age(stored.owed_since, now)),
    ),
    _Measure(
        "offramp_due_oldest_seconds",
        "How long the most overdue case has been due, by the service's clock.",
        _from_database(lambda stored, now: _age(stored.due_since, now)),
    ),
    _Measure(
        "offramp_next_deadline_timestamp_seconds",
        "The next moment at which a case is to be looked at.",
        _from_database(lambda stored, _: _moment(stored.next_wake)),
    ),
    _Measure(
        "offramp_waiting_events",
        f"Events that came too early and wait, those of up to {MOST} customers.",
        _from_database(lambda stored, _: _one(stored.waiting)),
    ),
    _Measure(
        "offramp_waiting_oldest_seconds",
        "Age of the oldest event that waits.",
        _from_database(lambda stored, now: _age(stored.waiting_since, now)),
    ),
    _Measure(
        "offramp_stuck_cases",
        f"Cases that failed when they were woken, {_UP_TO}; each is tried again.",
        _from_database(lambda stored, _: _one(stored.stuck)),
    ),
    _Measure(
        "offramp_tasks",
        f"Tasks that are not done, {_UP_TO}.",
        _from_database(lambda stored, _: [((one.kind,), one.pending) for one in stored.tasks]),
        ("kind",),
    ),
    _Measure(
        "offramp_tasks_failing",
        f"Tasks whose last try failed, {_UP_TO}; each is tried again.",
        _from_database(lambda stored, _: [((one.kind,), one.failing) for one in stored.tasks]),
        ("kind",),
    ),
    _Measure(
        "offramp_task_due_oldest_seconds",
        "How long the oldest task has been waiting for somebody to perform it.",
        _from_database(lambda stored, _: _one(stored.task_due_seconds)),
    ),
    _Measure(
        "offramp_dead_letters",
        "Events that could not be carried out and were buried.",
        _from_database(lambda stored, _: _by(stored.buried)),
        ("topic",),
        counts=True,
    ),
    _Measure(
        "offramp_paused",
        "1 while an operator has stopped the reading.",
        _from_database(lambda stored, _: _one(stored.paused)),
    ),
    _Measure(
        "offramp_progress_age_seconds",
        "Since when a part of the worker has not gone round its loop.",
        lambda read: _by(read.progress_ages),
        ("part",),
    ),
    _Measure(
        "offramp_stuck_seconds",
        "Age of the progress of parts that are past their limit; /health is then 503.",
        lambda read: _by(read.stuck_parts),
        ("part",),
    ),
    _Measure(
        "offramp_outage",
        "1 for each outage that a part of the worker waits out.",
        lambda read: [(pair, 1.0) for pair in read.troubles.items()],
        ("part", "outage"),
    ),
)
