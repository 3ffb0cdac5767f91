"""DOCX: a file to go on writing in for each report that the data map declares (ECMA-376, part 1, 17)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from services.exporter.archive.nested import Nested

from .papers import Paper, each_paper
from .whole import Whole
from .xml import fitting

if TYPE_CHECKING:
    from services.exporter.archive.snapshot import Shown
    from services.exporter.archive.source import Files, Source


class Docx(Whole):
    """The format for reports that somebody wants to edit; a character that XML forbids is shown as U+FFFD."""

    name = "docx"
    folder = "docx"
    holds_rows = False

    async def write(self, source: Source, files: Files) -> Mapping[str, int]:
        """Write a file for each row of each table that is declared as reports."""
        reports = [shown for shown in source.tables if shown.table.document == "report"]
        return {shown.table.name: await _reports(source, shown, files) for shown in reports}


async def _reports(source: Source, shown: Shown, files: Files) -> int:
    folder = files.folder(f"{shown.table.category}/{shown.table.name}", shown.table.name)

    async def receive(paper: Paper) -> None:
        async with folder.file(f"{paper.name}.docx", packed=True) as file:
            with closing(Nested(file)) as inner:
                for name, text in PARTS.items():
                    await inner.add(name, text)
                await inner.add("word/document.xml", document(paper))
                await inner.end()

    return await each_paper(source, shown, receive)


def document(paper: Paper) -> str:
    """Write the text of *paper*."""
    body = "".join(_body(paper))
    page = '<w:sectPr><w:pgSz w:w="11906" w:h="16838"/></w:sectPr>'
    return f'{HEAD}<w:document xmlns:w="{MAIN}"><w:body>{body}{page}</w:body></w:document>'


def _body(paper: Paper) -> Iterator[str]:
    yield _line(paper.title, "Title")
    for heading, pairs in paper.parts:
        if heading:
            yield _line(heading, "Heading1")
        rows = "".join(f"<w:tr>{_cell(name)}{_cell(value)}</w:tr>" for name, value in pairs)
        # A table has to be followed by a paragraph.
        yield f'<w:tbl><w:tblPr><w:tblStyle w:val="Grid"/></w:tblPr>{GRID}{rows}</w:tbl><w:p/>' if rows else "<w:p/>"


def _cell(text: str) -> str:
    return f"<w:tc>{_line(text)}</w:tc>"


def _line(text: str, style: str = "Normal") -> str:
    kept = escape(fitting(text)).replace("\r\n", "\n").replace("\r", "\n").replace("\t", "</w:t><w:tab/>" + T)
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r>{T}{kept.replace(chr(10), BREAK)}</w:t></w:r></w:p>'


T = '<w:t xml:space="preserve">'
BREAK = f"</w:t><w:br/>{T}"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
MAIN = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml"
GRID = '<w:tblGrid><w:gridCol w:w="3200"/><w:gridCol w:w="5800"/></w:tblGrid>'
_LINES = "".join(
    f'<w:{side} w:val="single" w:sz="4" w:space="0" w:color="808080"/>'
    for side in ("top", "left", "bottom", "right", "insideH", "insideV")
)
_STYLES = "".join(
    f'<w:style w:type="paragraph" w:styleId="{name}"><w:name w:val="{shown}"/><w:pPr>{level}</w:pPr>'
    f'<w:rPr><w:b/><w:sz w:val="{size}"/></w:rPr></w:style>'
    for name, shown, level, size in (
        ("Title", "Title", "", 40),
        ("Heading1", "heading 1", '<w:outlineLvl w:val="0"/>', 28),
    )
)
PARTS: Mapping[str, str] = {
    "[Content_Types].xml": (
        f'{HEAD}<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{WORD}.document.main+xml"/>'
        f'<Override PartName="/word/styles.xml" ContentType="{WORD}.styles+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>'
    ),
    "word/_rels/document.xml.rels": (
        f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>'
    ),
    "word/styles.xml": (
        f'{HEAD}<w:styles xmlns:w="{MAIN}">'
        '<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style>'
        f'{_STYLES}<w:style w:type="table" w:styleId="Grid"><w:name w:val="Grid"/>'
        f"<w:tblPr><w:tblBorders>{_LINES}</w:tblBorders></w:tblPr></w:style></w:styles>"
    ),
}
