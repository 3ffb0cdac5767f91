"""What belongs to a customer, checked and frozen: tables, how their rows lead to a customer, buckets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError

from ..errors import OperatorError
from .document import CUSTOMER, Category, KeyType, Paper, WrittenColumn, WrittenMap, WrittenTable, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class MapError(OperatorError):
    """A data map that can't be used: in which *file*, *where* in the document, what is wrong, and what to do."""

    def __init__(self, file: str, where: str, problem: str, remedy: str) -> None:
        """Name the place and the way out."""
        super().__init__(f"{file}: at {where}: {problem}. {remedy}")
        self.file, self.where, self.problem, self.remedy = file, where, problem, remedy


@dataclass(frozen=True, slots=True)
class ByColumn:
    """The row itself names its customer, in *column*, of the SQL type *type*."""

    column: str
    type: KeyType = "text"


@dataclass(frozen=True, slots=True)
class Hop:
    """One step: the row's *column* equals *key* of a row of *table*."""

    column: str
    table: str
    key: str


@dataclass(frozen=True, slots=True)
class ByPath:
    """The row belongs to the customer of the row at the end of *hops*, whose table is declared and owned."""

    hops: tuple[Hop, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with customers' rows; *left_out* are columns that no export shows, each with its reason.

    *document* says that each row is a paper, exported as a file to read and to print as well.
    """

    name: str
    category: Category
    owner: ByColumn | ByPath
    left_out: Mapping[str, str]
    document: Paper | None = None


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
    """

    system: str
    tables: tuple[Table, ...]
    exempt: Mapping[str, str]
    buckets: tuple[Bucket, ...]
    sha256: str
    guard: str | None = None

    def table(self, name: str) -> Table:
        """Give the declared table *name*; ``KeyError`` where there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


def load(path: Path) -> DataMap:
    """Read the data map at *path*, or raise a ``MapError`` that says what to do."""
    try:
        content = path.read_bytes()
    except OSError as error:
        problem = f"it can't be read ({error.strerror})"
        raise MapError(str(path), "the file", problem, "Give the path of a data map.") from error
    return parse(content, str(path))


def parse(content: bytes, file: str) -> DataMap:
    """Read a data map from the bytes of a *file*."""
    written = _validated(_document(content, file), file)
    tables = tuple(_table(name, table) for name, table in written.tables.items() if isinstance(table, WrittenTable))
    exempt = {name: table.exempt for name, table in written.tables.items() if not isinstance(table, WrittenTable)}
    _paths_lead_to_a_customer(tables, file)
    return DataMap(
        system=written.system,
        tables=tables,
        exempt=MappingProxyType(exempt),
        buckets=tuple(Bucket(name, b.bucket, b.prefix, b.category) for name, b in written.buckets.items()),
        sha256=hashlib.sha256(content).hexdigest(),
        guard=written.guard,
    )


def _document(content: bytes, file: str) -> object:
    try:
        return read_yaml(content.decode())
    except UnicodeDecodeError as error:
        raise MapError(file, f"byte {error.start}", "it is not UTF-8", "Save the file as UTF-8.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}" if mark else "the document"
        raise MapError(file, where, f"it is not YAML: {error.problem}", "Correct the line.") from error
    except yaml.YAMLError as error:
        raise MapError(file, "the document", f"it is not YAML: {error}", "Correct the file.") from error


def _validated(document: object, file: str) -> WrittenMap:
    try:
        return WrittenMap.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"] if not str(part).startswith("<")) or "the document"
        remedy = "See docs/data-map.md for what goes there; nothing is assumed in its place."
        problem = "a mapping is needed here" if first["type"] == "model_type" else first["msg"].lower()
        raise MapError(file, where, problem, remedy) from error


def _table(name: str, written: WrittenTable) -> Table:
    left_out = MappingProxyType(dict(written.leave_out))
    return Table(name, written.category, _owner(written), left_out, written.document)


def _owner(written: WrittenTable) -> ByColumn | ByPath:
    if isinstance(written.owner, WrittenColumn):
        return ByColumn(written.owner.column, written.owner.type)
    return ByPath(tuple(Hop(hop.column, *hop.to.rsplit(".", 1)) for hop in written.owner.path))


def _paths_lead_to_a_customer(tables: tuple[Table, ...], file: str) -> None:
    declared = {table.name: table for table in tables}
    for table in tables:
        met = [table.name]
        owner = table.owner
        while isinstance(owner, ByPath):
            end = owner.hops[-1].table
            where = f"tables.{table.name}.owner.path"
            if end not in declared:
                problem = f"it ends at {end}, which no customer owns"
                raise MapError(file, where, problem, f"Declare {end} with an owner.")
            if end in met:
                ring = " -> ".join([*met, end])
                raise MapError(file, where, f"it goes in a ring: {ring}", "Let one of them name its customer.")
            met.append(end)
            owner = declared[end].owner
