"""Databases drawn by chance: tables, foreign keys in any graph, rows; and, by plain Python, whose each row is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml
from hypothesis import strategies as st

from shared.datamap.model import DataMap, parse

if TYPE_CHECKING:
    from tests.holder.platform_rows import Database

CUSTOMERS = ("a", "ab", "b")
ACTIONS = ("no action", "restrict", "cascade", "set null")
DEFERRED = ("", "deferrable", "deferrable initially deferred")


@dataclass(frozen=True)
class Key:
    """The foreign key number *number* from table *child* to *parent*; composite ones go by (id, part)."""

    number: int
    child: int
    parent: int
    composite: bool
    action: str
    deferred: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (f"f{self.number}", f"g{self.number}") if self.composite else (f"f{self.number}",)


@dataclass(frozen=True)
class Row:
    """A row: its *owner* column, where its path leads (*via*, an id), and an id or None for each key of the table."""

    owner: str | None
    via: int | None
    refers: tuple[int | None, ...]


@dataclass(frozen=True)
class World:
    """Tables t0, t1, …: *paths* gives the table through which each is owned, None where a column names the customer."""

    paths: tuple[int | None, ...]
    partitioned: frozenset[int]
    audited: frozenset[int]
    keys: tuple[Key, ...]
    rows: tuple[tuple[Row, ...], ...]

    def keys_of(self, table: int) -> list[Key]:
        return [key for key in self.keys if key.child == table]

    def owner_of(self, table: int, number: int) -> str | None:
        """Tell whose a row is; a row whose path leads nowhere is nobody's."""
        row, path = self.rows[table][number], self.paths[table]
        if path is None:
            return row.owner
        return None if row.via is None or row.via >= len(self.rows[path]) else self.owner_of(path, row.via)

    def entangled(self, customer: str) -> bool:
        """Tell whether a row that stays refers to one that goes."""
        return any(
            to is not None and self.owner_of(key.parent, to) == customer and self.owner_of(table, number) != customer
            for table, rows in enumerate(self.rows)
            for number, row in enumerate(rows)
            for key, to in zip(self.keys_of(table), row.refers, strict=True)
        )

    def kept(self, customer: str) -> dict[str, Counter[int]]:
        """Give the ids that are left in each table."""
        return {
            f"t{table}": Counter(number for number in range(len(rows)) if self.owner_of(table, number) != customer)
            for table, rows in enumerate(self.rows)
        }

    def own(self, customer: str) -> set[tuple[int, int]]:
        """Give the customer's rows, by table and id."""
        return {
            (table, number)
            for table, rows in enumerate(self.rows)
            for number in range(len(rows))
            if self.owner_of(table, number) == customer
        }

    def person_of(self, table: int, number: int) -> int | None:
        """Tell whom a row is about: seven times an id, its own or that of the row where its path leads."""
        path, via = self.paths[table], self.rows[table][number].via
        if path is None:
            return number * 7
        return None if via is None or via >= len(self.rows[path]) else self.person_of(path, via)

    def needed(self, kept: set[tuple[int, int]], own: set[tuple[int, int]]) -> set[tuple[int, int]]:
        """Give *kept* with all of *own* that it needs: what it refers to, and what its path goes by."""
        found, ahead = set(kept), list(kept)
        while ahead:
            table, number = ahead.pop()
            row, path = self.rows[table][number], self.paths[table]
            to = [(key.parent, id_) for key, id_ in zip(self.keys_of(table), row.refers, strict=True)]
            to += [] if path is None else [(path, row.via)]
            news = {(parent, id_) for parent, id_ in to if id_ is not None} & own - found
            found |= news
            ahead += news
        return found

    def held_up(self, going: set[tuple[int, int]]) -> bool:
        """Tell whether a row that stays refers to one that is *going*."""
        return any(
            (key.parent, to) in going and (table, number) not in going
            for table, rows in enumerate(self.rows)
            for number, row in enumerate(rows)
            for key, to in zip(self.keys_of(table), row.refers, strict=True)
        )

    def map(self) -> DataMap:
        tables: dict[str, object] = {
            f"t{table}": {
                "category": "user",
                "owner": {"column": "owner"} if path is None else {"path": [{"column": "via", "to": f"t{path}.id"}]},
                "person": {"column": "part", "type": "integer"}
                if path is None
                else {"path": [{"column": "via", "to": f"t{path}.id"}]},
            }
            for table, path in enumerate(self.paths)
        }
        tables["audit"] = {"category": "report", "owner": {"column": "owner"}, "impersonal": "which rows went"}
        return parse(yaml.dump({"version": 1, "system": "drawn", "tenancy": "rows", "tables": tables}).encode(), "map")

    def ddl(self) -> str:
        """Give all statements that make the tables, fill them, and add the foreign keys."""
        made = [self._table(table) for table in range(len(self.rows))]
        filled = [self._insert(table) for table, rows in enumerate(self.rows) if rows]
        return ";\n".join([FRESH, *made, *filled, *map(_added, self.keys), *map(_trigger, sorted(self.audited))])

    def _table(self, table: int) -> str:
        columns = [f"{column} int" for key in self.keys_of(table) for column in key.columns]
        spread = " partition by range (id)" if table in self.partitioned else ""
        made = f"create table t{table} ({', '.join([COLUMNS, *columns])}){spread}"
        part = f"create table t{table}_%s partition of t{table} for values from (%s) to (%s)"
        parts = (part % (at, at, at + 3) for at in (0, 3))
        return ";\n".join([made, *(parts if spread else ())])

    def _insert(self, table: int) -> str:
        values = [
            [number, number * 7, row.owner, row.via, *self._references(table, row)]
            for number, row in enumerate(self.rows[table])
        ]
        return f"insert into t{table} values " + ", ".join(f"({', '.join(map(_literal, line))})" for line in values)

    def _references(self, table: int, row: Row) -> list[int | None]:
        found: list[int | None] = []
        for key, to in zip(self.keys_of(table), row.refers, strict=True):
            found += [to, None if to is None else to * 7] if key.composite else [to]
        return found


