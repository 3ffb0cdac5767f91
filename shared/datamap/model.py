"""Reads a data map: from the file's bytes to what is checked and frozen, or to an error that names the place."""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError

from . import freeze
from .declared import (
    Bucket,
    ByDatabase,
    ByRows,
    BySchema,
    DataMap,
    MapError,
    Table,
    Tenancy,
)
from .document import (
    WrittenByDatabase,
    WrittenBySchema,
    WrittenExemption,
    WrittenIdentity,
    WrittenMap,
    WrittenShared,
    WrittenTable,
    WrittenUndecided,
    read_yaml,
)
from .names import canonical, literal, table_and_column
from .owners import CUSTOMER, ByColumn, ById, ByPath, ByTenancy, Hop, Owner, Registry
from .retained_objects import check_objects
from .ways import check_ways

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .owner_document import Written
    from .rules import Reference

__all__ = ["Bucket", "ByColumn", "ByPath", "DataMap", "Hop", "MapError", "Table", "load", "load_draft", "parse"]


def load(path: Path) -> DataMap:
    """Read the data map at *path*, or raise a ``MapError`` that says what to do."""
    return _decided(load_draft(path), str(path))


def load_draft(path: Path) -> DataMap:
    """Read the data map at *path*, in which tables may be undecided."""
    try:
        content = path.read_bytes()
    except OSError as error:
        problem = f"it can't be read ({error.strerror})"
        raise MapError(str(path), "the file", problem, "Give the path of a data map.") from error
    return parse_draft(content, str(path))


def parse(content: bytes, file: str) -> DataMap:
    """Read a data map from the bytes of a *file*."""
    return _decided(parse_draft(content, file), file)


def parse_draft(content: bytes, file: str) -> DataMap:
    """Read a data map from the bytes of a *file*, in which tables may be undecided."""
    written = _validated(_document(content, file), file)
    tenancy = _tenancy(written)
    map = DataMap(  # noqa: A001
        system=written.system,
        tables=tuple(_tables(written, tenancy, file)),
        exempt=_reasons(written, WrittenExemption, "exempt"),
        buckets=tuple(Bucket(name, b.bucket, b.prefix, b.category) for name, b in written.buckets.items()),
        sha256=hashlib.sha256(content).hexdigest(),
        guard=written.guard,
        shared=_reasons(written, WrittenShared, "shared"),
        shared_media=_shared_media(written),
        tenancy=tenancy,
        registry=Registry(*table_and_column(written.customers)) if written.customers else None,
        ids=MappingProxyType({name: ById(*table_and_column(to)) for name, to in written.ids.items()}),
        undecided=_reasons(written, WrittenUndecided, "undecided"),
        mentions=MappingProxyType(
            {
                canonical(name): one.mentions
                for name, one in written.tables.items()
                if isinstance(one, WrittenExemption | WrittenShared) and one.mentions is not None
            }
        ),
    )
    _names_are_written_once(written, file)
    check_ways(map, file)
    _check_retention(map, file)
    return map


def _check_retention(map: DataMap, file: str) -> None:  # noqa: A002
    for table in map.tables:
        if table.minimise and not map.retains:
            problem, remedy = (
                "no law keeps rows of any table, so this would never be done",
                "Write retain, or remove it.",
            )
            raise MapError(file, f"tables.{table.name}.minimise", problem, remedy)
    check_objects(map, file)


def _decided(map: DataMap, file: str) -> DataMap:  # noqa: A002
    if map.undecided:
        first, why = next(iter(map.undecided.items()))
        problem = f"{len(map.undecided)} tables are undecided; here: {why}"
        remedy = "Declare each with its owner, or as exempt or shared with a reason; `offramp map check` lists them."
        raise MapError(file, f"tables.{first}", problem, remedy)
    return map


def _reasons(written: WrittenMap, kind: type[Written], word: str) -> Mapping[str, str]:
    found = {canonical(name): getattr(one, word) for name, one in written.tables.items() if isinstance(one, kind)}
    return MappingProxyType(found)


def _shared_media(written: WrittenMap) -> Mapping[str, Mapping[str, Reference]]:
    shared = {canonical(name): one for name, one in written.tables.items() if isinstance(one, WrittenShared)}
    return MappingProxyType({name: freeze.references(one.media) for name, one in shared.items() if one.media})


def _tables(written: WrittenMap, tenancy: Tenancy, file: str) -> Iterator[Table]:
    for name, table in written.tables.items():
        if isinstance(table, WrittenTable):
            yield _table(canonical(name), table, _owner(name, table, tenancy, file))


def _table(name: str, written: WrittenTable, owner: Owner) -> Table:
    return Table(
        name,
        written.category,
        owner,
        MappingProxyType(dict(written.leave_out)),
        person=freeze.owner(written.person) if written.person else None,
        columns=tuple(written.columns) if written.columns is not None else None,
        coded=MappingProxyType({column: freeze.coding(coding) for column, coding in written.coded.items()}),
        media=freeze.references(written.media),
        unowned=written.unowned,
        document=written.document,
        impersonal=written.impersonal,
        retain=freeze.retention(written.retain) if written.retain else None,
        minimise=MappingProxyType(dict(written.minimise)),
    )


def _owner(name: str, written: WrittenTable, tenancy: Tenancy, file: str) -> Owner:
    if written.owner is not None:
        if isinstance(tenancy, ByRows):
            return freeze.owner(written.owner)
        problem, remedy = "by database or schema all rows are one customer's", "Write person for whom a row is about."
        raise MapError(file, f"tables.{name}.owner", problem, remedy)
    if isinstance(tenancy, ByRows):
        raise MapError(file, f"tables.{name}.owner", "field required", "Say how a row leads to its customer.")
    return ByTenancy(tenancy.customer if isinstance(tenancy, ByDatabase) else "null::text")


def _tenancy(written: WrittenMap) -> Tenancy:
    match written.tenancy:
        case WrittenByDatabase(database=WrittenIdentity(query=query)):
            return ByDatabase(f"(\n{query}\n)::text")
        case WrittenByDatabase(database=str(template)):
            before, after = template.split(CUSTOMER)
            return ByDatabase(CUSTOMER_OF_DATABASE.format(before=literal(before), after=literal(after)))
        case WrittenBySchema():
            return BySchema(written.tenancy.schema_name)
    return ByRows()


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


def _names_are_written_once(written: WrittenMap, file: str) -> None:
    met: set[str] = set()
    for name in written.tables:
        if canonical(name) in met:
            raise MapError(file, f"tables.{name}", "the table is written twice", "Leave one of them.")
        met.add(canonical(name))


# A database that isn't called so is nobody's: null equals no customer.
CUSTOMER_OF_DATABASE = """case when starts_with(current_database(), {before})
    and right(current_database(), length({after})) = {after}
    then substr(current_database(), length({before}) + 1,
                length(current_database()) - length({before}) - length({after})) end"""
