"""The data map as its owners write it: YAML, read strictly, every mistake named by its path."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Column = Annotated[str, StringConstraints(min_length=1, max_length=63)]
# A table in the schema "public", or schema.table.
_NAME = r"[A-Za-z_][A-Za-z0-9_$-]{0,62}"
TableId = Annotated[str, StringConstraints(pattern=rf"^{_NAME}(\.{_NAME})?$")]
# A table whose rows are papers: each is exported as a file to read and to print, too.
Paper = Literal["certificate", "report"]
Category = Literal["user", "course", "report"]
KeyType = Literal["text", "uuid", "integer", "bigint"]
CUSTOMER = "{customer}"


class Written(BaseModel):
    """A part of the document; an unknown word in it is a mistake, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class WrittenHop(Written):
    """One step of a path: this row's *column* equals *to*, a ``table.column``."""

    column: Column
    to: Annotated[str, StringConstraints(pattern=r"^.+\..+$")]


class WrittenColumn(Written):
    """The row names its customer in *column*, whose type is *type*."""

    column: Column
    type: KeyType = "text"


class WrittenPath(Written):
    """The row belongs to the customer of the row at the end of *path*."""

    path: Annotated[list[WrittenHop], Field(min_length=1)]


class WrittenTable(Written):
    """A table with customers' rows in it."""

    category: Category
    owner: Annotated[
        Annotated[WrittenColumn, Tag("<column>")] | Annotated[WrittenPath, Tag("<path>")],
        Discriminator(lambda owner: _shape(owner, "path", WrittenPath, "<path>", "<column>")),
    ]
    leave_out: dict[Column, Words] = Field(default_factory=dict)
    document: Paper | None = None


class WrittenExemption(Written):
    """A table with no customer's data in it, and why that is so."""

    exempt: Words


class WrittenBucket(Written):
    """A place of customers' objects; *prefix* holds ``{customer}`` and ends with a slash."""

    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,62}$")]
    prefix: Annotated[str, StringConstraints(pattern=r"^([^{}]*/)?\{customer\}/([^{}]*/)?$")]
    category: Category


class WrittenMap(Written):
    """The whole document, version 1."""

    version: Literal[1]
    system: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,47}$")]
    tenancy: Literal["rows"]
    guard: Words | None = None
    tables: dict[
        TableId,
        Annotated[
            Annotated[WrittenTable, Tag("<table>")] | Annotated[WrittenExemption, Tag("<exempt>")],
            Discriminator(lambda table: _shape(table, "exempt", WrittenExemption, "<exempt>", "<table>")),
        ],
    ] = Field(min_length=1)
    buckets: dict[str, WrittenBucket] = Field(default_factory=dict)


def _shape(value: Any, word: str, kind: type[Written], present: str, absent: str) -> str:
    written_so = isinstance(value, kind) or (isinstance(value, dict) and word in value)
    return present if written_so else absent


class OnceLoader(yaml.SafeLoader):
    """YAML that refuses a key written twice; the ordinary loader would forget the first one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """Build the mapping of *node*, each key once."""
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is written twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(text: str) -> object:
    """Read *text* as one YAML document; a ``yaml.YAMLError`` says where it can't be read."""
    return yaml.load(text, Loader=OnceLoader)  # noqa: S506  (a SafeLoader, stricter)
