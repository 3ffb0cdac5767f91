"""A live schema's tables, columns, keys and indexes, as values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .names import quoted


@dataclass(frozen=True, slots=True)
class LiveColumn:
    """A column as it is; *type* as ``format_type`` writes it, *position* from 1.

    *key_position* counts from 1 in the primary key; *unique* is true where the column alone tells rows apart.
    *base* is the type under a domain and without length, *carried* is false where its value lies elsewhere or belongs
    to an extension, so that no format can carry it as it is. A column that an export adds has *sql*, over the row
    ``t``, and is the *meaning_of* another.
    """

    name: str
    type: str
    nullable: bool
    position: int
    key_position: int | None = None
    unique: bool = False
    generated: bool = False
    base: str = ""
    carried: bool = True
    sql: str | None = None
    meaning_of: str | None = None

    @property
    def comparable(self) -> str:
        """Give the type's family: types of one family compare with each other without a cast."""
        return _FAMILIES.get(self.base or self.type, self.base or self.type)


def selected(column: LiveColumn) -> str:
    """Give the SQL that selects *column* of the row ``t``, under its own name."""
    return f"t.{quoted(column.name)}" if column.sql is None else f"{column.sql} as {quoted(column.name)}"


def value_of(column: LiveColumn) -> str:
    """Give the SQL for the value of *column* in the row ``t``, to stand in an expression."""
    return f"t.{quoted(column.name)}" if column.sql is None else f"({column.sql})"


_FAMILIES = {
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric", "real", "double precision"), "number"),
    **dict.fromkeys(("text", "character varying", "character", "name", "citext"), "text"),
}


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key as it is; *indexed* is true where an index begins with its columns, *deferrable* as declared."""

    name: str
    table: str
    columns: tuple[str, ...]
    to_table: str
    to_columns: tuple[str, ...]
    indexed: bool
    deferrable: bool


@dataclass(frozen=True, slots=True)
class Index:
    """A valid index of the whole table; *columns* in their order, an expression among them is the empty name.

    *expressions* is the SQL of those, *method* is btree, gin and so on.
    """

    table: str
    columns: tuple[str, ...]
    unique: bool
    method: str
    expressions: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A live schema: all *tables*, the *columns* and *indexes* of those that were asked for, and all foreign *keys*.

    *partitioned* tables can't have their index made without a lock. The rows of *derived* ones, materialised views, are
    copies of others' and can't be deleted.
    """

    tables: Collection[str]
    columns: Mapping[str, tuple[LiveColumn, ...]]
    keys: tuple[ForeignKey, ...]
    indexes: Mapping[str, tuple[Index, ...]]
    partitioned: Collection[str] = ()
    derived: Collection[str] = ()

    def column(self, table: str, name: str) -> LiveColumn | None:
        """Give one column, or ``None`` where it doesn't exist."""
        return next((column for column in self.columns.get(table, ()) if column.name == name), None)

    def unique(self, table: str, columns: Collection[str]) -> bool:
        """Tell whether *columns* together tell the rows of *table* apart."""
        found = [one.columns for one in self.indexes.get(table, ()) if one.unique and all(one.columns)]
        return any(set(columns).issuperset(one) for one in found)

    def indexed(self, table: str, columns: Collection[str]) -> bool:
        """Tell whether an index of *table* begins with *columns*, in any order."""
        return any(set(one.columns[: len(columns)]) == set(columns) for one in self.indexes.get(table, ()))

    def indexed_by_expression(self, table: str, column: str) -> bool:
        """Tell whether an index of *table* has an expression that names *column*."""
        return any(column in one.expressions for one in self.indexes.get(table, ()))
