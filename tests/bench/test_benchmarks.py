"""The benchmarks run: at a tiny scale, with no word about how fast."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from bench.__main__ import BENCHES
from bench.rows import Row, append

pytestmark = pytest.mark.long

# confluent-kafka, procrastinate, django and sqlalchemy come with requirements/bench.lock only.
_NEEDS = {"relay": "confluent_kafka", "expiring": "confluent_kafka", "storm": "procrastinate", "deletion": "django"}


@pytest.mark.parametrize("name", [name for name in BENCHES if name not in {"export", "formats", "storm"}])
async def test_each_benchmark_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every contender does its whole job, once, and each comparison comes out as a number."""
    if name in _NEEDS:
        pytest.importorskip(_NEEDS[name])
    bench = import_module(f"bench.{name}")
    monkeypatch.setattr(bench, "ROUNDS", 1, raising=False)
    rows = await bench.run(0.001)

    assert rows
    assert all(row.figure > 0 and row.ratio is not None and row.ratio > 0 for row in rows)


def test_lines_are_added(tmp_path: Path) -> None:
    """A result is a line of JSON with the keys of a comparison, after those of earlier runs."""
    file = tmp_path / "results.jsonl"
    row = Row("relay", 1.0, "events/s", "floor", 0.5, ">= 0.5", None)
    append([row], file)
    append([row], file)

    keys = '{"bench": "relay", "figure": 1.0, "unit": "events/s", "versus": "floor", "ratio": 0.5, "goal": ">= 0.5", '
    assert file.read_text() == (keys + '"memory_mib": null}\n') * 2