def _literal(value: int | str | None) -> str:
    return "null" if value is None else repr(value)


def _added(key: Key) -> str:
    to = "(id, part)" if key.composite else "(id)"
    return (
        f"alter table t{key.child} add constraint k{key.number} foreign key ({', '.join(key.columns)})"
        f" references t{key.parent} {to} on delete {key.action} {key.deferred}"
    )


def _trigger(table: int) -> str:
    return f"create trigger audited after delete on t{table} for each row execute function audited()"


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw up to four tables of up to six rows, with up to six foreign keys among them."""
    count = draw(st.integers(1, 4))
    paths = tuple(draw(st.none() | st.integers(0, table - 1)) if table else None for table in range(count))
    one = st.integers(0, count - 1)
    drawn = st.tuples(one, one, st.booleans(), st.sampled_from(ACTIONS), st.sampled_from(DEFERRED))
    keys = tuple(Key(number, *key) for number, key in enumerate(draw(st.lists(drawn, max_size=6))))
    sizes = [draw(st.integers(0, 6)) for _ in range(count)]
    # Mostly one customer's, or nearly every drawn world would be entangled.
    owner = st.sampled_from((*CUSTOMERS, "a", "a", "a", None))
    rows = tuple(
        tuple(
            Row(
                draw(owner),
                draw(st.none() | st.integers(0, 6)),
                tuple(draw(_id(sizes[key.parent])) for key in keys if key.child == table),
            )
            for _ in range(size)
        )
        for table, size in enumerate(sizes)
    )
    some = st.frozensets(one)
    return World(paths, draw(some), frozenset(t for t in draw(some) if paths[t] is None), keys, rows)


def _id(size: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(0, size - 1) if size else st.none()


async def read(database: Database, world: World) -> dict[str, Counter[int]]:
    """Read the ids in each table."""
    names = [f"t{table}" for table in range(len(world.rows))]
    return {name: Counter(row[0] for row in await database.fetch(f"select id from {name}")) for name in names}


COLUMNS = "id int primary key, part int not null, owner text, via int, unique (id, part)"

FRESH = """
    drop schema public cascade;
    create schema public;
    create table audit (owner text, row_id int);
    create function audited() returns trigger language plpgsql
        as 'begin insert into audit values (old.owner, old.id); return null; end'
"""
