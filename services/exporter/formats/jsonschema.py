"""The JSON Schema (2020-12) of the archive's JSON: a row of each table, a document of each main entity."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shared.datamap.columns import LiveColumn

from .format import bare

if TYPE_CHECKING:
    from services.exporter.archive.snapshot import Shown

    from .node import Node

Schema = dict[str, Any]


def schema(tables: Sequence[Shown], roots: Sequence[Node]) -> bytes:
    """Write one schema: ``#/$defs/row.T`` for a line of table T, ``#/$defs/document.T`` for a document of entity T."""
    defined = {f"row.{shown.table.name}": _row(shown) for shown in tables}
    for root in roots:
        defined |= {f"document.{root.shown.table.name}": _line(root)}
        defined |= _nodes(root)
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": defined}
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _line(root: Node) -> Schema:
    counts = {"type": "object", "additionalProperties": {"type": "integer"}}
    return _object({"rows": counts, "document": _to(f"node.{root.shown.table.name}")})


def _nodes(node: Node) -> dict[str, Schema]:
    """Define *node* and those inside it; a table without others inside is its row alone."""
    if not node.children:
        return {}
    related = {child.shown.table.name: {"type": "array", "items": _inside(child)} for child in node.children}
    # A further part of a long document repeats only the key of its row.
    row = {"anyOf": [_to(f"row.{node.shown.table.name}"), {"type": "object"}]}
    shape = _object({"row": row, "related": _object(related)})
    shape["properties"]["part"] = {"type": "integer", "minimum": 2}
    found = {f"node.{node.shown.table.name}": shape}
    for child in node.children:
        found |= _nodes(child)
    return found


def _inside(child: Node) -> Schema:
    return _to(f"{'node' if child.children else 'row'}.{child.shown.table.name}")


def _to(name: str) -> Schema:
    # A pointer (RFC 6901) in the fragment of a URI (RFC 3986), in which a per cent sign means something.
    escaped = name.replace("~", "~0").replace("/", "~1")
    return {"$ref": f"#/$defs/{quote(escaped)}"}


def _row(shown: Shown) -> Schema:
    return _object({column.name: _value(column) for column in shown.columns})


def _object(properties: Mapping[str, Any]) -> Schema:
    shape: Schema = {"type": "object", "properties": dict(properties)}
    return {**shape, "required": list(properties), "additionalProperties": False}


def _value(column: LiveColumn) -> Schema:
    kinds = ["array"] if column.type.endswith("[]") else _KINDS.get(bare(column.type))
    described: Schema = {"description": column.type}
    if kinds is not None:
        described["type"] = [*kinds, "null"] if column.nullable else kinds
    return described


# Not a number, and infinity, are texts. All else (JSON, composites, domains) may be anything.
_KINDS: Mapping[str, list[str]] = {
    "smallint": ["integer"],
    "integer": ["integer"],
    "bigint": ["integer"],
    "numeric": ["number", "string"],
    "real": ["number", "string"],
    "double precision": ["number", "string"],
    "boolean": ["boolean"],
    "date": ["string"],
    "timestamp without time zone": ["string"],
    "timestamp with time zone": ["string"],
    "time without time zone": ["string"],
    "text": ["string"],
    "character varying": ["string"],
    "character": ["string"],
    "uuid": ["string"],
    "bytea": ["string"],
    "interval": ["string"],
}
