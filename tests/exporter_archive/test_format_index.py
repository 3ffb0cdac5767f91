"""index.html: a person who isn't technical finds everything in it, from disk, without a network."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Literal
from urllib.parse import unquote
from zipfile import ZipFile

import pytest
from archive_school import School

from services.exporter.archive.build import build
from services.exporter.archive.sink import FileSink
from services.exporter.formats.registry import ALL


class Page(HTMLParser):
    """What a browser would see of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "a":
            self.links.append(str(dict(attrs)["href"]))

    def handle_data(self, data: str) -> None:
        self.text += data


async def page(school: School, folder: Path, language: Literal["en", "sv"] = "en") -> tuple[Page, set[str]]:
    """Export acme; gives the page, and the paths of all files in the bag."""
    path = folder / "one.zip"
    order = replace(school.order(), language=language, formats=tuple(ALL.values()))
    await build(school.sources, order, FileSink(path))
    with ZipFile(path) as opened:
        paths = {name.removeprefix("export-1/") for name in opened.namelist()}
        return Page(opened.read("export-1/index.html").decode()), paths


async def test_every_table_and_format_can_be_opened_from_it(school: School, tmp_path: Path) -> None:
    """Each link leads to a file that is there; each table's files are all linked, with the number of its rows."""
    shown, paths = await page(school, tmp_path)
    links = {unquote(link) for link in shown.links if not link.startswith("#")}

    assert links <= paths
    data = {path for path in paths if path.startswith("data/") and not path.startswith("data/media/")}
    assert data - links == {"data/datapackage.json", "data/completeness.json"}
    assert "3 tables with 6 rows in all, and 9 files." in shown.text


async def test_it_says_what_is_not_here_and_why(school: School, tmp_path: Path) -> None:
    """Columns left out and exempt tables, each with the map's reason."""
    shown, _ = await page(school, tmp_path)

    assert "users.password_hash: a secret" in shown.text
    assert "settings: the platform's own" in shown.text
    assert "sha256sum -c manifest-sha256.txt" in shown.text


@pytest.mark.parametrize(("language", "word"), [("en", "What is here"), ("sv", "Vad som finns här")])
async def test_it_is_in_the_customers_language_and_accessible(
    school: School, tmp_path: Path, language: Literal["en", "sv"], word: str
) -> None:
    """The language is named; tables have captions and headers with a scope; headings go down step by step."""
    shown, _ = await page(school, tmp_path, language)
    names = [tag for tag, _ in shown.tags]
    levels = [int(name[1]) for name in names if name in {"h1", "h2", "h3"}]

    assert word in shown.text
    assert ("html", {"lang": language}) in shown.tags
    assert names.count("table") == names.count("caption") > 0
    assert all(attrs.get("scope") in {"row", "col"} for tag, attrs in shown.tags if tag == "th")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert {"main", "title", "header"} <= set(names)


async def test_it_reaches_for_nothing_and_runs_nothing(school: School, tmp_path: Path) -> None:
    """No script, no image, no address; what the map says is text, whatever it looks like."""
    hostile = "  users:\n    category: user\n    owner: {column: customer_id}\n    leave_out: {password_hash: a secret}"
    named = hostile.replace("a secret", json.dumps("<script src='https://x.test'>alert(1)</script>"))
    shown, _ = await page(school.mapped(hostile, named), tmp_path)
    names = {tag for tag, _ in shown.tags}

    assert not names & {"script", "img", "iframe", "link", "object", "form"}
    assert not any(":" in link for link in shown.links)
    assert "alert(1)" in shown.text
