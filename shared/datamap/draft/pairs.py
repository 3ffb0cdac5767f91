"""Polymorphic pairs: a column that says what another column is the id of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .naming import common_prefix, last_word, singular, words
from .references import SURE_ENOUGH
from .values import keys_of, types_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..live import Connection
    from .seen import Seen


@dataclass(frozen=True, slots=True)
class Pair:
    """A proposed pair; *whole* is true where every type that occurs leads to a table that leads to a customer."""

    owner: dict[str, Any]
    whole: bool
    sure: float
    why: str


async def pairs(connection: Connection, seen: Seen, table: str) -> Pair | None:
    """Propose a pair for *table* where two columns are called like one and its types are called like tables."""
    for kind, identity in _named(seen, table):
        types = await types_of(connection, table, kind) if seen.sizes[table].rows else ()
        leads = {one: to for one in types if (to := _table(seen, one))}
        if leads:
            return _pair(seen, table, kind, identity, types, leads)
    return None


def _named(seen: Seen, table: str) -> Iterator[tuple[str, str]]:
    by_words = {words(column.name): column.name for column in seen.schema.columns[table]}
    for name, column in by_words.items():
        for ending in ("_type", "type", "_table", "table"):
            stem = name.removesuffix(ending)
            for identity in (f"{stem}_id", f"{stem}id"):
                if stem and stem != name and identity in by_words:
                    yield column, by_words[identity]


def _table(seen: Seen, value: str) -> str | None:
    prefix, wanted = common_prefix(seen.schema.columns), last_word(value)
    for table in seen.schema.columns:
        led = table == seen.wanted.root or (table in seen.ways and seen.ways[table].sure >= SURE_ENOUGH)
        if led and singular(words(table).removeprefix(prefix)) == wanted:
            return table
    return None


def _pair(seen: Seen, table: str, kind: str, identity: str, types: tuple[str, ...], leads: dict[str, str]) -> Pair:
    keys = {to: next((key for key in keys_of(seen.schema, to)), None) for to in leads.values()}
    to = {value: f"{seen.wanted.short(name)}.{key.name}" for value, name in leads.items() if (key := keys[name])}
    here = seen.schema.column(table, identity)
    other = {key.base or key.type for key in keys.values() if key and here and key.comparable != here.comparable}
    cast = {"cast": here.base or here.type} if other and here else {}
    missing = sorted(set(types) - set(to))
    said = f"{kind} says what {identity} is the id of: {', '.join(sorted(to))}"
    why = f"{said}; but {', '.join(missing)} are called like no table that leads to a customer" if missing else said
    return Pair({"pair": [kind, identity], "leads": to, **cast}, not missing, 0.8, why)
