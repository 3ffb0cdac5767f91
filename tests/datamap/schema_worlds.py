"""Schemas drawn by chance, with rows of several customers in them, and an oracle that knows whose each row is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import yaml
from hypothesis import strategies as st

from shared.datamap.names import named, quoted, relation

NAMES = ("order", "User", "blad sida", 'say "x"', "a.b", "grupp", "Åäö", "select", "t", "k")
SCHEMAS = ("public", "lms", "Odd One")
CUSTOMERS = ("a", "ab", "b")


@dataclass(frozen=True)
class Drawn:
    """A table: its *schema* and *name*, the tables before it that it refers to (*parents*), and its *rows*.

    A row is its number and, per parent, the number of the row it refers to there. The first parent is the way to a
    customer. *composite* tables have a key of two columns, *declared* ones have foreign keys.
    """

    schema: str
    name: str
    parents: tuple[int, ...]
    composite: bool
    declared: bool
    rows: tuple[tuple[int | None, ...], ...]


@dataclass(frozen=True)
class World:
    """Tables in an order in which each refers to earlier ones only; the first is the table of customers."""

    tables: tuple[Drawn, ...]

    def owner(self, table: int, row: int) -> str | None:
        """Tell whose *row* of *table* is, without SQL."""
        if table == 0:
            return CUSTOMERS[row]
        to = self.tables[table].rows[row][0]
        return None if to is None else self.owner(self.tables[table].parents[0], to)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw up to seven tables, each leading by its first parent to a customer."""
    first = Drawn("public", "customers", (), composite=False, declared=True, rows=((),) * len(CUSTOMERS))
    tables = [first]
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True)):
        tables.append(draw(_tables(tuple(tables), name)))
    return World(tuple(tables))


@st.composite
def _tables(draw: st.DrawFn, before: tuple[Drawn, ...], name: str) -> Drawn:
    parents = tuple(draw(st.lists(st.integers(0, len(before) - 1), min_size=1, max_size=2)))
    one = st.tuples(*(_row_of(before[parent]) for parent in parents))
    return Drawn(
        draw(st.sampled_from(SCHEMAS)),
        name,
        parents,
        draw(st.booleans()),
        draw(st.booleans()),
        tuple(draw(st.lists(one, max_size=4))),
    )


def _row_of(table: Drawn) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(0, len(table.rows) - 1) if table.rows else st.none()


def ddl(world: World) -> str:
    """Write the schemas, tables and rows of *world* as SQL."""
    fresh = "".join(f"drop schema if exists {quoted(one)} cascade; create schema {quoted(one)};" for one in SCHEMAS)
    return fresh + "".join(_table(world, number) for number in range(len(world.tables)))


def name_of(table: Drawn) -> str:
    """Name the table as a map does."""
    return named(table.schema, table.name)


def keys(world: World, number: int) -> dict[str, str]:
    """Give the key's columns of a table with their types."""
    if number == 0:
        return {"id": "text"}
    return {"half": "int", "the Rest": "text"} if world.tables[number].composite else {"id": "int"}


def refers(world: World, table: Drawn, place: int) -> list[str]:
    """Name the columns in which *table* refers to its parent at *place*."""
    return [f"p{place} {key}" for key in keys(world, table.parents[place])]


def _key(world: World, number: int, row: int | None) -> list[str]:
    if row is None:
        return ["null"] * len(keys(world, number))
    if number == 0:
        return [f"'{CUSTOMERS[row]}'"]
    return [str(row), f"'r{row}'"] if world.tables[number].composite else [str(row)]


def _table(world: World, number: int) -> str:
    table, own = world.tables[number], keys(world, number)
    columns = [f"{quoted(name)} {kind}" for name, kind in own.items()]
    for place, parent in enumerate(table.parents):
        there = keys(world, parent)
        here = refers(world, table, place)
        columns += [f"{quoted(name)} {kind}" for name, kind in zip(here, there.values(), strict=True)]
        if table.declared:
            to = f"{relation(name_of(world.tables[parent]))} ({_listed(there)})"
            columns.append(f"foreign key ({_listed(here)}) references {to}")
    columns.append(f"primary key ({_listed(own)})")
    at = relation(name_of(table))
    rows = [_row(world, number, row) for row in range(len(table.rows))]
    return f"create table {at} ({', '.join(columns)});" + "".join(f"insert into {at} values ({row});" for row in rows)


def _row(world: World, number: int, row: int) -> str:
    table = world.tables[number]
    values = [
        value for parent, to in zip(table.parents, table.rows[row], strict=True) for value in _key(world, parent, to)
    ]
    return ", ".join([*_key(world, number, row), *values])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(quoted, names))


def written(world: World) -> str:
    """Write the map that says of each table that its first parent is the way."""
    tables = {"customers": {"category": "user", "owner": {"column": "id"}}}
    for table in world.tables[1:]:
        to, here = world.tables[table.parents[0]], refers(world, table, 0)
        hop = {"columns": here, "to": name_of(to), "keys": list(keys(world, table.parents[0]))}
        tables[name_of(table)] = {"category": "course", "owner": {"path": [hop]}}
    head = {"version": 1, "system": "world", "tenancy": "rows", "customers": "customers.id"}
    return yaml.safe_dump({**head, "tables": tables}, sort_keys=False, allow_unicode=True)
