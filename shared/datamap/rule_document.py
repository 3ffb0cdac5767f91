"""What single columns mean, as a data map's owners write it."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from .owner_document import Column, ColumnId, Words, Written
from .rules import Unit

BUCKET = r"^([a-z0-9][a-z0-9.-]{1,62}|[a-z0-9.-]{0,40}\{customer\}[a-z0-9.-]{0,40})$"
# The customer's id is a whole step, so that "a" is never the beginning of "ab".
KEY = r"^([^{}]*/)?(\{customer\}/)?([^{}]*\{value(\[\d*:\d*\])?\})+[^{}]*$"


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


class WrittenDigest(Written):
    """The column that holds the object's digest in hexadecimal; one of them."""

    md5: Column | None = None
    sha1: Column | None = None
    sha256: Column | None = None

    @model_validator(mode="after")
    def _one(self) -> WrittenDigest:
        if len(self.model_fields_set) != 1:
            raise ValueError("write one of md5, sha1 and sha256")
        return self


class WrittenReference(Written):
    """The value names an object of *bucket*."""

    bucket: Annotated[str, StringConstraints(pattern=BUCKET)]
    key: Annotated[str, StringConstraints(pattern=KEY)] = "{value}"
    url: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*://[^?#]+/$")] | None = None
    none: list[str] = Field(default_factory=list)
    name: Column | None = None
    media_type: Column | None = None
    size: Column | None = None
    digest: WrittenDigest | None = None
    missing: Words | None = None
    differing: Words | None = None
    elsewhere: Words | None = None
    alone: Words | None = None

    @model_validator(mode="after")
    def _fits(self) -> WrittenReference:
        if self.url and "{value[" in self.key:
            raise ValueError("of a url the key can't take slices")
        if self.differing and not (self.size or self.digest):
            raise ValueError("what may differ has to be recorded: name the column of the size or of the digest")
        return self


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
