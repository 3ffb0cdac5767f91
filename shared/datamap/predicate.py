"""From a way to a customer to one predicate of SQL, about one customer, all others, or anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from .declared import BySchema
from .names import literal, quoted, relation
from .owners import (
    CUSTOMER,
    ByAny,
    ByColumn,
    ByElement,
    ByJson,
    ByPair,
    ByPart,
    ByPath,
    ByPrefix,
    BySql,
    ByTenancy,
    Key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .declared import DataMap, Table
    from .owners import Hop, Owner
    from .ways import Line


@dataclass(frozen=True, slots=True)
class One:
    """The customer (or person) whose id is *sql*: a placeholder, a literal or a column."""

    sql: str


@dataclass(frozen=True, slots=True)
class Others:
    """Every customer but the one whose id is *sql*."""

    sql: str


@dataclass(frozen=True, slots=True)
class Anybody:
    """Every customer."""


Who: TypeAlias = One | Others | Anybody


@dataclass(frozen=True, slots=True)
class Reading:
    """A *map* read along one *line* of ways, asked about *who*."""

    map: DataMap
    who: Who
    line: Line

    def of(self, table: Table, alias: str) -> str:
        """Give the predicate for the rows of *table* under *alias*; false or null where the row is not meant."""
        if isinstance(self.map.tenancy, BySchema) and self.map.tenancy.bound_to is None:
            raise ValueError("a map by schema has to be read for one customer: DataMap.of")
        owner = table.owner if self.line == "owner" else table.person
        if owner is None:
            raise ValueError(f"{table.name} names no way to a person")
        return self.way(owner, alias)

    def way(self, owner: Owner, alias: str) -> str:
        """Give the predicate of one way."""
        match owner:
            case ByPath():
                return self._along(owner.hops, alias)
            case ByPair():
                return self._pair(owner, alias)
            case ByAny():
                return "(" + " or ".join(f"({self.way(one, alias)})" for one in owner.owners) + ")"
            case BySql():
                return self._condition(owner.sql, alias)
            case ByTenancy():
                return self._tenancy(owner.customer)
        return self._inside(owner, alias)

    def _inside(self, owner: Owner, alias: str) -> str:
        match owner:
            case ByColumn():
                return self._is(_column(alias, owner.column), owner.key, alias)
            case ByPrefix():
                return self._begins(_column(alias, owner.column), owner.key, alias)
            case ByPart():
                return self._part(owner, alias)
            case ByElement():
                return self._has(_column(alias, owner.column), owner.key, alias)
            case ByJson():
                return self._json(owner, alias)
        raise AssertionError(owner)

    def _along(self, hops: tuple[Hop, ...], alias: str) -> str:
        hop, beyond, inner = hops[0], hops[1:], f"{alias}_"
        rest = self._along(beyond, inner) if beyond else self.of(self.map.table(hop.table), inner)
        keys = ", ".join(cast(_column(inner, key), hop.cast) for key in hop.keys)
        here = ", ".join(_column(alias, column) for column in hop.columns)
        row = here if len(hop.columns) == 1 else f"({here})"
        return f"{row} in (select {keys} from {relation(hop.table)} as {quoted(inner)} where {rest})"

    def _pair(self, owner: ByPair, alias: str) -> str:
        kind, identity = _column(alias, owner.type_column), _column(alias, owner.id_column)
        found = [
            f"({kind} = {literal(value)} and {self._target(target, identity, owner, alias)})"
            for value, target in owner.targets.items()
        ]
        return "(" + " or ".join(found) + ")"

    def _target(self, target: tuple[str, str] | None, identity: str, owner: ByPair, alias: str) -> str:
        if target is None:
            return self._is(identity, owner.key, alias)
        inner = f"{alias}_"
        rest = self.of(self.map.table(target[0]), inner)
        key = cast(_column(inner, target[1]), owner.cast)
        return f"{identity} in (select {key} from {relation(target[0])} as {quoted(inner)} where {rest})"

    def _tenancy(self, customer: str) -> str:
        match self.who:
            case One(sql):
                return f"({sql})::text = {customer}"
            case Others():
                return "false"
        return "true"

    def _condition(self, sql: str, alias: str) -> str:
        # The line ends are there for a comment at the condition's end.
        inner = f"{alias}_"
        if isinstance(self.who, One):
            return f"(\n{_filled(sql, alias, f'({self.who.sql})::text')}\n)"
        there = f"{_column(inner, self._registry_column)}::text"
        meant = [f"{there} <> ({self.who.sql})::text"] if isinstance(self.who, Others) else []
        which = " and ".join([*meant, f"(\n{_filled(sql, alias, there)}\n)"])
        return f"exists (select from {self._registry} as {quoted(inner)} where {which})"

    def _is(self, value: str, key: Key, alias: str) -> str:
        if isinstance(self.who, One) and not key.ids:
            return f"{value} = {rendered(key, f'({self.who.sql})::text')}"
        if self._lists(key):
            return f"{value} in ({self._ids(key, f'{alias}_')})"
        return f"{value} <> {self._mine(key)}" if isinstance(self.who, Others) else f"{value} is not null"

    def _begins(self, value: str, key: Key, alias: str) -> str:
        if isinstance(self.who, One) and not key.ids:
            return f"{value} ^@ {rendered(key, f'({self.who.sql})::text')}"
        if self._lists(key):
            ids, inner = self._ids(key, f"{alias}_"), quoted(f"{alias}_k")
            return f"exists (select from ({ids}) as {inner} (id) where {value} ^@ {inner}.id)"
        somebody = f"{value} ^@ {literal(key.template.split(CUSTOMER)[0])}"
        return f"({somebody} and not {value} ^@ {self._mine(key)})" if isinstance(self.who, Others) else somebody

    def _part(self, owner: ByPart, alias: str) -> str:
        value, separator = _column(alias, owner.column), literal(owner.separator)
        if owner.part is None:
            return self._has(f"string_to_array({value}, {separator})", owner.key, alias)
        part = f"split_part({value}, {separator}, {owner.part})"
        return self._is(part if isinstance(self.who, One) else f"nullif({part}, '')", owner.key, alias)

    def _has(self, values: str, key: Key, alias: str) -> str:
        if isinstance(self.who, One) and not key.ids:
            return f"{values} @> array[{rendered(key, f'({self.who.sql})::text')}]"
        if self._lists(key):
            return f"{values} && array({self._ids(key, f'{alias}_')})"
        element = f"{quoted(alias + '_e')}.value"
        which = f"{element} <> {self._mine(key)}" if isinstance(self.who, Others) else f"{element} is not null"
        return f"exists (select from unnest({values}) as {quoted(alias + '_e')} (value) where {which})"

    def _json(self, owner: ByJson, alias: str) -> str:
        value = _column(alias, owner.column)
        document = f"{value}::jsonb" if owner.stored != "jsonb" else value
        found = self._json_value(document, owner, alias)
        # What is no JSON names nobody; a bare cast would fail on it.
        return f"case when {value} is json then {found} end" if owner.stored == "text" else found

    def _json_value(self, document: str, owner: ByJson, alias: str) -> str:
        if "*" not in owner.path:
            path = "array[" + ", ".join(map(literal, owner.path)) + "]::text[]"
            return self._is(f"({document} #>> {path})", owner.key, alias)
        inner = f"{alias}_j"
        which = self._is(f"({quoted(inner)}.value #>> array[]::text[])", owner.key, alias)
        every = f"jsonb_path_query({document}, {literal(_jsonpath(owner.path))})"
        return f"exists (select from {every} as {quoted(inner)} (value) where {which})"

    def _lists(self, key: Key) -> bool:
        # Without a registry others are known only by what a row itself says.
        return self.line == "owner" and (self.map.registry is not None or bool(set(key.ids) - {"id"}))

    def _mine(self, key: Key) -> str:
        assert isinstance(self.who, Others)  # noqa: S101
        return rendered(key, f"({self.who.sql})::text")

    def _ids(self, key: Key, alias: str) -> str:
        return " union all ".join(self._queries(key, alias))

    def _queries(self, key: Key, alias: str) -> Iterator[str]:
        for name in key.ids or ("id",):
            yield self._own(key, alias) if name == "id" else self._named(key, name, alias)

    def _named(self, key: Key, name: str, alias: str) -> str:
        at = self.map.ids[name]
        rest = self.of(self.map.table(at.table), alias)
        value = rendered(key, f"nullif({_column(alias, at.column)}::text, '')")
        return f"select {value} from {relation(at.table)} as {quoted(alias)} where {rest}"

    def _own(self, key: Key, alias: str) -> str:
        if isinstance(self.who, One):
            return f"select {rendered(key, f'({self.who.sql})::text')}"
        there = f"{_column(alias, self._registry_column)}::text"
        meant = f" where {there} <> ({self.who.sql})::text" if isinstance(self.who, Others) else ""
        return f"select {rendered(key, there)} from {self._registry} as {quoted(alias)}{meant}"

    @property
    def _registry(self) -> str:
        if self.map.registry is None:
            raise ValueError("the map doesn't say where all customers are listed")
        return relation(self.map.registry.table)

    @property
    def _registry_column(self) -> str:
        return self.map.registry.column if self.map.registry else ""


def rendered(key: Key, identity: str) -> str:
    """Give the SQL for what the customer whose id is the SQL *identity* is called by *key*."""
    # The cast stands on the customer's side, so that an index on the column still serves.
    before, after = key.template.split(CUSTOMER)
    around = [part for part in (before and literal(before), identity, after and literal(after)) if part]
    text = identity if len(around) == 1 else "(" + " || ".join(around) + ")"
    return text if key.type == "text" else cast(text, key.type)


def cast(value: str, sql_type: str | None) -> str:
    """Give the SQL *value* as *sql_type*, whole: a bare "character" is one of a single letter, "acme" would be "a"."""
    return f"{value}::{'bpchar' if sql_type == 'character' else sql_type}" if sql_type else value


def _column(alias: str, column: str) -> str:
    return f"{quoted(alias)}.{quoted(column)}"


def _filled(sql: str, alias: str, customer: str) -> str:
    return sql.replace("{row}", quoted(alias)).replace(CUSTOMER, customer)


def _jsonpath(path: tuple[str, ...]) -> str:
    steps = ["[*]" if step == "*" else '."' + step.replace("\\", "\\\\").replace('"', '\\"') + '"' for step in path]
    return "$" + "".join(steps)
