"""The same way to a customer or a person, through tables of another schema."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .owners import ByAny, ByPair, ByPath

if TYPE_CHECKING:
    from collections.abc import Callable

    from .owners import Owner


def relocated(owner: Owner, there: Callable[[str], str]) -> Owner:
    """Give *owner* with every table's name as *there* says."""
    match owner:
        case ByPath(hops):
            return replace(owner, hops=tuple(replace(hop, table=there(hop.table)) for hop in hops))
        case ByPair(targets=targets):
            moved = {kind: (there(target[0]), target[1]) if target else None for kind, target in targets.items()}
            return replace(owner, targets=moved)
        case ByAny(owners):
            return ByAny(tuple(relocated(one, there) for one in owners))
    return owner
