"""From references to ways: for each table the surest next step towards the customer, or the person."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .references import Reference

# A step costs a little in itself, so that of two sure ways the shorter wins; who only touched a row seldom owns it.
_STEP, _NULLABLE, _TOUCHES = 0.05, 0.1, 1.0


@dataclass(frozen=True, slots=True)
class Way:
    """The next *step* of a table, and how *sure* the whole way to its end is."""

    step: Reference
    sure: float


def ways(root: str, references: Iterable[Reference], *, touching: bool) -> dict[str, Way]:
    """Give each table's best way to *root*; with *touching* who only touched a row counts too, if nothing else does."""
    towards: dict[str, list[Reference]] = {}
    for one in references:
        if one.sure > 0 and one.table != one.to and (touching or not one.touches):
            towards.setdefault(one.to, []).append(one)
    found: dict[str, Way] = {}
    ahead: list[tuple[float, str, float]] = [(0.0, root, 1.0)]
    done: set[str] = set()
    best: dict[str, float] = {root: 0.0}
    while ahead:
        cost, at, sure = heapq.heappop(ahead)
        if at in done:
            continue
        done.add(at)
        for one in towards.get(at, ()):
            total = cost + _cost(one)
            if one.table != root and total < best.get(one.table, float("inf")):
                best[one.table] = total
                found[one.table] = Way(one, sure * one.sure)
                heapq.heappush(ahead, (total, one.table, sure * one.sure))
    return found


def _cost(one: Reference) -> float:
    return _STEP - log(one.sure) + _NULLABLE * one.nullable + _TOUCHES * one.touches
