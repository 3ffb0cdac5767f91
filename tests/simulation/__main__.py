"""``python -m tests.simulation --seed N --trace``: one seed with all its steps, or many."""

from __future__ import annotations

import argparse
import sys

from .many import simulate_many
from .world import simulate


def main() -> int:
    """Simulate what the arguments say; 1 if a seed came to a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="One seed.")
    parser.add_argument("--trace", action="store_true", help="Print every step of the one seed.")
    parser.add_argument("--seeds", type=int, default=1000, help="So many seeds, from --start on.")
    parser.add_argument("--start", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.seed is not None:
        result = simulate(arguments.seed, show=arguments.trace)
        print(f"seed {result.seed}: {result.violation or 'all is well'} ({result.steps} steps, {result.trace_hash})")
        return int(result.violation is not None)
    failures = simulate_many(range(arguments.start, arguments.start + arguments.seeds))
    for failure in failures:
        print(f"seed {failure.seed}: {failure.violation}\n    {failure.replay}")
    print(f"{arguments.seeds} seeds, {len(failures)} with a violation")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
