"""How a customer's id has to be written where a column's type takes more than one spelling of a value.

"007" and "7" may be two customers, but a column of integers has one value for both: by a cast alone the one would be
exported and deleted with the other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .owners import CUSTOMER, ByAny, ByColumn, ByElement, ByJson, ByPair, ByPart, ByPrefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .owners import Key, Owner

_NUMBER = re.compile("0|-?[1-9][0-9]*")
# In small or large letters: RFC 9562 lets a UUID be read in either, so these are no two customers.
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ONE_SPELLING = {"smallint": _NUMBER, "integer": _NUMBER, "bigint": _NUMBER, "numeric": _NUMBER, "uuid": _UUID}


def misspelt(ways: Iterable[Owner], customer: str) -> str | None:
    """Name the type of a column that *ways* compare with *customer*'s own id, and which writes that otherwise."""
    for key in {key for way in ways for key in own_keys(way)}:
        spelling = _ONE_SPELLING.get(key.type)
        if spelling and not spelling.fullmatch(key.template.replace(CUSTOMER, customer)):
            return key.type
    return None


def own_keys(way: Owner) -> Iterator[Key]:
    """Give how *way* calls a customer wherever it goes by the id that events use."""
    match way:
        case ByAny(owners):
            for one in owners:
                yield from own_keys(one)
        case ByPair(targets=targets, key=key):
            if None in targets.values():
                yield from _own(key)
        case ByColumn(key=key) | ByPrefix(key=key) | ByPart(key=key) | ByElement(key=key) | ByJson(key=key):
            yield from _own(key)


def _own(key: Key) -> Iterator[Key]:
    if not key.ids or "id" in key.ids:
        yield key
