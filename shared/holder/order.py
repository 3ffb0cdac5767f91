"""In which order tables are emptied: those that refer to others first; those in a ring together."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from ..datamap.ownership import relation
from .going import leaves
from .noted_objects import noting, returned
from .whose import goes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..datamap.model import DataMap, Table
    from .references import Reference
    from .scope import Covers


@dataclass(frozen=True, slots=True)
class Group:
    """Tables that are emptied together: one, or a ring; *among* are their references to each other or themselves."""

    tables: tuple[Table, ...]
    among: tuple[Reference, ...] = ()


def grouped(tables: tuple[Table, ...], known: Iterable[Reference]) -> tuple[Group, ...]:
    """Order *tables*, children first; the same tables and references give the same order.

    A table whose path goes through another one is emptied before it, foreign key or not: afterwards nothing would
    tell whose its rows were. Tables that refer to each other in a ring are one group.
    """
    known = tuple(known)
    rings = _rings([table.name for table in tables], known)
    before: dict[frozenset[str], list[frozenset[str]]] = {ring: [] for ring in rings.values()}
    for one in known:
        if rings[one.table] != rings[one.to]:
            before[rings[one.to]].append(rings[one.table])
    return tuple(_group(tables, ring, known) for ring in TopologicalSorter(before).static_order())


def _group(tables: tuple[Table, ...], ring: frozenset[str], known: tuple[Reference, ...]) -> Group:
    among = tuple(one for one in known if one.table in ring and one.to in ring)
    return Group(tuple(table for table in tables if table.name in ring), among)


def _rings(names: list[str], known: tuple[Reference, ...]) -> Mapping[str, frozenset[str]]:
    """Give for each table those that it reaches and that reach it: the strongly connected components."""
    to: dict[str, set[str]] = {name: set() for name in names}
    for one in known:
        to[one.table].add(one.to)
    reached = {name: _reached(name, to) for name in names}
    return {name: frozenset(other for other in reached[name] if name in reached[other]) for name in names}


def _reached(name: str, to: Mapping[str, set[str]]) -> set[str]:
    seen, ahead = {name}, [name]
    while ahead:
        ahead += (news := to[ahead.pop()] - seen)
        seen |= news
    return seen


def peelable(group: Group) -> bool:
    """Tell whether it can be asked, row by row, who refers to whom in *group*."""
    return all(one.columns for one in group.among)


def delete_all(map: DataMap, group: Group, holds: Covers) -> str:  # noqa: A002
    """Give the one statement that deletes the rows of the customer ``$1`` from all tables of *group*, but for *holds*.

    Foreign keys are looked at when the statement ends, RESTRICT's too, so a ring is no obstacle. One column a table:
    how many rows went.
    """
    deletes = [
        deleting(map, table, f"d{number}", relation(table.name), leaves(map, table, holds), holds)
        for number, table in enumerate(group.tables)
    ]
    counts = [f"(select count(*) from d{number})" for number in range(len(deletes))]
    return f"with {', '.join(deletes)} select {', '.join(counts)}"


def deleting(
    map: DataMap,  # noqa: A002
    table: Table,
    name: str,
    part: str,
    which: str,
    holds: Covers,
) -> str:
    """Give what deletes the rows ``t`` of *table* in *part* that fulfil *which*, to stand in a ``with`` as *name*.

    None of *holds* keeps these. The same statement notes the objects that those rows referred to.
    """
    delete = DELETE.format(name=name, relation=part, which=which, returned=returned(map, table))
    note = noting(map, table, name, holds)
    return f"{delete}, {name}_noted as ({note})" if note else delete


def unreferred(map: DataMap, group: Group, table: Table) -> str:  # noqa: A002
    """Give the condition for rows ``t`` of the customer ``$1`` in *table* that no other row of *group* refers to."""
    clauses = [goes(map, table)]
    for one in group.among:
        if one.to == table.name:
            other = " and r.ctid <> t.ctid" if one.table == table.name else ""
            clauses.append(UNREFERRED.format(relation=relation(one.table), holds=one.holds("r", "t"), other=other))
    return " and ".join(f"({clause})" for clause in clauses)


DELETE = "{name} as (delete from {relation} as t where {which} returning {returned})"

UNREFERRED = "not exists (select from {relation} as r where {holds}{other})"
