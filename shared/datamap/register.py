"""The public register of formats: what a system exports, in which structure and format, what it doesn't, and why."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from .meaning import shown
from .register_page import LANGUAGES, page
from .rules import Choice, Epoch, Expression, Labels, Lookup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .columns import LiveColumn
    from .declared import DataMap, Table
    from .retaining import Retention
    from .rules import Coding

GROUP = "offramp.formats"


def formats() -> list[dict[str, str]]:
    """List the formats that the installed services write, in the order in which an archive holds them."""
    found = [one for point in entry_points(group=GROUP) for one in point.load().values()]
    return [{"name": one.name, "suffix": one.suffix, "media_type": one.resource.get("mediatype", "")} for one in found]


def register(
    map: DataMap,  # noqa: A002
    formats: list[dict[str, str]],
    columns: Mapping[str, tuple[LiveColumn, ...]],
) -> dict[str, Any]:
    """Give the register as a document; *columns* of the live schema add types, and what the map leaves unnamed."""
    return {
        "system": map.system,
        "map_sha256": map.sha256,
        "formats": formats,
        "tables": [_table(table, columns.get(table.name)) for table in map.tables],
        "not_exported": [
            *({"table": name, "kind": "exempt", "reason": why} for name, why in map.exempt.items()),
            *({"table": name, "kind": "shared", "reason": why} for name, why in map.shared.items()),
        ],
        "media": [
            {
                "name": one.name,
                "category": one.category,
                "format": "original",
            }
            for one in map.buckets
        ],
    }


def _table(table: Table, live: tuple[LiveColumn, ...] | None) -> dict[str, Any]:
    kept = {"retained": _retained(table.retain)} if table.retain else {}
    return {
        "table": table.name,
        **kept,
        "category": table.category,
        "columns": _columns(table, live),
        "left_out": [{"column": name, "reason": why} for name, why in table.left_out.items()],
        "files": [
            {"column": name, "name_in": one.name, "media_type_in": one.media_type} for name, one in table.media.items()
        ],
    }


def _retained(retention: Retention) -> dict[str, Any]:
    return {"basis": retention.basis, "years": retention.years, "some": retention.where is not None}


def _columns(table: Table, live: tuple[LiveColumn, ...] | None) -> list[dict[str, str]] | None:
    """List the columns with what they mean; ``None`` where only the database knows them."""
    if live is not None:
        return [_live(table, column) for column in shown(table, live)]
    if table.columns is None:
        return None
    named = [{"column": name, **_meaning(table.coded.get(name))} for name in table.columns]
    return [*named, *({"column": name, **_meaning(c)} for name, c in table.coded.items() if name in table.left_out)]


def _live(table: Table, column: LiveColumn) -> dict[str, str]:
    means = _meaning(table.coded.get(column.meaning_of)) if column.meaning_of else {}
    return {"column": column.name, "type": column.type, **means}


def _meaning(coding: Coding | None) -> dict[str, str]:
    match coding:
        case Epoch(unit):
            return {"meaning": f"time: {unit} since 1970-01-01 UTC"}
        case Labels(texts):
            return {"meaning": ", ".join(f"{code}: {text}" for code, text in texts.items())}
        case Lookup(table, key, text):
            return {"meaning": f"{table}.{text}, by {key}"}
        case Choice():
            return {"meaning": f"number of an option in {coding.table}.{coding.options}"}
        case Expression():
            return {"meaning": "worked out by the map"}
    return {}


def files(document: dict[str, Any]) -> dict[str, str]:
    """Give the files of the register by their names: for machines, and a page in each language."""
    pages = {f"register.{language}.html": page(document, language) for language in LANGUAGES}
    return {"register.json": json.dumps(document, indent=2, ensure_ascii=False) + "\n", **pages}
