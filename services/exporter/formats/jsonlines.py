"""JSON lines: one object a row, as Postgres' row_to_json writes it, nested values and arrays kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from shared.datamap.columns import LiveColumn, selected
from shared.datamap.ownership import quoted

from .format import RAW, Described, Lines, bare, kind_of


class JsonLines:
    """The format for structures that must keep the relations inside them.

    A JSON column's own ``null`` looks like SQL's NULL here; the CSV beside it tells them apart.
    """

    name = "jsonlines"
    folder = "json"
    suffix = "jsonl"
    # JSON never holds raw control characters.
    options = RAW
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
        shown = ", ".join(map(on_one_line, columns))
        return f"select row_to_json(r.*) from (select {shown} {rows}) as r"

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


def on_one_line(column: LiveColumn) -> str:
    """Select *column*; a ``json`` text may hold raw line ends, which between its tokens mean no more than a space."""
    name = quoted(column.name)
    if column.type in {"json", "json[]"}:
        return f"translate(t.{name}::text, E'\\n\\r', '  ')::{column.type} as {name}"
    return selected(column)
