"""The certificate for people: a tagged PDF/A that says what its JSON says, and nothing else; set by typst."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from .words import Tongue, in_order, named, said

# PDF/A-2a keeps (ISO 19005-2), PDF/UA-1 can be read aloud (ISO 14289-1).
STANDARDS = ["a-2a", "ua-1"]
# What a line of a table has room for, in letters; what is longer stands in lines of its own.
_LINE = 96
_SHORT = 16
_DIGEST = re.compile(r"[0-9a-f]{17,}")
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2}(?:\.\d+)?)Z")
_LONG_WORD = re.compile(r"\S{65,}")
# Sentences about the JSON, which the paper has in its reader's language; and what only a machine asks.
_NOT_SHOWN = {"about", "format"}

Block: TypeAlias = dict[str, Any]


def paper_of(document: bytes, name: str, sha256: str, language: Tongue, at: datetime, *, stamped: bool) -> bytes:
    """Set the JSON *document*, stored as *name*, whose digest is *sha256*; the same document gives the same bytes.

    *at* is the moment that it names (UTC). *stamped* says whether the signature will have a timestamp.
    """
    told = json.loads(document)
    facts = {key: value for key, value in told.items() if key not in _NOT_SHOWN}
    sentences = [said(what, language).format(name=name) for what in ("what", "how")]
    data = {
        "language": language,
        "title": said(name, language),
        "what": sentences[0],
        "sha256": sha256,
        "notes": [sentences[1], said("stamped" if stamped else "unstamped", language)],
        "header": [said("field", language), said("value", language)],
        "blocks": list(_blocks("", facts, 0, language)),
    }
    made = _compiler().compile(
        format="pdf", sys_inputs={"data": json.dumps(data)}, pdf_standards=STANDARDS, timestamp=int(at.timestamp())
    )
    return bytes(made)


@cache
def _compiler() -> Any:
    # Only the process that sets papers loads the compiler: the service's own memory has no room for it.
    from typst import Compiler  # noqa: PLC0415

    return Compiler(str(Path(__file__).with_name("paper.typ")))


def _blocks(heading: str, value: Mapping[str, Any], level: int, language: Tongue) -> Iterator[Block]:
    """Give what stands under *heading*: first what is one value, then what has parts, under headings of their own."""
    plain = {key: value[key] for key in in_order(value) if not _has_parts(value[key])}
    pairs = [[named(key, language), _told(one, language)] for key, one in plain.items()]
    if heading or pairs:
        yield {"heading": heading, "level": level, "pairs": pairs, "columns": [], "rows": []}
    for key in in_order(value.keys() - plain.keys()):
        yield from _parts(named(key, language), value[key], level + 1, language)


def _parts(heading: str, value: Any, level: int, language: Tongue) -> Iterator[Block]:
    if isinstance(value, Mapping):
        yield from _blocks(heading, value, level, language)
        return
    columns = in_order({key for one in value for key in one})
    rows = [[_cell(one.get(key), language) for key in columns] for one in value]
    if _fits(columns, rows, value):
        names = [named(key, language) for key in columns]
        yield {"heading": heading, "level": level, "pairs": [], "columns": names, "rows": rows}
        return
    yield {"heading": heading, "level": level, "pairs": [], "columns": [], "rows": []}
    for one in value:
        # Ids come first in the order, so a part is called by its own.
        own = in_order(one.keys() - {"customer_id"})
        yield from _blocks(_told(one[own[0]], language) if own else "", one, level + 1, language)


def _fits(columns: Sequence[str], rows: Sequence[Sequence[str]], value: Sequence[Mapping[str, Any]]) -> bool:
    if any(_has_parts(one) for part in value for one in part.values()):
        return False
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    return sum(max(width, 8) for width in widths) <= _LINE


def _has_parts(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(one, Mapping) for one in value))


def _cell(value: Any, language: Tongue) -> str:
    text = _told(value, language)
    return f"{text[:_SHORT]}…" if _DIGEST.fullmatch(text) else text


def _told(value: Any, language: Tongue) -> str:
    """Write one value, or several; every one is an id, a code, a count, a digest or a moment."""
    if isinstance(value, list):
        return ", ".join(_told(one, language) for one in value) or said("none", language)
    if value is None:
        return "-"
    if isinstance(value, bool):
        return said("true" if value else "false", language)
    text = _MOMENT.sub(r"\1 \2 UTC", str(value))
    # A word that is longer than a line may break behind its signs.
    return _LONG_WORD.sub(lambda word: re.sub(r"([:/._-])", "\\1\u200b", word.group()), text)
