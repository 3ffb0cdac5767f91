"""datapackage.json (Frictionless Data Package 1.0): what each column means and how the tables join."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.exporter.formats.format import Format
from shared.datamap.columns import ForeignKey

from .archive import Written
from .snapshot import Shown

PATH = "data/datapackage.json"


@dataclass(frozen=True, slots=True)
class TableFile:
    """One table in one format, as it was written."""

    shown: Shown
    format: Format
    written: Written


def package(name: str, resources: Sequence[Mapping[str, Any]]) -> bytes:
    """Write the descriptor of the package *name*."""
    document = {"name": name, "profile": "data-package", "resources": resources}
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def table_resource(file: TableFile, files: Sequence[TableFile], keys: Sequence[ForeignKey]) -> dict[str, Any]:
    """Describe one table in one format; a foreign key only where both of its ends are shown."""
    table = file.shown.table
    schema: dict[str, Any] = {
        "fields": [_field(file, position) for position in range(len(file.shown.columns))],
        "missingValues": list(file.format.missing_values),
    }
    schema |= _primary_key(file) | _foreign_keys(file, files, keys)
    described = {"title": table.name, "category": table.category, **file.format.resource, "schema": schema}
    if table.left_out:
        described["leftOut"] = dict(table.left_out)
    return resource(_resource_name(file), file.written, described)


def resource(name: str, written: Written, more: Mapping[str, Any]) -> dict[str, Any]:
    """Describe one file."""
    counted = {"bytes": written.size, "hash": f"sha256:{written.sha256}", "rows": written.records}
    named = {"name": name, "path": written.path.removeprefix("data/"), "profile": "tabular-data-resource"}
    return {**named, **counted, **more}


def _resource_name(file: TableFile) -> str:
    # Unlike the table's own name this one has no upper case, which the standard forbids.
    plain = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in file.shown.table.name)
    return f"{file.format.folder}.{plain.lower()}"


def _field(file: TableFile, position: int) -> dict[str, Any]:
    column = file.shown.columns[position]
    return {**file.format.field(column), "databaseType": column.type}


def _primary_key(file: TableFile) -> dict[str, Any]:
    # With a part of the key left out the rest tells no rows apart.
    key = file.shown.key
    return {"primaryKey": list(key)} if key and _shows(file, key) else {}


def _foreign_keys(file: TableFile, files: Sequence[TableFile], keys: Sequence[ForeignKey]) -> dict[str, Any]:
    here = {other.shown.table.name: other for other in files if other.format is file.format}
    found = [_reference(key, file, here[key.to_table]) for key in keys if _both_ends_shown(key, file, here)]
    return {"foreignKeys": found} if found else {}


def _both_ends_shown(key: ForeignKey, file: TableFile, here: Mapping[str, TableFile]) -> bool:
    if key.table != file.shown.table.name or key.to_table not in here:
        return False
    return _shows(file, key.columns) and _shows(here[key.to_table], key.to_columns)


def _shows(file: TableFile, columns: Sequence[str]) -> bool:
    return {column.name for column in file.shown.columns}.issuperset(columns)


def _reference(key: ForeignKey, file: TableFile, to: TableFile) -> dict[str, Any]:
    # The standard writes a table's reference to itself as an empty name.
    name = "" if to is file else _resource_name(to)
    return {"fields": list(key.columns), "reference": {"resource": name, "fields": list(key.to_columns)}}
