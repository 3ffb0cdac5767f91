"""The ways to a customer, as a data map's owners write them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator

from .names import PATTERN, PATTERN_OF_COLUMN
from .owners import CUSTOMER, KeyType, Stored

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Column = Annotated[str, StringConstraints(min_length=1, max_length=63)]
TableId = Annotated[str, StringConstraints(pattern=PATTERN)]
ColumnId = Annotated[str, StringConstraints(pattern=PATTERN_OF_COLUMN)]
Columns = Annotated[list[Column], Field(min_length=1)]
Template = Annotated[str, StringConstraints(pattern=r"^[^{}]*\{customer\}[^{}]*$")]
# What follows the id can be no part of one, so that "a" is never the beginning of "ab".
Beginning = Annotated[str, StringConstraints(pattern=r"^[^{}]*\{customer\}[^{}A-Za-z0-9._-][^{}]*$")]
SqlType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_ ]*(\[\])?$")]


class Written(BaseModel):
    """A part of the document; an unknown word in it is a mistake, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class WrittenKey(Written):
    """How the customer is called there."""

    type: KeyType = "text"
    template: Annotated[Template, Field(alias="as")] = CUSTOMER
    by: Annotated[list[Words], Field(min_length=1)] | None = None


class WrittenColumn(WrittenKey):
    """The row names its customer in *column*, whose type is *type*."""

    column: Column


class WrittenHop(Written):
    """One step: this row's *column* equals *to*, a ``table.column``; or *columns* equal *keys* of the table *to*."""

    column: Column | None = None
    columns: Columns | None = None
    to: TableId | ColumnId
    keys: Columns | None = None
    cast: SqlType | None = None

    @model_validator(mode="after")
    def _one_form(self) -> WrittenHop:
        whole = re.fullmatch(PATTERN_OF_COLUMN, self.to) is not None
        single = self.column is not None and whole and self.columns is None and self.keys is None
        composite = self.column is None and bool(self.columns) and len(self.columns or ()) == len(self.keys or ())
        if not (single or composite):
            raise ValueError("write column and to: table.column, or columns, to: table and as many keys")
        return self


class WrittenPath(Written):
    """The row belongs to the customer of the row at the end of *path*."""

    path: Annotated[list[WrittenHop], Field(min_length=1)]
    several: bool = False


class WrittenPrefix(Written):
    """The text in *of* begins with *prefix*."""

    prefix: Beginning
    of: Column
    by: Annotated[list[Words], Field(min_length=1)] | None = None


class WrittenPart(Written):
    """A *part* of the text in *of*, cut at *separator*."""

    part: Annotated[int, Field(ge=1)] | Literal["any"]
    of: Column
    separator: Annotated[str, StringConstraints(pattern=r"^[^A-Za-z0-9._-]")]
    template: Annotated[Template, Field(alias="as")] = CUSTOMER
    by: Annotated[list[Words], Field(min_length=1)] | None = None


class WrittenElement(WrittenKey):
    """The array in the column *element* has the customer among its elements."""

    element: Column


class WrittenJson(Written):
    """The value at *at* inside the JSON of the column *json*."""

    json_column: Annotated[Column, Field(alias="json")]
    at: Annotated[list[Words], Field(min_length=1)]
    stored: Stored = "jsonb"
    template: Annotated[Template, Field(alias="as")] = CUSTOMER
    by: Annotated[list[Words], Field(min_length=1)] | None = None


class WrittenPair(WrittenKey):
    """The columns *pair*, a type and an id, and where an id of each type leads."""

    pair: Annotated[list[Column], Field(min_length=2, max_length=2)]
    leads: Annotated[dict[str, Literal["{customer}"] | ColumnId], Field(min_length=1)]
    cast: SqlType | None = None


class WrittenSql(Written):
    """A condition in SQL, the last resort."""

    sql: Annotated[str, StringConstraints(pattern=r"(?s)\{row\}.*\{customer\}|\{customer\}.*\{row\}")]
    several: bool = False


class WrittenAny(Written):
    """Any of several ways."""

    any: Annotated[list[WrittenOwner], Field(min_length=2)]


# The word that tells a form, in the order in which they are looked for.
FORMS: dict[str, type[Written]] = {
    "any": WrittenAny,
    "path": WrittenPath,
    "prefix": WrittenPrefix,
    "part": WrittenPart,
    "element": WrittenElement,
    "json": WrittenJson,
    "pair": WrittenPair,
    "sql": WrittenSql,
    "column": WrittenColumn,
}


def _form(owner: Any) -> str:
    for word, kind in FORMS.items():
        if isinstance(owner, kind) or (isinstance(owner, dict) and word in owner):
            return f"<{word}>"
    return "<column>"


WrittenOwner: TypeAlias = Annotated[
    Annotated[WrittenAny, Tag("<any>")]
    | Annotated[WrittenPath, Tag("<path>")]
    | Annotated[WrittenPrefix, Tag("<prefix>")]
    | Annotated[WrittenPart, Tag("<part>")]
    | Annotated[WrittenElement, Tag("<element>")]
    | Annotated[WrittenJson, Tag("<json>")]
    | Annotated[WrittenPair, Tag("<pair>")]
    | Annotated[WrittenSql, Tag("<sql>")]
    | Annotated[WrittenColumn, Tag("<column>")],
    Discriminator(_form),
]
WrittenAny.model_rebuild()
