"""XLSX: a workbook per category, a sheet per table; Postgres writes the rows as sheet XML (ECMA-376, part 1, 18.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from services.exporter.archive.nested import Nested
from shared.datamap.columns import LiveColumn, value_of

from .format import bare
from .whole import Whole
from .xml import concat

if TYPE_CHECKING:
    from services.exporter.archive.archive import File
    from services.exporter.archive.snapshot import Shown
    from services.exporter.archive.source import Files, Source

# A sheet has no more rows, the header among them.
ROWS = 1_048_576
LONGEST = 32_767
_LONGEST_NAME = 31


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet as it was written: *name* on its tab, *rows* of *table* without the header."""

    name: str
    table: str
    rows: int


class Xlsx(Whole):
    """The format for spreadsheets; what a cell can't hold truly is a text, or names the CSV: the first sheet says so.

    Text is never a formula: it is written as text, and its cells keep it so when somebody edits them.
    """

    name = "xlsx"
    folder = "xlsx"

    async def write(self, source: Source, files: Files) -> Mapping[str, int]:
        """Write one workbook for each category."""
        rows: dict[str, int] = {}
        for category in dict.fromkeys(one.table.category for one in source.tables):
            tables = [one for one in source.tables if one.table.category == category]
            async with files.file(f"{category}.xlsx", packed=True) as file:
                rows |= await _workbook(source, tables, file)
        return rows


async def _workbook(source: Source, tables: Sequence[Shown], file: File) -> dict[str, int]:
    with closing(Nested(file)) as book:
        sheets = _Sheets(book)
        for shown in tables:
            await sheets.write(source, shown)
        await sheets.end(source)
    counts = {shown.table.name: 0 for shown in tables}
    for sheet in sheets.written:
        counts[sheet.table] += sheet.rows
    return counts


class _Sheets:
    """The sheets of one workbook, written one after the other; a table that is too long for one goes on in the next."""

    def __init__(self, book: Nested) -> None:
        self._book = book
        self._names = {ABOUT.casefold(), "history"}
        self.written: list[Sheet] = []

    async def write(self, source: Source, shown: Shown) -> None:
        async with AsyncExitStack() as stack:
            rows = _Rows(self, shown, stack)
            await rows.open()
            await source.stream(select(shown, source.ordered(shown)), rows.receive)
            await rows.shut()

    def sheet(self) -> AbstractAsyncContextManager[File]:
        return self._book.file(_path(len(self.written) + 2))

    def note(self, table: str, rows: int) -> None:
        self.written.append(Sheet(self._named(table), table, rows))

    def _named(self, table: str) -> str:
        plain = re.sub(r"[\[\]:*?/\\'\x00-\x1f\ufffe\uffff]", "_", table)
        number, name = 1, _cut(plain, _LONGEST_NAME)
        while name.casefold() in self._names:
            number += 1
            name = f"{_cut(plain, _LONGEST_NAME - len(f' ({number})'))} ({number})"
        self._names.add(name.casefold())
        return name

    async def end(self, source: Source) -> None:
        for path, text in _parts(source, self.written):
            await self._book.add(path, text)
        await self._book.end()


class _Rows:
    """The rows of one table, cut where a sheet is full; Postgres sends whole rows, so a piece ends where a row does."""

    def __init__(self, sheets: _Sheets, shown: Shown, stack: AsyncExitStack) -> None:
        self._sheets = sheets
        self._shown = shown
        self._stack = stack
        self._left = 0

    async def open(self) -> None:
        self._left = ROWS - 1
        self._file = await self._stack.enter_async_context(self._sheets.sheet())
        await self._file.write(_opening(self._shown).encode())

    async def receive(self, piece: bytes) -> None:
        ends = piece.count(b"\n")
        if ends <= self._left:
            self._left -= ends
            await self._file.write(piece)
            return
        cut = _end_of_line(piece, self._left)
        await self._file.write(piece[:cut])
        self._left = 0
        await self.shut()
        await self.open()
        await self.receive(piece[cut:])

    async def shut(self) -> None:
        await self._file.write(b"</sheetData></worksheet>")
        await self._stack.aclose()
        self._sheets.note(self._shown.table.name, ROWS - 1 - self._left)


