"""Tables are emptied children first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.datamap.columns import ForeignKey
from shared.datamap.model import ByColumn, ByPath, DataMap, Hop, Table
from shared.datamap.order import OrderError, deletion_order, ordered

if TYPE_CHECKING:
    import asyncpg


def table(name: str, *path: Hop) -> Table:
    """Declare a table, with a path or a column of its own."""
    return Table(name, "user", ByPath(path) if path else ByColumn("customer_id"), {})


def key(child: str, parent: str) -> ForeignKey:
    """Make a foreign key."""
    return ForeignKey(f"{child}_{parent}", child, (parent,), parent, ("id",), indexed=True, deferrable=False)


def names(tables: tuple[Table, ...]) -> list[str]:
    """Name the tables."""
    return [one.name for one in tables]


def test_a_child_goes_before_its_parent() -> None:
    """A row that others refer to goes after them."""
    tables = (table("a"), table("b"), table("c"))

    assert names(ordered(tables, [key("b", "a"), key("c", "b")])) == ["c", "b", "a"]


def test_a_path_counts_as_a_foreign_key() -> None:
    """Once its path is broken nobody knows whose a row was, so it goes before what its path goes through."""
    tables = (table("a"), table("b", Hop(("a_id",), "a", ("id",))))

    assert names(ordered(tables, [])) == ["b", "a"]


def test_a_table_may_refer_to_itself() -> None:
    """One statement deletes all rows of a table, so a reference inside it is no ring."""
    assert names(ordered((table("a"),), [key("a", "a")])) == ["a"]


def test_keys_of_other_tables_do_not_matter() -> None:
    """A key to or from a table outside the map orders nothing."""
    assert names(ordered((table("a"),), [key("a", "z"), key("z", "a")])) == ["a"]


def test_a_ring_is_named() -> None:
    """Where no table can be first, the error says which ones."""
    tables = (table("a"), table("b"), table("c"))

    with pytest.raises(OrderError) as caught:
        ordered(tables, [key("a", "b"), key("b", "a"), key("c", "a")])

    assert set(caught.value.ring) == {"a", "b"}
    assert "a -> " in str(caught.value)


async def test_the_order_comes_from_the_live_schema(
    database: asyncpg.Connection[asyncpg.Record], school: DataMap
) -> None:
    """The foreign keys that count are those that the database has."""
    assert names(await deletion_order(database, school)) == ["marks", "enrolments", "users", "customers"]
