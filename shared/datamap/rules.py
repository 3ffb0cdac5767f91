"""What a data map says of single columns: what a coded value means, and which object a value refers to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .owners import CUSTOMER

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
class Digest:
    """A column of the row that holds the object's digest in hexadecimal, by *algorithm*."""

    algorithm: Literal["md5", "sha1", "sha256"]
    column: str


@dataclass(frozen=True, slots=True)
class Reference:
    """The value names an object of *bucket*: *key* has ``{value}`` or slices of it, such as ``{value[0:2]}``.

    *bucket* and *key* may have the customer's id in them, ``{customer}``; then the object is that customer's alone.
    With *url* the value begins so, and what follows is the ``{value}``. Values of *none* name nothing, as NULL does.
    *name*, *media_type* and *size* (bytes) are columns of the same row, as is that of the *digest*. *missing*,
    *differing* and *elsewhere* are why objects may be missing, be other than recorded, or lie where they aren't the
    customer's (not under *url*, or under another customer's prefix); without such a reason they stop an export.
    *alone* is why no row outside this database refers to the bucket.
    """

    bucket: str
    key: str
    url: str | None = None
    none: tuple[str, ...] = ()
    name: str | None = None
    media_type: str | None = None
    size: str | None = None
    digest: Digest | None = None
    missing: str | None = None
    differing: str | None = None
    elsewhere: str | None = None
    alone: str | None = None

    @property
    def of_one_customer(self) -> bool:
        """Tell whether the customer's id is in the place itself, so that nobody else's rows can mean it by this way."""
        return CUSTOMER in self.bucket or CUSTOMER in self.key

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the columns of the row, besides its own, that it reads."""
        digest = self.digest.column if self.digest else None
        return tuple(one for one in (self.name, self.media_type, self.size, digest) if one)
