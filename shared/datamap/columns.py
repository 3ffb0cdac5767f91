"""A live schema's columns and foreign keys, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveColumn:
    """A column as it is; *type* as ``format_type`` writes it, *position* from 1.

    *key_position* counts from 1 in the primary key; *unique* is true where the column alone tells rows apart.
    """

    name: str
    type: str
    nullable: bool
    position: int
    key_position: int | None = None
    unique: bool = False
    generated: bool = False


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key as it is; *indexed* is true where an index begins with its columns, *deferrable* as declared."""

    name: str
    table: str
    columns: tuple[str, ...]
    to_table: str
    to_columns: tuple[str, ...]
    indexed: bool
    deferrable: bool
