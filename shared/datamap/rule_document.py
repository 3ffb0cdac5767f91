"""What single columns mean, as a data map's owners write it."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Field, StringConstraints, Tag

from .owner_document import Column, ColumnId, Written
from .rules import Unit


class WrittenEpoch(Written):
    """A whole number is a time since 1970."""

    epoch: Unit
    zero: Annotated[str, StringConstraints(pattern="^none$")] | None = None


class WrittenLabels(Written):
    """Each value has a meaning of its own."""

    labels: Annotated[dict[str, str], Field(min_length=1)]


class WrittenLookup(Written):
    """The value is a key elsewhere, and *text* there is the meaning."""

    lookup: ColumnId
    text: Column


class WrittenChoice(Written):
    """The value is the number of an option in a list that another row has as a text."""

    option_of: Column
    via: Column
    to: ColumnId
    separator: Annotated[str, StringConstraints(min_length=1)]
    first: int = 1
    after: str | None = None


class WrittenExpression(Written):
    """The meaning is SQL of the value."""

    sql: Annotated[str, StringConstraints(pattern=r"\{(value|row)\}")]


class WrittenReference(Written):
    """The value names an object of *bucket*."""

    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,62}$")]
    key: Annotated[str, StringConstraints(pattern=r"\{value(\[\d*:\d*\])?\}")] = "{value}"
    name: Column | None = None
    media_type: Column | None = None


_FORMS: dict[str, type[Written]] = {
    "epoch": WrittenEpoch,
    "labels": WrittenLabels,
    "lookup": WrittenLookup,
    "option_of": WrittenChoice,
    "sql": WrittenExpression,
}


def _form(coding: Any) -> str:
    for word, kind in _FORMS.items():
        if isinstance(coding, kind) or (isinstance(coding, dict) and word in coding):
            return f"<{word}>"
    return "<labels>"


WrittenCoding: TypeAlias = Annotated[
    Annotated[WrittenEpoch, Tag("<epoch>")]
    | Annotated[WrittenLabels, Tag("<labels>")]
    | Annotated[WrittenLookup, Tag("<lookup>")]
    | Annotated[WrittenChoice, Tag("<option_of>")]
    | Annotated[WrittenExpression, Tag("<sql>")],
    Discriminator(_form),
]
