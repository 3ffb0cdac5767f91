"""The data map as its owners write it: YAML, read strictly, every mistake named by its path."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from .owner_document import Column, ColumnId, TableId, Template, Words, Written, WrittenOwner
from .owners import CUSTOMER
from .retain_document import Constant, WrittenRetention
from .rule_document import WrittenCoding, WrittenReference

__all__ = ["CUSTOMER", "OnceLoader", "read_yaml"]

# A table whose rows are papers: each is exported as a file to read and to print, too.
Paper = Literal["certificate", "report"]
Category = Literal["user", "course", "report"]


class WrittenTable(Written):
    """A table with customers' rows in it.

    Without *columns* every column is meant; with them, a column that is neither there nor left out is undeclared.
    *person* is how a row leads to a person of the customer's, *impersonal* why none of them does. *unowned* says why
    rows may belong to no customer. *retain* is which rows a law keeps, and *minimise* what of a row is emptied that is
    still there only since a law keeps it, or because such a row needs it.
    """

    category: Category
    owner: WrittenOwner | None = None
    person: WrittenOwner | None = None
    impersonal: Words | None = None
    columns: list[Column] | None = None
    leave_out: dict[Column, Words] = Field(default_factory=dict)
    coded: dict[Column, WrittenCoding] = Field(default_factory=dict)
    media: dict[Column, WrittenReference] = Field(default_factory=dict)
    unowned: Words | None = None
    document: Paper | None = None
    retain: WrittenRetention | None = None
    minimise: dict[Column, Constant] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _about_somebody_or_nobody(self) -> WrittenTable:
        if self.person is not None and self.impersonal is not None:
            raise ValueError("write person, or impersonal with the reason, not both")
        return self


class WrittenExemption(Written):
    """A table with no customer's data in it, and why that is so; *mentions* is why customers' ids may stand in it."""

    exempt: Words
    mentions: Words | None = None


class WrittenShared(Written):
    """A table whose rows are nobody's own: all customers use them, none takes them along, and why.

    What its columns refer to by *media* stays as well. With *mentions*, why customers' ids may stand in it.
    """

    shared: Words
    mentions: Words | None = None
    media: dict[Column, WrittenReference] = Field(default_factory=dict)


class WrittenUndecided(Written):
    """A table of which a draft could not tell whose it is, and why; it has to be decided before the map is used."""

    undecided: Words


class WrittenBucket(Written):
    """A place of customers' objects; *prefix* holds ``{customer}`` and ends with a slash."""

    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,62}$")]
    prefix: Annotated[str, StringConstraints(pattern=r"^([^{}]*/)?\{customer\}/([^{}]*/)?$")]
    category: Category


class WrittenIdentity(Written):
    """The database itself tells whose it is: *query* gives the customer's id."""

    query: Words


class WrittenByDatabase(Written):
    """One database a customer: its name is *database* with the customer's id in it, or a query gives the id."""

    database: Template | WrittenIdentity


class WrittenBySchema(Written):
    """One schema a customer, called *schema* with the customer's id in it."""

    schema_name: Annotated[Template, Field(alias="schema")]


_KINDS: dict[str, type[Written]] = {
    "exempt": WrittenExemption,
    "shared": WrittenShared,
    "undecided": WrittenUndecided,
}
_TENANCIES: dict[str, type[Written]] = {"database": WrittenByDatabase, "schema": WrittenBySchema}


class WrittenMap(Written):
    """The whole document, version 1."""

    version: Literal[1]
    system: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,47}$")]
    tenancy: Annotated[
        Annotated[Literal["rows"], Tag("<rows>")]
        | Annotated[WrittenByDatabase, Tag("<database>")]
        | Annotated[WrittenBySchema, Tag("<schema>")],
        Discriminator(lambda tenancy: _shape(tenancy, _TENANCIES, "<rows>")),
    ]
    guard: Words | None = None
    customers: ColumnId | None = None
    ids: dict[Words, ColumnId] = Field(default_factory=dict)
    tables: dict[
        TableId,
        Annotated[
            Annotated[WrittenTable, Tag("<table>")]
            | Annotated[WrittenExemption, Tag("<exempt>")]
            | Annotated[WrittenShared, Tag("<shared>")]
            | Annotated[WrittenUndecided, Tag("<undecided>")],
            Discriminator(lambda table: _shape(table, _KINDS, "<table>")),
        ],
    ] = Field(min_length=1)
    buckets: dict[str, WrittenBucket] = Field(default_factory=dict)


def _shape(value: Any, kinds: dict[str, type[Written]], otherwise: str) -> str:
    for word, kind in kinds.items():
        if isinstance(value, kind) or (isinstance(value, dict) and word in value):
            return f"<{word}>"
    return otherwise


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
