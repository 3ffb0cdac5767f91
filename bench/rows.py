"""One line of a benchmark's result, as the table shows it and bench/results.jsonl keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results.jsonl"


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison: the product's *figure* in *unit*, and its *ratio* to *versus* beside the *goal*.

    *memory_mib* is the product's peak; None where nothing was compared or measured.
    """

    bench: str
    figure: float
    unit: str
    versus: str
    ratio: float | None
    goal: str
    memory_mib: float | None = None


def append(rows: Iterable[Row], path: Path = RESULTS) -> None:
    """Add *rows* to the results, a line of JSON each."""
    with path.open("a", encoding="utf-8") as opened:
        opened.writelines(json.dumps(asdict(row)) + "\n" for row in rows)


def table(rows: Iterable[Row]) -> Table:
    """Lay *rows* out for the terminal."""
    shown = Table("bench", "figure", "unit", "versus", "ratio", "goal", "memory MiB")
    for row in rows:
        memory = "" if row.memory_mib is None else f"{row.memory_mib:.0f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        figure = f"{row.figure:,.0f}" if row.figure >= 100 else f"{row.figure:.3g}"
        shown.add_row(row.bench, figure, row.unit, row.versus, ratio, row.goal, memory)
    return shown


def show(rows: Iterable[Row]) -> None:
    """Print *rows* as a table."""
    Console().print(table(rows))
