"""``python -m bench``: run the benchmarks one after the other, show the table, keep the lines."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Annotated

import typer

from .rows import Row, append, show

# The scale is what a run of all in about fifteen minutes allows; `--scale 1` gives the full figures.
BENCHES = {
    "event_path": 1.0,
    "relay": 1.0,
    "storm": 0.1,
    "reminders": 0.1,
    "late_notices": 0.3,
    "latency": 1.0,
    "export": 0.3,
    "formats": 0.1,
    "reading_back": 0.1,
    "media": 0.1,
    "fairness": 0.2,
    "deletion": 0.1,
    "small_deletions": 0.2,
    "objects": 0.01,
    "expiring": 0.01,
}


def main(
    only: Annotated[str, typer.Option(help=f"one of {', '.join(BENCHES)}")] = "",
    scale: Annotated[float, typer.Option(help="1: the full numbers; default: what fits into a quarter of an hour")] = 0,
) -> None:
    """Measure the product beside its floors and its peers, in one run."""
    chosen = only.replace("-", "_").replace(" ", "_")
    if chosen and chosen not in BENCHES:
        raise typer.BadParameter(f"{only} is none of {', '.join(BENCHES)}")
    rows: list[Row] = []
    for name in [chosen] if chosen else BENCHES:
        found = asyncio.run(import_module(f"bench.{name}").run(scale or BENCHES[name]))
        append(found)
        rows += found
    show(rows)


if __name__ == "__main__":
    typer.run(main)
