"""How a row leads to its customer: one union, each of its forms frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

KeyType = Literal[
    "text", "uuid", "integer", "bigint", "smallint", "numeric", "character varying", "character", "citext"
]
Stored = Literal["jsonb", "json", "text"]
CUSTOMER = "{customer}"


@dataclass(frozen=True, slots=True)
class Key:
    """How a customer is called somewhere: by *ids* of the map (none: its own id), put into *template*, as *type*."""

    type: KeyType = "text"
    template: str = CUSTOMER
    ids: tuple[str, ...] = ()


OWN = Key()


@dataclass(frozen=True, slots=True)
class ByColumn:
    """The row itself names its customer, in *column*."""

    column: str
    key: Key = OWN


@dataclass(frozen=True, slots=True)
class Hop:
    """One step: the row's *columns* equal *keys* of a row of *table*; *cast* is the SQL type to compare the keys as."""

    columns: tuple[str, ...]
    table: str
    keys: tuple[str, ...]
    cast: str | None = None


@dataclass(frozen=True, slots=True)
class ByPath:
    """The row belongs to the customer of the row at the end of *hops*, whose table is declared and owned.

    With *several* a step may lead to more than one row, so that the row has more than one customer.
    """

    hops: tuple[Hop, ...]
    several: bool = False


@dataclass(frozen=True, slots=True)
class ByPrefix:
    """The text in *column* begins with the key, whose template is the whole prefix."""

    column: str
    key: Key


@dataclass(frozen=True, slots=True)
class ByPart:
    """One part of the text in *column*, cut at each *separator*, is the key; *part* counts from 1, ``None`` is any."""

    column: str
    separator: str
    part: int | None
    key: Key = OWN


@dataclass(frozen=True, slots=True)
class ByElement:
    """The array in *column* has the key among its elements."""

    column: str
    key: Key = OWN


@dataclass(frozen=True, slots=True)
class ByJson:
    """The value at *path* inside the JSON of *column* is the key; a ``*`` in the path is any element of an array."""

    column: str
    path: tuple[str, ...]
    stored: Stored = "jsonb"
    key: Key = OWN


@dataclass(frozen=True, slots=True)
class ByPair:
    """*type_column* says what *id_column* is the id of: *targets* gives the ``(table, key)`` for each type.

    A target of ``None`` is the customer itself. *cast* is the SQL type to compare the keys as.
    """

    type_column: str
    id_column: str
    targets: Mapping[str, tuple[str, str] | None]
    cast: str | None = None
    key: Key = OWN


@dataclass(frozen=True, slots=True)
class BySql:
    """A condition in SQL, with ``{row}`` for the row and ``{customer}`` for the customer's id."""

    sql: str
    several: bool = False


@dataclass(frozen=True, slots=True)
class ByAny:
    """Any of *owners* names a customer of the row, so that it may have several."""

    owners: tuple[Owner, ...]


@dataclass(frozen=True, slots=True)
class ByTenancy:
    """The whole database or schema is one customer's: *customer* is SQL that gives the customer's id as a text."""

    customer: str


Owner: TypeAlias = ByColumn | ByPath | ByPrefix | ByPart | ByElement | ByJson | ByPair | BySql | ByAny | ByTenancy


@dataclass(frozen=True, slots=True)
class ById:
    """One of the ids that a customer goes by: *column* of the customer's rows of *table*."""

    table: str
    column: str


@dataclass(frozen=True, slots=True)
class Registry:
    """Where all customers are listed: *column* of *table* is the id that the events use."""

    table: str
    column: str


def leads_to(owner: Owner | None) -> frozenset[str]:
    """Name the tables that have to be owned themselves for *owner* to lead to a customer."""
    match owner:
        case ByPath(hops):
            return frozenset({hops[-1].table})
        case ByPair(targets=targets):
            return frozenset(target[0] for target in targets.values() if target)
        case ByAny(owners):
            return frozenset().union(*map(leads_to, owners))
    return frozenset()


def passes(owner: Owner | None) -> frozenset[str]:
    """Name every table that has to stand as long as somebody asks whose a row is."""
    match owner:
        case ByPath(hops):
            return frozenset(hop.table for hop in hops)
        case ByAny(owners):
            return frozenset().union(*map(passes, owners))
    return leads_to(owner)


def ids_of(owner: Owner | None) -> frozenset[str]:
    """Name the ids of the map that *owner* compares with."""
    match owner:
        case ByAny(owners):
            return frozenset().union(*map(ids_of, owners))
        case ByColumn() | ByPrefix() | ByPart() | ByElement() | ByJson() | ByPair():
            return frozenset(owner.key.ids)
    return frozenset()


def alone_several(owner: Owner | None) -> bool:
    """Tell whether *owner* by itself may name several customers for one row."""
    match owner:
        case ByPath(several=several) | BySql(several=several):
            return several
        case ByElement() | ByAny() | ByPart(part=None):
            return True
        case ByJson(path=path):
            return "*" in path
    return False


def has_condition(owner: Owner | None) -> bool:
    """Tell whether *owner* has SQL of the map's own in it."""
    return isinstance(owner, BySql) or (isinstance(owner, ByAny) and any(map(has_condition, owner.owners)))
