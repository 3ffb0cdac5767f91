"""The data map as the product uses it: tables, columns, buckets, and whose each row is; frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..errors import OperatorError
from .document import Category, Paper
from .names import PUBLIC, literal, named, parts
from .owners import CUSTOMER, ById, ByTenancy, Owner, Registry
from .relocate import relocated
from .retaining import Retention
from .rules import Choice, Coding, Lookup, Reference
from .spelling import misspelt

LONGEST_NAME = 63


class MapError(OperatorError):
    """A data map that can't be used: in which *file*, *where* in the document, what is wrong, and what to do."""

    def __init__(self, file: str, where: str, problem: str, remedy: str) -> None:
        """Name the place and the way out."""
        super().__init__(f"{file}: at {where}: {problem}. {remedy}")
        self.file, self.where, self.problem, self.remedy = file, where, problem, remedy


@dataclass(frozen=True, slots=True)
class Table:
    """A table with customers' rows; *left_out* are columns that no export shows, each with its reason.

    *person* leads a row to a person of the customer's, by that person's own id; *impersonal* is why there is no such
    person. *columns* are all that are declared (``None``: whatever is there). *coded* says what values mean, *media*
    which objects they refer to. *unowned* is why rows of it may belong to no customer. *document* says that each row
    is a paper, exported as a file to read and to print as well. *retain* says which rows a law keeps, *minimise* to
    which constants the columns are emptied of rows that are there only for that.
    """

    name: str
    category: Category
    owner: Owner
    left_out: Mapping[str, str]
    person: Owner | None = None
    columns: tuple[str, ...] | None = None
    coded: Mapping[str, Coding] = field(default_factory=dict)
    media: Mapping[str, Reference] = field(default_factory=dict)
    unowned: str | None = None
    document: Paper | None = None
    impersonal: str | None = None
    retain: Retention | None = None
    minimise: Mapping[str, bool | int | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ByRows:
    """All customers' rows lie in the same tables."""


@dataclass(frozen=True, slots=True)
class ByDatabase:
    """The whole database is one customer's: *customer* is SQL that gives the customer's id."""

    customer: str


@dataclass(frozen=True, slots=True)
class BySchema:
    """Each customer has a schema, called *template* with its id in it; *bound_to* is the customer it is read for."""

    template: str
    bound_to: str | None = None

    def schema_of(self, customer: str) -> str:
        """Name *customer*'s schema."""
        return self.template.replace(CUSTOMER, customer)

    def customer_of(self, schema: str) -> str | None:
        """Tell whose *schema* is, or ``None`` if it is no customer's."""
        before, after = self.template.split(CUSTOMER)
        fits = schema.startswith(before) and schema.endswith(after) and len(schema) > len(before) + len(after)
        return schema[len(before) : len(schema) - len(after)] if fits else None


Tenancy: TypeAlias = ByRows | ByDatabase | BySchema


@dataclass(frozen=True, slots=True)
class Bucket:
    """Customers' objects in *bucket* under *prefix*, in which ``{customer}`` stands for the customer's id."""

    name: str
    bucket: str
    prefix: str
    category: Category

    def prefix_of(self, customer: str) -> str:
        """Give the prefix of *customer*'s objects; never empty, always with a slash at its end."""
        return self.prefix.replace(CUSTOMER, customer)


@dataclass(frozen=True, slots=True)
class DataMap:
    """One system's declaration; *exempt* gives the reason per exempt table, *sha256* is the digest of the file's bytes.

    *guard* is a query with the customer's id as ``$1``; a text that it returns is a reason not to delete.
    *shared* gives the reason per table whose rows are nobody's own, *shared_media* what those refer to.
    *registry* is where all customers are listed, and *ids* the other ids that they go by. *undecided* is what a
    draft left open; only ``load_draft`` lets it pass. *mentions* gives the reason per table, of those without an owner,
    in which customers' ids may stand.
    """

    system: str
    tables: tuple[Table, ...]
    exempt: Mapping[str, str]
    buckets: tuple[Bucket, ...]
    sha256: str
    guard: str | None = None
    shared: Mapping[str, str] = field(default_factory=dict)
    shared_media: Mapping[str, Mapping[str, Reference]] = field(default_factory=dict)
    tenancy: Tenancy = ByRows()
    registry: Registry | None = None
    ids: Mapping[str, ById] = field(default_factory=dict)
    undecided: Mapping[str, str] = field(default_factory=dict)
    mentions: Mapping[str, str] = field(default_factory=dict)

    def table(self, name: str) -> Table:
        """Give the declared table *name*; ``KeyError`` where there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    @property
    def retains(self) -> bool:
        """Tell whether a law keeps rows of any table."""
        return any(table.retain for table in self.tables)

    @property
    def without_owner(self) -> Mapping[str, str]:
        """Give the tables that nobody owns, exempt or shared, each with its reason."""
        return {**self.exempt, **self.shared}

    def of(self, customer: str) -> DataMap:
        """Give the map as it is read for *customer*: where each has a schema, the tables are those of its own.

        Raises ``MapError`` where it would be read for somebody else as well: for an id that isn't written as the
        columns hold it ("007" in one of integers), or an empty one.
        """
        check_id(self, customer)
        if not isinstance(self.tenancy, BySchema) or self.tenancy.bound_to == customer:
            return self
        return _in_schema(self, self.tenancy, customer)


def check_id(map: DataMap, customer: str) -> None:  # noqa: A002
    """Raise ``MapError`` where *customer* is no id that can be told from every other one in *map*'s columns."""
    if not customer:
        raise MapError(map.system, "customer", "an empty id is no customer's", "Give the customer's id.")
    kind = misspelt((table.owner for table in map.tables), customer)
    if kind is not None:
        problem = f"{customer!r} is not how a column of the type {kind} writes an id, and what it would be read as may"
        remedy = "Give the id as it stands there; where events use another one, name the columns with it under ids."
        raise MapError(map.system, "customer", f"{problem} be another customer", remedy)


def _in_schema(map: DataMap, tenancy: BySchema, customer: str) -> DataMap:  # noqa: A002
    schema = tenancy.schema_of(customer)
    if len(schema.encode()) > LONGEST_NAME:
        raise MapError(map.system, "tenancy.schema", f"{schema} is too long for a name", "Shorten the template.")

    def there(name: str) -> str:
        given, table = parts(name)
        return named(schema if given == PUBLIC else given, table)

    return replace(
        map,
        tables=tuple(_there(table, there, ByTenancy(literal(customer))) for table in map.tables),
        exempt={there(name): why for name, why in map.exempt.items()},
        shared={there(name): why for name, why in map.shared.items()},
        shared_media={there(name): media for name, media in map.shared_media.items()},
        mentions={there(name): why for name, why in map.mentions.items()},
        ids={name: replace(one, table=there(one.table)) for name, one in map.ids.items()},
        tenancy=replace(tenancy, bound_to=customer),
    )


def _there(table: Table, there: Callable[[str], str], owner: Owner) -> Table:
    person = relocated(table.person, there) if table.person else None
    coded = {column: _coded_there(coding, there) for column, coding in table.coded.items()}
    return replace(table, name=there(table.name), owner=owner, person=person, coded=coded)


def _coded_there(coding: Coding, there: Callable[[str], str]) -> Coding:
    return replace(coding, table=there(coding.table)) if isinstance(coding, Lookup | Choice) else coding
