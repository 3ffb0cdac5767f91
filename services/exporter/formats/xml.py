"""XML: one document a table, one element a row, with an XSD beside it; Postgres writes the rows as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from shared.datamap.columns import LiveColumn, value_of

from .format import Lines, bare
from .whole import Whole

if TYPE_CHECKING:
    from services.exporter.archive.snapshot import Shown
    from services.exporter.archive.source import Files, Source

# Letters with which an XML name may begin, in the planes that people write in (XML 1.0, 2.3).
_START = "A-Za-z_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u3001-\ud7ff"
_MOST = 90
_BEYOND = 0x10000
# Characters that XML 1.0 (2.2) has no way to write, not even as references.
FORBIDDEN = r"[\x01-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"


class Xml(Whole):
    """The format for structures in XML: NULL is no element, the empty text is an empty one.

    A character that XML forbids is shown as U+FFFD, and its row says ``replaced="true"``; the other formats have it.
    """

    name = "xml"
    folder = "xml"

    async def write(self, source: Source, files: Files) -> Mapping[str, int]:
        """Write a document and its schema for each table."""
        return {shown.table.name: await _table(source, shown, files) for shown in source.tables}


async def _table(source: Source, shown: Shown, files: Files) -> int:
    path, replaced = f"{shown.table.category}/{shown.table.name}", False

    async def receive(piece: bytes) -> None:
        nonlocal replaced
        replaced = replaced or REPLACED in piece
        await file.write(piece)

    async with files.file(f"{path}.xml", counter=Lines(), table=shown.table.name) as file:
        await file.write(_opening(shown))
        await source.stream(select(shown.columns, source.ordered(shown)), receive)
        await file.write(b"</table>\n")
    # Keys that differ in nothing but what was replaced are the same in XML.
    schema = xsd(shown, keyed=not replaced)
    async with files.file(f"{path}.xsd", table=shown.table.name, beside=file.written) as described:
        await described.write("".join(f"{line}\n" for line in schema).encode())
    # The first line and the last one hold no row.
    return file.records - 2


def _opening(shown: Shown) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><table name={quoteattr(fitting(shown.table.name))}>\n'.encode()


def select(columns: Sequence[LiveColumn], rows: str) -> str:
    """Give the query for *columns* of *rows*: one element a row, on a line of its own."""
    return SELECT.format(cells=concat(list(map(_cell, columns))), rows=rows, forbidden=FORBIDDEN)


def concat(parts: Sequence[str]) -> str:
    """Give the SQL that puts *parts* together, NULL as nothing; Postgres takes no more than 100 arguments."""
    if len(parts) <= _MOST:
        return f"concat({', '.join(parts)})"
    return concat([concat(parts[at : at + _MOST]) for at in range(0, len(parts), _MOST)])


def fitting(text: str) -> str:
    """Give *text* with U+FFFD for what XML forbids."""
    return re.sub(FORBIDDEN, "\ufffd", text)


def element(name: str) -> str:
    """Give the element for column *name*: what no XML name may hold is written as SQL/XML does (ISO 9075-14, 9.1)."""
    kept = re.sub(rf"[^0-9.{_START}-]|_(?=x[0-9A-Fa-f]{{4,6}}_)", _coded, name)
    return re.sub(rf"^([^{_START}]|[Xx](?=[Mm][Ll]))", _coded, kept)


def _coded(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"_x{code:04X}_" if code < _BEYOND else f"_x{code:06X}_"


def _cell(column: LiveColumn) -> str:
    name, value = element(column.name), _text(column)
    literal = (f"<{name}>".replace("'", "''"), f"</{name}>".replace("'", "''"))
    return f"'{literal[0]}' || {value} || '{literal[1]}'"


def _text(column: LiveColumn) -> str:
    name = value_of(column)
    kind = bare(column.type)
    if kind in _PLAIN:
        return _PLAIN[kind].format(name)
    return ESCAPED.format(name)


def xsd(shown: Shown, *, keyed: bool = True) -> Iterator[str]:
    """Give the schema of the document for *shown*, line by line (XML Schema 1.0); *keyed*: its key tells rows apart."""
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">'
    yield from TYPES
    yield '<xs:element name="table"><xs:complexType><xs:sequence>'
    yield '<xs:element name="row" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>'
    yield from map(_declared, shown.columns)
    yield '</xs:sequence><xs:attribute name="replaced" type="xs:boolean"/></xs:complexType></xs:element>'
    yield '</xs:sequence><xs:attribute name="name" type="xs:string" use="required"/></xs:complexType>'
    if keyed:
        yield from _key(shown)
    yield "</xs:element>"
    yield "</xs:schema>"


def _declared(column: LiveColumn) -> str:
    least = ' minOccurs="0"' if column.nullable else ""
    kind = _KINDS.get(bare(column.type), "xs:string")
    says = escape(fitting(f"{column.name}: {column.type}"))
    says = f"<xs:annotation><xs:documentation>{says}</xs:documentation></xs:annotation>"
    return f'<xs:element name="{element(column.name)}" type="{kind}"{least}>{says}</xs:element>'


def _key(shown: Shown) -> Iterator[str]:
    if shown.key and {column.name for column in shown.columns}.issuperset(shown.key):
        yield '<xs:key name="primary"><xs:selector xpath="row"/>'
        yield from (f'<xs:field xpath="{element(name)}"/>' for name in shown.key)
        yield "</xs:key>"


# What never needs an escape, and how it is written for XML Schema's own types.
_MOMENT = (
    "case when isfinite({0}) and extract(year from {0}) > 0"
    " then replace(replace({0}::text, ' ', 'T'), '+00', 'Z') else {0}::text end"
)
_PLAIN: Mapping[str, str] = {
    "smallint": "{0}::text",
    "integer": "{0}::text",
    "bigint": "{0}::text",
    "numeric": "{0}::text",
    "real": "{0}::text",
    "double precision": "{0}::text",
    "boolean": "{0}::text",
    "date": "{0}::text",
    "uuid": "{0}::text",
    "time without time zone": "{0}::text",
    "bytea": "encode({0}, 'hex')",
    "timestamp without time zone": _MOMENT,
    "timestamp with time zone": _MOMENT,
}
_KINDS: Mapping[str, str] = {
    "smallint": "xs:short",
    "integer": "xs:int",
    "bigint": "xs:long",
    "numeric": "decimal",
    "real": "float",
    "double precision": "float",
    "boolean": "xs:boolean",
    "date": "date",
    "bytea": "xs:hexBinary",
    "timestamp without time zone": "moment",
    "timestamp with time zone": "moment",
    "time without time zone": "time",
}


def _either(name: str, kind: str, pattern: str) -> str:
    other = f'<xs:restriction base="xs:string"><xs:pattern value="{pattern}"/></xs:restriction>'
    union = f'<xs:union memberTypes="{kind}"><xs:simpleType>{other}</xs:simpleType></xs:union>'
    return f'<xs:simpleType name="{name}">{union}</xs:simpleType>'


# Postgres has values that XML Schema's types don't.
TYPES = (
    _either("decimal", "xs:decimal", "NaN|-?Infinity"),
    _either("float", "xs:double", "-?Infinity"),
    _either("date", "xs:date", "-?infinity|.* BC"),
    _either("moment", "xs:dateTime", "-?infinity|.* BC"),
    _either("time", "xs:time", "24:00:00"),
)

# How a row begins in which a character was replaced; a value can't hold it, as its < is written in another way.
REPLACED = b'<row replaced="true">'

# name: one row as one element; a line end is written as a reference, since a line is a row, and parsers change CR
SELECT = """
    select case when r.cells ~ '{forbidden}'
                then '<row replaced="true">' || regexp_replace(r.cells, '{forbidden}', U&'\\FFFD', 'g') || '</row>'
                else '<row>' || r.cells || '</row>' end
      from (select {cells} as cells {rows}) r
"""
ESCAPED = (
    "replace(replace(replace(replace(replace({0}::text, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'),"
    " E'\\r', '&#13;'), E'\\n', '&#10;')"
)
