"""Certificates and reports: a tagged PDF/A for each row, a DOCX for each report, with what the row refers to."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from zipfile import ZipFile

import pytest
from archive_school import School
from lxml import etree
from pypdf import PdfReader

from services.exporter.archive.build import build
from services.exporter.archive.sink import FileSink
from services.exporter.formats.papers import Paper
from services.exporter.formats.pdf import render
from services.exporter.formats.registry import WHOLE
from shared.renewed_process import RenewedProcess

TABLES = """
    create table certificates (serial text primary key, user_id bigint not null references users, given date);
    create table reports (id integer primary key, customer_id text references customers, title text, figures jsonb);
    insert into certificates values ('C-1/2', 1, '2026-01-02'), ('c-1/2', 1, null), ('X', 3, null);
    insert into reports
    values (1, 'acme', E'Läsår <2026>\\x01 #let x = 1', '{"passed": {"spring": 7, "autumn": [1, 2]}}');
"""
MAP = """
  certificates: {category: user, document: certificate, owner: {path: [{column: user_id, to: users.id}]}}
  reports: {category: report, document: report, owner: {column: customer_id}}
  settings:"""
WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


@pytest.fixture
async def papers(school: School, tmp_path: Path) -> dict[str, bytes]:
    """Export acme's papers; gives the files by their paths."""
    await school.run(TABLES)
    school = school.mapped("\n  settings:", MAP)
    path = tmp_path / "one.zip"
    await build(school.sources, replace(school.order(), formats=(WHOLE["pdf"], WHOLE["docx"])), FileSink(path))
    with ZipFile(path) as opened:
        named = {name.removeprefix("export-1/data/"): opened.read(name) for name in opened.namelist()}
    return {name: body for name, body in named.items() if name.startswith(("pdf/", "docx/"))}


def words(body: bytes) -> str:
    return " ".join("\n".join(page.extract_text() for page in PdfReader(io.BytesIO(body)).pages).split())


async def test_each_row_is_a_paper_of_its_own(papers: dict[str, bytes]) -> None:
    """Two certificates whose numbers differ only in case, one report; somebody else's isn't there."""
    certificates = [body for name, body in papers.items() if name.startswith("pdf/user/certificates")]

    assert len(certificates) == 2
    assert all("a@acme.test" in words(body) for body in certificates)
    assert {"pdf/report/reports/000001-1.pdf", "docx/report/reports/000001-1.docx"} <= set(papers)
    assert not any("c@other.test" in words(body) for body in certificates)


async def test_papers_stand_in_the_order_of_their_rows(papers: dict[str, bytes]) -> None:
    """Several are set ahead; that changes nothing of the archive."""
    certificates = [name for name in papers if name.startswith("pdf/user/certificates")]

    assert certificates == sorted(certificates)


async def test_a_paper_shows_what_the_row_holds_and_refers_to(papers: dict[str, bytes]) -> None:
    """Nested figures lie flat; what looks like markup is text; a secret column stays out."""
    report = words(papers["pdf/report/reports/000001-1.pdf"])

    assert "Läsår <2026>" in report
    assert "#let x = 1" in report
    assert "figures.passed.spring 7" in report
    assert "figures.passed.autumn 1, 2" in report
    assert "Acme" in report
    assert not any(
        b"password_hash" in body or "password_hash" in words(body) for body in papers.values() if body[:4] == b"%PDF"
    )


async def test_a_docx_opens_and_holds_the_same(papers: dict[str, bytes]) -> None:
    """Its parts are well-formed, and its words are those of the report, but for what XML forbids."""
    with ZipFile(io.BytesIO(papers["docx/report/reports/000001-1.docx"])) as opened:
        assert opened.testzip() is None
        parts = {name: etree.fromstring(opened.read(name)) for name in opened.namelist()}
    shown = [found.text for found in parts["word/document.xml"].iter(f"{WORD}t")]

    assert shown[0] == "Läsår <2026>\ufffd #let x = 1"
    assert ("figures.passed.spring", "7") in pairwise(shown)


