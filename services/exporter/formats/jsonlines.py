"""JSON lines: one object a row, as Postgres' row_to_json writes it, nested values and arrays kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from shared.datamap.columns import LiveColumn, selected
from shared.datamap.ownership import quoted

from .format import Described, bare, kind_of


class Lines:
    """Counts line ends; a JSON text on a line of its own has none inside."""

    def __init__(self) -> None:
        self._records = 0

    @property
    def records(self) -> int:
        """Tell how many records have ended so far."""
        return self._records

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        self._records += chunk.count(b"\n")


class JsonLines:
    """The format for structures that must keep the relations inside them.

    A JSON column's own ``null`` looks like SQL's NULL here; the CSV beside it tells them apart.
    """

    name = "jsonlines"
    folder = "json"
    suffix = "jsonl"
    # One column passes through COPY unchanged when quote and delimiter are what JSON never holds unescaped.
    options: Mapping[str, Any] = MappingProxyType(
        {"format": "csv", "quote": "\x01", "delimiter": "\x02", "encoding": "utf8"}
    )
    resource: Mapping[str, Any] = MappingProxyType(
        {
            "format": "jsonl",
            "mediatype": "application/jsonl",
            "encoding": "utf-8",
            "dialect": {"json": {"keyed": True}},
        }
    )
    missing_values: Sequence[str] = ()

    def select(self, columns: Sequence[LiveColumn], rows: str) -> str:
        """Give the query, one column of one JSON text a row."""
        shown = ", ".join(map(_on_one_line, columns))
        return f"select row_to_json(r) from (select {shown} {rows}) as r"

    def counter(self) -> Lines:
        """Give a fresh counter for one file."""
        return Lines()

    def field(self, column: LiveColumn) -> Described:
        """Describe *column*; JSON's own types carry the rest."""
        kind = "array" if column.type.endswith("[]") else kind_of(column) or "any"
        shown: Described = {"name": column.name, "type": kind}
        if kind in {"datetime", "time"}:
            shown["format"] = "any"
        elif bare(column.type) == "uuid":
            shown["format"] = "uuid"
        if not column.nullable:
            shown["constraints"] = {"required": True}
        return shown


def _on_one_line(column: LiveColumn) -> str:
    """Select *column*; a ``json`` text may hold raw line ends, which between its tokens mean no more than a space."""
    name = quoted(column.name)
    if column.type in {"json", "json[]"}:
        return f"translate(t.{name}::text, E'\\n\\r', '  ')::{column.type} as {name}"
    return selected(column)
