"""What a format is: how Postgres writes its bytes, how its records are counted, how its fields are described."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from shared.datamap.columns import LiveColumn, selected

Described = dict[str, Any]

# COPY's options for one column that passes unchanged, one line a row: quote and delimiter are what it never holds.
RAW: Mapping[str, Any] = MappingProxyType({"format": "csv", "quote": "\x01", "delimiter": "\x02", "encoding": "utf8"})

# Postgres' types as the Table Schema of Frictionless names them; all else depends on the format.
_KINDS: Mapping[str, str] = {
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "numeric": "number",
    "real": "number",
    "double precision": "number",
    "boolean": "boolean",
    "date": "date",
    "timestamp without time zone": "datetime",
    "timestamp with time zone": "datetime",
    "time without time zone": "time",
    "text": "string",
    "character varying": "string",
    "character": "string",
    "uuid": "string",
    "bytea": "string",
    "interval": "string",
}


class Counter(Protocol):
    """Counts the records of a file as its bytes pass, cut anywhere."""

    @property
    def records(self) -> int:
        """Tell how many records have ended so far."""

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""


class Format(Protocol):
    """One way to write a table; each format is a module of its own and passes one conformance suite.

    *name* is what the operator calls it, *folder* and *suffix* make the path. *options* are
    those of asyncpg's ``copy_from_query``; *resource* is what the descriptor says of every such file.
    """

    name: str
    folder: str
    suffix: str
    options: Mapping[str, Any]
    resource: Mapping[str, Any]
    missing_values: Sequence[str]

    def select(self, columns: Sequence[LiveColumn], rows: str) -> str:
        """Give the query for *columns* of *rows* (SQL from ``from`` on, with ``t`` as the alias)."""

    def counter(self) -> Counter:
        """Give a fresh counter for one file."""

    def field(self, column: LiveColumn) -> Described:
        """Describe *column* as this format shows it, for the Table Schema."""


def listed(columns: Sequence[LiveColumn]) -> str:
    """Name *columns* in SQL, of the alias ``t``."""
    return ", ".join(map(selected, columns))


def kind_of(column: LiveColumn) -> str | None:
    """Give the Table Schema type of *column*, or None where it depends on the format."""
    return _KINDS.get(bare(column.type))


def bare(sql_type: str) -> str:
    """Give *sql_type* without its length, precision or scale."""
    return re.sub(r"\([^)]*\)", "", sql_type)


class Lines:
    """Counts line ends, in what has one line a record and no line end inside."""

    def __init__(self) -> None:
        self._records = 0

    @property
    def records(self) -> int:
        """Tell how many records have ended so far."""
        return self._records

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        self._records += chunk.count(b"\n")