def _cut(text: str, units: int) -> str:
    """Give as much of *text* as so many units of UTF-16 hold, which is what a spreadsheet counts."""
    return text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore")


def _end_of_line(piece: bytes, line: int) -> int:
    """Give the position after line *line*, counted from 1; 0 is the beginning."""
    at = 0
    for _ in range(line):
        at = piece.index(b"\n", at) + 1
    return at


def select(shown: Shown, rows: str) -> str:
    """Give the query for *rows*: one row of the sheet a line."""
    place = f"csv/{shown.table.category}/{shown.table.name}.csv".replace("'", "''")
    cells = concat([_cell(column, place) for column in shown.columns])
    return SELECT.format(cells=cells, rows=rows, written=_escaped("r.cells"))


def _cell(column: LiveColumn, place: str) -> str:
    name = value_of(column)
    kind = _KINDS.get(bare(column.type), _TEXT)
    filled = kind.format(name=name, text=TEXT.format(name=name, place=place, longest=LONGEST))
    return f"coalesce({filled}, '<c/>')"


def _escaped(cells: str) -> str:
    """Write what XML forbids as ``_xHHHH_`` (22.9.2.19); what looks like it already is escaped first."""
    written = f"regexp_replace({cells}, '_(?=x[0-9A-Fa-f]{{4}}_)', '_x005F_', 'g')"
    for code in (*range(0x01, 0x0A), *range(0x0B, 0x20), 0xFFFE, 0xFFFF):
        written = f"replace({written}, U&'\\{code:04X}', '_x{code:04X}_')"
    return written


def _opening(shown: Shown) -> str:
    names = "".join(_words(column.name, 2) for column in shown.columns)
    return f'{HEAD}<worksheet xmlns="{MAIN}">{FROZEN}<sheetData><row>{names}</row>\n'


def _words(text: str, style: int = 0) -> str:
    plain = re.sub(r"_(?=x[0-9A-Fa-f]{4}_)", "_x005F_", text)
    written = re.sub(r"[\x01-\x1f\ufffe\uffff]", lambda found: f"_x{ord(found[0]):04X}_", plain)
    return f'<c s="{style}" t="inlineStr"><is><t xml:space="preserve">{escape(written)}</t></is></c>'


def _parts(source: Source, sheets: Sequence[Sheet]) -> Iterator[tuple[str, str]]:
    """Give what makes the sheets a workbook, each part with its path."""
    names = [ABOUT, *(sheet.name for sheet in sheets)]
    yield _path(1), _about(source, sheets)
    yield "xl/styles.xml", STYLES
    yield "xl/workbook.xml", _workbook_part(names)
    yield "xl/_rels/workbook.xml.rels", _relations(names)
    yield "_rels/.rels", ROOT
    yield "[Content_Types].xml", _content_types(len(names))


def _path(number: int) -> str:
    return f"xl/worksheets/sheet{number}.xml"


def _workbook_part(names: Sequence[str]) -> str:
    tabs = (f'<sheet name={quoteattr(name)} sheetId="{at}" r:id="rId{at}"/>' for at, name in enumerate(names, 1))
    return f'{HEAD}<workbook xmlns="{MAIN}" xmlns:r="{DOCUMENT}"><sheets>{"".join(tabs)}</sheets></workbook>'


def _relations(names: Sequence[str]) -> str:
    sheets = (
        f'<Relationship Id="rId{at}" Type="{DOCUMENT}/worksheet" Target="worksheets/sheet{at}.xml"/>'
        for at, _ in enumerate(names, 1)
    )
    styles = f'<Relationship Id="rId0" Type="{DOCUMENT}/styles" Target="styles.xml"/>'
    return f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">{styles}{"".join(sheets)}</Relationships>'