def test_a_pdf_says_that_it_is_archival_and_tagged() -> None:
    """PDF/A-2a and PDF/UA-1 are claimed, there is a structure for who has it read aloud, and fonts are inside."""
    reader = PdfReader(io.BytesIO(render(Paper("1", "Intyg", (("Åsa", (("a", "b"),)),)), "school")))
    catalogue = reader.trailer["/Root"]
    metadata = catalogue["/Metadata"].get_object().get_data().decode()

    assert catalogue["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in catalogue
    assert all(claim in metadata for claim in ("<pdfaid:part>2<", "<pdfaid:conformance>A<", "<pdfuaid:part>1<"))


def test_every_script_is_shown_or_said_to_be_lost() -> None:
    """What no font has is a question mark, and the paper says so; the same paper makes the same bytes."""
    paper = Paper("1", "Intyg", (("", (("hello", "שלום Привет γειά ሰላም 日本語 🎓 \U0010fffd \x01"),)),))
    first, second = (render(paper, "school") for _ in range(2))

    assert "Привет γειά" in words(first)
    assert "Characters shown as a question mark have no font here" in words(first)
    assert first == second


def test_what_is_joined_to_a_missing_character_stops_no_paper() -> None:
    """A family of emoji, a mark on a question mark: set at the first try and again, and said to be lost where it is."""
    for text in ("👨\u200d👩\u200d👧 family", "e\u0301 ?\u0301", "김민지 ส, 佐藤さくら", "?") * 2:
        assert words(render(Paper("1", text, ((text, ((text, text),)),)), "school"))


@pytest.mark.parametrize("forbidden", ["\ufeff", "\ue000", "\ufffe", "\u0bff", "\U0010fffd", "\ue000\ue001"])
def test_what_pdf_a_forbids_stops_no_paper(forbidden: str) -> None:
    """A mark of byte order before a name, a character for private use: it is said to be lost, and the rest is there."""
    shown = words(
        render(Paper("1", f"{forbidden}Åsa", (("", (("name", f"{forbidden}Åsa Öberg, Привет"),)),)), "school")
    )

    assert "?Åsa Öberg, Привет" in shown
    assert "Characters shown as a question mark have no font here" in shown


async def test_a_paper_is_the_same_whatever_was_set_before() -> None:
    """Two processes set papers by turns, and which was set where tells nothing of how a paper looks."""
    texts = ("1\ufe0f\u20e3", "2026-11", "\u0bff", "👨\u200d👩 e\u0bff ?\u0301")
    papers = [Paper(str(number), text, ((text, (("a", text),)),)) for number, text in enumerate(texts)]
    one, other = RenewedProcess(9), RenewedProcess(9)
    try:
        forth = [await one.call(render, paper, "school") for paper in papers]
        back = [await other.call(render, paper, "school") for paper in reversed(papers)]
    finally:
        one.close()
        other.close()

    assert forth == back[::-1]
    assert "2026-11" in words(forth[1])


async def test_half_of_a_pair_of_utf_16_stops_no_paper(school: School, tmp_path: Path) -> None:
    """A column of JSON may name what no text can hold: it is shown as U+FFFD, what is whole as it is."""
    await school.run(
        "create table sheets (id integer primary key, customer_id text, title text, doc json);"
        r"""insert into sheets values (1, 'acme', 'A', '{"half": "a\ud83db", "whole": "\uD83D\uDE00", "\udc00": 1}')"""
    )
    school = school.mapped(
        "\n  settings:", "\n  sheets: {category: report, document: report, owner: {column: customer_id}}\n  settings:"
    )
    path = tmp_path / "one.zip"
    await build(school.sources, replace(school.order(), formats=(WHOLE["pdf"], WHOLE["docx"])), FileSink(path))
    with (
        ZipFile(path) as opened,
        ZipFile(io.BytesIO(opened.read("export-1/data/docx/report/sheets/000001-1.docx"))) as inside,
    ):
        text = "".join(etree.fromstring(inside.read("word/document.xml")).itertext())
        assert opened.read("export-1/data/pdf/report/sheets/000001-1.pdf").startswith(b"%PDF")

    assert "a\ufffdb" in text
    assert "\U0001f600" in text
