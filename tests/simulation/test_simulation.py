"""All services together, in one process, in simulated time, with every fault that a seed may draw."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.many import simulate_many
from tests.simulation.world import simulate

pytestmark = pytest.mark.long

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "1000"))
_ROOT = Path(__file__).parents[2]


def test_seeds() -> None:
    """Whatever goes wrong nothing false is ever true, and once it stops going wrong everything comes to its end."""
    failures = simulate_many(range(SEEDS))

    assert not failures, "\n".join(f"seed {one.seed}: {one.violation}\n    {one.replay}" for one in failures)


@pytest.mark.parametrize("seed", [1, 6])
def test_same_seed(seed: int) -> None:
    """A seed always comes to the very same steps, in another process and with other hashes too."""
    here = simulate(seed)
    there = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", str(seed)],
        cwd=_ROOT, env={**os.environ, "PYTHONHASHSEED": "12345"}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert here.violation is None
    assert here.trace_hash in there.stdout
    assert simulate(seed).trace_hash == here.trace_hash


def test_other_seed() -> None:
    """Another seed is another world."""
    assert simulate(1).trace_hash != simulate(2).trace_hash


def test_calm_and_rough() -> None:
    """Among the seeds there are calm worlds and rough ones, so that both are looked at."""
    assert len({simulate(seed).steps // 1000 for seed in range(8)}) > 1
