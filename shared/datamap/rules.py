"""What a data map says of single columns: what a coded value means, and which object a value refers to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Unit = Literal["seconds", "milliseconds", "microseconds"]
PER_SECOND: Mapping[Unit, int] = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}


@dataclass(frozen=True, slots=True)
class Epoch:
    """A whole number is a time since 1970 UTC, in *unit*; with *zero* 0 means none."""

    unit: Unit
    zero: bool


@dataclass(frozen=True, slots=True)
class Labels:
    """Each value has a meaning of its own; a value that *texts* doesn't name has none."""

    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Lookup:
    """The value is *key* of a row of *table*, whose *text* is the meaning."""

    table: str
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The value is the number of an option in a list that another row has as a text.

    The row's *via* equals *key* of a row of *table*; its *options* is the list, after *lead* if there is one, cut at
    *separator*, numbered from *first*.
    """

    via: str
    table: str
    key: str
    options: str
    separator: str
    first: int
    lead: str | None


@dataclass(frozen=True, slots=True)
class Expression:
    """The meaning is SQL of the value, ``{value}``: for types that no format carries."""

    sql: str


Coding: TypeAlias = Epoch | Labels | Lookup | Choice | Expression


@dataclass(frozen=True, slots=True)
class Reference:
    """The value names an object of *bucket*: *key* has ``{value}`` or slices of it, such as ``{value[0:2]}``.

    *name* and *media_type* are columns of the same row, which hold the file's name and type.
    """

    bucket: str
    key: str
    name: str | None = None
    media_type: str | None = None

    def object_key(self, value: str) -> str:
        """Give the key of the object that *value* refers to."""
        return _SLICE.sub(lambda found: _sliced(value, found), self.key)


_SLICE = re.compile(r"\{value(?:\[(\d*):(\d*)\])?\}")


def _sliced(value: str, found: re.Match[str]) -> str:
    start, stop = (int(text) if text else None for text in found.groups())
    return value[start:stop]
