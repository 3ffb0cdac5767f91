"""Which tables nest in which when rows are written as documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.exporter.archive.snapshot import Shown


@dataclass(frozen=True, slots=True)
class Node:
    """A table in the tree: its rows lie in the row of the parent whose *key* their *column* names."""

    shown: Shown
    column: str
    key: str
    children: tuple[Node, ...]
