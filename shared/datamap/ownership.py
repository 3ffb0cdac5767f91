"""Which rows are a customer's: the one predicate that export, deletion and checks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .names import quoted, relation
from .owners import alone_several, leads_to
from .predicate import Anybody, One, Others, Reading

if TYPE_CHECKING:
    from .declared import DataMap, Table

__all__ = [
    "about",
    "goes_with",
    "has_several",
    "owned_by",
    "owned_by_another",
    "owned_by_somebody",
    "quoted",
    "relation",
]


def owned_by(map: DataMap, table: Table, alias: str = "t", customer: str = "$1") -> str:  # noqa: A002
    """Give the predicate that is true for *customer*'s rows of *table* in the query's *alias*: what is exported.

    *customer* is SQL: a placeholder or a quoted literal. Nested ``in`` never doubles a row. For a row that nobody
    owns the predicate is false or null, so "everybody else's" is ``(...) is not true``.
    """
    return Reading(map, One(customer), "owner").of(table, alias)


def owned_by_another(map: DataMap, table: Table, alias: str = "t", customer: str = "$1") -> str:  # noqa: A002
    """Give the predicate for rows that (also) belong to a customer other than *customer* who is still there.

    Who is still there is read from the map's ``customers``; without it, everybody whom a row names is.
    """
    return Reading(map, Others(customer), "owner").of(table, alias)


def owned_by_somebody(map: DataMap, table: Table, alias: str = "t") -> str:  # noqa: A002
    """Give the predicate for rows that belong to at least one customer who is there; the others are nobody's."""
    return Reading(map, Anybody(), "owner").of(table, alias)


def goes_with(map: DataMap, table: Table, alias: str = "t", customer: str = "$1") -> str:  # noqa: A002
    """Give the predicate for rows that are deleted with *customer*: its own, and of nobody else who is still there."""
    own = owned_by(map, table, alias, customer)
    if not has_several(map, table):
        return own
    return f"({own}) and ({owned_by_another(map, table, alias, customer)}) is not true"


def about(map: DataMap, table: Table, alias: str = "t", person: str = "$1") -> str:  # noqa: A002
    """Give the predicate for rows about *person*, by the ways that the map calls ``person``.

    Raises ``ValueError`` where the map names no such way for *table*: its rows are about no single person.
    """
    return Reading(map, One(person), "person").of(table, alias)


def has_several(map: DataMap, table: Table) -> bool:  # noqa: A002
    """Tell whether a row of *table* may belong to several customers, by its own way or by those it goes through."""
    return alone_several(table.owner) or any(has_several(map, map.table(end)) for end in leads_to(table.owner))
