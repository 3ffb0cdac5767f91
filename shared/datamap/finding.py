"""One disagreement between a data map and its database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "undecided",
    "undeclared_table",
    "undeclared_column",
    "vanished_table",
    "vanished_column",
    "secret_shown",
    "type_not_carried",
    "owner_missing",
    "owner_type",
    "owner_refused",
    "owner_not_indexed",
    "path_broken",
    "path_ambiguous",
    "path_type",
    "foreign_key_from_outside",
    "foreign_key_leaves",
    "foreign_key_not_indexed",
    "unowned_rows",
    "unknown_type",
    "retained_date",
    "retained_needs",
    "not_minimisable",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """A disagreement at *place* (a table or ``table.column``), and what to do; *stops* is false for a mere warning."""

    kind: Kind
    place: str
    says: str
    remedy: str
    stops: bool = True
