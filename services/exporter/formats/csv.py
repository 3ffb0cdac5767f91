"""CSV as COPY writes it: RFC 4180 quoting, UTF-8, a header; NULL is an empty field, the empty string is ""."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from shared.datamap.columns import LiveColumn

from .format import Described, bare, kind_of, listed

_ALL_BUT_QUOTES_AND_LINE_ENDS = bytes(byte for byte in range(256) if byte not in b'"\n')


class CsvRecords:
    """Counts records: line ends outside quotes, less the header.

    Only whether the quotes so far are odd matters, so pairs fall out first and chunks may be cut anywhere.
    """

    def __init__(self) -> None:
        self._lines = 0
        self._inside = False

    @property
    def records(self) -> int:
        """Tell how many records have ended so far."""
        return max(self._lines - 1, 0)

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        if not self._inside and b'"' not in chunk:
            self._lines += chunk.count(b"\n")
            return
        marks = chunk.translate(None, _ALL_BUT_QUOTES_AND_LINE_ENDS).replace(b'""', b"")
        pieces = marks.split(b'"')
        self._lines += sum(map(len, pieces[self._inside :: 2]))
        self._inside ^= len(pieces) % 2 == 0


class Csv:
    """The format for spreadsheets and for every database's import."""

    name = "csv"
    folder = "csv"
    suffix = "csv"
    options: Mapping[str, Any] = MappingProxyType({"format": "csv", "header": True, "encoding": "utf8"})
    resource: Mapping[str, Any] = MappingProxyType(
        {
            "format": "csv",
            "mediatype": "text/csv",
            "encoding": "utf-8",
            "dialect": {"delimiter": ",", "quoteChar": '"', "doubleQuote": True, "lineTerminator": "\n"},
        }
    )
    missing_values: Sequence[str] = ("",)

    def select(self, columns: Sequence[LiveColumn], rows: str) -> str:
        """Give the query; COPY does the rest."""
        return f"select {listed(columns)} {rows}"

    def counter(self) -> CsvRecords:
        """Give a fresh counter for one file."""
        return CsvRecords()

    def field(self, column: LiveColumn) -> Described:
        """Describe *column*; what Postgres shows as text of its own (arrays, JSON, ranges) is a string."""
        kind = kind_of(column) or "string"
        shown: Described = {"name": column.name, "type": kind}
        if kind == "boolean":
            shown |= {"trueValues": ["t"], "falseValues": ["f"]}
        elif kind in {"datetime", "time"}:
            shown["format"] = "any"
        elif bare(column.type) == "uuid":
            shown["format"] = "uuid"
        # An empty text is not missing, but who reads by the schema alone can't tell the two apart.
        if not column.nullable and kind != "string":
            shown["constraints"] = {"required": True}
        return shown
