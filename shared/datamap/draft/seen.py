"""What is to be drafted, and what was found out about the database so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ..names import PUBLIC, named, parts

if TYPE_CHECKING:
    from ..columns import Schema
    from .references import Reference
    from .values import Size
    from .ways import Way

Kind = Literal["rows", "schema", "database"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be drafted: *root* is the table of customers by rows, the table of people otherwise (or ``None``)."""

    kind: Kind
    root: str | None
    key: str | None
    persons: str | None
    schema: str | None = None

    def short(self, name: str) -> str:
        """Write a table's name without the schema that each customer has its own of."""
        schema, table = parts(name)
        return named(PUBLIC, table) if schema == self.schema else name

    @property
    def line(self) -> str:
        """Say which word of the map the ways stand under."""
        return "owner" if self.kind == "rows" else "person"


@dataclass
class Seen:
    """What was found out about the database."""

    schema: Schema
    wanted: Wanted
    sizes: dict[str, Size]
    references: list[Reference] = field(default_factory=list)
    ways: dict[str, Way] = field(default_factory=dict)
