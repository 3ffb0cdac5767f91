"""datapackage.json (Frictionless Data Package 1.0): what each column means and how the tables join."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType
from typing import Any, TypeAlias

from services.exporter.formats.format import Format
from shared.datamap.columns import ForeignKey

from .archive import Written
from .snapshot import Shown

PATH = "data/datapackage.json"
# The resources that are no tables.
OTHERS = ("media", "media-references")
# How a file is read in which there is nothing.
NOTHING: Mapping[str, str] = MappingProxyType({"profile": "data-resource", "format": "txt"})
# A resource's name by the name of its format and that of its table.
Names: TypeAlias = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class TableFile:
    """One table in one format, as it was written."""

    shown: Shown
    format: Format
    written: Written


def package(name: str, resources: Sequence[Mapping[str, Any]]) -> bytes:
    """Write the descriptor of the package *name*."""
    document = {"name": re.sub(r"[^a-z0-9._-]", "-", name.lower()), "profile": "data-package", "resources": resources}
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def table_resources(files: Sequence[TableFile], keys: Sequence[ForeignKey]) -> list[dict[str, Any]]:
    """Describe each table in each format; a foreign key only where both of its ends are shown."""
    names = _names(files)
    return [_table_resource(file, files, names, keys) for file in files]


def _table_resource(
    file: TableFile, files: Sequence[TableFile], names: Names, keys: Sequence[ForeignKey]
) -> dict[str, Any]:
    table = file.shown.table
    schema: dict[str, Any] = {
        "fields": [_field(file, position) for position in range(len(file.shown.columns))],
        "missingValues": list(file.format.missing_values),
    }
    schema |= _primary_key(file) | _foreign_keys(file, files, names, keys)
    described = {"title": table.name, "category": table.category, **_way_to_read(file), "schema": schema}
    if table.left_out:
        described["leftOut"] = dict(table.left_out)
    return resource(names[_of(file)], file.written, described)


def resource(name: str, written: Written, more: Mapping[str, Any]) -> dict[str, Any]:
    """Describe one file."""
    counted = {"bytes": written.size, "hash": f"sha256:{written.sha256}", "rows": written.records}
    named = {"name": name, "path": written.path.removeprefix("data/"), "profile": "tabular-data-resource"}
    return {**named, **counted, **more}


def _way_to_read(file: TableFile) -> Mapping[str, Any]:
    """Say how the file is read; frictionless fails on rows without even a first one."""
    return file.format.resource if file.written.size else {**file.format.resource, **NOTHING}


def _names(files: Sequence[TableFile]) -> Names:
    """Name each resource after its table, in the few letters that the standard has; none is called like another."""
    names: dict[tuple[str, str], str] = {}
    taken = set(OTHERS)
    for file in files:
        plain = re.sub(r"[^a-z0-9._-]", "-", f"{file.format.folder}.{file.shown.table.name}".lower())
        free = (plain if number == 1 else f"{plain}-{number}" for number in count(1))
        names[_of(file)] = next(name for name in free if name not in taken)
        taken.add(names[_of(file)])
    return names


def _of(file: TableFile) -> tuple[str, str]:
    return file.format.name, file.shown.table.name


def _field(file: TableFile, position: int) -> dict[str, Any]:
    column = file.shown.columns[position]
    return {**file.format.field(column), "databaseType": column.type}


def _primary_key(file: TableFile) -> dict[str, Any]:
    # With a part of the key left out the rest tells no rows apart.
    key = file.shown.key
    return {"primaryKey": list(key)} if key and _shows(file, key) else {}


def _foreign_keys(
    file: TableFile, files: Sequence[TableFile], names: Names, keys: Sequence[ForeignKey]
) -> dict[str, Any]:
    here = {other.shown.table.name: other for other in files if other.format is file.format}
    found = [_reference(key, file, here[key.to_table], names) for key in keys if _both_ends_shown(key, file, here)]
    return {"foreignKeys": found} if found else {}


def _both_ends_shown(key: ForeignKey, file: TableFile, here: Mapping[str, TableFile]) -> bool:
    if key.table != file.shown.table.name or key.to_table not in here:
        return False
    return _shows(file, key.columns) and _shows(here[key.to_table], key.to_columns)


def _shows(file: TableFile, columns: Sequence[str]) -> bool:
    return {column.name for column in file.shown.columns}.issuperset(columns)


def _reference(key: ForeignKey, file: TableFile, to: TableFile, names: Names) -> dict[str, Any]:
    # The standard writes a table's reference to itself as an empty name.
    name = "" if to is file else names[_of(to)]
    return {"fields": list(key.columns), "reference": {"resource": name, "fields": list(key.to_columns)}}
