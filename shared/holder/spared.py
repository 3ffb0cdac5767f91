"""Under which holds an object's row went: one that came later may have covered it, and nothing tells any more."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from ..datamap.names import literal
from .scope import Cover, holding, of_hold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..datamap.model import DataMap
    from .scope import Covers


def marks(map: DataMap, holds: Covers) -> dict[str, str]:  # noqa: A002
    """Give a mark for each hold that covers anything here: of what, by *map*. Persons can't be read from it."""
    return {hold: _mark(map, of_hold(holds, hold)) for hold in holding(holds)}


def _mark(map: DataMap, holds: Covers) -> str:  # noqa: A002
    covers = sorted(
        [table, one.person or "", one.bucket or ""]
        for table, some in holds.items()
        for one in some
        if isinstance(one, Cover)
    )
    return sha256(json.dumps([map.sha256, covers]).encode()).hexdigest()[:32]


def spared(map: DataMap, holds: Covers) -> str:  # noqa: A002
    """Give, in SQL, what is noted with an object whose row goes under *holds*."""
    return texts(sorted(marks(map, holds).values()))


def doubting(map: DataMap, holds: Covers, note: str | None) -> str:  # noqa: A002
    """Give, in SQL, which of *holds* came after a row of the noted object had gone; *note* is the note's alias.

    Without one nothing is known of when it went. A note of a row that stood has no marks: nobody knew that it would go.
    """
    known = f"coalesce({note}.spared, '{{}}')" if note else "'{}'::text[]"
    return those((hold, f"not {known} @> {texts([mark])}") for hold, mark in marks(map, holds).items())


def those(conditions: Iterable[tuple[str, str]]) -> str:
    """Give, in SQL, the texts whose condition is true."""
    found = ", ".join(f"case when {condition} then {literal(text)} end" for text, condition in conditions)
    return f"array_remove(array[{found}]::text[], null)"


def texts(some: Iterable[str]) -> str:
    """Give *some* as an array of SQL."""
    return f"array[{', '.join([literal(one) for one in some])}]::text[]"
