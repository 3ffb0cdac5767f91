"""A proposed data map: for each table an owner, or what could not be decided and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..secrets import secret_name
from .naming import category, common_prefix, names_a_person
from .pairs import pairs
from .references import SURE_ENOUGH, candidates, declared, guessed
from .seen import Seen, Wanted
from .values import epochs, keys_of, secrets, sizes
from .ways import Way, ways

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..columns import LiveColumn, Schema
    from ..live import Connection
    from .references import Reference
    from .values import Size

# Where all rows are one customer's anyway, a weaker guess about a person is no question.
WORTH_ASKING = 0.45
DERIVED = "a materialised view: its rows are copies and can't be deleted; exempt it if it is refreshed after deletions"
_TYPES = {"text", "uuid", "integer", "bigint", "smallint", "numeric", "character varying", "character", "citext"}


@dataclass(frozen=True, slots=True)
class Proposed:
    """One table: what the map would say of it (*entry*), *why*, how *sure*; *undecided* where that is too little."""

    name: str
    entry: dict[str, Any]
    why: str
    sure: float
    undecided: str | None
    size: Size


async def propose(
    connection: Connection, schema: Schema, wanted: Wanted, progress: Callable[[int, int], None]
) -> list[Proposed]:
    """Look at the database and propose an entry for each table; *progress* is told what is done, of how much."""
    seen = Seen(schema, wanted, await sizes(connection, sorted(schema.columns)))
    some = list(candidates(schema, wanted.persons))
    total, done = len(some) + len(schema.columns), 0

    def tell() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    seen.references = [*declared(schema), *[one async for one in guessed(connection, some, seen.sizes, tell)]]
    if wanted.root:
        seen.ways = ways(wanted.root, seen.references, touching=wanted.kind == "rows")
    found = []
    for name in schema.columns:
        found.append(await _proposed(connection, seen, name))
        tell()
    return found


async def _proposed(connection: Connection, seen: Seen, name: str) -> Proposed:
    columns = seen.schema.columns[name]
    rest = await _rest(connection, seen, name, columns)
    derived = name in seen.schema.derived
    way, sure, why, undecided = ({}, 0.0, "", DERIVED) if derived else await _way(connection, seen, name)
    entry = {"category": category(name, common_prefix(seen.schema.columns)), **way, **rest}
    return Proposed(seen.wanted.short(name), entry, why, sure, undecided, seen.sizes[name])


async def _way(connection: Connection, seen: Seen, name: str) -> tuple[dict[str, Any], float, str, str | None]:
    if name == seen.wanted.root:
        return {seen.wanted.line: _column(seen, name, _key(seen))}, 1.0, "the table that was named", None
    way = seen.ways.get(name)
    if way and way.sure >= SURE_ENOUGH:
        return {seen.wanted.line: _owner(seen, way.step)}, way.sure, way.step.why, None
    pair = await pairs(connection, seen, name)
    if pair and pair.whole:
        return {seen.wanted.line: pair.owner}, pair.sure, pair.why, None
    if way and _worth_asking(seen, way):
        says = f"{way.step.why}; that is too little to go by ({way.sure:.2f})"
        return {seen.wanted.line: _owner(seen, way.step)}, way.sure, way.step.why, says
    if pair:
        return {seen.wanted.line: pair.owner}, pair.sure, pair.why, pair.why
    return {}, 0.0, "", _nothing(seen, name)


def _worth_asking(seen: Seen, way: Way) -> bool:
    """Tell whether somebody has to decide: by rows always, else where a person may be meant."""
    named = any(names_a_person(column) for column in way.step.columns)
    return seen.wanted.kind == "rows" or named or way.sure >= WORTH_ASKING


def _nothing(seen: Seen, name: str) -> str | None:
    persons = [column.name for column in seen.schema.columns[name] if names_a_person(column.name)]
    if seen.wanted.kind == "rows":
        missed = [f"; {one.why}" for one in seen.references if one.table == name and one.sure < SURE_ENOUGH]
        return "no foreign key and no column leads to a customer" + "".join(missed)
    if persons and seen.wanted.root:
        return f"{', '.join(persons)} might name a person, but does not lead to {seen.wanted.root}"
    return None


def _owner(seen: Seen, step: Reference) -> dict[str, Any]:
    if step.to == seen.wanted.root and step.keys == (_key(seen),):
        return _column(seen, step.table, step.columns[0])
    to = seen.wanted.short(step.to)
    if len(step.columns) == 1:
        return {"path": [{"column": step.columns[0], "to": f"{to}.{written(step.keys[0])}"}]}
    return {"path": [{"columns": list(step.columns), "to": to, "keys": list(step.keys)}]}


def _column(seen: Seen, table: str, name: str) -> dict[str, Any]:
    column = seen.schema.column(table, name)
    base = column.base or column.type if column else "text"
    typed = {} if base in {"text", "character varying"} or base not in _TYPES else {"type": base}
    return {"column": name, **typed}


def _key(seen: Seen) -> str:
    root = seen.wanted.root or ""
    return seen.wanted.key or next((column.name for column in keys_of(seen.schema, root)), "id")


def written(name: str) -> str:
    """Write a column's name as a part of ``table.column``."""
    return '"' + name.replace('"', '""') + '"' if "." in name or '"' in name else name


async def _rest(connection: Connection, seen: Seen, name: str, columns: tuple[LiveColumn, ...]) -> dict[str, Any]:
    rows = seen.sizes[name].rows
    within = await secrets(connection, name, columns) if rows else frozenset()
    by_name = [one.name for one in columns if secret_name(name, one)]
    out = dict.fromkeys(by_name, "secret: looks like one by its name")
    out |= dict.fromkeys(sorted(within - set(out)), "secret: its values look like one")
    out |= {one.name: f"no format carries the type {one.type}" for one in columns if not one.carried}
    times = await epochs(connection, name, columns) if rows else {}
    coded = {column: {"epoch": unit, **({"zero": "none"} if zero else {})} for column, (unit, zero) in times.items()}
    shown = [column.name for column in columns if column.name not in out]
    return {"columns": shown, **({"leave_out": out} if out else {}), **({"coded": coded} if coded else {})}