def _content_types(sheets: int) -> str:
    kinds = {"/xl/workbook.xml": "sheet.main", "/xl/styles.xml": "styles"}
    kinds |= {f"/{_path(at)}": "worksheet" for at in range(1, sheets + 1)}
    parts = (f'<Override PartName="{part}" ContentType="{SHEETML}.{kind}+xml"/>' for part, kind in kinds.items())
    known = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    known += '<Default Extension="xml" ContentType="application/xml"/>'
    return f'{HEAD}<Types xmlns="{PACKAGE}/content-types">{known}{"".join(parts)}</Types>'


def _about(source: Source, sheets: Sequence[Sheet]) -> str:
    lines = [[line] for line in SAYS] + [[""]] + [[sheet.name, sheet.table, str(sheet.rows)] for sheet in sheets]
    lines.insert(0, [source.map.system])
    rows = "".join(f"<row>{''.join(map(_words, line))}</row>" for line in lines)
    return f'{HEAD}<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'


ABOUT = "About"
SAYS = (
    "Every cell shows what the database held at the moment that index.html names.",
    "What a spreadsheet can't hold truly is a text:",
    "whole numbers beyond 9,007,199,254,740,992 and decimal numbers of more than 15 digits, NaN, infinity;",
    "dates before March 1900 and after 9999; times; moments (UTC, with +00 where the database keeps a time zone).",
    "A text of more than 32,767 characters is too long for a cell: the cell names the CSV file that holds it.",
    "An empty text and no value may look the same: the CSV tells them apart.",
    "No cell is a formula. Columns that were left out, and why: see index.html.",
    "Below: each sheet, its table, its rows.",
)

HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SHEETML = "application/vnd.openxmlformats-officedocument.spreadsheetml"
ROOT = (
    f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
)
FROZEN = (
    '<sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft"'
    ' state="frozen"/></sheetView></sheetViews>'
)
# 0 is plain, 1 a date, 2 a heading, 3 text that stays text.
STYLES = (
    f'{HEAD}<styleSheet xmlns="{MAIN}"><numFmts count="1">'
    '<numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="4"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)

# name: one row of a sheet; what XML forbids, and what looks like its escape, is looked for once a row since it is rare
SELECT = """
    select '<row>' || case when r.cells ~ '[\\x01-\\x09\\x0b-\\x1f\\ufffe\\uffff]|_x[0-9A-Fa-f]{{4}}_'
                           then {written} else r.cells end || '</row>'
      from (select {cells} as cells {rows}) r
"""
_NUMBER = "'<c><v>' || {name} || '</v></c>'"
_TEXT = '\'<c s="3" t="inlineStr"><is><t xml:space="preserve">\' || {text} || \'</t></is></c>\''
_FLOAT = (
    "case when {name} = 0 and {name}::text <> '-0' or abs({name}) between 2.3e-308 and 1.7e308"
    f" then {_NUMBER} else {_TEXT} end"
)
_KINDS: Mapping[str, str] = {
    "smallint": _NUMBER,
    "integer": _NUMBER,
    "bigint": f"case when {{name}} between -9007199254740992 and 9007199254740992 then {_NUMBER} else {_TEXT} end",
    "numeric": (
        "case when {name} not in ('NaN', 'Infinity', '-Infinity') and length(translate({name}::text, '-.', '')) <= 15"
        f" then {_NUMBER} else {_TEXT} end"
    ),
    "real": _FLOAT,
    "double precision": _FLOAT,
    "boolean": "'<c t=\"b\"><v>' || {name}::integer || '</v></c>'",
    "date": (
        "case when {name} between date '1900-03-01' and date '9999-12-31'"
        " then '<c s=\"1\"><v>' || ({name} - date '1899-12-30') || '</v></c>'"
        f" else {_TEXT} end"
    ),
}
# A character is one or two units of UTF-16, of which a cell takes 32,767; bytes are never fewer, and quick to count.
TEXT = (
    "replace(replace(replace(replace(case when octet_length({name}::text) <= {longest}"
    " or length({name}::text) <= {longest} and length({name}::text)"
    " + length(regexp_replace({name}::text, '[^\\U00010000-\\U0010ffff]', '', 'g')) <= {longest}"
    " then {name}::text"
    " else '[' || length({name}::text) || ' characters, too long for a cell: see {place}]' end,"
    " '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), E'\\n', '&#10;')"
)
