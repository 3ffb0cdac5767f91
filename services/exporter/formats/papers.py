"""Rows that are papers: a certificate or a report a row, with what it refers to, as headings and pairs of words."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from shared.datamap.ownership import quoted

from .jsonlines import on_one_line

if TYPE_CHECKING:
    from services.exporter.archive.snapshot import Shown
    from services.exporter.archive.source import Source
    from shared.datamap.columns import ForeignKey


# In bytes.
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Paper:
    """One row as a paper: *name* tells it from the others of its table, *parts* are headings with pairs of words."""

    name: str
    title: str
    parts: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


async def each_paper(source: Source, shown: Shown, receive: Callable[[Paper], Awaitable[None]]) -> int:
    """Send every row of *shown* to *receive* as a paper; gives how many there were."""
    joins, made = tuple(_referred(source, shown)), 0

    async def received(piece: bytes) -> None:
        nonlocal made
        for line in piece.splitlines():
            made += 1
            await receive(_paper(shown, _read(line), made))

    await source.stream(select(source, shown, joins), received)
    return made


def _read(line: bytes) -> Any:
    """Read one row; what JSON may name and no text can hold, half of a pair of UTF-16, is U+FFFD."""
    row = json.loads(line)
    if b"\\ud" not in line.lower():
        return row
    said = json.dumps(row, ensure_ascii=False)
    return json.loads(said.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


@dataclass(frozen=True, slots=True)
class _Join:
    """Alias *at* is *shown*, reached by *key* from the alias *frm*."""

    at: int
    frm: int
    shown: Shown
    key: ForeignKey


def _referred(source: Source, shown: Shown) -> Iterator[_Join]:
    """Give what a row refers to, step by step, each table once."""
    by_name = {one.table.name: one for one in source.tables}
    found = [shown.table.name]
    for frm, name in enumerate(found):
        for key in source.keys:
            if key.table == name and key.to_table in by_name and key.to_table not in found:
                yield _Join(len(found), frm, by_name[key.to_table], key)
                found.append(key.to_table)


def select(source: Source, shown: Shown, joins: Sequence[_Join]) -> str:
    """Give the query: a JSON array a row, the row itself first, then what it refers to."""
    rows = ", ".join(f'a{at}."offramp row"' for at in range(len(joins) + 1))
    tables = [f"{_rows(source, shown)} as a0"]
    tables += [f"left join {_rows(source, one.shown)} as a{one.at} on {_on(one)}" for one in joins]
    return f'select json_build_array({rows}) from {" ".join(tables)} order by a0."offramp order"'


def _rows(source: Source, shown: Shown) -> str:
    columns = ", ".join(map(on_one_line, shown.columns))
    row = f'(select row_to_json(r.*) from (select {columns}) r) as "offramp row"'
    return f'(select t.*, {row}, row({", ".join(shown.order)}) as "offramp order" {source.rows(shown)})'


def _on(join: _Join) -> str:
    pairs = zip(join.key.columns, join.key.to_columns, strict=True)
    return " and ".join(f"a{join.at}.{quoted(to)} = a{join.frm}.{quoted(column)}" for column, to in pairs)


def _paper(shown: Shown, rows: Sequence[dict[str, Any] | None], number: int) -> Paper:
    own = rows[0] or {}
    name = "-".join(str(own[column]) for column in shown.key if column in own) or str(number)
    title = next((str(own[word]) for word in ("title", "name", "subject") if own.get(word)), name)
    parts = [(_heading(row), tuple(_pairs(row))) for row in rows if row is not None]
    # The number keeps names apart that differ in what no file name may hold, or in case.
    readable = re.sub(r"[^\w.-]", "_", normalize("NFC", name)).encode()[:_LONGEST].decode("utf-8", "ignore")
    return Paper(f"{number:06}-{readable}", title, tuple(parts))


def _heading(row: dict[str, Any]) -> str:
    return next((str(row[word]) for word in ("title", "full_name", "name", "username") if row.get(word)), "")


def _pairs(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Lay JSON out flat, ``a.b`` for what is nested."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _pairs(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        for at, inner in enumerate(value, 1):
            yield from _pairs(inner, f"{path}.{at}")
    elif isinstance(value, list):
        yield path, ", ".join(map(_word, value))
    elif value is not None:
        yield path, _word(value)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
