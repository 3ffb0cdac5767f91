"""index.html: what is in the archive, for a person who opens it in a browser, from disk, without a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Literal, TypeAlias
from urllib.parse import quote

from shared.datamap.model import DataMap
from shared.datamap.referring import referring
from shared.moments import iso

from .lost import Lost
from .media import Tally
from .page_words import WORDS, Words

PATH = "index.html"
Language: TypeAlias = Literal["en", "sv"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of the archive: in which *format*, at which *path* below the bag; *table* is None if it holds several.

    *counted*: it has a record a row, which anybody can count.
    """

    format: str
    path: str
    table: str | None = None
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Contents:
    """What the page tells of: the *rows* of each exported table, the *files*, the *media*, the bag's *name*.

    *signed_by* is the id of the key that signed the archive, if any did.
    *lost* are files that are not here as the rows say.
    """

    customer: str
    map: DataMap
    moment: datetime
    name: str
    rows: Mapping[str, int]
    files: Sequence[Listed]
    media: Tally
    signed_by: str | None = None
    lost: Sequence[Lost] = ()


def written(contents: Contents, language: Language) -> bytes:
    """Write the page in *language*."""
    words = WORDS[language]
    parts = (_head(contents, words, language), _tables(contents, words), _together(contents, words))
    more = (_media(contents, words), _left_out(contents, words), _check(contents, words))
    lines = [line for part in (*parts, *more) for line in part]
    return "\n".join([*lines, "</main>", "</body>", "</html>", ""]).encode()


def _head(contents: Contents, words: Words, language: Language) -> Iterator[str]:
    title = escape(words.title.format(customer=contents.customer))
    yield "<!doctype html>"
    yield f'<html lang="{language}">'
    yield '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield f"<title>{title}</title><style>{STYLE}</style></head>"
    yield "<body>"
    yield f'<a class="skip" href="#main">{words.skip}</a>'
    yield f"<header><h1>{title}</h1></header>"
    yield '<main id="main">'
    moment = f'<time datetime="{iso(contents.moment)}">{contents.moment:%Y-%m-%d %H:%M} UTC</time>'
    yield f"<p>{words.what.format(system=escape(contents.map.system), moment=moment)}</p>"
    counts = len(contents.rows), sum(contents.rows.values()), contents.media.objects
    yield f"<p>{words.counts.format(*map(number, counts))}</p>"


def _tables(contents: Contents, words: Words) -> Iterator[str]:
    yield f'<h2 id="tables">{words.tables}</h2>'
    yield f"<p>{words.tables_say}</p>"
    for category in dict.fromkeys(table.category for table in contents.map.tables):
        tables = [one for one in contents.map.tables if one.category == category and one.name in contents.rows]
        if tables:
            yield f'<div class="wide"><table><caption>{words.categories[category]}</caption>'
            names = (f'<th scope="col">{name}</th>' for name in (words.table, words.rows, words.files))
            yield f"<thead><tr>{''.join(names)}</tr></thead><tbody>"
            yield from (_row(contents, table.name) for table in tables)
            yield "</tbody></table></div>"


def _row(contents: Contents, table: str) -> str:
    files = " · ".join(link(one.path, one.format) for one in contents.files if one.table == table)
    count = number(contents.rows[table])
    return f'<tr><th scope="row">{escape(table)}</th><td class="number">{count}</td><td>{files}</td></tr>'


def _together(contents: Contents, words: Words) -> Iterator[str]:
    together: dict[str, list[str]] = {}
    for one in contents.files:
        together.setdefault(one.format, [])
        if one.table is None:
            together[one.format].append(one.path)
    yield f'<h2 id="formats">{words.formats}</h2>'
    yield "<dl>"
    for name, paths in together.items():
        links = ", ".join(link(path, path.rpartition("/")[2]) for path in paths)
        yield f"<dt>{escape(name)}</dt><dd>{words.of_formats.get(name, '')} {links}</dd>"
    yield "</dl>"


def _media(contents: Contents, words: Words) -> Iterator[str]:
    yield f'<h2 id="media">{words.media}</h2>'
    size = f"{contents.media.size:,}".replace(",", "\u202f")
    listed = link("data/media.csv", "media.csv")
    said = words.some_media if contents.media.objects else words.no_media
    yield f"<p>{said.format(count=number(contents.media.objects), size=size, listed=listed)}</p>"
    if referring(contents.map):
        yield f"<p>{words.referred.format(listed=link('data/media_references.csv', 'media_references.csv'))}</p>"
    if contents.lost:
        yield f"<p><strong>{words.lost}</strong></p><ul>"
        for one in contents.lost:
            said = words.losses[one.outcome].format(count=number(one.objects))
            yield f"<li><code>{escape(one.place)}</code>: {said}: {escape(one.reason)}</li>"
        yield "</ul>"


def _left_out(contents: Contents, words: Words) -> Iterator[str]:
    columns = [
        (f"{table.name}.{column}", why)
        for table in contents.map.tables
        if table.name in contents.rows
        for column, why in table.left_out.items()
    ]
    scoped = [(table.name, words.not_asked) for table in contents.map.tables if table.name not in contents.rows]
    yield f'<h2 id="left-out">{words.left_out}</h2>'
    for says, found in (
        (words.columns_left_out, columns),
        (words.tables_not_asked, scoped),
        (words.exempt, list(contents.map.without_owner.items())),
    ):
        yield f"<h3>{says}</h3>"
        if found:
            yield f"<ul>{''.join(f'<li><code>{escape(what)}</code>: {escape(why)}</li>' for what, why in found)}</ul>"
        else:
            yield f"<p>{words.none}</p>"


def _check(contents: Contents, words: Words) -> Iterator[str]:
    yield f'<h2 id="check">{words.check}</h2>'
    yield f"<p>{words.check_says}</p>"
    yield f"<pre><code>cd {escape(contents.name)}\nsha256sum -c manifest-sha256.txt</code></pre>"
    yield f"<p>{words.check_elsewhere}</p>"
    yield "<pre><code>shasum -a 256 -c manifest-sha256.txt</code></pre>"
    more = {"readme": link("data/README.txt", "data/README.txt"), "verify": link("VERIFY.txt", "VERIFY.txt")}
    yield f"<p>{words.check_more.format(**more)}</p>"
    if contents.signed_by is None:
        yield f"<p><strong>{words.not_signed}</strong></p>"
    else:
        yield f"<p>{words.signed.format(key=f'<code>{escape(contents.signed_by)}</code>', **more)}</p>"


def link(path: str, text: str) -> str:
    """Link to the file at *path* below the page."""
    return f'<a href="{escape(quote(path))}">{escape(text)}</a>'


def number(count: int) -> str:
    """Write a number for people."""
    return f"{count:,}".replace(",", "\u202f")


# Colours have a contrast of 7:1 and more (WCAG 2.2, 1.4.6), light and dark.
STYLE = """
:root { color-scheme: light dark; }
body { font: 1.05rem/1.6 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
.skip { position: absolute; left: -999rem; } .skip:focus { left: 1rem; background: Canvas; padding: .5rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
caption { text-align: left; font-weight: 600; font-size: 1.1rem; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid GrayText; vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; } .wide { overflow-x: auto; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid GrayText; } dt { font-weight: 600; }
a { color: LinkText; } a:focus { outline: 3px solid; outline-offset: 2px; }
"""
