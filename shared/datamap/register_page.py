"""The register of formats as a page that opens from disk, with no script and nothing from the network."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_ENGLISH = {
    "title": "What you can take with you from {system}",
    "formats": "Formats",
    "each": "Each table comes in each of these formats:",
    "user": "Data about people",
    "course": "Data about courses",
    "report": "Reports and activity",
    "columns": "Columns",
    "all": "all columns of the table",
    "left_out": "Left out",
    "media": "Files",
    "original": "in their original format",
    "no_media": "none",
    "not_exported": "What is not exported, and why",
    "everything": "Nothing: every table is exported.",
    "exempt": "no customer's data",
    "shared": "shared by all customers",
    "retained": "Kept by law for {years} years, counted from each row's own date: {basis}",
    "some_retained": "Some rows are kept by law for {years} years, counted from each row's own date: {basis}",
    "digest": "Made from the data map with the SHA-256",
}
_SWEDISH = {
    "title": "Det här kan ni ta med er från {system}",
    "formats": "Format",
    "each": "Varje tabell finns i vart och ett av dessa format:",
    "user": "Uppgifter om personer",
    "course": "Uppgifter om kurser",
    "report": "Rapporter och aktivitet",
    "columns": "Kolumner",
    "all": "tabellens alla kolumner",
    "left_out": "Utelämnat",
    "media": "Filer",
    "original": "i sitt originalformat",
    "no_media": "inga",
    "not_exported": "Det som inte exporteras, och varför",
    "everything": "Ingenting: varje tabell exporteras.",
    "exempt": "inga kunduppgifter",
    "shared": "delas av alla kunder",
    "retained": "Bevaras enligt lag i {years} år, räknat från varje rads eget datum: {basis}",
    "some_retained": "En del rader bevaras enligt lag i {years} år, räknat från varje rads eget datum: {basis}",
    "digest": "Framställt ur datakartan med SHA-256",
}
LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": _ENGLISH, "sv": _SWEDISH}


def page(document: dict[str, Any], language: str) -> str:
    """Write the page in *language*, a key of ``LANGUAGES``."""
    words = LANGUAGES[language]
    title = escape(words["title"].format(system=document["system"]))
    body = [
        *_formats(document, words),
        *_categories(document, words),
        *_media(document, words),
        *_not_exported(document, words),
    ]
    digest = f"{words['digest']} <code>{document['map_sha256']}</code>."
    return PAGE.format(language=language, title=title, body="\n".join(body), digest=digest)


def _formats(document: dict[str, Any], words: Mapping[str, str]) -> Iterator[str]:
    yield f"<h2>{words['formats']}</h2><p>{words['each']}</p>"
    yield _list(f"{one['name']} (.{one['suffix']}) <code>{one['media_type']}</code>" for one in document["formats"])


def _categories(document: dict[str, Any], words: Mapping[str, str]) -> Iterator[str]:
    for category in ("user", "course", "report"):
        tables = [one for one in document["tables"] if one["category"] == category]
        if tables:
            yield f"<h2>{words[category]}</h2>"
            yield from (_table(one, words) for one in tables)


def _table(one: dict[str, Any], words: Mapping[str, str]) -> str:
    columns = words["all"] if one["columns"] is None else ", ".join(map(_column, one["columns"]))
    parts = [f"<h3>{escape(one['table'])}</h3><p><b>{words['columns']}:</b> {columns}</p>"]
    if one["left_out"]:
        said = (f"<code>{escape(out['column'])}</code>: {escape(out['reason'])}" for out in one["left_out"])
        parts.append(f"<p><b>{words['left_out']}:</b></p>{_list(said)}")
    if kept := one.get("retained"):
        law = words["some_retained" if kept["some"] else "retained"].format(years=kept["years"], basis=kept["basis"])
        parts.append(f"<p>{escape(law)}.</p>")
    return "".join(parts)


def _column(column: dict[str, str]) -> str:
    about = "; ".join(escape(column[word]) for word in ("type", "meaning") if word in column)
    return f"<code>{escape(column['column'])}</code>" + (f" ({about})" if about else "")


def _media(document: dict[str, Any], words: Mapping[str, str]) -> Iterator[str]:
    yield f"<h2>{words['media']}</h2>"
    places = [f"{escape(one['name'])}, {words['original']}" for one in document["media"]]
    referred = [
        f"{escape(one['table'])}.{escape(file['column'])}, {words['original']}"
        for one in document["tables"]
        for file in one["files"]
    ]
    yield _list([*places, *referred]) if places or referred else f"<p>{words['no_media']}</p>"


def _not_exported(document: dict[str, Any], words: Mapping[str, str]) -> Iterator[str]:
    yield f"<h2>{words['not_exported']}</h2>"
    said = [
        f"<code>{escape(one['table'])}</code> ({words[one['kind']]}): {escape(one['reason'])}"
        for one in document["not_exported"]
    ]
    yield _list(said) if said else f"<p>{words['everything']}</p>"


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }}
h3 {{ margin-bottom: 0; }}
p, ul {{ margin-top: .3rem; }}
code {{ overflow-wrap: anywhere; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
<footer><p>{digest}</p></footer>
</body>
</html>
"""
