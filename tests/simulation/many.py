"""Many seeds at once, one process a core."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from .world import Result, simulate

_CHUNK = 10


def simulate_many(seeds: Sequence[int]) -> list[Result]:
    """Simulate *seeds* on all cores and give those that came to a violation."""
    return [result for result in _results(seeds) if result.violation is not None]


def first_violation(seeds: Sequence[int]) -> Result | None:
    """Simulate *seeds* in their order until one comes to a violation."""
    return next((result for result in map(_simulate, seeds) if result.violation is not None), None)


def _results(seeds: Sequence[int]) -> Iterator[Result]:
    # Spawned, not forked: whoever calls may have threads and event loops of its own.
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_settle) as pool:
        yield from pool.map(_simulate, seeds, chunksize=_CHUNK)


def _settle() -> None:
    # What was loaded stays for good: looking through it after each seed is a tenth of the time.
    gc.collect()
    gc.freeze()


def _simulate(seed: int) -> Result:
    # What one seed makes is dropped at its end, so looking for cycles on the way is a third of the time.
    gc.disable()
    try:
        return simulate(seed)
    finally:
        gc.enable()
        gc.collect()
